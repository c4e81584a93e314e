package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// readyVariable tells a process that it is the one in the background, and where its parent
// waits to hear how the mount went.
const readyVariable = "OBJMOUNT_READY_FD"

// verdict is what the process in the background tells its parent, once.
type verdict struct {
	Code  exitCode `json:"code"`
	Error string   `json:"error,omitempty"`
}

// pathVariables are environment variables with a file name. They are made absolute, because the
// process in the background leaves the working directory.
var pathVariables = []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "OBJMOUNT_STATE_DIR"}

func absoluteEnvironment() error {
	for _, name := range pathVariables {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		abs, err := absolute(value)
		if err == nil {
			err = os.Setenv(name, abs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startBackground runs this command again and returns when its mount answers, or why it does not.
// The other process makes a session of its own only when the mount answers: until then it is in
// our process group, by which autofs knows whom it must not let wait for the mount that is being made.
func startBackground(args []string, log string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fail(exitFailed, "starting the process in the background: %v", err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = append(os.Environ(), readyVariable+"=3")
	cmd.ExtraFiles = []*os.File{w}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fail(exitFailed, "starting the process in the background: %v", err)
	}
	answer := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(r) // an error is the same as no answer
		answer <- text
	}()
	interrupted := false
	for {
		select {
		case <-signals:
			interrupted = true
			_ = cmd.Process.Signal(unix.SIGTERM) // it may be gone already
		case text := <-answer:
			return judge(cmd, text, log, interrupted)
		}
	}
}

// judge turns the answer of the process in the background into our own end.
func judge(cmd *exec.Cmd, text []byte, log string, interrupted bool) error {
	var v verdict
	if err := json.Unmarshal(text, &v); err != nil {
		waitErr := cmd.Wait()
		if interrupted {
			return fail(exitInterrupted, "interrupted; nothing is mounted")
		}
		if waitErr == nil {
			waitErr = errors.New("it ended")
		}
		return fail(exitFailed, "the process in the background died before the mount answered (%v); its log is %s", waitErr, log)
	}
	if v.Code == exitOK {
		return cmd.Process.Release()
	}
	_ = cmd.Wait() // its exit status says what v says
	return fail(v.Code, "%s", v.Error)
}

// readyPipe is the parent's end of a process in the background; nil in the foreground.
type readyPipe struct{ file *os.File }

// inheritReady takes the pipe over, so that no child of ours inherits it.
func inheritReady() (*readyPipe, error) {
	text := os.Getenv(readyVariable)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, usage("%s=%q is for objmount itself; unset it", readyVariable, text)
	}
	unix.CloseOnExec(fd)
	if err := os.Unsetenv(readyVariable); err != nil {
		return nil, err
	}
	return &readyPipe{os.NewFile(uintptr(fd), "ready")}, nil
}

// tell sends the verdict and closes the pipe. Without a parent that listens the mount is not
// wanted any more.
func (p *readyPipe) tell(err error) error {
	if p == nil || p.file == nil {
		return nil
	}
	v := verdict{Code: codeOf(err)}
	if err != nil {
		v.Error = err.Error()
	}
	werr := json.NewEncoder(p.file).Encode(v)
	werr = errors.Join(werr, p.file.Close())
	p.file = nil
	return werr
}

// refuse tells the parent why there will be no mount, and returns that.
func (p *readyPipe) refuse(err error) error {
	return errors.Join(err, p.tell(err))
}

// leave makes a process in the background independent of where it was started.
func leave(sink *logSink) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), 0, 0); err != nil {
		return err
	}
	if err := sink.adopt(); err != nil {
		return err
	}
	return os.Chdir("/")
}

func makeParent(file string) error { return os.MkdirAll(filepath.Dir(file), 0o700) }
