package blocks

import "io"

const (
	// Adopt keeps objects up to this size in memory, ...
	adoptMemory = 8 << 20
	// ... and on disk up to this part of the disk tier.
	adoptDiskShare = 8
)

// Adopt keeps the bytes of src, which the caller has just stored: small objects in
// memory, as far as memory is free, and those that fit well on the disk tier. r holds
// exactly src.Size bytes and is not used after Adopt has returned. It copies as fast as
// the disk takes it; callers that must not wait for that call it on a goroutine.
func (c *Cache) Adopt(src Source, r io.ReaderAt) {
	if src.Size == 0 || src.ETag == "" {
		return
	}
	memory := src.Size <= min(adoptMemory, c.buffers.budget.limit/16)
	onDisk := c.tier != nil && src.Size <= c.tier.Stats().Limit/adoptDiskShare
	if !memory && !onDisk {
		return
	}
	ct := c.acquire(src)
	defer ct.release()
	f := c.file(src)
	defer f.Release()
	for off := int64(0); off < src.Size; off += blockSize {
		n := min(blockSize, src.Size-off)
		if !c.buffers.budget.tryFree(n) {
			return // others need the memory more
		}
		buf := c.buffers.get(n)
		if got, err := r.ReadAt(buf.data, off); int64(got) < n {
			_ = err // the object is in the store; only the cache goes without it
			c.buffers.put(buf)
			return
		}
		if onDisk {
			onDisk = f.Write(off, buf.data)
		}
		if memory {
			ct.insert(wholeAt(off), buf)
		} else {
			c.buffers.put(buf)
		}
		if !memory && !onDisk {
			return
		}
	}
}

// insert makes a full block of buf and offers it to the policy. It takes over buf.
func (c *content) insert(u unit, buf buffer) {
	off, _ := u.span(c.source().Size)
	b := &block{content: c, unit: u, off: off, buf: buf}
	b.key = c.policyKey(u)
	b.refs.Store(1)
	b.filled.Store(b.size())
	b.saved.Store(true) // Adopt does that itself
	c.mu.Lock()
	old := c.blocks[u]
	mine := old == nil || old.refs.Load() == 0
	if mine {
		c.blocks[u] = b
	}
	c.mu.Unlock()
	if mine { // else the policy would drop the old one for b, which nobody finds
		c.cache.policy.keep(b)
	}
	b.unref()
}
