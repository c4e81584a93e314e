package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// blocked is a Python program that prepares a call, waits for a line, and makes the call, which its store does not answer.
const blocked = `
import os, signal, sys
d, call = sys.argv[1], sys.argv[2]
f = d + "/file"
data = b"0123456789" * 1000
fd = -1
signal.signal(signal.SIGINT, signal.default_int_handler) # what runs in the background of a shell ignores it
if call == "read": signal.signal(signal.SIGINT, signal.SIG_DFL) # the kernel waits for pages: only what ends a program ends that
if call == "read": fd = os.open(f, os.O_RDONLY)
if call in ("close", "fsync", "again", "exit"):
    fd = os.open(d + "/new", os.O_WRONLY | os.O_CREAT)
    os.write(fd, data)
print("ready", flush=True)
sys.stdin.readline()
try:
    {"read": lambda: os.read(fd, 100), "open": lambda: os.open(f, os.O_RDONLY), "stat": lambda: os.stat(d + "/deeper/file"),
     "readdir": lambda: os.listdir(d), "close": lambda: os.close(fd), "fsync": lambda: os.fsync(fd), "again": lambda: os.fsync(fd),
     "exit": lambda: os._exit(128 + signal.SIGINT), "rename": lambda: os.rename(f, d + "/moved"),
     "unlink": lambda: os.unlink(f), "mkdir": lambda: os.mkdir(d + "/made")}[call]()
except KeyboardInterrupt:
    print("interrupted")
    if call == "again": os.pwrite(fd, data, 0) # there is something to store when the file is closed on the way out
except OSError as e: print("errno", e.errno)
else: print("done")
`

// TestInterruptedOnADeadStore: whatever a program waits for, Ctrl-C and kill end it at once, and not when the store comes back; what it
// had written is stored then. A program that catches the signal, and then closes its files by exiting, is not held up by that: no signal would end it.
func TestInterruptedOnADeadStore(t *testing.T) {
	t.Parallel()
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGKILL}
	if soaking() {
		signals = append(signals, syscall.SIGTERM, syscall.SIGHUP)
	}
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	var programs []*blockedProgram
	large := bytesOf(1, 2<<20) // not fetched by open
	for _, call := range strings.Fields("read open stat readdir close fsync again exit rename unlink mkdir") {
		for _, signal := range signals {
			b := &blockedProgram{call: call, signal: signal, dir: fmt.Sprintf("%s-%d", call, signal)}
			s.put(t, bucket, b.dir+"/file", large)
			programs = append(programs, b)
		}
	}
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, noisy: `.`})
	for _, b := range programs {
		b.start(t, m)
	}
	p.on(&rule{match: everything, hold: make(chan struct{})})
	for _, b := range programs {
		fmt.Fprintln(b.in, "now")
	}
	time.Sleep(500 * time.Millisecond) // they are in their calls; if not, the test is only weaker
	var ending sync.WaitGroup
	for _, b := range programs {
		ending.Go(func() { b.end(t, m) })
	}
	ending.Wait()
	p.clear()
	w := &workspace{T: t}
	for _, b := range programs {
		switch b.call {
		case "close", "fsync", "again", "exit":
			w.eventually(b.dir+" to be stored", func() bool { return len(s.snapshot(t, bucket, b.dir+"/new")) == 1 })
			if got, want := s.get(t, bucket, b.dir+"/new"), bytes.Repeat([]byte("0123456789"), 1000); !bytes.Equal(got, want) {
				t.Errorf("%s: %s", b.dir, firstDifference(got, want))
			}
		case "rename":
			w.eventually(b.dir+" to have its file under one name", func() bool { return len(s.snapshot(t, bucket, b.dir+"/")) == 1 })
		case "unlink": // done or not
		default:
			if got, err := os.ReadFile(m.in(b.dir + "/file")); err != nil || !bytes.Equal(got, large) {
				t.Errorf("%s afterwards: %v, %s", b.dir, err, firstDifference(got, large))
			}
		}
	}
	(&pair{T: t, store: s, bucket: bucket}).nothingKept(m)
	m.unmount()
}

type blockedProgram struct {
	call, dir string
	signal    syscall.Signal
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
}

func (b *blockedProgram) start(t *testing.T, m *mount) {
	t.Helper()
	b.cmd = exec.Command("python3", "-S", "-c", blocked, m.in(b.dir), b.call)
	in, err := b.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.in, b.out = in, bufio.NewReader(out)
	if err := startChild(b.cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.cmd.Process.Kill() })
	if line, err := b.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s does not get ready: %q, %v", b.call, line, err)
	}
}

// end sends the signal, again and again: it may come just before the call. The store would be waited for much longer.
func (b *blockedProgram) end(t *testing.T, m *mount) {
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(b.out)
		said <- string(text)
	}()
	for range 30 {
		_ = b.cmd.Process.Signal(b.signal) // it may have ended
		select {
		case text := <-said:
			_ = b.cmd.Wait() // by a signal, or not
			if strings.Contains(text, "done") || strings.Contains(text, "errno") && !strings.Contains(text, fmt.Sprint("errno ", int(syscall.EINTR))) {
				t.Errorf("%s, %v: it says %q", b.call, b.signal, text)
			}
			return
		case <-time.After(time.Second):
		}
	}
	m.dumpGoroutines()
	t.Errorf("%s goes on after %v\n%s", b.call, b.signal, m.log.tail())
}

// TestUnmountedOnADeadStore: a mount whose store does not answer can be taken away in each way; what was written is stored by the next
// mount, or by this one when the store comes back.
func TestUnmountedOnADeadStore(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	for way, leave := range map[string]func(m *mount) error{
		"umount":             func(m *mount) error { return exec.Command("umount", m.dir).Run() },
		"umount -l":          func(m *mount) error { return exec.Command("umount", "-l", m.dir).Run() },
		"SIGTERM":            func(m *mount) error { return m.cmd.Process.Signal(syscall.SIGTERM) },
		"objmount umount":    func(m *mount) error { return exitedWith(8, m, "umount", "--timeout=1s", m.dir) },
		"objmount umount -l": func(m *mount) error { return exitedWith(0, m, "umount", "--lazy", m.dir) },
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			bucket := s.newBucket(t)
			p := newProxy(t, s)
			m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, noisy: `.`, args: []string{"--commit=background", "--drain-timeout=1s"}})
			files := map[string]*os.File{}
			for _, name := range []string{"small", "big"} {
				f, err := os.Create(m.in(name))
				if err != nil {
					t.Fatal(err)
				}
				files[name] = f
			}
			p.on(&rule{match: everything, hold: make(chan struct{})})
			for name, data := range map[string][]byte{"small": outageSmall, "big": outageBig} {
				if _, err := files[name].Write(data); err != nil {
					t.Error(err)
				}
				if err := files[name].Close(); err != nil {
					t.Error(err)
				}
			}
			if err := leave(m); err != nil {
				t.Errorf("%s: %v", way, err)
			}
			if way != "SIGTERM" && way != "objmount umount" { // there is no limit: uploads go on
				if mounted(m.dir) {
					t.Error("still mounted")
				}
				p.clear()
			}
			select {
			case <-m.exited:
			case <-time.After(45 * time.Second): // it would wait for the store until it comes back
				m.dumpGoroutines()
				t.Errorf("objmount goes on after %s\n%s", way, m.log.tail())
			}
			m.kill() // only what it has left
			p.clear()
			m = m.again()
			w := &workspace{T: t}
			for name, data := range map[string][]byte{"small": outageSmall, "big": outageBig} {
				w.eventually(name+" to be stored", func() bool { return len(s.snapshot(t, bucket, name)) == 1 })
				if got := s.get(t, bucket, name); !bytes.Equal(got, data) {
					t.Errorf("%s: %s", name, firstDifference(got, data))
				}
			}
			m.unmount()
		})
	}
}

// exitedWith runs a command of objmount and checks its exit code.
func exitedWith(code int, m *mount, args ...string) error {
	out, err := m.command(args...)
	var ended *exec.ExitError
	if code == 0 && err == nil || errors.As(err, &ended) && ended.ExitCode() == code {
		return nil
	}
	return fmt.Errorf("want exit code %d: %w\n%s", code, err, out)
}
