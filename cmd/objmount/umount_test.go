package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/ctl"
)

// fakeMount stands behind a real control socket.
type fakeMount struct {
	pending int
	flush   error
	hold    bool // Flush lasts as long as somebody waits
	err     error

	mu    sync.Mutex
	calls []ctl.UnmountOptions
}

func (m *fakeMount) Status(context.Context) (ctl.Status, error) {
	return ctl.Status{PendingFiles: m.pending}, nil
}

func (m *fakeMount) Flush(ctx context.Context, progress func(ctl.Progress)) error {
	progress(ctl.Progress{Done: 1, Total: 2, Files: m.pending})
	if m.hold {
		<-ctx.Done()
		return ctx.Err()
	}
	return m.flush
}

func (m *fakeMount) Unmount(_ context.Context, o ctl.UnmountOptions) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, o)
	return m.err
}

// ended is a mount whose process is gone as soon as it has answered.
func ended(t *testing.T, m *fakeMount) ctl.Info {
	t.Helper()
	s, err := ctl.Serve(t.TempDir(), ctl.Info{Source: "s3://b", Mountpoint: "/mnt/x"}, m, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	i := s.Info()
	i.StartTime++ // of another process
	return i
}

func TestUmount(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mount *fakeMount
		o     umountOptions
		code  exitCode
		says  string
		calls []ctl.UnmountOptions
	}{
		"stored":          {o: umountOptions{timeout: noTimeout}, calls: []ctl.UnmountOptions{{}}},
		"lazy":            {o: umountOptions{lazy: true, timeout: noTimeout}, calls: []ctl.UnmountOptions{{Lazy: true}}},
		"busy":            {mount: &fakeMount{err: &ctl.Error{Kind: ctl.KindBusy, Message: "/mnt/x is busy"}}, o: umountOptions{timeout: noTimeout}, code: exitBusy, says: "/mnt/x is busy", calls: []ctl.UnmountOptions{{}}},
		"time is up":      {mount: &fakeMount{hold: true, pending: 2}, o: umountOptions{timeout: interval(20 * time.Millisecond)}, code: exitPending, says: "2 files not uploaded yet", calls: []ctl.UnmountOptions{{LeavePending: true}}},
		"no time at all":  {mount: &fakeMount{hold: true, pending: 1}, o: umountOptions{}, code: exitPending, says: "1 file not uploaded yet", calls: []ctl.UnmountOptions{{LeavePending: true}}},
		"nothing pending": {mount: &fakeMount{hold: true}, o: umountOptions{}, calls: []ctl.UnmountOptions{{LeavePending: true}}},
		"in time":         {o: umountOptions{timeout: interval(time.Minute)}, calls: []ctl.UnmountOptions{{LeavePending: true}}},
		"failed":          {mount: &fakeMount{flush: &ctl.Error{Kind: ctl.KindFailed, Message: "denied"}}, o: umountOptions{timeout: noTimeout}, code: exitPending, says: "/mnt/x stays mounted, because files cannot be stored: denied"},
		"conflict":        {mount: &fakeMount{flush: &ctl.Error{Kind: ctl.KindConflict, Message: "1 file"}}, o: umountOptions{timeout: noTimeout}, code: exitPending, says: "lost against other clients", calls: []ctl.UnmountOptions{{LeavePending: true}}},
		"other":           {mount: &fakeMount{err: errors.New("broken")}, o: umountOptions{timeout: noTimeout}, code: exitFailed, says: "broken", calls: []ctl.UnmountOptions{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := test.mount
			if m == nil {
				m = &fakeMount{}
			}
			err := umountThrough(t.Context(), test.o, ended(t, m))
			if codeOf(err) != test.code || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v (%d), want %d %q", err, codeOf(err), test.code, test.says)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if diff := cmp.Diff(test.calls, m.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInterruptedUmount leaves everything mounted.
func TestInterruptedUmount(t *testing.T) {
	t.Parallel()
	m := &fakeMount{hold: true, pending: 3}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := umountThrough(ctx, umountOptions{timeout: noTimeout}, ended(t, m))
	if codeOf(err) != exitInterrupted || !strings.Contains(err.Error(), "stays mounted, and uploads go on") {
		t.Errorf("%v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) != 0 {
		t.Errorf("it unmounted: %+v", m.calls)
	}
}

// TestLazyOfAHangingProcess does not wait for it.
func TestLazyOfAHangingProcess(t *testing.T) {
	t.Parallel()
	info := ctl.Info{PID: 1 << 30, Mountpoint: t.TempDir(), Socket: t.TempDir() + "/1.sock"}
	err := umountThrough(t.Context(), umountOptions{lazy: true, timeout: noTimeout}, info)
	if codeOf(err) != exitFailed || !strings.Contains(err.Error(), "is gone, and "+info.Mountpoint+" cannot be detached") {
		t.Errorf("nothing is mounted there, but: %v", err)
	}
}

// TestLeftSocket: the mount was killed between looking and asking.
func TestLeftSocket(t *testing.T) {
	t.Parallel()
	err := umountThrough(t.Context(), umountOptions{timeout: noTimeout}, ctl.Info{PID: 1 << 30, Mountpoint: "/mnt/x", Socket: t.TempDir() + "/1.sock"})
	if codeOf(err) != exitFailed || !strings.Contains(err.Error(), "process 1073741824 of /mnt/x is gone") {
		t.Errorf("%v", err)
	}
}

func TestNotOurs(t *testing.T) {
	t.Parallel()
	mounts := parseMounts([]byte(someMounts))
	err := notOurs(mounts, "x", "/mnt/a b/x", mountEntry{}, false)
	if codeOf(err) != exitNoMount || !strings.Contains(err.Error(), "objmount umount /mnt/a b") {
		t.Errorf("%v", err)
	}
}
