package metadata

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func mustLookup(t *testing.T, c *Cache, prefix, name string) Entry {
	t.Helper()
	e, err := c.Lookup(context.Background(), bucket, prefix, name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustMiss(t *testing.T, c *Cache, prefix, name string) {
	t.Helper()
	if e, err := c.Lookup(context.Background(), bucket, prefix, name); !backend.IsKind(err, backend.KindNotExist) {
		t.Fatalf("%v, %v", e, err)
	}
}

func TestLookupRequests(t *testing.T) {
	t.Parallel()
	var crowd []string
	for i := range 200 {
		crowd = append(crowd, fmt.Sprintf("d/name-%03d", i))
	}
	for _, c := range []struct {
		what, name string
		keys       []string
		requests   int
		object     bool
		dir        bool
		marker     bool
	}{
		{"a file", "f", []string{"d/f", "d/g"}, 1, true, false, false},
		{"a directory", "s", []string{"d/s/x"}, 1, false, true, false},
		{"both, with neighbours", "f", []string{"d/f", "d/f-1", "d/f.txt", "d/f/x"}, 1, true, true, false},
		{"a marker", "s", []string{"d/s/"}, 1, false, true, false},
		{"nothing", "f", []string{"d/g", "d/e"}, 1, false, false, false},
		{"nothing, with neighbours", "f", []string{"d/fa", "d/f-"}, 1, false, false, false},
		{"nothing in a crowd", "name", crowd, 2, false, false, false},
		{"a file in a crowd", "name", append([]string{"d/name"}, crowd...), 2, true, false, false},
		{"a directory in a crowd", "name", append([]string{"d/name/x"}, crowd...), 2, false, true, false},
		{"both and a marker in a crowd", "name", append([]string{"d/name", "d/name/"}, crowd...), 2, true, true, true},
		{"the empty name", "", []string{"d//x", "d/"}, 1, false, true, false},
		{"no empty name", "", []string{"d/", "d/x"}, 1, false, false, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			cache, store := open(t, nil, c.keys...)
			for range 2 {
				e, err := cache.Lookup(context.Background(), bucket, "d/", c.name)
				if !c.object && !c.dir {
					if !backend.IsKind(err, backend.KindNotExist) {
						t.Fatalf("%v, %v", e, err)
					}
				} else if err != nil || (e.Object != nil) != c.object || e.Dir != c.dir || (e.Marker != nil) != c.marker || e.Name != c.name {
					t.Errorf("%+v, %v", e, err)
				}
				if n := store.Total(); n != c.requests {
					t.Errorf("%v, want %d", store, c.requests)
				}
			}
		})
	}
}

func TestLookupErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	_, store := open(t, nil, "f")
	l := &failing{Lister: store, fail: map[int]bool{0: true}}
	c, err := Open(Config{Lister: l, Reader: store, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Lookup(context.Background(), bucket, "", "f"); !backend.IsKind(err, backend.KindTransient) {
		t.Errorf("%v", err)
	}
	mustLookup(t, c, "", "f")
}

// TestOtherTTL: a time that is changed counts for what is known already, too.
func TestOtherTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, store := open(t, func(cfg *Config) { cfg.TTL, cfg.NegativeTTL = 10*time.Second, time.Second }, "d/a", "e/a")
		costs := func(what string, requests int, ask func()) {
			t.Helper()
			store.Reset()
			if ask(); store.Total() != requests {
				t.Errorf("%s: %v, want %d", what, store, requests)
			}
		}
		mustLookup(t, c, "d/", "a")
		mustMiss(t, c, "d/", "b")
		time.Sleep(20 * time.Second)
		c.SetTTL(time.Minute, 30*time.Second)
		costs("longer", 0, func() { mustLookup(t, c, "d/", "a"); mustMiss(t, c, "d/", "b") })
		c.SetTTL(15*time.Second, time.Second)
		costs("shorter", 2, func() { mustLookup(t, c, "d/", "a"); mustMiss(t, c, "d/", "b") })
	})
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, store := open(t, func(cfg *Config) { cfg.TTL, cfg.NegativeTTL = 10*time.Second, time.Second }, "d/a", "e/a")
		step := func(what string, requests int, ask func()) {
			t.Helper()
			store.Reset()
			ask()
			if n := store.Total(); n != requests {
				t.Errorf("%s: %v, want %d", what, store, requests)
			}
		}
		step("lookup", 1, func() { mustLookup(t, c, "d/", "a") })
		step("miss", 1, func() { mustMiss(t, c, "d/", "b") })
		time.Sleep(999 * time.Millisecond)
		step("miss, fresh", 0, func() { mustMiss(t, c, "d/", "b") })
		time.Sleep(time.Millisecond)
		step("miss, old", 1, func() { mustMiss(t, c, "d/", "b") })
		time.Sleep(8 * time.Second)
		step("lookup, fresh", 0, func() { mustLookup(t, c, "d/", "a") })
		time.Sleep(time.Second)
		step("lookup, old", 1, func() { mustLookup(t, c, "d/", "a") })

		step("scan", 1, func() { read(t, c, "e/") })
		time.Sleep(9999 * time.Millisecond)
		step("listed", 0, func() { read(t, c, "e/"); mustLookup(t, c, "e/", "a"); mustMiss(t, c, "e/", "b") })
		time.Sleep(time.Millisecond)
		step("listed, old", 1, func() { read(t, c, "e/") })
		time.Sleep(5 * time.Second)
		put(t, store.mem, "e/b")
		step("another's file is not seen yet", 0, func() { mustMiss(t, c, "e/", "b") })
		step("refresh", 1, func() {
			if _, err := c.Refresh(context.Background(), bucket, "e/", "b"); err != nil {
				t.Error(err)
			}
		})
		step("what a refresh showed is newer than the listing", 0, func() { mustLookup(t, c, "e/", "b") })
		time.Sleep(6 * time.Second)
		step("and fresh for longer", 0, func() { mustLookup(t, c, "e/", "b") })
		step("than the rest", 1, func() { mustLookup(t, c, "e/", "a") })
	})
}

func TestRefreshShowsRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, store := open(t, func(cfg *Config) { cfg.TTL, cfg.NegativeTTL = time.Minute, time.Second }, "d/a", "d/b")
		read(t, c, "d/")
		if err := store.mem.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: "d/a"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Refresh(context.Background(), bucket, "d/", "a"); !backend.IsKind(err, backend.KindNotExist) {
			t.Fatal(err)
		}
		store.Reset()
		mustMiss(t, c, "d/", "a")
		if diff := cmp.Diff([]shown{{"b", true, false}}, show(read(t, c, "d/"))); diff != "" {
			t.Error(diff)
		}
		if store.Total() != 0 {
			t.Errorf("%v", store)
		}
		// The old listing must not answer again when the refresh is too old.
		time.Sleep(2 * time.Second)
		mustMiss(t, c, "d/", "a")
		if store.Total() != 1 {
			t.Errorf("%v", store)
		}
	})
}

func TestTheLaterAnswerCounts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := &lagging{Store: mem.New(bucket)}
	put(t, store.Store, "d/a")
	c, err := Open(Config{Lister: store, Reader: store, TTL: time.Hour, NegativeTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// A lookup, then a listing.
	mustLookup(t, c, "d/", "a")
	if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "d/a"}); err != nil {
		t.Fatal(err)
	}
	read(t, c, "d/")
	mustMiss(t, c, "d/", "a")
	// Two lookups, of which the first one is answered last.
	slow := &lag{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	store.arm(slow)
	missed := make(chan error)
	go func() {
		_, err := c.Refresh(ctx, bucket, "d/", "b")
		missed <- err
	}()
	<-slow.entered
	put(t, store.Store, "d/b")
	if _, err := c.Refresh(ctx, bucket, "d/", "b"); err != nil {
		t.Error(err)
	}
	close(slow.release)
	if err := <-missed; !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("%v", err)
	}
	mustLookup(t, c, "d/", "b")
}

func TestNoTTLKeepsNothing(t *testing.T) {
	t.Parallel()
	c, store := open(t, func(cfg *Config) { cfg.TTL, cfg.NegativeTTL = 0, time.Hour }, "d/a")
	for i := range 3 {
		mustLookup(t, c, "d/", "a")
		mustMiss(t, c, "d/", "b")
		read(t, c, "d/")
		if n := store.Total(); n != 3*(i+1) {
			t.Errorf("%v in round %d", store, i)
		}
	}
}

func TestConcurrentLookupsShareARequest(t *testing.T) {
	t.Parallel()
	c, g := gated(t, "d/a")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { mustLookup(t, c, "d/", "a") })
	}
	in := <-g.entered
	if in.Prefix != "d/a" || in.Delimiter != "/" || in.MaxKeys != lookupKeys {
		t.Errorf("%+v", in)
	}
	g.release <- struct{}{}
	wg.Wait()
	// A Refresh asks by itself, since the request under way may be too old.
	wg.Go(func() { c.Refresh(context.Background(), bucket, "d/", "a") })
	wg.Go(func() { c.Refresh(context.Background(), bucket, "d/", "a") })
	<-g.entered
	<-g.entered
	g.release <- struct{}{}
	g.release <- struct{}{}
	wg.Wait()
}

func TestManyLookupsListTheDirectory(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 300 {
		keys = append(keys, fmt.Sprintf("d/%03d", i))
	}
	c, store := open(t, nil, keys...)
	for i := range 300 {
		mustLookup(t, c, "d/", fmt.Sprintf("%03d", i))
		mustMiss(t, c, "d/", fmt.Sprintf("%03dx", i))
	}
	if n := store.Total(); n != lookupsToList {
		t.Errorf("%v", store)
	}
}

func TestManyLookupsInAHugeDirectory(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("d/%04d", i))
	}
	c, store := open(t, nil, keys...)
	for i := 2900; i < 2950; i++ {
		mustLookup(t, c, "d/", fmt.Sprintf("%04d", i))
	}
	if n := store.Total(); n != 51 {
		t.Errorf("one page was worth trying, not more: %v", store)
	}
	mustLookup(t, c, "d/", "0500")
	if n := store.Total(); n != 51 {
		t.Errorf("the page is not used: %v", store)
	}
}

func TestPiecesOfLongComponents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 250)
	c, store := open(t, nil, "d/"+long+"tail", "d/"+long+"dir/y", "d/"+long, "d/other")
	read(t, c, "d/")
	store.Reset()
	e := mustLookup(t, c, "d/"+long, "tail")
	if e.Name != "tail" || e.Object == nil || e.Object.Key != "d/"+long+"tail" {
		t.Errorf("%+v", e)
	}
	mustMiss(t, c, "d/"+long, "nobody")
	if store.Total() != 0 {
		t.Errorf("%v", store)
	}
	want := []shown{{"dir", false, true}, {"tail", true, false}}
	if diff := cmp.Diff(want, show(read(t, c, "d/"+long))); diff != "" {
		t.Error(diff)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.detached) != 0 {
		t.Errorf("%d listings are left", len(c.detached))
	}
}

func TestRenamedDirectoryIsListedAnew(t *testing.T) {
	t.Parallel()
	c, store := open(t, nil, "a/sub/old")
	find(t, c, "")
	put(t, store.mem, "a/sub/new", "b/sub/foreign")
	c.PrefixRemoved(bucket, "a/")
	mustMiss(t, c, "", "a")
	c.PrefixAdded(bucket, "a/")
	if diff := cmp.Diff([]shown{{"new", true, false}, {"old", true, false}}, show(read(t, c, "a/sub/"))); diff != "" {
		t.Error(diff)
	}
	mustLookup(t, c, "", "a")
}

func TestOpenScanDoesNotShowRemovals(t *testing.T) {
	t.Parallel()
	c, _ := open(t, nil, "d/a", "d/b", "d/c", "d/d")
	s := c.Scan(bucket, "d/")
	defer s.Close()
	if e, err := s.Next(context.Background()); err != nil || e.Name != "a" {
		t.Fatal(e, err)
	}
	c.Invalidate(bucket, "d/") // nobody else finds this listing now
	c.Removed(bucket, "d/b")
	c.Stored(backend.Object{Bucket: bucket, Key: "d/bb"})
	if e, err := s.Next(context.Background()); err != nil || e.Name != "bb" {
		t.Fatal(e, err)
	}
	c.PrefixRemoved(bucket, "d/")
	if e, err := s.Next(context.Background()); err == nil {
		t.Errorf("%v is shown of a directory that was removed", e.Name)
	}
}

func TestLookupUnderWayInARemovedDirectory(t *testing.T) {
	t.Parallel()
	c, g := gated(t, "d/a")
	failed := make(chan error)
	go func() {
		_, err := c.Lookup(context.Background(), bucket, "d/", "a")
		failed <- err
	}()
	<-g.entered
	c.PrefixRemoved(bucket, "d/")
	g.release <- struct{}{}
	if err := <-failed; !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("%v", err)
	}
	checkEntries(t, c)
}

func TestInvalidatedWhileALookupIsUnderWay(t *testing.T) {
	t.Parallel()
	c, g := gated(t, "d/a")
	done := make(chan struct{})
	go func() {
		defer close(done)
		mustLookup(t, c, "d/", "a")
	}()
	<-g.entered
	c.Invalidate(bucket, "d/")
	g.release <- struct{}{}
	<-done
	// Its answer may be older than the reason to forget: it is not kept.
	again := make(chan error)
	go func() {
		_, err := c.Lookup(context.Background(), bucket, "d/", "a")
		again <- err
	}()
	<-g.entered
	g.release <- struct{}{}
	if err := <-again; err != nil {
		t.Error(err)
	}
}

func TestMarkersAreKnownFromListings(t *testing.T) {
	t.Parallel()
	c, store := open(t, nil, "d/with/", "d/with/f", "d/without/f")
	if e := mustLookup(t, c, "d/", "with"); e.Marker != nil {
		t.Errorf("a common prefix does not tell: %+v", e)
	}
	read(t, c, "d/")
	s := c.Scan(bucket, "d/with/")
	defer s.Close()
	if _, err := s.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.Self() == nil || s.Self().Key != "d/with/" {
		t.Errorf("%v", s.Self())
	}
	store.Reset()
	if e := mustLookup(t, c, "d/", "with"); e.Marker == nil || e.Marker.Key != "d/with/" {
		t.Errorf("%+v", e)
	}
	read(t, c, "d/without/")
	if e := mustLookup(t, c, "d/", "without"); e.Marker != nil {
		t.Errorf("%+v", e)
	}
	c.Removed(bucket, "d/with/")
	if e := mustLookup(t, c, "d/", "with"); e.Marker != nil || !e.Dir {
		t.Errorf("%+v", e)
	}
	if s.Self() != nil {
		t.Error("the marker is gone")
	}
}
