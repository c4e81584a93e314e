package fs

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
)

// prefetchParallel is how many objects are fetched ahead at a time; each is read in several requests at once itself.
const prefetchParallel = 4

// Amount counts objects and their bytes.
type Amount struct {
	Objects, Bytes int64
}

// Fetching is how far Prefetch is.
type Fetching struct {
	Looked    int64  // objects listed; while it is above 0, they are being counted
	All, Done Amount // what was not in the cache when it was counted; of that, what is
	Key       string // of an object that is being fetched
}

// countedKept is how many objects are remembered from when they were counted; where there are more they are listed again.
const countedKept = 10_000

// Prefetch reads the objects at a place or below it into the block cache, as far as they are not there. What the cache has
// no room for pushes out what was used longest ago. They are counted first. progress is called from one goroutine at a time. An
// object that changes or goes meanwhile is passed over.
func (f *FS) Prefetch(ctx context.Context, l Located, progress func(Fetching)) (Amount, error) {
	return f.prefetch(ctx, l, countedKept, progress)
}

func (f *FS) prefetch(ctx context.Context, l Located, keep int, progress func(Fetching)) (Amount, error) {
	p := &prefetch{fs: f, tell: progress}
	var counted []backend.Object
	err := f.eachAt(ctx, l, 1, func(_ context.Context, o backend.Object) error {
		if p.counts(o) && len(counted) <= keep {
			counted = append(counted, o)
		}
		return nil
	})
	if err != nil {
		return Amount{}, err
	}
	p.at.Looked = 0
	if len(counted) > keep {
		counted = nil
		err = f.eachAt(ctx, l, prefetchParallel, p.fetch)
		return p.at.Done, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(prefetchParallel)
	for _, o := range counted {
		group.Go(func() error { return p.fetch(ctx, o) })
	}
	err = group.Wait()
	return p.at.Done, err
}

// prefetch is one run of Prefetch.
type prefetch struct {
	fs   *FS
	tell func(Fetching)

	mu sync.Mutex // held while progress is told
	at Fetching
}

func (p *prefetch) missing(o backend.Object) (blocks.Source, bool) {
	src := newVersion(o).blocks()
	return src, o.Size > 0 && !p.fs.cfg.Blocks.Cached(src)
}

// counts tells whether an object has to be fetched.
func (p *prefetch) counts(o backend.Object) bool {
	_, missing := p.missing(o)
	p.change(func(at *Fetching) {
		at.Looked++
		if missing {
			at.All.Objects++
			at.All.Bytes += o.Size
		}
	})
	return missing
}

func (p *prefetch) change(how func(*Fetching)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.at)
	p.at.All.Objects, p.at.All.Bytes = max(p.at.All.Objects, p.at.Done.Objects), max(p.at.All.Bytes, p.at.Done.Bytes) // some may be new
	p.tell(p.at)
}

func (p *prefetch) fetch(ctx context.Context, o backend.Object) error {
	src, missing := p.missing(o)
	if !missing {
		return nil
	}
	err := ctx.Err()
	if err == nil {
		err = p.fs.readThrough(ctx, src, func(n int64) {
			p.change(func(at *Fetching) { at.Done.Bytes, at.Key = at.Done.Bytes+n, o.Key })
		})
	}
	if backend.IsKind(err, backend.KindChanged) || backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	if err == nil {
		p.change(func(at *Fetching) { at.Done.Objects++ })
	}
	return err
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
