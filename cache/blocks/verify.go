package blocks

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/objmount/objmount/backend"
)

// runWhole downloads the whole object into its one block and shows it only when it
// matches its checksum. A mismatch is asked for once more.
func (f *fetch) runWhole(open *backend.Body) error {
	b := f.blocks[0]
	for try := 0; ; try++ {
		var first *backend.Object
		err := f.stream(open, func(body *backend.Body) error {
			if first == nil {
				first = &body.Object
			}
			return f.read(body, false)
		})
		if err != nil {
			return err
		}
		if err = f.content.cache.verifyWhole(*first, b.buf.data); err == nil {
			f.settle(b)
			return nil
		}
		f.content.cache.stats.corrupt.Add(1)
		if try > 0 {
			return err
		}
		open, f.filled = nil, 0
		f.got.Store(0)
	}
}

// verifyWhole compares data with what the answer says about the whole object: its
// CRC64NVME, else its ETag where that is an MD5.
func (c *Cache) verifyWhole(o backend.Object, data []byte) error {
	var ok bool
	var by string
	switch want, isMD5 := md5Of(o); {
	case o.CRC64NVME != "" && c.checksum != nil:
		h := c.checksum()
		_, _ = h.Write(data)
		ok, by = encodeCRC(h) == o.CRC64NVME, "CRC64NVME"
	case isMD5:
		ok, by = md5.Sum(data) == want, "MD5"
	default:
		return nil
	}
	if ok {
		return nil
	}
	return corrupt(o.Bucket, o.Key, by)
}

func corrupt(bucket, key, by string) error {
	return &backend.Error{
		Kind: backend.KindCorrupt, Op: "GetObject", Bucket: bucket, Key: key,
		Message: "the bytes received do not match the object's " + by,
	}
}

// md5Of returns the MD5 that the ETag is, for an object that was stored by one PUT and
// without a customer's key.
func md5Of(o backend.Object) (sum [md5.Size]byte, ok bool) {
	if len(o.ETag) != hex.EncodedLen(md5.Size) || (o.Encryption.Algorithm != "" && o.Encryption.Algorithm != "AES256") || o.Encryption.KMSKeyID != "" {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(o.ETag))
	return sum, err == nil
}

// encodeCRC is the form that S3 uses: base64 of the big-endian sum.
func encodeCRC(h hash.Hash64) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], h.Sum64())
	return base64.StdEncoding.EncodeToString(sum[:])
}

// verifier checks the whole object's CRC64NVME while a large object is downloaded from
// start to end: blocks are hashed in order as they get full, and the last bytes are
// withheld until the sum is right. A download with gaps is not verified. All fields
// belong to content.mu.
type verifier struct {
	hash  hash.Hash64 // nil: nothing is being verified
	next  int64       // [0, next) is hashed
	ready []*block    // full, beyond next; referenced
	last  *block      // full but not shown; referenced
	busy  bool        // somebody hashes, with mu unlocked
}

// withhold reports whether the verifier shows b later: it is the object's last block and
// all before it is on its way. b is full, and the caller holds a reference.
func (c *content) withhold(b *block) bool {
	if c.cache.checksum == nil || b.size() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &c.verify
	if v.hash == nil || v.last != nil || c.src.Size <= blockSize || b.off+b.size() != c.src.Size || !b.ref() {
		return false
	}
	v.last = b
	return true
}

// settled tells the verifier that b is full or has failed. The caller holds a reference.
func (c *content) settled(b *block) {
	if c.cache.checksum == nil {
		return
	}
	c.mu.Lock()
	v := &c.verify
	done := b == v.last || b.full()
	if v.hash == nil && done && b.off == 0 && c.src.CRC64NVME != "" && c.src.Size > blockSize {
		v.hash, v.next = c.cache.checksum(), 0
	}
	if v.hash == nil {
		c.mu.Unlock()
		return
	}
	if done && b.off+b.size() > v.next && b.ref() {
		v.ready = append(v.ready, b)
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
	if show == nil {
		return
	}
	if err == nil {
		show.publish(show.size())
	} else {
		c.cache.stats.corrupt.Add(1)
		c.cache.expel(c)
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
	switch {
	case v.next == c.src.Size:
		if encodeCRC(v.hash) != c.src.CRC64NVME {
			err = corrupt(c.src.Bucket, c.src.Key, "CRC64NVME")
		}
	case c.comingLocked(v.next) && len(v.ready) < maxReady || len(v.ready) == 0 && v.last == nil:
		return drop, nil, nil // go on later
	}
	drop = append(drop, v.ready...)
	show = v.last
	*v = verifier{}
	return drop, show, err
}

// maxReady bounds the blocks that wait for a gap to be filled.
const maxReady = 256

// takeLocked returns a referenced full block that holds the byte at v.next, or nil.
func (v *verifier) takeLocked(c *content) *block {
	for i, b := range v.ready {
		if b.off <= v.next && v.next < b.off+b.size() {
			v.ready = append(v.ready[:i], v.ready[i+1:]...)
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
