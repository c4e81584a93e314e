package fs

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// request is the context of one kernel request. It ends when the mount ends, or when the
// request was interrupted by a signal that is meant to end the program (INT, TERM, QUIT,
// HUP, KILL). The kernel interrupts for any signal, also for the SIGURG with which Go
// programs preempt themselves; those must not fail a system call.
//
// A context is made per request without a goroutine; the first Done starts a watcher.
type request struct {
	context.Context // of the mount
	fs              *FS
	cancel          <-chan struct{}
	pid             uint32
	inside          []*node // see FS.enter; the request's goroutine changes it while it has no others
	turn            bool    // to rename a directory, see FS.enterRename

	once     sync.Once
	mu       sync.Mutex
	err      error
	done     chan struct{}
	finished chan struct{}
}

func (f *FS) request(cancel <-chan struct{}, pid uint32) *request {
	f.waiting.Add(1)
	return &request{Context: f.ctx, fs: f, cancel: cancel, pid: pid, done: make(chan struct{}), finished: make(chan struct{})}
}

// finish ends the watcher. Call it once, when the request is answered.
func (r *request) finish() {
	r.fs.waiting.Add(-1)
	close(r.finished)
}

// Value implements context.Context.
func (r *request) Value(key any) any {
	if key == (insideKey{}) {
		return r.inside
	}
	return r.Context.Value(key)
}

// Done implements context.Context.
func (r *request) Done() <-chan struct{} {
	r.once.Do(func() { go r.watch() })
	return r.done
}

// Err implements context.Context.
func (r *request) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *request) end(err error) {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	close(r.done)
}

func (r *request) watch() {
	look, ended, cancel := time.NewTicker(time.Second), r.leftBehind, r.cancel
	defer look.Stop()
	if r.fs.interrupted.some() && ended() { // the second file that a process leaves behind waits no second more
		r.end(context.Canceled)
		return
	}
	for {
		select {
		case <-r.finished:
			return
		case <-r.Context.Done():
			r.end(r.Context.Err())
			return
		case <-cancel: // the kernel sends one interrupt per request: a deadly signal may follow a harmless one
			cancel, ended = nil, r.deadlySignalPending
			look.Reset(100 * time.Millisecond)
		case <-look.C:
		}
		if ended() {
			r.fs.interrupted.add(threadGroup(r.pid), time.Now())
			r.end(context.Canceled)
			return
		}
	}
}

// deadlySignalPending reads the pending masks of the thread from /proc/PID/status (proc(5)). A process that is gone counts as killed.
func (r *request) deadlySignalPending() bool {
	pending, _ := pendingSignal(r.pid)
	return pending
}

// leftBehind reports whether a process that ends because of a signal closes its files on its way out. No signal reaches it any more, not even
// KILL: the kernel drops them, and no pending signal shows in /proc (seen on Linux 6.18, since 6.1 by its source). So it is known by what was before: the signal
// that ends it, one that has ended a wait of it, or an exit code of 128 and a signal, which is how shells, and programs that catch it, say so.
func (r *request) leftBehind() bool {
	pending, memory := pendingSignal(r.pid)
	return !memory && (pending || endedBySignal(exitCode(r.pid)) || r.fs.interrupted.has(threadGroup(r.pid), time.Now()))
}

// endedBySignal looks at an exit code as wait(2) has it.
func endedBySignal(code int) bool {
	status := code >> 8 & 0xff
	return code&0x7f != 0 || status > 128 && status <= 128+64 && deadlySignals&(1<<(status-128-1)) != 0
}

// interruptedFor is how long a process has to end after a signal has ended a wait of it.
const interruptedFor = time.Minute

// interruptions are the processes whose wait a deadly signal has ended, for a minute. It is safe for concurrent use; the zero value has none.
type interruptions struct {
	mu    sync.Mutex
	until map[uint32]time.Time
}

func (i *interruptions) add(process uint32, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for p, until := range i.until {
		if now.After(until) {
			delete(i.until, p)
		}
	}
	if process == 0 {
		return
	}
	if i.until == nil {
		i.until = make(map[uint32]time.Time)
	}
	i.until[process] = now.Add(interruptedFor)
}

// some tells whether there may be any.
func (i *interruptions) some() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.until) > 0
}

func (i *interruptions) has(process uint32, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	until, known := i.until[process]
	return known && now.Before(until)
}

const deadlySignals = 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGQUIT-1) |
	1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGKILL-1)

// pendingSignal tells whether a deadly signal is pending for a thread, and whether the thread has memory: who exits gives it back
// before the files, and has no line VmSize then.
func pendingSignal(pid uint32) (pending, memory bool) {
	if pid == 0 {
		return false, true
	}
	data, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/status")
	if err != nil {
		return os.IsNotExist(err), true
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ":"); name {
		case "VmSize":
			memory = true
		case "SigPnd", "ShdPnd":
			mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			pending = pending || err == nil && mask&deadlySignals != 0
		}
	}
	return pending, memory
}

// threadGroup returns the process of a thread id, 0 when it cannot be told (another pid
// namespace, a process that is gone).
func threadGroup(tid uint32) uint32 {
	if tid == 0 {
		return 0
	}
	// By system calls: it is asked for every file that is written, and package os makes eight of three.
	fd, err := unix.Open("/proc/"+strconv.FormatUint(uint64(tid), 10)+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var start [256]byte // Tgid is the fourth line
	count, err := unix.Read(fd, start[:])
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(start[:count]), "\nTgid:")
	value, _, found := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
	if err != nil || !found {
		return 0
	}
	return uint32(n)
}

// statPatience is how long killedBySignal waits for the kernel.
const statPatience = 50 * time.Millisecond

// killedBySignal reports whether the thread is on its way out because of a signal: its
// exit code, the last field of /proc/PID/stat, has a signal in its low bits while FLUSH arrives
// (seen on Linux 6.18: 2 for SIGINT, 9 for SIGKILL, 0 at every ordinary close).
// A thread that closes the file because it executes a program is not: reading its stat blocks until execve(2) is done,
// and that waits for our answer to FLUSH (seen on 6.18; /proc/PID/status does not block). So this waits a moment only.
func killedBySignal(tid uint32) bool {
	if tid == 0 {
		return false
	}
	code := make(chan int, 1)
	go func() { code <- exitCode(tid) }()
	timer := time.NewTimer(statPatience)
	defer timer.Stop()
	select {
	case c := <-code:
		return c&0x7f != 0
	case <-timer.C:
		return false
	}
}

// exitCode is the last field of /proc/PID/stat (proc_pid_stat(5)); 0 when it cannot be read.
func exitCode(tid uint32) int {
	data, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0
	}
	code, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return 0
	}
	return code
}
