package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

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

// TestEndedBySignal: exit codes as the kernel shows them (wait(2)).
func TestEndedBySignal(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]bool{
		0: false, 2: true, 9: true, 11 | 0x80: true, // a core was dumped
		1 << 8: false, 2 << 8: false, 127 << 8: false, 128 << 8: false, 255 << 8: false,
		129 << 8: true, 130 << 8: true, 131 << 8: true, 137 << 8: true, 143 << 8: true, 141 << 8: false, // PIPE
	} {
		if endedBySignal(code) != want {
			t.Errorf("exit code %#x: %v", code, !want)
		}
	}
}

// TestInterruptions: a process whose wait was ended is remembered for a minute, and then forgotten.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	var i interruptions
	now := time.Now()
	i.add(7, now)
	i.add(0, now) // not known
	if !i.has(7, now.Add(interruptedFor-1)) || i.has(7, now.Add(interruptedFor)) || i.has(0, now) || i.has(8, now) {
		t.Error("the wrong processes are known")
	}
	i.add(8, now.Add(interruptedFor+1))
	if len(i.until) != 1 {
		t.Errorf("%d processes are kept", len(i.until))
	}
}
