package ctl

import (
	"context"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

type fakeCache struct {
	stats Cache
	fail  error
	asked []string
}

func (f *fakeCache) CacheStats() Cache { return f.stats }

func (f *fakeCache) Prefetch(_ context.Context, p Place, progress func(Step)) (objects, bytes int64, err error) {
	f.asked = append(f.asked, "prefetch "+p.String())
	progress(Step{Doing: "fetching", Done: 1, Bytes: 10, All: 2, Total: 30, Now: "d/a"})
	return 2, 30, f.fail
}

func (f *fakeCache) Evict(_ context.Context, p Place) (objects, bytes int64, err error) {
	f.asked = append(f.asked, "evict "+p.String())
	return 3, 40, f.fail
}

func TestCacheVerbs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(1, "d/a", "x")
	if got := runFor[Cache](w, "cache/stats", CacheRequest{}); KindOf(got.err) != KindInvalid {
		t.Errorf("without a mount: %v", got.err)
	}
	f := &fakeCache{stats: Cache{Hits: 7}}
	w.verbs.Cacher = f
	if got := runFor[Cache](w, "cache/stats", CacheRequest{}); got.err != nil || len(got.items) != 1 || got.items[0].Hits != 7 {
		t.Errorf("%+v", got)
	}
	place := CacheRequest{Target{Path: "d"}}
	if got := runFor[Done](w, "cache/prefetch", place); KindOf(got.err) != KindUnsupported || len(f.asked) > 0 {
		t.Errorf("without a disk tier: %v, %v", got.err, f.asked)
	}
	f.stats.Dir, f.stats.DiskLimit = "/cache", 100
	if got := runFor[Done](w, "cache/prefetch", place); got.err != nil || got.sum.Done != 2 || got.sum.Bytes != 30 || len(got.notes) != 0 {
		t.Errorf("%+v", got)
	}
	f.stats.DiskLimit = 20
	if got := runFor[Done](w, "cache/prefetch", place); got.err != nil || len(got.notes) != 1 {
		t.Errorf("more than fits: %+v", got)
	}
	if got := runFor[Done](w, "cache/evict", place); got.err != nil || got.sum.Done != 3 || got.sum.Bytes != 40 {
		t.Errorf("%+v", got)
	}
	if want := "prefetch s3://b/d/, prefetch s3://b/d/, evict s3://b/d/"; strings.Join(f.asked, ", ") != want {
		t.Errorf("asked for %v, want %s", f.asked, want)
	}
	f.fail = &backend.Error{Kind: backend.KindPermission, Message: "no"}
	for _, verb := range []string{"cache/prefetch", "cache/evict"} {
		if got := runFor[Done](w, verb, place); KindOf(got.err) != KindCredentials {
			t.Errorf("%s: %v", verb, got.err)
		}
	}
}
