package blocks

import (
	"sync"

	"github.com/dgraph-io/ristretto/v2"
)

// policy decides which read blocks stay. It is ristretto, used for that alone: the index
// is content.blocks, the limit is the budget. A block in it holds one reference.
//
// Ristretto's callbacks run on its only worker or in Set's caller, so no lock of this
// package is held while its methods are called.
type policy struct {
	size int64 // bytes that it keeps; immutable

	mu     sync.RWMutex // ristretto must not be used while it is being closed
	closed bool
	cache  *ristretto.Cache[uint64, *block]
}

func newPolicy(maxCost int64) (*policy, error) {
	r, err := ristretto.NewCache(&ristretto.Config[uint64, *block]{
		NumCounters:        max(1<<14, 10*maxCost/(16<<10)),
		MaxCost:            maxCost,
		BufferItems:        64,
		IgnoreInternalCost: true, // cost is bytes of buffers
		KeyToHash:          func(k uint64) (uint64, uint64) { return k, k },
		OnExit: func(b *block) {
			if b != nil { // ristretto reports removed keys that were not there
				b.unref()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return &policy{size: maxCost, cache: r}, nil
}

// keep offers a full block, once; the caller holds a reference.
func (p *policy) keep(b *block) {
	if b.kept.Load() || !b.kept.CompareAndSwap(false, true) || !b.ref() {
		return
	}
	p.mu.RLock()
	taken := !p.closed && p.cache.Set(b.key, b, b.size())
	p.mu.RUnlock()
	if !taken { // dropped without a callback
		b.unref()
	}
}

// touch counts a use of b.
func (p *policy) touch(b *block) {
	p.mu.RLock()
	if !p.closed {
		p.cache.Get(b.key)
	}
	p.mu.RUnlock()
}

// remove lets go of a key.
func (p *policy) remove(key uint64) {
	p.mu.RLock()
	if !p.closed {
		p.cache.Del(key)
	}
	p.mu.RUnlock()
}

// settle waits until all earlier keeps and removes are applied.
func (p *policy) settle() {
	p.mu.RLock()
	if !p.closed {
		p.cache.Wait()
	}
	p.mu.RUnlock()
}

// close releases every block.
func (p *policy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.cache.Close()
	}
}
