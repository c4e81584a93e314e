package blocks

import (
	"math/bits"
	"sync"
	"unsafe"
)

// buffer is memory whose bytes were taken from the budget. The zero buffer is empty.
type buffer struct {
	data  []byte
	slot  int32 // in the arena; < 0: not there
	owner *buffers
}

const noSlot = -1

// Recycled sizes: powers of two from 1<<minClass to 1<<maxClass bytes.
const (
	minClass = 12
	maxClass = 19
)

// buffers hands out memory: whole blocks come from one arena outside of the Go heap, so
// that the collector neither counts nor grows with them; powers of two (pieces, reads from
// disk) are recycled; other sizes (short objects, tails) are allocated exactly.
type buffers struct {
	budget budget
	arena  arena

	recycled [maxClass + 1]sync.Pool // of *byte, the first of 1<<class

	mu   sync.Mutex // leaf
	free []int32    // slots of the arena, last freed on top (its pages are warm)
	// live counts buffers handed out; closing unmaps the arena when the last comes back.
	live   int64
	closed bool
}

func newBuffers(limit, pinLimit, reserve int64) (*buffers, error) {
	p := &buffers{budget: budget{limit: limit, pinLimit: pinLimit, reserve: reserve}}
	slots := limit / blockSize
	a, err := newArena(int(slots))
	if err != nil {
		return nil, err
	}
	p.arena = a
	p.free = make([]int32, slots)
	for i := range p.free {
		p.free[i] = int32(slots) - 1 - int32(i)
	}
	return p, nil
}

// get returns a buffer of n bytes, 0 < n <= blockSize, whose contents are undefined. The
// caller has taken n bytes from the budget; with whole blocks counted as bytes, a slot is
// always free then.
func (p *buffers) get(n int64) buffer {
	p.mu.Lock()
	p.live++
	if n == blockSize {
		last := len(p.free) - 1
		slot := p.free[last]
		p.free = p.free[:last]
		p.mu.Unlock()
		return buffer{p.arena.slot(slot), slot, p}
	}
	p.mu.Unlock()
	if k := class(n); k > 0 {
		if first, ok := p.recycled[k].Get().(*byte); ok {
			return buffer{unsafe.Slice(first, n), noSlot, p}
		}
	}
	return buffer{make([]byte, n), noSlot, p}
}

// class returns the k with n == 1<<k if buffers of that size are recycled, else 0.
func class(n int64) int {
	k := bits.TrailingZeros64(uint64(n))
	if k < minClass || k > maxClass || n != 1<<k {
		return 0
	}
	return k
}

// put takes a buffer back and returns its bytes to the budget.
func (p *buffers) put(b buffer) {
	n := int64(len(b.data))
	if k := class(n); k > 0 {
		p.recycled[k].Put(unsafe.SliceData(b.data))
	}
	p.mu.Lock()
	p.live--
	if b.slot >= 0 {
		p.free = append(p.free, b.slot)
	}
	unmap := p.closed && p.live == 0
	p.mu.Unlock()
	p.budget.release(n)
	if unmap {
		p.arena.unmap()
	}
}

// close unmaps the arena, now or when the last buffer comes back.
func (p *buffers) close() {
	p.mu.Lock()
	unmap := !p.closed && p.live == 0
	p.closed = true
	p.mu.Unlock()
	if unmap {
		p.arena.unmap()
	}
}
