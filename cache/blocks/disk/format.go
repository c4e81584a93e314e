package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/cespare/xxhash/v2"
)

const (
	// PieceSize is the unit of presence and of checksums, in bytes.
	PieceSize   = 32 << 10
	blockPieces = 32 // pieces that one record describes: 1 MiB
	blockBytes  = blockPieces * PieceSize

	magic      = "objmount block 1\n"
	recordSize = 4 + 4 + 8 + 8*blockPieces + 8
	maxString  = 64 << 10
	flagDrop   = 1 // the pieces of the record are not present any more
)

// nonceSize is the length of the number that ties a meta file to its data file.
const nonceSize = 8

type nonce [nonceSize]byte

func piecesOf(size int64) int64 { return (size + PieceSize - 1) / PieceSize }

// encodeHeader: magic, nonce, size, three strings with their lengths, xxHash64 of it all.
func encodeHeader(k Key, n nonce) []byte {
	b := append([]byte(magic), n[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(k.Size))
	for _, s := range [...]string{k.Bucket, k.Key, k.ETag} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

var errHeader = errors.New("disk: bad header")

// decodeHeader checks that r begins with the header of k; it returns the nonce and the
// header's length.
func decodeHeader(r io.Reader, k Key) (n nonce, length int64, err error) {
	want := encodeHeader(k, n)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return n, 0, errHeader
	}
	copy(n[:], got[len(magic):])
	if !bytes.Equal(got, encodeHeader(k, n)) {
		return n, 0, errHeader
	}
	return n, int64(len(want)), nil
}

// record says that the pieces in mask of a block are present (or, with flagDrop, not any
// more), and what their hashes are.
type record struct {
	flags uint32
	mask  uint32
	block int64
	sums  [blockPieces]uint64
}

func (r *record) encode(n nonce) []byte {
	b := make([]byte, 0, recordSize)
	b = binary.LittleEndian.AppendUint32(b, r.flags)
	b = binary.LittleEndian.AppendUint32(b, r.mask)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.block))
	for _, s := range r.sums {
		b = binary.LittleEndian.AppendUint64(b, s)
	}
	return binary.LittleEndian.AppendUint64(b, sealOf(b, n))
}

// decode returns false when b was damaged or belongs to another file.
func (r *record) decode(b []byte, n nonce) bool {
	body := b[:recordSize-8]
	if binary.LittleEndian.Uint64(b[recordSize-8:]) != sealOf(body, n) {
		return false
	}
	r.flags = binary.LittleEndian.Uint32(body)
	r.mask = binary.LittleEndian.Uint32(body[4:])
	r.block = int64(binary.LittleEndian.Uint64(body[8:]))
	for i := range r.sums {
		r.sums[i] = binary.LittleEndian.Uint64(body[16+8*i:])
	}
	return true
}

func sealOf(body []byte, n nonce) uint64 {
	d := xxhash.NewWithSeed(binary.LittleEndian.Uint64(n[:]))
	_, _ = d.Write(body)
	return d.Sum64()
}
