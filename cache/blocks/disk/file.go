package disk

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// File is what the tier has of one object version, perhaps nothing. The methods of a nil
// File do nothing and find nothing. It is safe for concurrent use.
type File struct {
	tier   *Tier
	size   int64 // of the object
	pieces int64
	refs   int // of Tier.mu
	open   sync.Once

	io   sync.Mutex // making, appending, moving, removing
	key  Key        // changed by Tier.Move, under Tier.mu and io; so is name
	name string
	meta *os.File  // append only; nil: absent or read-only
	used time.Time // mtime of the data file, roughly
	// retired: removed on purpose, nothing is written any more.
	retired bool

	mu       sync.RWMutex
	data     *os.File // nil: absent
	base     int64    // where in data the object begins; 0 unless it is on the shelf
	shelved  bool     // data is a file that the shelf owns
	nonce    nonce
	present  map[int64]*block // by index
	have     int64            // pieces present
	verified int64            // of those, pieces whose bytes are known to be right
	checking bool
}

// block is what is known of 1 MiB.
type block struct {
	have, verified uint32
	sums           [blockPieces]uint64
}

func (f *File) metaPath() string { return filepath.Join(f.tier.folder(f.name), f.name+".meta") }

func (f *File) dataPath(n nonce) string {
	return filepath.Join(f.tier.folder(f.name), f.name+"."+hex.EncodeToString(n[:])+".data")
}

func (f *File) isAbsent() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.data == nil
}

// close closes the files; the File is absent then.
func (f *File) close() {
	f.io.Lock()
	f.forgetLocked()
	f.io.Unlock()
}

// forgetLocked makes the File absent; the caller holds io.
func (f *File) forgetLocked() {
	f.mu.Lock()
	data, shelved := f.data, f.shelved
	f.data, f.present, f.have, f.verified = nil, nil, 0, 0
	f.base, f.shelved = 0, false
	f.mu.Unlock()
	if data != nil && !shelved {
		f.tier.pairs.Add(-1)
		_ = data.Close()
	}
	if f.meta != nil {
		_ = f.meta.Close()
		f.meta = nil
	}
}

// load opens what is on disk.
func (f *File) load() {
	f.io.Lock()
	defer f.io.Unlock()
	f.loadLocked()
}

// loadLocked looks on the shelf, then reads the meta file and opens the data file; anything wrong means absent.
func (f *File) loadLocked() {
	if f.size <= packedMax {
		if g, p, ok := f.tier.shelf.find(f.shelfName(), f.size); ok {
			f.takePacked(g, p, false)
			return
		}
	}
	if f.tier.crowded() {
		return
	}
	meta, err := os.OpenFile(f.metaPath(), os.O_RDWR|os.O_APPEND, 0)
	writable := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		meta, err = os.Open(f.metaPath())
	}
	if err != nil {
		return
	}
	in := bufio.NewReaderSize(meta, 16<<10)
	n, length, err := decodeHeader(in, f.key)
	if err != nil {
		_ = meta.Close()
		_ = os.Remove(f.metaPath()) // whose data file is unknown: the next scan removes it
		return
	}
	data, err := os.OpenFile(f.dataPath(n), os.O_RDWR, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		data, err = os.Open(f.dataPath(n))
	}
	var st fs.FileInfo
	if err == nil {
		if st, err = data.Stat(); err == nil && st.Size() != f.size {
			err = errHeader
		}
	}
	if err != nil {
		if data != nil {
			_ = data.Close()
		}
		_ = meta.Close()
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
			_ = os.Remove(f.metaPath())
		}
		return
	}
	present, have := f.readRecords(in, n)
	if end, err := meta.Seek(0, io.SeekEnd); err == nil && writable {
		if torn := (end - length) % recordSize; torn != 0 {
			_ = meta.Truncate(end - torn) // a writer was killed in the middle
		}
	}
	f.meta = meta
	if !writable {
		f.meta = nil
		_ = meta.Close()
	}
	f.used = st.ModTime()
	f.tier.pairs.Add(1)
	f.mu.Lock()
	f.data, f.nonce, f.present, f.have, f.verified = data, n, present, have, 0
	f.mu.Unlock()
	f.touchLocked()
}

// readRecords replays the records; damaged ones are passed over.
func (f *File) readRecords(in io.Reader, n nonce) (present map[int64]*block, have int64) {
	present = map[int64]*block{}
	var raw [recordSize]byte
	var r record
	for {
		if _, err := io.ReadFull(in, raw[:]); err != nil {
			break
		}
		if !r.decode(raw[:], n) || r.block < 0 || r.block*blockPieces >= f.pieces {
			continue
		}
		b := present[r.block]
		if b == nil {
			b = &block{}
			present[r.block] = b
		}
		b.have &^= r.mask
		if r.flags&flagDrop == 0 {
			b.have |= r.mask
			for m := r.mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m)
				b.sums[i] = r.sums[i]
			}
		}
	}
	for _, b := range present {
		have += int64(bits.OnesCount32(b.have))
	}
	return present, have
}

// createLocked makes the pair of files; the caller holds io.
func (f *File) createLocked() error {
	if f.tier.crowded() {
		return errCrowded
	}
	var n nonce
	_, _ = rand.Read(n[:])
	if err := os.MkdirAll(f.tier.folder(f.name), 0o700); err != nil {
		return err
	}
	data, err := os.OpenFile(f.dataPath(n), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err = data.Truncate(f.size); err == nil {
		err = f.publishLocked(encodeHeader(f.key, n), n)
	}
	if err != nil {
		_ = data.Close()
		_ = os.Remove(f.dataPath(n))
		if errors.Is(err, fs.ErrExist) { // another process was first
			if f.loadLocked(); !f.isAbsent() {
				return nil
			}
		}
		return err
	}
	f.used = time.Now()
	f.tier.account(onDisk(1))
	f.tier.pairs.Add(1)
	f.mu.Lock()
	f.data, f.nonce, f.present, f.have, f.verified = data, n, map[int64]*block{}, 0, 0
	f.mu.Unlock()
	return nil
}

// publishLocked puts a meta file with the given content in place, unless there is one
// (fs.ErrExist), and opens it for appending.
func (f *File) publishLocked(content []byte, n nonce) error {
	tmp := filepath.Join(f.tier.folder(f.name), f.name+"."+hex.EncodeToString(n[:])+".tmp")
	meta, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err = meta.Write(content); err == nil {
		err = os.Link(tmp, f.metaPath())
	}
	_ = os.Remove(tmp)
	if err != nil {
		_ = meta.Close()
		return err
	}
	f.meta = meta
	return nil
}

// Present returns how many bytes from pos on, up to end, are present without a gap.
func (f *File) Present(pos, end int64) int64 {
	if f == nil || pos >= end {
		return 0
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.have == 0 {
		return 0
	}
	p := pos
	for p < end {
		b := f.present[p/blockBytes]
		if b == nil {
			break
		}
		// Bits of the pieces from p on, then the first absent one.
		first := int(p % blockBytes / PieceSize)
		run := bits.TrailingZeros32(^(b.have >> first))
		if run == 0 {
			break
		}
		p = (p/PieceSize + int64(min(run, blockPieces-first))) * PieceSize
		if first+run < blockPieces {
			break
		}
	}
	return max(0, min(p, end)-pos)
}

// errAbsent: the bytes are not here any more.
var errAbsent = errors.New("disk: not present")

// ReadAt fills p with the bytes at off, which Present reported. On an error they are not
// present any more (removed, or not what was written) and must be had elsewhere.
func (f *File) ReadAt(p []byte, off int64) error {
	if f == nil {
		return errAbsent
	}
	end := off + int64(len(p))
	f.mu.RLock()
	data, base := f.data, f.base
	f.mu.RUnlock()
	if data == nil || f.Present(off, end) < end-off {
		return errAbsent
	}
	if _, err := data.ReadAt(p, base+off); err != nil {
		f.drop(data, off/PieceSize, piecesOf(end))
		return errAbsent
	}
	if err := f.verify(data, base, p, off); err != nil {
		return err
	}
	if f.io.TryLock() {
		f.touchLocked()
		f.io.Unlock()
	}
	return nil
}

// touchLocked keeps the time of last use, roughly.
func (f *File) touchLocked() {
	if now := time.Now(); now.Sub(f.used) > time.Minute && f.meta != nil {
		f.used = now
		f.mu.RLock()
		n := f.nonce
		f.mu.RUnlock()
		_ = os.Chtimes(f.dataPath(n), now, now)
	}
}

var scratch = sync.Pool{New: func() any { return new([PieceSize]byte) }}

// verify compares the pieces of p = [off, ...) that are not yet known to be right with
// their hashes. The object begins at base in data.
func (f *File) verify(data *os.File, base int64, p []byte, off int64) error {
	end := off + int64(len(p))
	for i := off / PieceSize; i*PieceSize < end; i++ {
		want, todo := f.unverified(i)
		if !todo {
			continue
		}
		lo, hi := i*PieceSize, min((i+1)*PieceSize, f.size)
		var sum uint64
		if lo >= off && hi <= end {
			sum = xxhash.Sum64(p[lo-off : hi-off])
		} else {
			buf := scratch.Get().(*[PieceSize]byte)
			_, err := data.ReadAt(buf[:hi-lo], base+lo)
			sum = xxhash.Sum64(buf[:hi-lo])
			if err != nil {
				sum = ^want
			}
			scratch.Put(buf)
		}
		if sum != want {
			f.tier.damaged()
			f.drop(data, i, i+1)
			return errAbsent
		}
		f.setVerified(data, i)
	}
	return nil
}

// unverified returns the hash of piece i if its bytes are still to be compared with it.
func (f *File) unverified(i int64) (want uint64, todo bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	b, bit := f.present[i/blockPieces], i%blockPieces
	if b == nil || (b.have&^b.verified)>>bit&1 == 0 {
		return 0, false
	}
	return b.sums[bit], true
}

func (f *File) setVerified(data *os.File, i int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, m := f.present[i/blockPieces], uint32(1)<<(i%blockPieces); f.data == data && b != nil && (b.have&^b.verified)&m != 0 {
		b.verified |= m
		f.verified++
	}
}
