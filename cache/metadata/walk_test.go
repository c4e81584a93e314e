package metadata

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// pages makes the pages of a store smaller, so that few keys are many pages.
func pages(store counted, size int32) {
	store.mem.Configure(func(s *mem.Settings) { s.PageSize = size })
}

func TestWalkOfADeepTree(t *testing.T) {
	t.Parallel()
	var keys []string
	for a := range 30 {
		for b := range 33 {
			for f := range 10 {
				keys = append(keys, fmt.Sprintf("root/%02d/%02d/%d", a, b, f))
			}
		}
	}
	c, store := open(t, nil, keys...)
	if n := find(t, c, "root/"); n != 30+30*33+len(keys) {
		t.Errorf("%d entries", n)
	}
	if n := store.Total(); n > 15 {
		t.Errorf("%v for 1,021 directories", store)
	}
}

func TestWalkOfTheWholeBucket(t *testing.T) {
	t.Parallel()
	var keys []string
	for a := range 200 {
		keys = append(keys, fmt.Sprintf("%03d/", a))
		for f := range 20 {
			keys = append(keys, fmt.Sprintf("%03d/%02d", a, f))
		}
	}
	c, store := open(t, nil, keys...)
	if n := find(t, c, ""); n != 200+200*20 {
		t.Errorf("%d entries", n)
	}
	if n := store.Total(); n > 9 {
		t.Errorf("%v", store)
	}
	store.Reset()
	if e := mustLookup(t, c, "", "150"); e.Marker == nil || store.Total() != 0 {
		t.Errorf("%+v, %v: the walk passed the marker", e, store)
	}
}

// A walk must not cost more than a little over listing each directory by itself.
func TestWalkGivesUpOnLargeDirectories(t *testing.T) {
	t.Parallel()
	var keys []string
	for d := range 12 {
		for f := range 600 {
			keys = append(keys, fmt.Sprintf("root/big-%02d/%04d", d, f))
		}
		keys = append(keys, fmt.Sprintf("root/a-%02d/x", d))
	}
	c, store := open(t, nil, keys...)
	pages(store, 100)
	if n := find(t, c, "root/"); n != 24+len(keys) {
		t.Errorf("%d entries", n)
	}
	if n := store.Total(); n > 1+12+12*7+6 {
		t.Errorf("%v", store)
	}
}

// ls of many directories, each with a large tree below that nobody reads.
func TestWalkGivesUpOnDeepDirectories(t *testing.T) {
	t.Parallel()
	var keys []string
	for d := range 20 {
		for s := range 6 {
			for f := range 110 {
				keys = append(keys, fmt.Sprintf("root/%02d/sub-%d/%04d", d, s, f))
			}
		}
	}
	c, store := open(t, nil, keys...)
	pages(store, 100)
	for _, e := range read(t, c, "root/") {
		if n := len(read(t, c, "root/"+e.Name+"/")); n != 6 {
			t.Errorf("%d entries", n)
		}
	}
	if n := store.Total(); n > 21+3 {
		t.Errorf("%v for 21 directories", store)
	}
	store.Reset()
	if n := len(read(t, c, "root/13/sub-4/")); n != 110 || store.Total() > 2 {
		t.Errorf("%d, %v", n, store)
	}
}

func TestWalkOfLargeSubtrees(t *testing.T) {
	t.Parallel()
	var keys []string
	for a := range 5 {
		for b := range 10 {
			for f := range 40 {
				keys = append(keys, fmt.Sprintf("root/%d/%02d/%02d", a, b, f))
			}
		}
	}
	c, store := open(t, nil, keys...)
	pages(store, 100)
	if n := find(t, c, "root/"); n != 5+50+len(keys) {
		t.Errorf("%d entries", n)
	}
	if n := store.Total(); n > 20+5+8 {
		t.Errorf("%v for 20 pages of keys", store)
	}
}

func TestWalkInParallel(t *testing.T) {
	t.Parallel()
	c, store := open(t, nil, tree(500, 10)...)
	dirs := read(t, c, "root/")
	next := make(chan Entry)
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 8 {
		wg.Go(func() {
			for e := range next {
				got := len(read(t, c, "root/"+e.Name+"/"))
				mu.Lock()
				n += got
				mu.Unlock()
			}
		})
	}
	for _, e := range dirs {
		next <- e
	}
	close(next)
	wg.Wait()
	if n != 5000 {
		t.Errorf("%d entries", n)
	}
	if n := store.Total(); n > 40 {
		t.Errorf("%v for 501 directories", store)
	}
	checkEntries(t, c)
}

func TestSlowWalkRenewsWhatIsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, store := open(t, func(cfg *Config) { cfg.TTL = 10 * time.Second }, tree(300, 10)...)
		for i, e := range read(t, c, "root/") {
			// The kernel asks for the directory again when its entry is too old.
			if i > 5 {
				mustLookup(t, c, "root/", e.Name)
			}
			if n := len(read(t, c, "root/"+e.Name+"/")); n != 10 {
				t.Errorf("%d entries", n)
			}
			time.Sleep(200 * time.Millisecond)
		}
		// 60 seconds: about one listing per TTL, and sometimes a lookup when its end is met.
		if n := store.Total(); n > 3+2*8 {
			t.Errorf("%v", store)
		}
		time.Sleep(time.Minute)
		store.Reset()
		read(t, c, "root/dir-0007/")
		read(t, c, "root/dir-0008/")
		read(t, c, "root/dir-0009/")
		if n := store.Total(); n != 3 {
			t.Errorf("the walk has ended long ago: %v", store)
		}
	})
}

// refusing is a store whose policy allows listings of directories only.
type refusing struct{ backend.Lister }

func (r refusing) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	if in.Delimiter == "" {
		return backend.Page{}, &backend.Error{Kind: backend.KindPermission, Op: "ListObjectsV2"}
	}
	return r.Lister.List(ctx, in)
}

// fromStart is a store that does not know StartAfter.
type fromStart struct{ backend.Lister }

func (f fromStart) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	in.StartAfter = ""
	return f.Lister.List(ctx, in)
}

func TestWalkOnStoresThatCannot(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(backend.Lister) backend.Lister{
		"refused":       func(l backend.Lister) backend.Lister { return refusing{l} },
		"no StartAfter": func(l backend.Lister) backend.Lister { return fromStart{l} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := mem.Counting(mem.New(bucket))
			put(t, store, tree(50, 3)...)
			store.Reset()
			c, err := Open(Config{Lister: wrap(store), Reader: store, TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if n := find(t, c, "root/"); n != 200 {
				t.Errorf("%d entries", n)
			}
			if n := store.Total(); n > 51+10 {
				t.Errorf("%v", store)
			}
		})
	}
}

// removing deletes a tree as rm -r does, and checks that nothing removed comes back.
func TestRemovingWhileWalking(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, store := open(t, nil, tree(60, 40)...)
	var remove func(prefix string)
	remove = func(prefix string) {
		for _, e := range read(t, c, prefix) {
			key := prefix + e.Name
			if e.Dir {
				remove(key + "/")
				c.PrefixRemoved(bucket, key+"/")
				continue
			}
			if err := store.mem.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
				t.Fatal(err)
			}
			c.Removed(bucket, key)
			mustMiss(t, c, prefix, e.Name)
		}
		if left := read(t, c, prefix); len(left) != 0 {
			t.Fatalf("%q: %v", prefix, show(left))
		}
	}
	remove("root/")
	if n := store.Requests()["ListObjectsV2"]; n > 8 {
		t.Errorf("%v", store)
	}
	checkEntries(t, c)
}

func TestStartOf(t *testing.T) {
	t.Parallel()
	keys := []string{"d/x-", "d/x.", "d/x.\U0010FFFE", "d/x/", "d/x/\x00", "d/x/a", "d/x0"}
	if !slices.IsSorted(keys) {
		t.Fatal("order")
	}
	at := slices.IndexFunc(keys, func(k string) bool { return k > startOf("d/x/") })
	if keys[at] != "d/x/" {
		t.Errorf("begins at %q", keys[at])
	}
}

func TestTreeOrder(t *testing.T) {
	t.Parallel()
	names := []string{"", "a", "a-", "a-1", "a.", "a/", "a0", "aa", "b", "é", "\xff"}
	for _, a := range names {
		for _, b := range names {
			if strings.Contains(a+b, "/") {
				continue
			}
			if got, want := compareTree(a, b), strings.Compare(a+"/", b+"/"); got != want {
				t.Errorf("compareTree(%q, %q) = %d", a, b, got)
			}
			for _, frontier := range []string{b, b + "/", b + "/x", b + maxRune} {
				if got, want := treePassed(a, frontier), a+"/" <= frontier; got != want {
					t.Errorf("treePassed(%q, %q) = %v", a, frontier, got)
				}
			}
		}
	}
	if diff := cmp.Diff("d/", func() string { p, _ := parent("d/x/"); return p }()); diff != "" {
		t.Error(diff)
	}
}
