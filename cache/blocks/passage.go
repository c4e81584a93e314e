package blocks

import (
	"hash"

	"github.com/objmount/objmount/backend"
)

// worthAsking: for objects from this size on, a HEAD asks for the CRC64NVME when nobody
// has told it; for smaller ones the request costs too much.
const worthAsking = 16 << 20

// verifier checks the CRC64NVME of a large object while it is read from start to end:
// blocks are hashed in order as they get full, and the last bytes are withheld until the
// sum is right. A passage with gaps is not verified. All fields belong to content.mu.
type verifier struct {
	hash  hash.Hash64 // nil: no passage is being verified
	next  int64       // [0, next) is hashed
	ready []*block    // full, beyond next; referenced
	bytes int64       // of ready
	last  *block      // full but not shown; referenced
	busy  bool        // somebody hashes, with mu unlocked
}

// Whether the store has a sum.
const (
	sumUnasked = iota
	sumAsked   // a HEAD is on its way
	sumTold    // src.CRC64NVME is all there is
)

// verifyLocked begins to verify a passage from the start of the object, if the object has
// a sum or may have one. It holds c.mu and returns whether to call ask.
func (c *content) verifyLocked() (ask bool) {
	if c.cache.checksum == nil || c.verify.hash != nil || c.src.Size <= blockSize {
		return false
	}
	if c.src.CRC64NVME == "" && c.sum == sumUnasked && c.src.Size >= worthAsking {
		c.sum, ask = sumAsked, true
	}
	if c.src.CRC64NVME != "" || c.sum == sumAsked {
		c.verify.hash = c.cache.checksum()
	}
	return ask
}

// ask gets the object's sum with a HEAD, in the background.
func (c *content) ask() {
	c.retain()
	c.cache.tasks.Add(1)
	go func() {
		defer c.cache.tasks.Done()
		defer c.release()
		src := c.source()
		var o backend.Object
		err := c.cache.enter(c.cache.ctx)
		if err == nil {
			o, err = c.cache.reader.Head(c.cache.ctx, src.id(), backend.GetOptions{IfMatch: src.ETag, VersionID: src.VersionID})
			c.cache.leave()
		}
		c.mu.Lock()
		c.sum = sumTold
		if err == nil && o.ETag == src.ETag && o.Size == src.Size && c.src.CRC64NVME == "" {
			c.src.CRC64NVME = o.CRC64NVME
		}
		c.mu.Unlock()
		c.settled(nil)
	}()
}

// withhold reports whether the verifier shows b later: it is the object's last block. b is
// full, and the caller holds a reference.
func (c *content) withhold(b *block) bool {
	if c.cache.checksum == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &c.verify
	if v.hash == nil || v.last != nil || b.off+b.size() != c.src.Size || !b.ref() {
		return false
	}
	v.last = b
	return true
}

// settled tells the verifier that b is full or has failed; with nil, that the sum may be
// known now. The caller holds a reference.
func (c *content) settled(b *block) {
	if c.cache.checksum == nil {
		return
	}
	c.mu.Lock()
	v := &c.verify
	if v.hash == nil {
		c.mu.Unlock()
		return
	}
	if b != nil && (b == v.last || b.full()) && b.off+b.size() > v.next && b.ref() {
		v.ready = append(v.ready, b)
		v.bytes += b.size()
	}
	if v.busy {
		c.mu.Unlock()
		return
	}
	drop, show, err := c.hashLocked()
	c.mu.Unlock()
	for _, b := range drop {
		b.unref()
	}
	if err != nil {
		c.cache.expel(c)
		c.evictAll(true)
	}
	if show == nil {
		return
	}
	if err == nil {
		show.publish(show.size())
	} else {
		c.forget(show)
		show.fail(err)
	}
	show.unref()
}

// hashLocked hashes what is ready in order. It returns the blocks to let go of, and the
// last block if it is to be shown now (or, with err, to be failed).
func (c *content) hashLocked() (drop []*block, show *block, err error) {
	v := &c.verify
	v.busy = true
	for v.next < c.src.Size {
		b := v.takeLocked(c)
		if b == nil {
			break
		}
		data := b.buf.data[v.next-b.off:]
		h := v.hash
		c.mu.Unlock()
		_, _ = h.Write(data)
		c.mu.Lock()
		v.next += int64(len(data))
		drop = append(drop, b)
	}
	v.busy = false
	unknown := c.src.CRC64NVME == ""
	switch {
	case unknown && c.sum == sumTold: // there is nothing to compare with
	case v.next == c.src.Size && unknown:
		return drop, nil, nil // the HEAD will answer
	case v.next == c.src.Size:
		if encodeCRC(v.hash) != c.src.CRC64NVME {
			err = corrupt(c.src.Bucket, c.src.Key, "CRC64NVME")
		}
	case c.comingLocked(v.next) && v.bytes <= c.cache.maxWindow || len(v.ready) == 0 && v.last == nil:
		return drop, nil, nil // go on later
	}
	if err != nil {
		c.bad = err
		c.cache.stats.corrupt.Add(1)
	}
	drop = append(drop, v.ready...)
	show = v.last
	*v = verifier{}
	return drop, show, err
}

// takeLocked returns a referenced full block that holds the byte at v.next, or nil.
func (v *verifier) takeLocked(c *content) *block {
	for i, b := range v.ready {
		if b.off <= v.next && v.next < b.off+b.size() {
			v.ready = append(v.ready[:i], v.ready[i+1:]...)
			v.bytes -= b.size()
			return b
		}
	}
	if b := c.hasLocked(v.next); b != nil && b.full() && b.ref() {
		return b
	}
	return nil
}

// comingLocked reports whether the byte at off is being downloaded.
func (c *content) comingLocked(off int64) bool {
	b := c.hasLocked(off)
	return b != nil && b.fetch != nil && !b.full()
}
