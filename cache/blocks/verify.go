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
