package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThreadGroup: every thread belongs to its process, whatever the program is called.
func TestThreadGroup(t *testing.T) {
	t.Parallel()
	got := make(chan [2]uint32)
	for range 3 {
		go func() {
			runtime.LockOSThread() // not given back: a thread of its own
			tid := uint32(unix.Gettid())
			got <- [2]uint32{tid, threadGroup(tid)}
		}()
	}
	for range 3 {
		if pair := <-got; pair[1] != uint32(os.Getpid()) {
			t.Errorf("thread %d is said to be of %d, not of %d", pair[0], pair[1], os.Getpid())
		}
	}
	sleep, err := exec.LookPath("sleep")
	check(t, err)
	odd := filepath.Join(t.TempDir(), "a\nTgid:\t1\n")
	check(t, os.Symlink(sleep, odd))
	cmd := exec.Command(odd, "60")
	check(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	if pid := uint32(cmd.Process.Pid); threadGroup(pid) != pid {
		t.Errorf("%d is said to be of %d", pid, threadGroup(pid))
	}
	for _, tid := range []uint32{0, 1 << 30} {
		if g := threadGroup(tid); g != 0 {
			t.Errorf("thread %d is said to be of %d", tid, g)
		}
	}
}
