package disk

import (
	"encoding/hex"
	"math/bits"
	"os"

	"github.com/cespare/xxhash/v2"
)

// shelfName is the object's name in bytes.
func (f *File) shelfName() (name [16]byte) {
	_, _ = hex.Decode(name[:], []byte(f.name)) // it was made by hex.EncodeToString
	return name
}

// shelveLocked stores a whole small object; the caller holds io and the File is absent.
func (f *File) shelveLocked(data []byte) bool {
	p := packed{name: f.shelfName()}
	for i := range piecesOf(f.size) {
		p.sums[i] = xxhash.Sum64(data[i*PieceSize : min((i+1)*PieceSize, f.size)])
	}
	t := f.tier
	g, p, err := t.shelf.add(p, data)
	if err != nil {
		t.failed(err)
		return false
	}
	f.takePacked(g, p, true)
	t.account(f.size + packedRecord)
	t.written.Add(f.size)
	return true
}

// takePacked makes the File the one that the shelf has; the caller holds io.
func (f *File) takePacked(g *segment, p packed, verified bool) {
	b := &block{have: uint32(1)<<f.pieces - 1}
	copy(b.sums[:], p.sums[:])
	if verified {
		b.verified = b.have
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data, f.base, f.shelved = g.data, p.off, true
	f.present = map[int64]*block{0: b}
	f.have, f.verified = f.pieces, int64(bits.OnesCount32(b.verified))
}

// dropPackedLocked forgets an object on the shelf, all of it; false: it is not there. The caller holds io.
func (f *File) dropPackedLocked(data *os.File) bool {
	f.mu.RLock()
	shelved, same := f.shelved, f.data == data
	f.mu.RUnlock()
	if !shelved {
		return false
	}
	if same {
		f.tier.shelf.forget(f.shelfName())
		f.forgetLocked()
	}
	return true
}

// movePackedLocked gives an object on the shelf another name; false: it is not there. The caller holds io.
func (f *File) movePackedLocked(to Key) bool {
	f.mu.RLock()
	p := packed{off: f.base, size: f.size}
	shelved := f.shelved
	if b := f.present[0]; shelved && b != nil {
		copy(p.sums[:], b.sums[:])
	}
	f.mu.RUnlock()
	if !shelved {
		return false
	}
	next := File{name: to.name()}
	f.tier.shelf.move(f.shelfName(), next.shelfName(), p)
	return true
}
