package fs

import (
	"context"
	"errors"
	"sync"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
)

// prefetchParallel is how many objects are fetched ahead at a time; each is read in several requests at once itself.
const prefetchParallel = 4

// Amount counts objects and their bytes.
type Amount struct {
	Objects, Bytes int64
}

// Prefetch reads the objects at a place or below it into the block cache, as far as they are not there. What the cache has
// no room for pushes out what was used longest ago. progress is called from one goroutine at a time. An object that
// changes or goes meanwhile is passed over.
func (f *FS) Prefetch(ctx context.Context, l Located, progress func(Amount)) (fetched Amount, err error) {
	var mu sync.Mutex
	add := func(objects, bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		fetched.Objects += objects
		fetched.Bytes += bytes
		progress(fetched)
	}
	err = f.eachAt(ctx, l, prefetchParallel, func(ctx context.Context, o backend.Object) error {
		src := newVersion(o).blocks()
		if o.Size == 0 || f.cfg.Blocks.Cached(src) {
			return nil
		}
		err := f.readThrough(ctx, src, func(n int64) { add(0, n) })
		if backend.IsKind(err, backend.KindChanged) || backend.IsKind(err, backend.KindNotExist) {
			return nil
		}
		if err == nil {
			add(1, 0)
		}
		return err
	})
	return fetched, err
}

// readThrough reads a whole version from the block cache.
func (f *FS) readThrough(ctx context.Context, src blocks.Source, got func(int64)) error {
	const step = 1 << 20
	r := f.cfg.Blocks.NewReader(src)
	defer r.Close()
	for off := int64(0); off < src.Size; {
		view, err := r.ReadAt(ctx, off, step)
		if err != nil {
			return err
		}
		n := int64(view.Len())
		view.Release()
		if n == 0 {
			return errors.New("the block cache returned nothing")
		}
		off += n
		got(n)
	}
	return nil
}

// Evict drops the cached bytes of the current versions of objects at a place or below it, also those that the kernel
// has; what is staged stays. Files that are open keep what they have read ahead.
func (f *FS) Evict(ctx context.Context, l Located) (evicted Amount, err error) {
	err = f.eachAt(ctx, l, 1, func(_ context.Context, o backend.Object) error {
		f.cfg.Blocks.Evict(newVersion(o).blocks())
		evicted.Objects++
		evicted.Bytes += o.Size
		return nil
	})
	f.tree.below(f.tree.root(), func(n *node) {
		if at := f.tree.locate(n); !n.dir && l.holds(at) {
			f.notifyContent(n)
		}
	})
	return evicted, err
}

// eachAt is eachObject for a file too.
func (f *FS) eachAt(ctx context.Context, l Located, limit int, fn func(context.Context, backend.Object) error) error {
	if l.Dir {
		return f.eachObject(ctx, place{l.Bucket, l.Key}, limit, fn)
	}
	o, err := f.cfg.Store.Head(ctx, backend.ObjectID{Bucket: l.Bucket, Key: l.Key}, backend.GetOptions{})
	if err != nil {
		return err
	}
	o.Bucket, o.Key = l.Bucket, l.Key
	return fn(ctx, o)
}
