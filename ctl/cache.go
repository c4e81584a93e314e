package ctl

import "context"

// CacheRequest is about cached bytes of objects at a place or below it.
type CacheRequest struct {
	Target
}

// Cacher is the block cache of a mount.
type Cacher interface {
	// CacheStats answers from memory.
	CacheStats() Cache
	// Prefetch reads the objects at a place or below it into the cache, as far as they are not there.
	// They are counted first. progress is called from one goroutine at a time.
	Prefetch(ctx context.Context, p Place, progress func(Step)) (objects, bytes int64, err error)
	// Evict drops the cached bytes of the objects at a place or below it.
	Evict(ctx context.Context, p Place) (objects, bytes int64, err error)
}

// cached returns the cache of the mount.
func (c *call) cached() (Cacher, error) {
	if c.Cacher == nil {
		return nil, &Error{Kind: KindInvalid, Message: "a cache is a mount's; name a path in a mount"}
	}
	return c.Cacher, nil
}

func cacheStats(_ context.Context, c *call, _ CacheRequest) error {
	cache, err := c.cached()
	if err != nil {
		return err
	}
	return c.item(cache.CacheStats())
}

func prefetch(ctx context.Context, c *call, p Place, r CacheRequest) error {
	cache, err := c.cached()
	if err != nil {
		return err
	}
	if cache.CacheStats().Dir == "" {
		return &Error{Kind: KindUnsupported, Message: "this mount has no cache on disk (--cache-size=0, or its directory could not be used), so nothing would stay; mount it with one"}
	}
	sum := Summary{}
	sum.Done, sum.Bytes, err = cache.Prefetch(ctx, p, func(at Step) {
		// An answer that nobody takes any more ends ctx.
		_ = c.progress(func(s *Step) { *s = at })
	})
	if err != nil {
		return err
	}
	if limit := cache.CacheStats().DiskLimit; sum.Bytes > limit {
		if err := c.note("more was fetched than the cache on disk holds; what was fetched first is gone again: see --cache-size"); err != nil {
			return err
		}
	}
	return c.result(sum)
}

func evict(ctx context.Context, c *call, p Place, r CacheRequest) error {
	cache, err := c.cached()
	if err != nil {
		return err
	}
	sum := Summary{}
	if sum.Done, sum.Bytes, err = cache.Evict(ctx, p); err != nil {
		return err
	}
	return c.result(sum)
}
