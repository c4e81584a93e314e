package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mountTimeout   = 30 * time.Second
	unmountTimeout = 2 * time.Minute
)

// mountOptions says what to mount and how. The zero values are good for most tests.
type mountOptions struct {
	store    *store
	endpoint string   // of a proxy; empty: the store's own
	source   string   // s3://bucket or s3://bucket/prefix/, or all:
	args     []string // more flags
	state    string   // directory for staging, caches and sockets; empty: one of its own
	env      []string // more environment
	binary   string   // another one than all tests have
	byFile   bool     // the configuration file says where the store is
	noisy    string   // expression for log lines that are no failure, though they are warnings
}

// A mount is a running objmount process and its mountpoint.
type mount struct {
	dir     string
	options mountOptions

	t       testing.TB
	cmd     *exec.Cmd
	log     *logFile
	exited  chan struct{}
	waitErr error // after exited
	ended   sync.Once
}

// newMount mounts and returns when the mountpoint answers. The test fails if the mount is
// still there, cannot be unmounted, or logged a warning, when it ends.
func newMount(t testing.TB, o mountOptions) *mount {
	t.Helper()
	if o.state == "" {
		o.state = newState(t)
	}
	dir, err := os.MkdirTemp(shared.dir, "m")
	if err != nil {
		t.Fatal(err)
	}
	m := &mount{dir: dir, options: o, t: t, exited: make(chan struct{})}
	t.Cleanup(m.end)
	m.start()
	return m
}

// newState makes a directory for the local side of a mount, which can be handed from one mount to
// the next.
func newState(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(shared.dir, "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (m *mount) start() {
	m.t.Helper()
	binary, err := m.options.binary, error(nil)
	if binary == "" {
		binary, err = shared.binary()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	args := []string{"mount", "--foreground"}
	if m.options.source != "all:" && !m.options.byFile { // the configuration file says where those stores are
		endpoint := m.options.endpoint
		if endpoint == "" {
			endpoint = m.options.store.endpoint
		}
		args = append(args, "--endpoint-url", endpoint, "--region", region)
	}
	args = append(args, m.options.args...)
	m.cmd = exec.Command(binary, append(args, m.options.source, m.dir)...)
	m.cmd.Env = append(m.environment(), m.options.env...)
	m.cmd.Dir = m.options.state
	if m.log, err = newLogFile(filepath.Join(m.options.state, "log")); err != nil {
		m.t.Fatal(err)
	}
	m.cmd.Stdout, m.cmd.Stderr = m.log.file, m.log.file
	if err := startChild(m.cmd, syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	go func() { m.waitErr = m.cmd.Wait(); close(m.exited) }()
	for deadline := time.Now().Add(mountTimeout); !m.ready(); {
		select {
		case <-m.exited:
			m.t.Fatalf("objmount ended at once: %v\n%s", m.waitErr, m.log.tail())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			m.dumpGoroutines()
			m.t.Fatalf("the mount does not answer after %v\n%s", mountTimeout, m.log.tail())
		}
	}
}

// ready says that the mount answers, and objmount's commands for it as well.
func (m *mount) ready() bool {
	return slices.ContainsFunc(m.log.lines(), func(line string) bool { return strings.Contains(line, "msg=mounted ") })
}

// environment gives objmount a home of its own and credentials.
func (m *mount) environment() []string {
	s := m.options.state
	return append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"HOME="+s, "XDG_STATE_HOME="+s+"/state", "XDG_CACHE_HOME="+s+"/cache", "XDG_RUNTIME_DIR="+s, "XDG_CONFIG_HOME="+s+"/config")
}

// command runs another objmount command in the environment of the mount.
func (m *mount) command(args ...string) (string, error) { return m.objmount(m.cmd.Path, args...) }

func (m *mount) objmount(binary string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), unmountTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = m.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("objmount %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// unmount unmounts as a user would, which waits for uploads, and checks that nothing is left.
func (m *mount) unmount() {
	m.t.Helper()
	m.ended.Do(func() { m.unmountOnce() })
}

func (m *mount) unmountOnce() {
	m.t.Helper()
	if _, err := m.command("umount", m.dir); err != nil {
		m.t.Errorf("%v\n%s", err, m.log.tail())
		m.sweep()
		return
	}
	select {
	case <-m.exited:
		if m.waitErr != nil {
			m.t.Errorf("objmount ended with %v\n%s", m.waitErr, m.log.tail())
		}
	case <-time.After(10 * time.Second):
		m.dumpGoroutines()
		m.t.Errorf("objmount still runs after umount\n%s", m.log.tail())
	}
	m.checkLog()
	m.sweep()
}

// kill ends objmount as a crash would and removes the dead mount.
func (m *mount) kill() {
	m.t.Helper()
	m.ended.Do(func() {
		_ = m.cmd.Process.Kill()
		<-m.exited
		m.checkLog()
		m.sweep()
	})
}

// again mounts the same source with the same state, after unmount or kill.
func (m *mount) again(change ...func(*mountOptions)) *mount {
	m.t.Helper()
	o := m.options
	for _, f := range change {
		f(&o)
	}
	return newMount(m.t, o)
}

// end is for tests that did not get as far as unmount.
func (m *mount) end() {
	m.ended.Do(func() {
		if m.t.Failed() { // the filesystem may hang: do not ask it for anything
			m.t.Logf("log of objmount:\n%s", m.log.tail())
			m.sweep()
			return
		}
		m.unmountOnce()
	})
	m.log.close()
}

// running says whether the process was started and has not ended.
func (m *mount) running() bool {
	select {
	case <-m.exited:
		return false
	default:
		return m.cmd != nil && m.cmd.Process != nil
	}
}

// sweep removes process, mount and mountpoint whatever state they are in.
func (m *mount) sweep() {
	if m.running() {
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	if mounted(m.dir) {
		if err := unix.Unmount(m.dir, unix.MNT_DETACH); err != nil {
			_ = exec.Command("fusermount3", "-uz", m.dir).Run()
		}
	}
	if err := os.Remove(m.dir); err != nil {
		m.t.Errorf("the mountpoint cannot be removed: %v", err)
	}
}

func mounted(dir string) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return err != nil || bytes.Contains(text, []byte(" "+dir+" "))
}

// dumpGoroutines makes objmount write its stacks to the log, and end.
func (m *mount) dumpGoroutines() {
	_ = m.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-m.exited:
	case <-time.After(5 * time.Second):
	}
}

// checkLog fails the test for a warning, an error, a panic or a race in the log.
func (m *mount) checkLog() {
	m.t.Helper()
	var noisy *regexp.Regexp
	if m.options.noisy != "" {
		noisy = regexp.MustCompile(m.options.noisy)
	}
	const most = 5
	bad := 0
	for _, line := range m.log.lines() {
		if badLine.MatchString(line) && (noisy == nil || !noisy.MatchString(line)) {
			if bad++; bad > most {
				continue
			}
			m.t.Errorf("objmount logged: %s", line)
			if strings.Contains(line, "DATA RACE") || strings.Contains(line, "panic") {
				m.t.Log(m.log.tail())
				return
			}
		}
	}
	if bad > most {
		m.t.Errorf("... and %d more lines", bad-most)
	}
}

var badLine = regexp.MustCompile(`level=(WARN|ERROR)|"level":"(WARN|ERROR)"|DATA RACE|^panic: |^fatal error: `)

// logFile is the log of one process. Several mounts of one state append to the same file; each reads its own part.
type logFile struct {
	file  *os.File
	start int64
}

func newLogFile(name string) (*logFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	end, err := f.Seek(0, 2)
	return &logFile{file: f, start: end}, err
}

func (l *logFile) lines() []string {
	if l == nil {
		return nil
	}
	f, err := os.Open(l.file.Name())
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	if _, err := f.Seek(l.start, 0); err != nil {
		return []string{err.Error()}
	}
	var out []string
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		out = append(out, s.Text())
	}
	return out
}

// tail is the end of the log; more of it when the process dumped its goroutines.
func (l *logFile) tail() string {
	const most = 60
	lines := l.lines()
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "SIGQUIT") || strings.Contains(l, "DATA RACE") }); i >= 0 {
		return strings.Join(lines[i:min(len(lines), i+20*most)], "\n")
	}
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

func (l *logFile) close() {
	if l != nil {
		_ = l.file.Close()
	}
}

// errno returns the number in err, 0 if there is none.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return 0
}
