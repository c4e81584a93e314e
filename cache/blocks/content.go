package blocks

import (
	"slices"
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
	// Told: the store was asked, and CRC64NVME is all it has. Else a HEAD may ask for it.
	Told bool
}

// same reports whether s and o are the same bytes under the same name. It reads no more of s than that: the rest of
// a content's source changes under content.mu alone.
func (s *Source) same(o Source) bool {
	return s.ETag == o.ETag && s.Size == o.Size && s.Key == o.Key && s.Bucket == o.Bucket
}

func (s Source) id() backend.ObjectID { return backend.ObjectID{Bucket: s.Bucket, Key: s.Key} }

func (s Source) diskKey() disk.Key {
	return disk.Key{Bucket: s.Bucket, Key: s.Key, ETag: s.ETag, Size: s.Size}
}

// hash depends on what same compares.
func (s Source) hash() uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, part := range [...]string{s.Bucket, "\x00", s.Key, "\x00", s.ETag} {
		_, _ = d.WriteString(part)
	}
	return d.Sum64() ^ uint64(s.Size)*0x9e3779b97f4a7c15
}

// table finds contents by name; a name has one, rarely two, versions. It belongs to Cache.mu.
type table map[backend.ObjectID][]*content

func (t table) find(src Source) *content {
	for _, ct := range t[src.id()] {
		if ct.src.same(src) { // src changes under Cache.mu and content.mu
			return ct
		}
	}
	return nil
}

func (t table) add(ct *content, src Source) { t[src.id()] = append(t[src.id()], ct) }

// remove takes ct out, if it is there under src's name.
func (t table) remove(ct *content, src Source) {
	id := src.id()
	switch rest := slices.DeleteFunc(t[id], func(o *content) bool { return o == ct }); len(rest) {
	case 0:
		delete(t, id)
	default:
		t[id] = rest
	}
}

// content is one version of an object: the index of its blocks in memory. It lives while
// a Reader is open, a fetch runs, or a block is in memory.
type content struct {
	cache *Cache
	hash  uint64 // of the identity at birth; seeds the policy's keys

	mu     sync.Mutex // after Cache.mu; before block.mu and the budget's
	src    Source     // changed by Move, which holds Cache.mu too (CRC64NVME and VersionID: mu alone)
	moved  int        // how often Move changed src
	blocks map[unit]*block
	users  int  // Readers, fetches and calls that hold the content
	lost   bool // no longer in Cache.contents: another version is current
	verify verifier
	sum    int   // whether the store was asked for src.CRC64NVME
	bad    error // a passage was wrong: the Readers that there are by then get nothing more
}

// source returns what the bytes are called now.
func (c *content) source() Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.src
}

// acquire returns the content of src, made when needed. The caller releases it.
func (c *Cache) acquire(src Source) *content {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.contents.find(src); ct != nil {
		ct.mu.Lock()
		ct.users++
		if ct.src.CRC64NVME == "" {
			ct.src.CRC64NVME = src.CRC64NVME
		}
		if src.Told && ct.sum == sumUnasked {
			ct.sum = sumTold
		}
		ct.nameLocked(src.VersionID)
		ct.mu.Unlock()
		return ct
	}
	if _, refused := c.nameless.Load(src.Bucket); refused {
		src.VersionID = ""
	}
	ct := &content{cache: c, hash: src.hash(), src: src, blocks: map[unit]*block{}, users: 1}
	if src.Told {
		ct.sum = sumTold
	}
	c.contents.add(ct, src)
	return ct
}

// nameLocked notes the version id that an answer told last: by it the bytes can be had when another version is current.
// The same bytes may have been stored again, so it may change. The caller holds c.mu.
func (c *content) nameLocked(id string) {
	if _, refused := c.cache.nameless.Load(c.src.Bucket); id != "" && !refused {
		c.src.VersionID = id
	}
}

// without drops a version id by which the bytes could not be had, if they may be had without it: reading by version is
// a permission of its own, and the version may have been removed while the same bytes are current under another. If-Match
// says the same as long as the version is current.
func (c *content) without(id string, err error) bool {
	switch {
	case backend.IsKind(err, backend.KindPermission):
		c.cache.nameless.Store(c.source().Bucket, struct{}{})
	case !backend.IsKind(err, backend.KindNotExist):
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.src.VersionID == id {
		c.src.VersionID = ""
	}
	return true
}

// peek returns the content of src if there is one, else nil. The caller releases it.
func (c *Cache) peek(src Source) *content {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.contents.find(src)
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
		c.evictAll(false)
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
		c.contents.remove(ct, ct.src)
	}
}

// evictAll makes the policy let go of every block of the content. With unlearn, full
// blocks also leave the index at once: their bytes are wrong.
func (c *content) evictAll(unlearn bool) {
	c.mu.Lock()
	var keys []uint64
	for u, b := range c.blocks {
		if b.kept.Load() {
			keys = append(keys, b.key)
		}
		if unlearn && b.full() {
			delete(c.blocks, u)
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
	b.saved.Store(c.cache.tier == nil)
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
