package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	quietFor     = 5 * time.Second // a shorter trouble is not worth a line in the log
)

// patient is a store whose calls wait while it cannot be reached or is overloaded, as a network
// filesystem does: a store that is restarted must not break the programs that use the mount. What
// is repeated has certainly changed nothing (KindTransient, KindUnreachable), or would change the same once more; a
// write on a condition whose outcome is not known (KindUnknown) is the caller's to judge. Uploads do not pass here:
// write-back has its own queue.
//
// It is safe for concurrent use.
type patient struct {
	backend.Store               // multipart uploads and questions about abilities, as they are
	limit         *atomic.Int64 // nanoseconds
	log           *slog.Logger
	troubled      atomic.Bool            // the log has a line about it
	failing       atomic.Pointer[string] // why the last call did not reach the store, or not with these credentials; nil: it did
}

var _ backend.Store = (*patient)(nil)

// wait calls do until it succeeds, fails for good, limit is over since the first attempt that failed began, or ctx ends.
func (p *patient) wait(ctx context.Context, do func() error) error { return p.waitWith(ctx, false, do) }

// again is wait for a write that may be made twice and means the same: also an unknown outcome is tried again.
func (p *patient) again(ctx context.Context, do func() error) error { return p.waitWith(ctx, true, do) }

func (p *patient) waitWith(ctx context.Context, harmless bool, do func() error) error {
	pause, began := firstPause, time.Now()
	for {
		err := do()
		k := p.note(err)
		if err == nil || k != backend.KindTransient && k != backend.KindUnreachable && !(harmless && k == backend.KindUnknown) {
			if err == nil && p.troubled.Load() && p.troubled.CompareAndSwap(true, false) {
				p.log.Info("the store answers again")
			}
			return err
		}
		waited := time.Since(began)
		rest := p.longest() - waited
		if rest <= 0 {
			return err
		}
		if waited > quietFor && p.troubled.CompareAndSwap(false, true) {
			p.log.Warn("the store fails; calls wait for it", slog.String("limit", p.longest().String()), slog.String("error", err.Error()))
		}
		timer := time.NewTimer(min(pause/2+rand.N(pause), rest))
		pause = min(2*pause, longestPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return &backend.Error{Kind: backend.KindCanceled, Op: "wait", Err: context.Cause(ctx)}
		}
	}
}

// note remembers whether a call has reached the store, and returns its kind of failure, KindOther for none.
func (p *patient) note(err error) backend.Kind {
	if err == nil {
		p.failing.Store(nil)
		return backend.KindOther
	}
	k := backend.KindOf(err)
	switch k {
	case backend.KindTransient, backend.KindUnreachable, backend.KindUnknown, backend.KindCredentials:
		why := reason(err)
		p.failing.Store(&why)
	case backend.KindCanceled:
	default:
		p.failing.Store(nil)
	}
	return k
}

func (p *patient) longest() time.Duration { return time.Duration(p.limit.Load()) }

func waitFor[T any](ctx context.Context, p *patient, do func() (T, error)) (T, error) {
	return waitForWith(ctx, p, false, do)
}

func waitForWith[T any](ctx context.Context, p *patient, harmless bool, do func() (T, error)) (T, error) {
	var value T
	err := p.waitWith(ctx, harmless, func() (err error) {
		value, err = do()
		return err
	})
	return value, err
}

// Head implements backend.Reader.
func (p *patient) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	return waitFor(ctx, p, func() (backend.Object, error) { return p.Store.Head(ctx, id, opt) })
}

// Get implements backend.Reader. A body that breaks later is not its business.
func (p *patient) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	return waitFor(ctx, p, func() (*backend.Body, error) { return p.Store.Get(ctx, id, opt) })
}

// List implements backend.Lister.
func (p *patient) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	return waitFor(ctx, p, func() (backend.Page, error) { return p.Store.List(ctx, in) })
}

// Tags implements backend.Tagger.
func (p *patient) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	return waitFor(ctx, p, func() (map[string]string, error) { return p.Store.Tags(ctx, id, version) })
}

// PutTags implements backend.Tagger.
func (p *patient) PutTags(ctx context.Context, id backend.ObjectID, version string, tags map[string]string) error {
	return p.again(ctx, func() error { return p.Store.PutTags(ctx, id, version, tags) })
}

// Put implements backend.Writer.
func (p *patient) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	return waitForWith(ctx, p, in.Condition.IsZero(), func() (backend.Object, error) {
		if _, err := in.Body.Seek(0, io.SeekStart); err != nil {
			return backend.Object{}, err
		}
		return p.Store.Put(ctx, in)
	})
}

// Copy implements backend.Writer. The repeat of a copy onto itself would miss the source that the first one replaced.
func (p *patient) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	itself := in.Source.Bucket == in.Bucket && in.Source.Key == in.Key
	return waitForWith(ctx, p, in.Condition.IsZero() && !itself, func() (backend.Object, error) { return p.Store.Copy(ctx, in) })
}

// Delete implements backend.Writer.
func (p *patient) Delete(ctx context.Context, in backend.DeleteInput) error {
	return p.waitWith(ctx, in.IfMatch == "", func() error { return p.Store.Delete(ctx, in) })
}

// DeleteMany implements backend.Writer.
func (p *patient) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	return waitForWith(ctx, p, true, func() ([]backend.DeleteResult, error) { return p.Store.DeleteMany(ctx, bucket, keys) })
}

// ListBuckets implements backend.Buckets.
func (p *patient) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	return waitFor(ctx, p, func() ([]backend.Bucket, error) { return p.Store.ListBuckets(ctx, prefix) })
}

// HeadBucket implements backend.Buckets.
func (p *patient) HeadBucket(ctx context.Context, bucket string) error {
	return p.wait(ctx, func() error { return p.Store.HeadBucket(ctx, bucket) })
}

// CreateBucket implements backend.Buckets.
func (p *patient) CreateBucket(ctx context.Context, bucket string) error {
	return p.wait(ctx, func() error { return p.Store.CreateBucket(ctx, bucket) })
}

// DeleteBucket implements backend.Buckets.
func (p *patient) DeleteBucket(ctx context.Context, bucket string) error {
	return p.wait(ctx, func() error { return p.Store.DeleteBucket(ctx, bucket) })
}
