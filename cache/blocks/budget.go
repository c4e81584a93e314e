package blocks

import (
	"context"
	"sync"
)

// budget counts the bytes of all buffers. Nothing is allocated before its bytes are
// taken here, so the sum of all buffers never exceeds limit.
//
// Two kinds of users:
//   - demand: a READ that somebody waits for. It takes everything it needs at once and
//     holds nothing while it waits, first come, first served.
//   - pinned: read-ahead and other bytes kept on the guess that they are read soon. They
//     take only what is free, never more than pinLimit together, and never the last
//     reserve bytes.
//
// Why a reader always gets its turn: what stays without a time limit is what the policy
// keeps (at most its MaxCost) and what is pinned (at most pinLimit); the rest belongs to
// READs that run and end. limit - MaxCost - pinLimit >= reserve >= the largest demand.
type budget struct {
	limit    int64 // bytes; immutable
	pinLimit int64 // bytes; immutable
	reserve  int64 // bytes; immutable

	mu     sync.Mutex // leaf
	used   int64
	peak   int64
	pinned int64
	queue  []*claim // waiting demands, oldest first
}

// claim is a demand that waits. granted is closed when its bytes are taken.
type claim struct {
	n       int64
	granted chan struct{}
}

// tryDemand takes n bytes if that needs no waiting.
func (b *budget) tryDemand(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used+n > b.limit {
		return false
	}
	b.takeLocked(n)
	return true
}

// demand takes n bytes, 0 <= n <= reserve, or returns ctx's error. The caller holds no buffer.
func (b *budget) demand(ctx context.Context, n int64) error {
	b.mu.Lock()
	if len(b.queue) == 0 && b.used+n <= b.limit {
		b.takeLocked(n)
		b.mu.Unlock()
		return nil
	}
	c := &claim{n: n, granted: make(chan struct{})}
	b.queue = append(b.queue, c)
	b.mu.Unlock()
	select {
	case <-c.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == c {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.grantLocked() // c may have been the large one in front of small ones
			return ctx.Err()
		}
	}
	// Granted in the meantime: give it back.
	b.used -= n
	b.grantLocked()
	return ctx.Err()
}

// tryPinned takes n bytes for pinned buffers out of what is free.
func (b *budget) tryPinned(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used+n > b.limit-b.reserve || b.pinned+n > b.pinLimit {
		return false
	}
	b.takeLocked(n)
	b.pinned += n
	return true
}

// tryFree takes n bytes out of what is free, for the policy to keep.
func (b *budget) tryFree(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used+n > b.limit-b.reserve {
		return false
	}
	b.takeLocked(n)
	return true
}

// tryPin counts n bytes, taken before, as pinned.
func (b *budget) tryPin(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pinned+n > b.pinLimit {
		return false
	}
	b.pinned += n
	return true
}

// unpin counts n pinned bytes as ordinary ones.
func (b *budget) unpin(n int64) {
	b.mu.Lock()
	b.pinned -= n
	b.mu.Unlock()
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	b.mu.Lock()
	b.used -= n
	if len(b.queue) > 0 {
		b.grantLocked()
	}
	b.mu.Unlock()
}

func (b *budget) takeLocked(n int64) {
	b.used += n
	b.peak = max(b.peak, b.used)
}

func (b *budget) grantLocked() {
	for len(b.queue) > 0 && b.used+b.queue[0].n <= b.limit {
		c := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		b.takeLocked(c.n)
		close(c.granted)
	}
}

// usage returns the bytes taken, the most ever taken, and the pinned ones.
func (b *budget) usage() (used, peak, pinned int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.peak, b.pinned
}
