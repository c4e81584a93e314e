package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// fakeProber counts how often it is asked.
type fakeProber struct {
	asked  atomic.Int32
	probed atomic.Int32
	answer backend.Capabilities
	err    error
	gate   chan struct{} // if not nil, an answer waits for it
}

func (p *fakeProber) Capabilities(_ context.Context, _, _ string, probe bool) (backend.Capabilities, error) {
	p.asked.Add(1)
	if probe {
		p.probed.Add(1)
	}
	if p.gate != nil {
		<-p.gate
	}
	return p.answer, p.err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func someAbilities() backend.Capabilities {
	return backend.Capabilities{Vendor: "mem", PutIfMatch: true, AnyKey: true, Limits: backend.Limits{MinPart: 5, MaxParts: 1000}}
}

func TestAbilitiesAreAskedOnce(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := &fakeProber{answer: someAbilities()}
	for run := range 3 { // three mounts
		c := newCapabilities(p, "host", "pre/", state, true, quiet())
		for range 5 {
			if diff := cmp.Diff(someAbilities(), c.ask(t.Context(), "b")); diff != "" {
				t.Fatal(run, diff)
			}
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	for i, c := range []*capabilities{
		newCapabilities(p, "other", "pre/", state, true, quiet()), newCapabilities(p, "host", "", state, true, quiet()), newCapabilities(p, "host", "pre/", state, true, quiet()),
	} {
		c.ask(t.Context(), []string{"b", "b", "b2"}[i])
		if n := int(p.asked.Load()); n != 2+i {
			t.Errorf("another endpoint, prefix or bucket: asked %d times, want %d", n, 2+i)
		}
	}
	for i, vendor := range []string{"ceph", "minio", "minio", ""} { // the second of the same is remembered
		c := newCapabilities(p, "host", "pre/", state, true, quiet())
		c.vendor = vendor
		c.ask(t.Context(), "b")
		if n, want := int(p.asked.Load()), []int{5, 6, 6, 7}[i]; n != want {
			t.Errorf("taken for %q: asked %d times, want %d", vendor, n, want)
		}
	}
}

func TestAbilitiesAreForgotten(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := &fakeProber{answer: someAbilities()}
	ask := func(at time.Time) {
		c := newCapabilities(p, "host", "", state, true, quiet())
		c.now = func() time.Time { return at }
		c.ask(t.Context(), "b")
	}
	start := time.Now()
	for i, step := range []struct {
		at   time.Time
		want int32
	}{{start, 1}, {start.Add(29 * 24 * time.Hour), 1}, {start.Add(31 * 24 * time.Hour), 2}, {start.Add(40 * 24 * time.Hour), 2}, {start, 3}} {
		ask(step.at)
		if n := p.asked.Load(); n != step.want {
			t.Errorf("step %d: asked %d times, want %d", i, n, step.want)
		}
	}
	files, err := filepath.Glob(filepath.Join(state, "capabilities", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, damage := range []string{"", "{", `{"endpoint":"elsewhere"}`, `{"endpoint":"host","bucket":"b","version":99}`} {
		if err := os.WriteFile(files[0], []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		before := p.asked.Load()
		ask(start)
		if p.asked.Load() != before+1 {
			t.Errorf("a file with %q was believed", damage)
		}
	}
}

func TestReadOnlyIsNotProbed(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := &fakeProber{answer: someAbilities()}
	newCapabilities(p, "host", "", state, false, quiet()).ask(t.Context(), "b")
	newCapabilities(p, "host", "", state, false, quiet()).ask(t.Context(), "b")
	if p.probed.Load() != 0 || p.asked.Load() != 2 {
		t.Errorf("asked %d times, probed %d times", p.asked.Load(), p.probed.Load())
	}
	newCapabilities(p, "host", "", state, true, quiet()).ask(t.Context(), "b")
	newCapabilities(p, "host", "", state, false, quiet()).ask(t.Context(), "b")
	if p.probed.Load() != 1 || p.asked.Load() != 3 {
		t.Errorf("what a probe found serves read-only mounts too: asked %d times, probed %d times", p.asked.Load(), p.probed.Load())
	}
}

func TestUnknownAbilitiesAreNone(t *testing.T) {
	t.Parallel()
	p := &fakeProber{answer: someAbilities(), err: errors.New("down")}
	now := time.Now()
	c := newCapabilities(p, "host", "", t.TempDir(), true, quiet())
	c.now = func() time.Time { return now }
	want := backend.Capabilities{Vendor: "unknown", Limits: backend.S3Limits()}
	for range 3 {
		if diff := cmp.Diff(want, c.ask(t.Context(), "b")); diff != "" {
			t.Fatal(diff)
		}
	}
	if p.asked.Load() != 1 {
		t.Errorf("asked %d times within a minute", p.asked.Load())
	}
	p.err = nil
	now = now.Add(capabilityRetry + time.Second)
	if got := c.ask(t.Context(), "b"); got.Vendor != "mem" {
		t.Errorf("after the retry: %+v", got)
	}
}

func TestOneQuestionForAll(t *testing.T) {
	t.Parallel()
	p := &fakeProber{answer: someAbilities(), gate: make(chan struct{})}
	c := newCapabilities(p, "host", "", t.TempDir(), true, quiet())
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := c.ask(t.Context(), "b"); got.Vendor != "mem" {
				t.Errorf("%+v", got)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	close(p.gate)
	all.Wait()
	if p.asked.Load() != 1 {
		t.Errorf("asked %d times", p.asked.Load())
	}
}

func TestUnguarded(t *testing.T) {
	t.Parallel()
	all := backend.Capabilities{
		PutIfNoneMatch: true, PutIfMatch: true, CompleteIfMatch: true, CompleteIfNoneMatch: true, CopySourceIfMatch: true, CopyDestination: true,
		DeleteIfMatch: true, GetIfMatch: true, ChecksumCRC64: true,
	}
	if got := unguarded(all); len(got) != 0 {
		t.Errorf("a store that enforces everything: %q", got)
	}
	if got := unguarded(backend.Capabilities{}); len(got) != 8 {
		t.Errorf("a store that enforces nothing: %d lines", len(got))
	}
	all.DeleteIfMatch = false
	if got := unguarded(all); len(got) != 1 || got[0][:6] != "unlink" {
		t.Errorf("without conditional deletes: %q", got)
	}
}
