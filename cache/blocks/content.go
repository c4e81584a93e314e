package blocks

import (
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks/disk"
)

// Source is one version of an object. ETag is always set: the bytes never change under it.
type Source struct {
	backend.Source
	Size int64 // bytes
	// CRC64NVME of the whole object (base64), if the caller knows it; then a reading from
	// start to end is verified. It does not take part in the identity.
	CRC64NVME string
}

// identity is what makes two sources the same bytes.
type identity struct {
	bucket, key, etag string
	size              int64
}

func (s Source) identity() identity { return identity{s.Bucket, s.Key, s.ETag, s.Size} }

func (id identity) hash() uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, s := range [...]string{id.bucket, "\x00", id.key, "\x00", id.etag} {
		_, _ = d.WriteString(s)
	}
	return d.Sum64() ^ uint64(id.size)*0x9e3779b97f4a7c15
}

// content is one version of an object: the index of its blocks in memory. It lives while
// a Reader is open, a fetch runs, or a block is in memory.
type content struct {
	cache *Cache
	hash  uint64 // of the identity at birth; seeds the policy's keys

	mu     sync.Mutex // after Cache.mu; before block.mu and the budget's
	src    Source     // changed by Move
	moved  int        // how often Move changed src
	blocks map[unit]*block
	users  int  // Readers, fetches and calls that hold the content
	lost   bool // no longer in Cache.contents: another version is current
	verify verifier
}

// source returns what the bytes are called now.
func (c *content) source() Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.src
}

// acquire returns the content of src, made when needed. The caller releases it.
func (c *Cache) acquire(src Source) *content {
	id := src.identity()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.contents[id]; ct != nil {
		ct.mu.Lock()
		ct.users++
		if ct.src.CRC64NVME == "" {
			ct.src.CRC64NVME = src.CRC64NVME
		}
		ct.mu.Unlock()
		return ct
	}
	ct := &content{cache: c, hash: id.hash(), src: src, blocks: map[unit]*block{}, users: 1}
	c.contents[id] = ct
	return ct
}

// peek returns the content of src if there is one, else nil. The caller releases it.
func (c *Cache) peek(src Source) *content {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.contents[src.identity()]
	if ct != nil {
		ct.mu.Lock()
		ct.users++
		ct.mu.Unlock()
	}
	return ct
}

// retain adds a user to a content that has one.
func (c *content) retain() {
	c.mu.Lock()
	c.users++
	c.mu.Unlock()
}

// release ends a use.
func (c *content) release() {
	c.mu.Lock()
	c.users--
	unused := c.users == 0
	idle := unused && len(c.blocks) == 0
	purge := unused && c.lost
	c.mu.Unlock()
	if purge {
		c.evictAll()
	} else if idle {
		c.cache.retire(c)
	}
}

// forget takes b out of the index, if it is there.
func (c *content) forget(b *block) {
	c.mu.Lock()
	if c.blocks[b.unit] == b {
		delete(c.blocks, b.unit)
	}
	idle := c.users == 0 && len(c.blocks) == 0
	c.mu.Unlock()
	if idle {
		c.cache.retire(c)
	}
}

// retire removes a content that nobody uses and that holds nothing.
func (c *Cache) retire(ct *content) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct.mu.Lock()
	defer ct.mu.Unlock()
	if ct.users == 0 && len(ct.blocks) == 0 {
		if id := ct.src.identity(); c.contents[id] == ct {
			delete(c.contents, id)
		}
	}
}

// evictAll makes the policy let go of every block of the content.
func (c *content) evictAll() {
	c.mu.Lock()
	var keys []uint64
	for _, b := range c.blocks {
		if b.kept.Load() {
			keys = append(keys, b.key)
		}
	}
	c.mu.Unlock()
	for _, k := range keys {
		c.cache.policy.remove(k)
	}
}

// newBlockLocked makes and indexes an empty block with two references: one of the fetch
// (or whoever fills it), one of the caller. Its bytes were taken from the budget. The
// caller holds c.mu.
func (c *content) newBlockLocked(u unit, f *fetch) *block {
	off, end := u.span(c.src.Size)
	b := &block{content: c, unit: u, off: off, buf: c.cache.buffers.get(end - off), fetch: f}
	b.key = c.policyKey(u)
	b.refs.Store(2)
	c.blocks[u] = b
	return b
}

// policyKey is the same for the same bytes also after the content was forgotten, so that
// the policy remembers how often they are used. Two blocks with the same key only push
// each other out.
func (c *content) policyKey(u unit) uint64 { return mix(c.hash + uint64(u)*0x9e3779b97f4a7c15) }

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// findLocked returns a referenced block that holds (or will hold) the byte at off, or nil.
func (c *content) findLocked(off int64) *block {
	if b := c.blocks[wholeAt(off)]; b != nil && b.ref() {
		return b
	}
	if b := c.blocks[pieceAt(off)]; b != nil && b.ref() {
		return b
	}
	return nil
}

// hasLocked is findLocked without the reference.
func (c *content) hasLocked(off int64) *block {
	if b := c.blocks[wholeAt(off)]; b != nil && b.refs.Load() > 0 {
		return b
	}
	if b := c.blocks[pieceAt(off)]; b != nil && b.refs.Load() > 0 {
		return b
	}
	return nil
}

// coversLocked reports whether [off, end) is in memory, filled, or on disk.
func (c *content) coversLocked(off, end int64, f *disk.File) bool {
	for pos := off; pos < end; {
		if b := c.hasLocked(pos); b != nil && b.full() {
			pos = b.off + b.size()
			continue
		}
		n := f.Present(pos, end)
		if n == 0 {
			return false
		}
		pos += n
	}
	return true
}
