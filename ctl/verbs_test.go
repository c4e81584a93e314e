package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// world is a bucket with versions and a clock that moves an hour at every write.
type world struct {
	t     *testing.T
	store *mem.Store
	tree  *fakeTree
	verbs *Verbs

	mu  sync.Mutex
	now time.Time
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// hour is the n-th hour of the test.
func hour(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }

// fakeTree shows the bucket "b" as it is.
type fakeTree struct {
	store   *mem.Store
	mu      sync.Mutex
	changed []string
	unsent  int
	settled int
	shown   int // how many changes had been said when it was last waited for them
}

func (f *fakeTree) Locate(ctx context.Context, path string) (Place, error) {
	p := Place{"b", path, Unknown}
	if path == "" || strings.HasSuffix(path, "/") {
		p.Kind = Directory
		return p, nil
	}
	if _, err := f.store.Head(ctx, p.id(), backend.GetOptions{}); err == nil {
		p.Kind = File
		return p, nil
	}
	page, err := f.store.List(ctx, backend.ListInput{Bucket: "b", Prefix: path + "/", MaxKeys: 1})
	if err == nil && len(page.Objects) > 0 {
		return Place{"b", path + "/", Directory}, nil
	}
	return p, err
}

func (f *fakeTree) Unsent(Place) int { return f.unsent }

func (f *fakeTree) Settle(context.Context, Place) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled++
	return nil
}

func (f *fakeTree) Changed(_, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed = append(f.changed, key)
}

func (f *fakeTree) Shown(context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown = len(f.changed)
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: mem.New("b"), now: epoch}
	w.store.Configure(func(s *mem.Settings) {
		s.Clock = w.time
		s.PageSize = 3 // every listing has several pages
	})
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Versioning = "Enabled" })
	w.tree = &fakeTree{store: w.store}
	w.verbs = &Verbs{
		Store: w.store, Tree: w.tree, Endpoint: "mem", Now: w.time,
		Capabilities: func(ctx context.Context, bucket string) (backend.Capabilities, error) {
			return w.store.Capabilities(ctx, bucket, "", false)
		},
	}
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// at sets the clock.
func (w *world) at(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = hour(n)
}

// put stores content at the n-th hour.
func (w *world) put(n int, key, content string, props ...backend.Properties) string {
	w.t.Helper()
	w.at(n)
	in := backend.PutInput{Bucket: "b", Key: key, Body: strings.NewReader(content), Size: int64(len(content))}
	for _, p := range props {
		in.Properties = p
	}
	obj, err := w.store.Put(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return obj.VersionID
}

func (w *world) remove(n int, key string) {
	w.t.Helper()
	w.at(n)
	if err := w.store.Delete(w.t.Context(), backend.DeleteInput{Bucket: "b", Key: key}); err != nil {
		w.t.Fatal(err)
	}
}

// answer is what a verb said.
type answer struct {
	items  []json.RawMessage
	notes  []string
	rows   string
	result json.RawMessage
	err    error
}

func (w *world) run(verb string, request any) answer {
	var a answer
	a.err = w.verbs.Run(w.t.Context(), verb, request, func(l Line) error {
		if l.Item != nil {
			a.items = append(a.items, l.Item)
		}
		if l.Note != "" {
			a.notes = append(a.notes, l.Note)
		}
		a.rows += string(l.Rows)
		if l.Result != nil {
			a.result = l.Result
		}
		return nil
	})
	return a
}

// done are "action key version" of the items, sorted; ids maps version ids to names that a test gives.
func (a answer) done(t *testing.T, ids map[string]string) []string {
	t.Helper()
	out := []string{}
	for _, item := range a.items {
		var d Done
		if err := json.Unmarshal(item, &d); err != nil {
			t.Fatal(err)
		}
		name := ids[d.VersionID]
		if name == "" && d.DeleteMarker {
			name = "marker"
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Action, d.Key, name)))
	}
	slices.Sort(out)
	return out
}

func (a answer) wants(t *testing.T, kind Kind, text string) {
	t.Helper()
	if a.err == nil || KindOf(a.err) != kind || !strings.Contains(a.err.Error(), text) {
		t.Errorf("got %v (%s), want %q (%s)", a.err, KindOf(a.err), text, kind)
	}
}

// tree is every key with its content.
func (w *world) contents() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	in := backend.ListInput{Bucket: "b"}
	for {
		page, err := w.store.List(w.t.Context(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range page.Objects {
			out[o.Key] = w.content(o.Key)
		}
		if in.Token = page.Next; in.Token == "" {
			return out
		}
	}
}

func (w *world) content(key string) string {
	w.t.Helper()
	body, err := w.store.Get(w.t.Context(), backend.ObjectID{Bucket: "b", Key: key}, backend.GetOptions{})
	if err != nil {
		return "(" + backend.KindOf(err).String() + ")"
	}
	defer body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

func (w *world) is(want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.contents()); diff != "" {
		w.t.Errorf("the bucket:\n%s", diff)
	}
}

// count is how many versions and markers the bucket has.
func (w *world) count() int {
	w.t.Helper()
	n := 0
	c := &call{Verbs: w.verbs, each: func(Line) error { return nil }}
	err := c.eachKey(w.t.Context(), Place{"b", "", Directory}, func(_ string, v []backend.Version) error {
		n += len(v)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func target(path string) Target { return Target{Path: Text(path)} }

func TestListVersionsOfAFileAndATree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.put(i, "d/f", fmt.Sprint(i))
	}
	w.put(5, "d/f2", "neighbour")
	w.remove(6, "d/f")
	w.put(7, "d/", "")
	list := func(r ListVersionsRequest) (out []string) {
		a := w.run("versions/list", r)
		if a.err != nil {
			t.Fatal(a.err)
		}
		for _, item := range a.items {
			var v Version
			if err := json.Unmarshal(item, &v); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %d %d %v %v", v.Key, int(v.LastModified.Sub(epoch).Hours()), v.Size, v.Latest, v.DeleteMarker))
		}
		return out
	}
	file := []string{"d/f 6 0 true true", "d/f 4 1 false false", "d/f 3 1 false false", "d/f 2 1 false false", "d/f 1 1 false false", "d/f 0 1 false false"}
	tree := append(slices.Clone(file), "d/f2 5 9 true false")
	for _, test := range []struct {
		r    ListVersionsRequest
		want []string
	}{
		{ListVersionsRequest{Target: target("d/f")}, file}, // deleted: found among the versions
		{ListVersionsRequest{Target: target("d")}, tree},
		{ListVersionsRequest{Target: target("")}, tree},
		{ListVersionsRequest{Target: target("d/"), All: true}, append([]string{"d/ 7 0 true false"}, tree...)},
	} {
		if diff := cmp.Diff(test.want, list(test.r)); diff != "" {
			t.Errorf("%+v:\n%s", test.r, diff)
		}
	}
	w.run("versions/list", ListVersionsRequest{Target: target("nothing")}).wants(t, KindNotFound, "nothing is or was at s3://b/nothing")
	// A directory of which only versions are left.
	for _, key := range []string{"d/f2", "d/"} {
		w.remove(8, key)
	}
	if got := list(ListVersionsRequest{Target: target("d")}); len(got) != len(tree)+1 {
		t.Errorf("a deleted directory lists %q", got)
	}
}

func TestUnsentDataIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "old")
	w.put(1, "f", "new")
	w.tree.unsent = 1
	if a := w.run("versions/list", ListVersionsRequest{Target: target("f")}); a.err != nil || len(a.notes) != 1 || w.tree.settled != 0 {
		t.Errorf("list: %v, notes %q, settled %d", a.err, a.notes, w.tree.settled)
	}
	w.run("versions/restore", RestoreRequest{Target: target("f")}).wants(t, KindBusy, "written by a program")
	if w.tree.settled != 1 {
		t.Errorf("settled %d times", w.tree.settled)
	}
	w.is(map[string]string{"f": "new"})
	w.verbs.ReadOnly = true
	w.run("versions/restore", RestoreRequest{Target: target("f")}).wants(t, KindPermission, "read-only")
}

func TestRequestsAreStrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("versions/lists", struct{}{}).wants(t, KindInvalid, "there is no verb")
	w.run("versions/list", json.RawMessage(`{"path":"f","al":true}`)).wants(t, KindInvalid, "unknown field")
	w.run("versions/list", json.RawMessage(`{"path":7}`)).wants(t, KindInvalid, "not understood")
}

func TestTextKeepsAnyBytes(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "ä\"\n\x00", "\xff\xfe", "{\"base64\":\"\"}"} {
		data, err := json.Marshal(Text(s))
		var back Text
		if err == nil {
			err = json.Unmarshal(data, &back)
		}
		if err != nil || string(back) != s {
			t.Errorf("%q became %s, %q: %v", s, data, back, err)
		}
	}
	var back Text
	for _, bad := range []string{"7", "{}", `{"base64":"*"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is taken for %q", bad, back)
		}
	}
}
