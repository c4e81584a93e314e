package blocks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/objmount/objmount/backend"
)

const (
	blockShift = 20
	blockSize  = 1 << blockShift // bytes of a whole block
	pieceShift = 15
	pieceSize  = 1 << pieceShift // bytes of a piece: the unit of random reads and of the disk tier
)

// unit names a block within its content: a whole block (index<<1) or a piece (index<<1|1).
// Both may exist for the same bytes.
type unit int64

func wholeAt(off int64) unit { return unit(off >> blockShift << 1) }
func pieceAt(off int64) unit { return unit(off>>pieceShift<<1 | 1) }

// span returns the bytes of the object that u covers in an object of the given size.
func (u unit) span(size int64) (off, end int64) {
	if u&1 == 0 {
		off = int64(u>>1) << blockShift
		return off, min(off+blockSize, size)
	}
	off = int64(u>>1) << pieceShift
	return off, min(off+pieceSize, size)
}

// block holds the bytes [off, off+len(buf)) of one object version. It is filled from its
// start to its end by one goroutine; a reader may use the filled part at once.
//
// References: everybody who may touch buf holds one (the fetch that fills it, the
// policy, a pin, a View). The last one gives buf back, and the block never comes to life
// again: ref fails at zero.
type block struct {
	content *content
	unit    unit
	off     int64
	key     uint64 // the policy's key
	buf     buffer
	fetch   *fetch // who fills it; nil when it was born full
	refs    atomic.Int32
	filled  atomic.Int64 // bytes from the start that are valid
	kept    atomic.Bool  // given to the policy
	parked  atomic.Bool  // in Cache.parking
	saved   atomic.Bool  // queued for the disk tier, or there is none

	mu      sync.Mutex // leaf
	err     error      // why it will never be full
	waiters []*waiter
}

// waiter is a reader that needs the first need bytes of a block. ch gets one value.
type waiter struct {
	need int64
	ch   chan struct{}
}

var waiterPool = sync.Pool{New: func() any { return &waiter{ch: make(chan struct{}, 1)} }}

func (b *block) size() int64 { return int64(len(b.buf.data)) }
func (b *block) full() bool  { return b.filled.Load() == b.size() }

// ref takes a reference, unless the last one is gone already.
func (b *block) ref() bool {
	for {
		n := b.refs.Load()
		if n <= 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unref gives a reference back. The caller holds no lock of this package.
func (b *block) unref() {
	if b.refs.Add(-1) == 0 {
		b.content.forget(b)
		if !b.saved.Load() && b.full() {
			b.content.cache.stats.unsaved.Add(b.size())
		}
		b.content.cache.buffers.put(b.buf)
	}
}

// publish says that the first n bytes are valid and wakes the readers that need no more.
func (b *block) publish(n int64) {
	b.filled.Store(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiters) == 0 {
		return
	}
	keep := b.waiters[:0]
	for _, w := range b.waiters {
		if w.need <= n {
			w.ch <- struct{}{}
		} else {
			keep = append(keep, w)
		}
	}
	clear(b.waiters[len(keep):])
	b.waiters = keep
}

// fail ends all waiting: no byte will come after those that are filled.
func (b *block) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	for _, w := range b.waiters {
		w.ch <- struct{}{}
	}
	b.waiters = nil
}

// errRetry: what was found is gone (a download that nobody waited for was given up, the
// disk tier dropped the bytes); look again.
var errRetry = errors.New("blocks: look again")

// wait returns when the first need bytes are valid. The caller holds a reference.
// A wait that ctx ends is a KindCanceled error; the download goes on.
func (b *block) wait(ctx context.Context, need int64) error {
	if b.filled.Load() >= need {
		return nil
	}
	if b.fetch != nil {
		if !b.fetch.retain() {
			return errRetry
		}
		defer b.fetch.release()
	}
	b.mu.Lock()
	if b.filled.Load() >= need || b.err != nil {
		defer b.mu.Unlock()
		return b.resultLocked(need)
	}
	w := waiterPool.Get().(*waiter)
	w.need = need
	b.waiters = append(b.waiters, w)
	b.mu.Unlock()
	select {
	case <-w.ch:
		waiterPool.Put(w)
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.resultLocked(need)
	case <-ctx.Done():
	}
	b.mu.Lock()
	for i, o := range b.waiters {
		if o == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			b.mu.Unlock()
			waiterPool.Put(w)
			return b.content.canceled(ctx)
		}
	}
	b.mu.Unlock()
	<-w.ch // it was woken in the same moment
	waiterPool.Put(w)
	return b.content.canceled(ctx)
}

func (b *block) resultLocked(need int64) error {
	if b.filled.Load() >= need {
		return nil
	}
	return b.err
}

// canceled is the error of a caller whose context ended.
func (c *content) canceled(ctx context.Context) error {
	src := c.source()
	return &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Bucket: src.Bucket, Key: src.Key, Err: ctx.Err()}
}
