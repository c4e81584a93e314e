package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mounted is a client process and its mountpoint.
type mounted struct {
	cmd    *exec.Cmd
	dir    string
	state  string
	exited chan struct{}
	err    error // of the process, after exited
}

// settling is what a client has between its mount and the work, for what it does at its start.
const settling = 300 * time.Millisecond

// start mounts the bucket and waits until it answers.
func (b *bench) start(client string) (*mounted, error) {
	state, err := os.MkdirTemp(b.dir, "state")
	if err != nil {
		return nil, err
	}
	m := &mounted{dir: state + ".mnt", state: state, exited: make(chan struct{})}
	log, err := os.Create(filepath.Join(state, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		return nil, err
	}
	m.cmd = newClient[client](b, b.bucket, m.dir, state)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the bench first
	if err := m.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.Remove(m.dir), os.RemoveAll(state))
	}
	go func() { m.err = m.cmd.Wait(); close(m.exited) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var st unix.Statfs_t
		if unix.Statfs(m.dir, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			b.mount = m.dir
			time.Sleep(settling)
			return m, nil
		}
		select {
		case <-m.exited:
			text, _ := os.ReadFile(log.Name())
			return nil, errors.Join(fmt.Errorf("%s does not mount: %w: %s", client, m.err, text), m.remove())
		default:
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("%s does not mount", client), m.stop())
		}
	}
}

// killAfter kills the client when the work takes too long or the bench is interrupted; the
// function that it returns ends that and says whether it came to it.
func (m *mounted) killAfter(ctx context.Context, limit time.Duration) (stop func() (killed bool)) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	undo := context.AfterFunc(ctx, func() { _ = m.cmd.Process.Kill() })
	return func() bool {
		late := !undo()
		cancel()
		return late
	}
}

// cpu is the processor time that the process has used, in steps of 10 ms.
func (m *mounted) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The command name may hold anything but ends with the last bracket.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system = 14 - 3, 15 - 3 // as proc(5) counts, less what was cut off
	var u, s int64
	if len(fields) <= system {
		return 0
	}
	_, _ = fmt.Sscan(fields[user], &u)
	_, _ = fmt.Sscan(fields[system], &s)
	return time.Duration(u+s) * 10 * time.Millisecond
}

// peakMemory is the largest resident size of the process since its start. (What wait4 reports
// counts the bench itself too, whose memory the process had before exec.)
func (m *mounted) peakMemory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}

// stop unmounts, waits for the process and removes its local state.
func (m *mounted) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "fusermount3", "-u", m.dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("fusermount3 -u: %w: %s", err, out)
		_ = m.cmd.Process.Kill()
		_ = unix.Unmount(m.dir, unix.MNT_DETACH)
	}
	select {
	case <-m.exited: // s3fs and rclone have exit codes of their own for an unmount from outside
	case <-ctx.Done():
		err = errors.Join(err, errors.New("the process does not end after the unmount"), m.trace())
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	return errors.Join(err, m.remove())
}

// trace asks a process that hangs where it does (Go programs say it), and keeps what it has logged.
func (m *mounted) trace() error {
	_ = m.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-m.exited:
	case <-time.After(5 * time.Second):
	}
	text, err := os.ReadFile(filepath.Join(m.state, "log"))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "bench-hung-")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return fmt.Errorf("its log: %s", f.Name())
}

func (m *mounted) remove() error { return errors.Join(os.Remove(m.dir), os.RemoveAll(m.state)) }
