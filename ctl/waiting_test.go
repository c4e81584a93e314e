package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/objmount/objmount/backend"
)

// fakeStage is what a mount of the bucket "b" has.
type fakeStage struct {
	mu      sync.Mutex
	waiting []Waiting
	content map[string]string // by id
	refuse  error             // of Drop and StoreKept
	done    []string          // what was asked for
	flush   func()
	uploads []string
}

func (f *fakeStage) Uploads() []string { return f.uploads }

func (f *fakeStage) Waiting(p Place) []Waiting {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Waiting
	for _, w := range f.waiting {
		if p.Bucket == "" || p.Bucket == w.Bucket && p.holds(string(w.Key)) {
			list = append(list, w)
		}
	}
	return list
}

func (f *fakeStage) Retry(p Place, id string) {
	f.did(strings.TrimSpace("retry " + p.String() + " " + id))
}

func (f *fakeStage) did(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, what)
}

func (f *fakeStage) Flush(context.Context, Place) error {
	f.flush()
	return f.refuse
}

func (f *fakeStage) take(id, what string) error {
	if f.refuse != nil {
		return f.refuse
	}
	f.did(what)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(w Waiting) bool { return w.ID == id })
	return nil
}

func (f *fakeStage) Drop(_ context.Context, id string) (bool, error) {
	return false, f.take(id, "drop "+id)
}

func (f *fakeStage) StoreKept(_ context.Context, id string, to backend.ObjectID, fresh bool) (backend.Object, error) {
	what := "store " + id + " as " + to.Key
	if fresh {
		what += ", new"
	}
	return backend.Object{VersionID: "v7"}, f.take(id, what)
}

func (f *fakeStage) ReadKept(_ context.Context, id string, _ int64) ([]byte, error) {
	return []byte(f.content[id]), nil
}

func (f *fakeStage) Quarantined() ([]Quarantined, error) {
	return []Quarantined{{File: "/state/quarantine/data-1", Size: 3}}, f.refuse
}

func staged(t *testing.T) (*world, *fakeStage) {
	w := newWorld(t)
	f := &fakeStage{content: map[string]string{"2": "one\nmine\n"}, flush: func() {}, waiting: []Waiting{
		{ID: "1", Bucket: "b", Key: "d/a", State: "failed", Size: 10, Done: 4, Reason: "no"},
		{ID: "2", Bucket: "b", Key: "f", State: "conflict", Kept: true, Size: 9},
		{ID: "3", Bucket: "b", Key: "d/k", State: "interrupted", Kept: true, Size: 5},
		{Bucket: "b", Key: "d/t", State: "tags"},
		{ID: "5", Bucket: "other", Key: "f", State: "waiting", Size: 1},
	}}
	w.verbs.Stage = f
	return w, f
}

// typedAnswer is an answer whose items are of one type.
type typedAnswer[T any] struct {
	items []T
	notes []string
	sum   Summary
	err   error
}

func runFor[T any](w *world, verb string, request any) typedAnswer[T] {
	w.t.Helper()
	a := w.run(verb, request)
	out := typedAnswer[T]{notes: a.notes, err: a.err, items: make([]T, len(a.items))}
	for i, item := range a.items {
		if err := json.Unmarshal(item, &out.items[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	if a.result != nil {
		if err := json.Unmarshal(a.result, &out.sum); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

func keysOf(list []Waiting) string {
	var keys []string
	for _, w := range list {
		keys = append(keys, string(w.Key))
	}
	return strings.Join(keys, " ")
}

func TestPendingLists(t *testing.T) {
	t.Parallel()
	w, _ := staged(t)
	for _, tt := range []struct {
		verb string
		r    WaitingRequest
		want string
	}{
		{"pending/list", WaitingRequest{}, "d/a f d/k d/t"},
		{"pending/list", WaitingRequest{Target: Target{Path: "d/"}}, "d/a d/k d/t"},
		{"pending/list", WaitingRequest{Target: Target{Path: "d"}}, "d/a d/k d/t"}, // the store has nothing there yet
		{"pending/list", WaitingRequest{Target: Target{Path: "f"}}, "f"},
		{"pending/list", WaitingRequest{ID: "3"}, "d/k"},
		{"conflicts/list", WaitingRequest{}, "f d/k"},
		{"conflicts/list", WaitingRequest{Target: Target{Path: "d/a"}}, ""},
	} {
		got := runFor[Waiting](w, tt.verb, tt.r)
		if keys := keysOf(got.items); got.err != nil || keys != tt.want {
			t.Errorf("%s %+v: %q, %v; want %q", tt.verb, tt.r, keys, got.err, tt.want)
		}
	}
	q := runFor[Quarantined](w, "quarantine/list", WaitingRequest{})
	if q.err != nil || len(q.items) != 1 || q.items[0].Size != 3 {
		t.Errorf("quarantine: %+v", q)
	}
	w.verbs.Stage = nil
	if got := runFor[Waiting](w, "pending/list", WaitingRequest{}); KindOf(got.err) != KindInvalid {
		t.Errorf("without a mount: %v", got.err)
	}
}

func TestRetryAndDrop(t *testing.T) {
	t.Parallel()
	w, f := staged(t)
	r := runFor[Done](w, "pending/retry", WaitingRequest{Target: Target{Path: "d/", DryRun: true}})
	if r.err != nil || r.sum.Done != 1 || len(f.done) != 0 {
		t.Errorf("dry: %+v, did %v", r, f.done)
	}
	r = runFor[Done](w, "pending/retry", WaitingRequest{Target: Target{Path: "d/"}})
	if r.err != nil || r.sum.Done != 1 || r.items[0].Key != "d/a" || strings.Join(f.done, ", ") != "retry s3://b/d/" {
		t.Errorf("%+v, did %v", r, f.done)
	}
	f.done = nil
	if r := runFor[Done](w, "pending/retry", WaitingRequest{Target: Target{Path: "d/"}, ID: "1"}); r.err != nil || strings.Join(f.done, ", ") != "retry s3://b/d/ 1" {
		t.Errorf("by its id: %+v, did %v", r, f.done)
	}
	f.done = nil
	if d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "d/"}}); KindOf(d.err) != KindInvalid {
		t.Errorf("a directory without recursive: %v", d.err)
	}
	if d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "g"}}); KindOf(d.err) != KindNotFound {
		t.Errorf("nothing: %v", d.err)
	}
	if d := runFor[Done](w, "pending/drop", DropRequest{ID: "77"}); KindOf(d.err) != KindNotFound {
		t.Errorf("an unknown id: %v", d.err)
	}
	f.refuse = &backend.Error{Kind: backend.KindBusy, Message: "written"}
	if d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "d/a"}}); KindOf(d.err) != KindBusy {
		t.Errorf("busy: %v", d.err)
	}
	if d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "d/"}, Recursive: true}); KindOf(d.err) != KindPartial || d.sum.Failed != 2 {
		t.Errorf("busy, several: %+v", d)
	}
	f.refuse = nil
	d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "d/"}, Recursive: true})
	if d.err != nil || d.sum.Done != 2 || d.sum.Bytes != 15 || strings.Join(f.done, ", ") != "drop 1, drop 3" {
		t.Errorf("%+v, did %v", d, f.done)
	}
	w.verbs.ReadOnly = true
	if d := runFor[Done](w, "pending/drop", DropRequest{Target: Target{Path: "f"}}); KindOf(d.err) != KindPermission {
		t.Errorf("read-only: %v", d.err)
	}
}

func TestFlushVerb(t *testing.T) {
	t.Parallel()
	w, f := staged(t)
	f.flush = func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waiting = f.waiting[1:]
	}
	w.tree.unsent = 1
	r := runFor[Done](w, "pending/flush", WaitingRequest{})
	if r.err != nil || r.sum.Done != 1 || r.sum.Bytes != 10 {
		t.Errorf("%+v", r)
	}
	if text := strings.Join(r.notes, "; "); !strings.Contains(text, "2 files are kept") || !strings.Contains(text, "1 file is still being written") {
		t.Errorf("notes: %s", text)
	}
	f.refuse = errors.New("the disk is on fire")
	if r := runFor[Done](w, "pending/flush", WaitingRequest{}); r.err == nil || !strings.Contains(r.err.Error(), "on fire") {
		t.Errorf("%v", r.err)
	}
}

func TestDecideConflicts(t *testing.T) {
	t.Parallel()
	w, f := staged(t)
	w.put(1, "f", "one\ntheirs\n")
	d := runFor[ConflictDiff](w, "conflicts/diff", WaitingRequest{Target: Target{Path: "f"}})
	if d.err != nil || len(d.items) != 1 || !strings.Contains(d.items[0].Text, "\n-theirs\n+mine\n") || d.items[0].Object == nil {
		t.Errorf("diff: %+v", d)
	}
	s := runFor[Done](w, "conflicts/save-as", SaveAsRequest{Target: Target{Path: "f", DryRun: true}, To: "g"})
	if s.err != nil || len(f.done) != 0 || s.sum.Done != 1 {
		t.Errorf("dry: %+v, did %v", s, f.done)
	}
	for _, to := range []Text{"f", "", "x/"} {
		if s := runFor[Done](w, "conflicts/save-as", SaveAsRequest{Target: Target{Path: "f"}, To: to}); s.err == nil {
			t.Errorf("saved as %q", to)
		}
	}
	f.waiting = append(f.waiting, Waiting{ID: "8", Bucket: "b", Key: "f", State: "conflict", Kept: true})
	if k := runFor[Done](w, "conflicts/keep-mine", WaitingRequest{Target: Target{Path: "f"}}); KindOf(k.err) != KindInvalid || !strings.Contains(k.err.Error(), "2, 8") {
		t.Errorf("two of one file: %v", k.err)
	}
	k := runFor[Done](w, "conflicts/keep-mine", WaitingRequest{Target: Target{Path: "f"}, ID: "8"})
	if k.err != nil || len(k.items) != 1 || k.items[0].NewVersionID != "v7" || k.items[0].Action != "stored" {
		t.Errorf("%+v", k)
	}
	s = runFor[Done](w, "conflicts/save-as", SaveAsRequest{Target: Target{Path: "f"}, To: "g"})
	if s.err != nil {
		t.Error(s.err)
	}
	theirs := runFor[Done](w, "conflicts/keep-theirs", WaitingRequest{Target: Target{Path: "d/k"}})
	if theirs.err != nil || theirs.items[0].Action != "dropped" {
		t.Errorf("%+v", theirs)
	}
	if got := strings.Join(f.done, "; "); got != "store 8 as f; store 2 as g, new; drop 3" {
		t.Errorf("did %s", got)
	}
	f.waiting = append(f.waiting, Waiting{ID: "9", Bucket: "b", Key: "f", State: "conflict", Kept: true, LocalFile: "/state/9"})
	f.refuse = &backend.Error{Kind: backend.KindChanged, Message: "PreconditionFailed"}
	if k := runFor[Done](w, "conflicts/keep-mine", WaitingRequest{Target: Target{Path: "f"}}); KindOf(k.err) != KindConflict || !strings.Contains(k.err.Error(), "cannot be had whole; the bytes that were written are in /state/9") {
		t.Errorf("of a version that is gone: %v", k.err)
	}
	if a := runFor[Done](w, "conflicts/keep-mine", WaitingRequest{Target: Target{Path: "d/a"}}); KindOf(a.err) != KindNotFound {
		t.Errorf("of what is uploaded by itself: %v", a.err)
	}
}
