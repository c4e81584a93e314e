package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"pgregory.net/rapid"
)

// shown is what a test compares of an Entry.
type shown struct {
	Name        string
	Object, Dir bool
}

func show(entries []Entry) []shown {
	var all []shown
	for _, e := range entries {
		all = append(all, shown{e.Name, e.Object != nil, e.Dir})
	}
	return all
}

// plain is what a directory holds, from the list of all keys.
func plain(keys []string, prefix string) []shown {
	found := map[string]*shown{}
	for _, key := range keys {
		rest, inside := strings.CutPrefix(key, prefix)
		if !inside || rest == "" {
			continue
		}
		name, _, nested := strings.Cut(rest, "/")
		if found[name] == nil {
			found[name] = &shown{Name: name}
		}
		if nested {
			found[name].Dir = true
		} else {
			found[name].Object = true
		}
	}
	var all []shown
	for _, s := range found {
		all = append(all, *s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name+"/" < all[j].Name+"/" })
	return all
}

// prefixes returns every directory of the keys, and some that are none.
func prefixes(keys []string) []string {
	all := []string{"", "a", "zz/", "a.b/c/"}
	for _, key := range keys {
		for i := range len(key) {
			if key[i] == '/' {
				all = append(all, key[:i+1])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func keySets() *rapid.Generator[[]string] {
	piece := rapid.SampledFrom([]string{"a", "a-1", "a.b", "a/", "b", "-", ".", "/", "a0", "é", "x/y/", "a.b/c", "a/a-1"})
	key := rapid.Map(rapid.SliceOfN(piece, 1, 4), func(p []string) string { return strings.Join(p, "") })
	return rapid.Map(rapid.SliceOfN(key, 0, 40), func(keys []string) []string {
		slices.Sort(keys)
		return slices.Compact(keys)
	})
}

func TestScanShowsEveryNameOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := keySets().Draw(t, "keys")
		store := mem.New(bucket)
		page := rapid.Int32Range(1, 7).Draw(t, "page")
		empty := rapid.Bool().Draw(t, "empty last page")
		store.Configure(func(s *mem.Settings) { s.PageSize, s.EmptyLastPage = page, empty })
		for _, key := range keys {
			if _, err := store.Put(context.Background(), backend.PutInput{Bucket: bucket, Key: key, Body: strings.NewReader("")}); err != nil {
				t.Fatal(err)
			}
		}
		ttl := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "ttl")
		limit := rapid.SampledFrom([]int{3, 10, 1000}).Draw(t, "limit")
		c, err := Open(Config{Lister: store, Reader: store, TTL: ttl, NegativeTTL: ttl, MaxEntries: limit})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 2 {
			for _, prefix := range rapid.Permutation(prefixes(keys)).Draw(t, "order") {
				checkScan(t, c, keys, prefix)
			}
			// In depth-first order, so that walks begin.
			for _, prefix := range prefixes(keys) {
				checkScan(t, c, keys, prefix)
			}
		}
	})
}

func checkScan(t *rapid.T, c *Cache, keys []string, prefix string) {
	want := plain(keys, prefix)
	s := c.Scan(bucket, prefix)
	defer s.Close()
	var got []Entry
	for {
		e, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
		if e.Object != nil && e.Object.Key != prefix+e.Name {
			t.Fatalf("object %q as %q in %q", e.Object.Key, e.Name, prefix)
		}
		if e.Marker != nil && (e.Marker.Key != prefix+e.Name+"/" || !slices.Contains(keys, e.Marker.Key)) {
			t.Fatalf("marker %q of %q in %q", e.Marker.Key, e.Name, prefix)
		}
	}
	if diff := cmp.Diff(want, show(got)); diff != "" {
		t.Fatalf("%q: %s", prefix, diff)
	}
	if strings.HasSuffix(prefix, "/") && (s.Self() != nil) != slices.Contains(keys, prefix) {
		t.Fatalf("%q: Self %v", prefix, s.Self())
	}
	names := []string{"", "a", "a-1", "nobody"}
	for _, w := range want {
		names = append(names, w.Name)
	}
	for _, name := range names {
		checkLookup(t, c, want, prefix, name)
	}
}

func checkLookup(t *rapid.T, c *Cache, want []shown, prefix, name string) {
	at := slices.IndexFunc(want, func(s shown) bool { return s.Name == name })
	for _, ask := range []func(context.Context, string, string, string) (Entry, error){c.Lookup, c.Refresh} {
		e, err := ask(context.Background(), bucket, prefix, name)
		switch {
		case at < 0:
			if !backend.IsKind(err, backend.KindNotExist) {
				t.Fatalf("%q in %q: %v, %v", name, prefix, e, err)
			}
		case err != nil:
			t.Fatal(err)
		case show([]Entry{e})[0] != want[at]:
			t.Fatalf("%q in %q: %v, want %v", name, prefix, e, want[at])
		}
	}
}

func TestMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	const files, limit = 3000, 400
	var keys []string
	for i := range files {
		keys = append(keys, fmt.Sprintf("big/%05d", i))
	}
	c, store := open(t, func(cfg *Config) { cfg.MaxEntries = limit }, keys...)
	store.mem.Configure(func(s *mem.Settings) { s.PageSize = 50 })
	// Two scans drift apart, a third stays at its first entry.
	scans := []*Scan{c.Scan(bucket, "big/"), c.Scan(bucket, "big/"), c.Scan(bucket, "big/")}
	seen := make([]int, len(scans))
	step := func(i, n int) {
		for range n {
			e, err := scans[i].Next(context.Background())
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%05d", seen[i]); e.Name != want {
				t.Fatalf("scan %d: %q, want %q", i, e.Name, want)
			}
			seen[i]++
			c.mu.Lock()
			held := c.entries
			c.mu.Unlock()
			if held > limit+100 {
				t.Fatalf("%d entries", held)
			}
		}
	}
	step(2, 1)
	for seen[0] < files || seen[1] < files {
		step(0, 170)
		step(1, 90)
	}
	step(2, files)
	if seen[2] != files {
		t.Errorf("%v", seen)
	}
	for _, s := range scans {
		s.Close()
	}
	checkEntries(t, c)
}

// checkEntries compares the count of entries with what there is.
func checkEntries(t testing.TB, c *Cache) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, d := range c.dirs {
		n += 1 + len(d.items) + len(d.singles)
		if d.element == nil {
			t.Errorf("%q is not in the list", d.prefix)
		}
	}
	for d := range c.detached {
		n += 1 + len(d.items) + len(d.singles)
		if len(d.scans) == 0 && d.fetch == nil {
			t.Errorf("%q is not released", d.prefix)
		}
	}
	if n != c.entries {
		t.Errorf("%d entries counted, %d there", c.entries, n)
	}
	below := map[dirID]int{}
	for id := range c.dirs {
		ancestors(id, func(up dirID) { below[up]++ })
	}
	if diff := cmp.Diff(below, c.below, cmp.AllowUnexported(dirID{})); diff != "" {
		t.Error(diff)
	}
}

func TestDirectoriesLeaveByLastUse(t *testing.T) {
	t.Parallel()
	c, store := open(t, func(cfg *Config) { cfg.MaxEntries = 500 }, tree(100, 10)...)
	for d := range 100 {
		read(t, c, fmt.Sprintf("root/dir-%04d/", d))
		read(t, c, "root/dir-0000/")
	}
	checkEntries(t, c)
	store.Reset()
	read(t, c, "root/dir-0000/")
	read(t, c, "root/dir-0099/")
	if store.Total() != 0 {
		t.Errorf("the last used were dropped: %v", store)
	}
	read(t, c, "root/dir-0001/")
	if store.Total() == 0 {
		t.Error("nothing was dropped")
	}
}

func TestConcurrentScansShareRequests(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprintf("d/%06d", i))
	}
	c, store := open(t, nil, keys...)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if n := len(read(t, c, "d/")); n != len(keys) {
				t.Errorf("%d entries", n)
			}
		})
	}
	wg.Wait()
	if n := store.Total(); n != 5 {
		t.Errorf("%v", store)
	}
}

func TestEntriesComeBeforeTheLastPage(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprintf("d/%06d", i))
	}
	c, store := open(t, nil, keys...)
	s := c.Scan(bucket, "d/")
	if _, err := s.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if n := store.Total(); n > 2 {
		t.Errorf("%d pages for one entry", n)
	}
	// What was seen answers lookups, also that a name in between does not exist.
	store.Reset()
	if _, err := c.Lookup(context.Background(), bucket, "d/", "000500"); err != nil {
		t.Error(err)
	}
	if _, err := c.Lookup(context.Background(), bucket, "d/", "000500x"); !backend.IsKind(err, backend.KindNotExist) {
		t.Error(err)
	}
	if n := store.Total(); n > 1 { // the second page may still be under way
		t.Errorf("%v", store)
	}
	// A later scan goes on where the first one stopped.
	if n := len(read(t, c, "d/")); n != 5000 || store.Total() > 4 {
		t.Errorf("%d entries, %v", n, store)
	}
}
