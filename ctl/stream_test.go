package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// TestVerbsCrossTheSocket compares what a client gets through a socket with what the verb says itself.
func TestVerbsCrossTheSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 50 {
		w.put(i, fmt.Sprintf("d/\xff%d", i%5), strings.Repeat("x", i))
	}
	w.tree.unsent = 1
	_, c := start(t, &fakeMount{verbs: w.verbs})
	collect := func(run func(each func(Line) error) error) (out []string, err error) {
		err = run(func(l Line) error {
			out = append(out, fmt.Sprintf("%s|%q|%s|%s|%v", l.Item, l.Rows, l.Note, l.Result, l.Progress != nil))
			return nil
		})
		return out, err
	}
	keep := 1
	for verb, request := range map[string]any{
		"versions/list":  ListVersionsRequest{Target: target("d")},
		"versions/purge": PurgeRequest{Target: Target{Path: "d", DryRun: true}, Keep: &keep, Recursive: true},
		"versions/diff":  DiffRequest{Target: target("d/\xff1")},
	} {
		want, err := collect(func(each func(Line) error) error { return w.verbs.Run(t.Context(), verb, request, each) })
		if err != nil || len(want) < 2 {
			t.Fatalf("%s: %v, %d lines", verb, err, len(want))
		}
		got, err := collect(func(each func(Line) error) error { return c.Run(t.Context(), verb, request, each) })
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", verb, err, diff)
		}
	}
}

func TestFailuresOfVerbsHaveAStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	_, c := start(t, &fakeMount{verbs: w.verbs})
	for _, test := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"/v1/versions/list", `{"path":"nothing"}`, 404, `"not-found"`},
		{"/v1/versions/list", `{"path":"f"`, 400, "no JSON"},
		{"/v1/versions/list", `{"path":"f"} {}`, 400, "no JSON"},
		{"/v1/versions/list", `{"path":"f","x":1}`, 400, "unknown field"},
		{"/v1/versions/list", `{"path":"` + strings.Repeat("x", maxBody) + `"}`, 400, "the request has more than 64 KiB"},
		{"/v1/retention/show", `{"path":"f"}`, 501, `"unsupported"`},
		{"/v1/versions/list", `{"path":"f"}`, 200, `"item":{"bucket":"b","key":"f"`},
		{"/v1/versions/nothing", `{}`, 404, ""},
	} {
		if status, text := raw(t, c, "POST", test.path, test.body); status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s %.30s: %d %.200s, want %d %s", test.path, test.body, status, text, test.status, test.text)
		}
	}
	for _, kind := range []Kind{KindNotFound, KindUnsupported} {
		request, verb := VersionRequest{Target: target("nothing")}, "tags/get"
		if kind == KindUnsupported {
			request, verb = VersionRequest{Target: target("f")}, "retention/show"
		}
		if err := c.Run(t.Context(), verb, request, func(Line) error { return nil }); KindOf(err) != kind {
			t.Errorf("%s: %v (%s)", verb, err, KindOf(err))
		}
	}
}

// endless is a store whose listing of versions never ends.
type endless struct {
	Store
	asked atomic.Int64
}

func (e *endless) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	e.asked.Add(1)
	select {
	case <-ctx.Done():
		return backend.VersionPage{}, &backend.Error{Kind: backend.KindCanceled, Err: ctx.Err()}
	case <-time.After(time.Millisecond):
	}
	page := backend.VersionPage{More: true, NextKey: in.KeyMarker + "x"}
	page.Versions = []backend.Version{{Object: backend.Object{Bucket: "b", Key: "d/" + page.NextKey}, Latest: true}}
	return page, nil
}

// TestVerbEndsWithItsClient is a client that goes in the middle, also before anything was answered.
func TestVerbEndsWithItsClient(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		w := newWorld(t)
		w.put(0, "d/f", "x")
		e := &endless{Store: w.store}
		w.verbs.Store = e
		_, c := start(t, &fakeMount{verbs: w.verbs})
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		if silent { // nothing is purged, so nothing is said
			time.AfterFunc(50*time.Millisecond, cancel)
			err = c.Run(ctx, "versions/purge", PurgeRequest{Target: target("d"), Markers: true, Recursive: true}, func(Line) error { return nil })
		} else {
			err = c.Run(ctx, "versions/list", ListVersionsRequest{Target: target("d")}, func(Line) error { cancel(); return nil })
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("silent %v: %v", silent, err)
		}
		// Who works asks every millisecond. Whether the end of ctx ends it, or an answer that nobody takes, is all one.
		for end, before := time.Now().Add(5*time.Second), int64(-1); e.asked.Load() != before; time.Sleep(200 * time.Millisecond) {
			if before = e.asked.Load(); time.Now().After(end) {
				t.Errorf("silent %v: the work goes on without a client", silent)
				break
			}
		}
		cancel()
	}
}

// slow is a store that answers to a listing of versions when it may.
type slow struct {
	Store
	may chan struct{}
}

func (s *slow) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	select {
	case <-s.may:
	case <-ctx.Done():
	}
	return s.Store.ListVersions(ctx, in)
}

// TestSilentVerbsSendEmptyLines: who waits sees that work goes on, and a failure after it still arrives.
func TestSilentVerbsSendEmptyLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	store := &slow{w.store, make(chan struct{})}
	w.verbs.Store = store
	s, c := start(t, &fakeMount{verbs: w.verbs})
	s.mostSilent = 2 * time.Millisecond // no request has come yet
	empty, items := 0, 0
	err := c.Run(t.Context(), "versions/restore", RestoreRequest{Target: target("f"), VersionID: "none"}, func(l Line) error {
		if l.Item != nil {
			items++
		} else if empty++; empty == 3 {
			close(store.may)
		}
		return nil
	})
	if KindOf(err) != KindNotFound || empty < 3 || items > 0 {
		t.Errorf("%v after %d empty lines and %d items", err, empty, items)
	}
}
