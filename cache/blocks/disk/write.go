package disk

import (
	"errors"
	"io"
	"math/bits"
	"os"

	"github.com/cespare/xxhash/v2"
)

// Write stores p at off (a multiple of PieceSize; whole pieces up to the object's end).
// It reports whether the bytes are present now. What cannot be written is not an error:
// the tier degrades.
func (f *File) Write(off int64, p []byte) bool {
	t := f.tier
	end := off + int64(len(p))
	if f.Present(off, end) == end-off {
		return true
	}
	n := int64(len(p))
	fits := t.used.Load()+n <= t.allowed.Load()
	if !fits {
		t.full.Store(true)
	}
	if !fits || !t.writable() || f.tooLarge(n) {
		t.dropped.Add(n)
		return false
	}
	f.io.Lock()
	defer f.io.Unlock()
	if f.retired {
		return false
	}
	if f.isAbsent() && n == f.size && n <= packedMax {
		return f.shelveLocked(p)
	}
	if f.isAbsent() {
		if err := f.createLocked(); errors.Is(err, errCrowded) {
			t.dropped.Add(n)
			return false
		} else if err != nil {
			t.failed(err)
			return false
		}
	}
	if f.meta == nil { // loaded from a read-only folder
		return false
	}
	if _, err := f.data.WriteAt(p, off); err != nil {
		t.failed(err)
		return false
	}
	for pos := off; pos < end; {
		upTo := min((pos/blockBytes+1)*blockBytes, end)
		if err := f.recordLocked(pos, p[pos-off:upTo-off]); err != nil {
			t.failed(err)
			return false
		}
		pos = upTo
	}
	t.account(onDisk(n))
	t.written.Add(n)
	return true
}

// account counts bytes that were written.
func (t *Tier) account(n int64) {
	t.used.Add(n)
	t.fresh.Add(n)
}

// onDisk rounds to what a file system allocates.
func onDisk(n int64) int64 { return (n + 4095) &^ 4095 }

// tooLarge: one object takes at most half of the tier.
func (f *File) tooLarge(n int64) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.have*PieceSize+n > f.tier.limit/2
}

// recordLocked appends the record of p, which was written at pos within one block, and
// notes its pieces as present and verified.
func (f *File) recordLocked(pos int64, p []byte) error {
	r := record{block: pos / blockBytes}
	for i := pos % blockBytes / PieceSize; len(p) > 0; i++ {
		n := min(len(p), PieceSize)
		r.sums[i] = xxhash.Sum64(p[:n])
		r.mask |= 1 << i
		p = p[n:]
	}
	if _, err := f.meta.Write(r.encode(f.nonce)); err != nil {
		return err
	}
	f.tier.account(recordSize)
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.present[r.block]
	if b == nil {
		b = &block{}
		f.present[r.block] = b
	}
	f.have += int64(bits.OnesCount32(r.mask &^ b.have))
	f.verified += int64(bits.OnesCount32(r.mask &^ b.verified))
	b.have |= r.mask
	b.verified |= r.mask
	for m := r.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		b.sums[i] = r.sums[i]
	}
	return nil
}

// drop forgets the pieces [first, end) of data, also for the next start.
func (f *File) drop(data *os.File, first, end int64) {
	f.io.Lock()
	defer f.io.Unlock()
	if f.dropPackedLocked(data) {
		return
	}
	for i := first; i < end; i++ {
		m := uint32(1) << (i % blockPieces)
		f.mu.Lock()
		b := f.present[i/blockPieces]
		same := f.data == data && b != nil && b.have&m != 0
		if same {
			if b.verified&m != 0 {
				f.verified--
			}
			f.have--
			b.have &^= m
			b.verified &^= m
		}
		f.mu.Unlock()
		if same && f.meta != nil {
			r := record{flags: flagDrop, mask: m, block: i / blockPieces}
			_, _ = f.meta.Write(r.encode(f.nonce))
		}
	}
}

// Complete returns a read-only file of its own if every byte is present and was verified
// in this run. If all is present but not verified, it starts the verification. An object on the shelf has
// no such file.
func (f *File) Complete() (*os.File, bool) {
	if f == nil {
		return nil, false
	}
	f.mu.Lock()
	data, n := f.data, f.nonce
	whole := data != nil && !f.shelved && f.have == f.pieces && f.pieces > 0
	right := whole && f.verified == f.pieces
	check := whole && !right && !f.checking
	f.checking = f.checking || check
	f.mu.Unlock()
	if check {
		f.startCheck(data)
	}
	if !right {
		return nil, false
	}
	f.io.Lock()
	path := f.dataPath(n)
	f.io.Unlock()
	own, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	a, errA := own.Stat()
	b, errB := data.Stat()
	if errA != nil || errB != nil || !os.SameFile(a, b) || a.Size() != f.size {
		_ = own.Close()
		return nil, false
	}
	return own, true
}

// startCheck verifies the whole file in the background, unless two others are running.
func (f *File) startCheck(data *os.File) {
	t := f.tier
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := !t.closed
	if ok {
		select {
		case t.checking <- struct{}{}:
		default:
			ok = false
		}
	}
	if !ok {
		f.endCheck()
		return
	}
	f.refs++
	t.checks.Add(1)
	go func() {
		defer t.checks.Done()
		f.check(data)
		f.endCheck()
		<-t.checking
		f.Release()
	}()
}

func (f *File) endCheck() {
	f.mu.Lock()
	f.checking = false
	f.mu.Unlock()
}

// check reads every piece that is not verified.
func (f *File) check(data *os.File) {
	var buf [PieceSize]byte
	for i := int64(0); i < f.pieces && f.tier.ctx.Err() == nil; i++ {
		if _, todo := f.unverified(i); !todo {
			continue
		}
		p := buf[:min(PieceSize, f.size-i*PieceSize)]
		if _, err := data.ReadAt(p, i*PieceSize); err != nil && err != io.EOF {
			f.drop(data, i, i+1)
			return
		}
		if f.verify(data, 0, p, i*PieceSize) != nil {
			return
		}
	}
}
