package metadata

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"pgregory.net/rapid"
)

// lagging is a store whose next listing, when armed, is computed when it is asked for and
// answered later.
type lagging struct {
	*mem.Store
	mu    sync.Mutex
	armed *lag
}

type lag struct {
	entered, release, over chan struct{}
}

func (l *lagging) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	armed := l.arm(nil)
	page, err := l.Store.List(ctx, in)
	if armed != nil {
		select {
		case armed.entered <- struct{}{}:
			<-armed.release
		case <-armed.over:
		}
	}
	return page, err
}

// arm sets what the next listing waits for, and returns what it was.
func (l *lagging) arm(next *lag) *lag {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.armed
	l.armed = next
	return old
}

var fileNames = []string{"a", "a-1", "a.b", "b", "c", "a0"}

// world is one process that changes a store through its cache, with nobody else there:
// what the cache says must be what the store has.
type world struct {
	t     *rapid.T
	store *lagging
	c     *Cache
	scans []*Scan // left open somewhere
}

func (w *world) keys() []string {
	var keys []string
	in := backend.ListInput{Bucket: bucket}
	for {
		page, err := w.store.Store.List(context.Background(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		if in.Token = page.Next; in.Token == "" {
			return keys
		}
	}
}

func (w *world) dirs() []string {
	dirs := []string{""}
	for _, key := range w.keys() {
		if strings.HasSuffix(key, "/") {
			dirs = append(dirs, key)
		}
	}
	return dirs
}

func (w *world) dir(label string) string { return rapid.SampledFrom(w.dirs()).Draw(w.t, label) }

func (w *world) name() string {
	return rapid.SampledFrom(fileNames).Draw(w.t, "name")
}

func (w *world) below(prefix string) []string {
	var keys []string
	for _, key := range w.keys() {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (w *world) put(key string) backend.Object {
	obj, err := w.store.Put(context.Background(), backend.PutInput{Bucket: bucket, Key: key, Body: strings.NewReader("")})
	if err != nil {
		w.t.Fatal(err)
	}
	obj.Bucket, obj.Key = bucket, key
	return obj
}

func (w *world) delete(key string) {
	if err := w.store.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
		w.t.Fatal(err)
	}
}

// change makes one own change.
func (w *world) change() {
	dir := w.dir("dir")
	prefix := dir + w.name() + "/"
	switch rapid.SampledFrom([]string{"create", "create", "create", "remove", "remove", "mkdir", "rmdir", "rename", "marker"}).Draw(w.t, "change") {
	case "create":
		key := dir + w.name()
		w.c.Stored(w.put(key))
	case "remove":
		key := dir + w.name()
		w.delete(key)
		w.c.Removed(bucket, key)
	case "mkdir":
		if len(w.below(prefix)) == 0 && len(prefix) < 12 {
			obj := w.put(prefix)
			w.c.PrefixCreated(bucket, prefix, &obj)
		}
	case "rmdir":
		if dir != "" && len(w.below(dir)) == 1 {
			w.delete(dir)
			w.c.Removed(bucket, dir)
			w.c.PrefixRemoved(bucket, dir)
		}
	case "rename":
		if dir == "" || len(w.below(prefix)) > 0 || strings.HasPrefix(prefix, dir) {
			return
		}
		target := rapid.SampledFrom([]string{"a/", "b/", "d/"}).Draw(w.t, "target")
		if strings.HasPrefix(target, dir) || len(w.below(target)) > 0 {
			return
		}
		for _, key := range w.below(dir) {
			w.put(target + strings.TrimPrefix(key, dir))
			w.delete(key)
		}
		w.c.PrefixRemoved(bucket, dir)
		w.c.PrefixAdded(bucket, target)
	case "marker":
		if dir != "" {
			w.c.Stored(w.put(dir)) // chmod of a directory
		}
	}
}

// during asks while changes are made that the listing under way does not know.
func (w *world) during(ask func()) {
	if rapid.Bool().Draw(w.t, "cold") {
		for _, dir := range w.dirs() {
			w.c.Invalidate(bucket, dir)
		}
	}
	l := &lag{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	w.store.arm(l)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ask()
	}()
	select {
	case <-l.entered:
		for range rapid.IntRange(1, 3).Draw(w.t, "changes") {
			w.change()
		}
		close(l.release)
		<-done
	case <-done:
		w.store.arm(nil)
		close(l.over)
	}
}

func (w *world) scan(prefix string) []shown {
	s := w.c.Scan(bucket, prefix)
	defer s.Close()
	var all []Entry
	for {
		e, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return show(all)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Marker != nil && !slices.Contains(w.keys(), e.Marker.Key) {
			w.t.Fatalf("there is no marker %q", e.Marker.Key)
		}
		all = append(all, e)
	}
}

func (w *world) checkScan(prefix string) {
	got := w.scan(prefix)
	if diff := cmp.Diff(plain(w.keys(), prefix), got); diff != "" {
		w.t.Fatalf("%q: %s", prefix, diff)
	}
}

func (w *world) lookup(prefix, name string) shown {
	e, err := w.c.Lookup(context.Background(), bucket, prefix, name)
	if backend.IsKind(err, backend.KindNotExist) {
		return shown{Name: name}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return show([]Entry{e})[0]
}

func (w *world) checkLookup(prefix, name string) {
	got := w.lookup(prefix, name)
	want := shown{Name: name}
	for _, s := range plain(w.keys(), prefix) {
		if s.Name == name {
			want = s
		}
	}
	if got != want {
		w.t.Fatalf("%q in %q: %v, want %v", name, prefix, got, want)
	}
}

// walk returns the directories in depth-first order, from some place on.
func (w *world) walk() []string {
	if rapid.Bool().Draw(w.t, "forget") {
		for _, dir := range w.dirs() {
			w.c.Invalidate(bucket, dir)
		}
	}
	root := w.dir("root")
	var below []string
	for _, dir := range w.dirs() {
		if strings.HasPrefix(dir, root) {
			below = append(below, dir)
		}
	}
	return below
}

func TestOwnChangesAreNeverLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, store: &lagging{Store: mem.New(bucket)}}
		page := rapid.Int32Range(1, 6).Draw(t, "page")
		w.store.Configure(func(s *mem.Settings) { s.PageSize = page })
		c, err := Open(Config{
			Lister: w.store, Reader: w.store, TTL: time.Hour, NegativeTTL: time.Hour, MaxEntries: rapid.SampledFrom([]int{10, 1000}).Draw(t, "limit"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w.c = c
		for _, dir := range []string{"a/", "a/a/", "a/b/", "a-1/", "b/", "b/a/", "b/a/b/", "b/c/", "c/", "c/b/"} {
			up, _ := parent(dir)
			if !slices.Contains(w.dirs(), up) || rapid.IntRange(0, 4).Draw(t, "leave out "+dir) == 0 {
				continue
			}
			w.put(dir)
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(fileNames), 0, 5, rapid.ID[string]).Draw(t, "files") {
				w.put(dir + name)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"change":        func(*rapid.T) { w.change() },
			"lookup":        func(*rapid.T) { w.checkLookup(w.dir("dir"), w.name()) },
			"scan":          func(*rapid.T) { w.checkScan(w.dir("dir")) },
			"scan piece":    func(*rapid.T) { w.checkScan(w.dir("dir") + w.name()) },
			"lookup during": func(*rapid.T) { dir, name := w.dir("dir"), w.name(); w.during(func() { w.lookup(dir, name) }) },
			"scan during":   func(*rapid.T) { dir := w.dir("dir"); w.during(func() { w.scan(dir) }) },
			"find": func(t *rapid.T) {
				for _, dir := range w.walk() {
					w.checkScan(dir)
				}
			},
			"find during": func(*rapid.T) {
				for _, dir := range w.walk() {
					w.during(func() { w.scan(dir) })
				}
			},
			"open": func(t *rapid.T) {
				s := w.c.Scan(bucket, w.dir("dir"))
				for range rapid.IntRange(0, 4).Draw(t, "steps") {
					if _, err := s.Next(context.Background()); err != nil {
						break
					}
				}
				w.scans = append(w.scans, s)
			},
			"close": func(*rapid.T) {
				for _, s := range w.scans {
					s.Close()
				}
				w.scans = nil
			},
			"": func(t *rapid.T) {},
		})
		for _, dir := range w.dirs() {
			w.checkScan(dir)
		}
		for _, s := range w.scans {
			s.Close()
		}
	})
}

func TestOwnChangesCostNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, store := open(t, nil, "d/x")
	read(t, c, "d/")
	store.Reset()
	stored := backend.Object{Bucket: bucket, Key: "d/new", ETag: "e", Size: 5}
	c.Stored(stored)
	e, err := c.Lookup(ctx, bucket, "d/", "new")
	if err != nil || e.Object.Size != 5 || e.Object.ETag != "e" || e.Dir {
		t.Errorf("%v, %v", e, err)
	}
	c.Removed(bucket, "d/x")
	if _, err := c.Lookup(ctx, bucket, "d/", "x"); !backend.IsKind(err, backend.KindNotExist) {
		t.Error(err)
	}
	c.PrefixCreated(bucket, "d/sub/", nil)
	for range 20 {
		if _, err := c.Lookup(ctx, bucket, "d/sub/", "nothing"); !backend.IsKind(err, backend.KindNotExist) {
			t.Error(err)
		}
	}
	c.Stored(backend.Object{Bucket: bucket, Key: "d/sub/deep/file"})
	if diff := cmp.Diff([]shown{{"deep", false, true}}, show(read(t, c, "d/sub/"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]shown{{"new", true, false}, {"sub", false, true}}, show(read(t, c, "d/"))); diff != "" {
		t.Error(diff)
	}
	c.PrefixRemoved(bucket, "d/sub/")
	if _, err := c.Lookup(ctx, bucket, "d/", "sub"); !backend.IsKind(err, backend.KindNotExist) {
		t.Error(err)
	}
	if store.Total() != 0 {
		t.Errorf("%v", store)
	}
	c.Invalidate(bucket, "d/")
	if diff := cmp.Diff([]shown{{"x", true, false}}, show(read(t, c, "d/"))); diff != "" {
		t.Error(diff)
	}
}
