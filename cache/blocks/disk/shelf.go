package disk

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// packedMax: objects up to this size share files when they are written in one piece.
	packedMax    = 4 * PieceSize
	shelfFolder  = "pk"
	minSegment   = 16 * packedMax
	maxShelved   = 512 << 10
	packedRecord = 16 + 8 + 4 + 8*(packedMax/PieceSize) + 8
)

// shelf keeps small objects, many in one file: making a file of its own costs more than the
// bytes of most of them. It is safe for concurrent use; its lock is taken after File.io.
type shelf struct {
	tier *Tier

	mu       sync.Mutex
	index    map[uint64]spot // by the first half of the object's name
	segments map[string]*segment
	active   *segment // the one that this process appends to; nil: none yet
	closed   bool
}

// spot is where the shelf has an object: a record of a segment, which holds all else.
type spot struct {
	segment *segment
	record  int32
}

// segment is one pair of files: NAME.pack.data has the objects' bytes one after the other,
// NAME.meta a record for each. Exactly one process, which holds the lock of the meta file,
// appends; others read what was there when they looked.
type segment struct {
	name    string // 32 hex digits
	seal    nonce  // of the records
	meta    *os.File
	data    *os.File
	records int32
	size    int64 // bytes of data
	used    time.Time
}

// packed is what a record says.
type packed struct {
	name [16]byte
	off  int64
	size int64
	sums [packedMax / PieceSize]uint64
}

func (p *packed) encode(seal nonce) []byte {
	b := append(make([]byte, 0, packedRecord), p.name[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.off))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.size))
	for _, s := range p.sums {
		b = binary.LittleEndian.AppendUint64(b, s)
	}
	return binary.LittleEndian.AppendUint64(b, sealOf(b, seal))
}

// decode returns false when b was damaged or belongs to another segment.
func (p *packed) decode(b []byte, seal nonce) bool {
	body := b[:packedRecord-8]
	if binary.LittleEndian.Uint64(b[packedRecord-8:]) != sealOf(body, seal) {
		return false
	}
	copy(p.name[:], b)
	p.off = int64(binary.LittleEndian.Uint64(b[16:]))
	p.size = int64(binary.LittleEndian.Uint32(b[24:]))
	for i := range p.sums {
		p.sums[i] = binary.LittleEndian.Uint64(b[28+8*i:])
	}
	return p.off >= 0 && p.size > 0 && p.size <= packedMax
}

func newShelf(t *Tier) *shelf {
	s := &shelf{tier: t, index: map[uint64]spot{}, segments: map[string]*segment{}}
	entries, _ := os.ReadDir(s.folder())
	for _, e := range entries {
		if name, ok := segmentOf(e.Name()); ok {
			s.openLocked(name) // nobody else knows s yet
		}
	}
	return s
}

func (s *shelf) folder() string              { return filepath.Join(s.tier.dir, shelfFolder) }
func (s *shelf) metaPath(name string) string { return filepath.Join(s.folder(), name+".meta") }
func (s *shelf) dataPath(name string) string { return filepath.Join(s.folder(), name+".pack.data") }
func spotKey(name [16]byte) uint64           { return binary.LittleEndian.Uint64(name[:]) }
func (s *shelf) limit() int64                { return max(s.tier.limit/64, minSegment) }
func (g *segment) read(p []byte, i int) error {
	_, err := g.meta.ReadAt(p, int64(i)*packedRecord)
	return err
}

// segmentOf returns the segment that a file name belongs to, if it is a meta file.
func segmentOf(file string) (name string, ok bool) {
	const digits = 32
	if len(file) != digits+len(".meta") || file[digits:] != ".meta" {
		return "", false
	}
	return file[:digits], true
}

// openLocked reads the records of a segment that is on disk.
func (s *shelf) openLocked(name string) {
	g := &segment{name: name}
	if raw, err := hex.DecodeString(name); err != nil || copy(g.seal[:], raw) != nonceSize {
		return
	}
	var err error
	if g.meta, err = openEither(s.metaPath(name), os.O_RDWR|os.O_APPEND); err != nil {
		return
	}
	if g.data, err = openEither(s.dataPath(name), os.O_RDWR); err != nil {
		_ = g.meta.Close()
		return
	}
	raw, err := io.ReadAll(g.meta)
	st, statErr := g.data.Stat()
	if err != nil || statErr != nil {
		g.close()
		return
	}
	g.size, g.used = st.Size(), st.ModTime()
	var p packed
	for ; len(raw) >= packedRecord; raw = raw[packedRecord:] {
		if p.decode(raw[:packedRecord], g.seal) && p.off+p.size <= g.size && len(s.index) < maxShelved {
			s.index[spotKey(p.name)] = spot{g, g.records}
		}
		g.records++
	}
	s.segments[name] = g
}

// openEither opens a file as asked, or for reading where nothing may be written.
func openEither(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(path)
	}
	return f, err
}

func (g *segment) close() {
	_ = g.meta.Close()
	_ = g.data.Close()
}

// find returns where an object is.
func (s *shelf) find(name [16]byte, size int64) (*segment, packed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.index[spotKey(name)]
	if !ok {
		return nil, packed{}, false
	}
	var raw [packedRecord]byte
	var p packed
	if at.segment.read(raw[:], int(at.record)) != nil || !p.decode(raw[:], at.segment.seal) || p.name != name || p.size != size {
		return nil, packed{}, false
	}
	if now := time.Now(); now.Sub(at.segment.used) > time.Minute {
		at.segment.used = now
		_ = os.Chtimes(s.dataPath(at.segment.name), now, now)
	}
	return at.segment, p, true
}

// add appends an object. The place that it returns is valid until the segment is dropped.
func (s *shelf) add(p packed, data []byte) (*segment, packed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.appendableLocked(int64(len(data)))
	if err != nil {
		return nil, p, err
	}
	p.off, p.size = g.size, int64(len(data))
	if _, err := g.data.WriteAt(data, p.off); err != nil {
		return nil, p, err
	}
	g.size += p.size
	return g, p, s.recordLocked(g, p)
}

// recordLocked appends a record to the active segment and indexes it. A record that was not written
// as a whole makes the segment one that is only read.
func (s *shelf) recordLocked(g *segment, p packed) error {
	if _, err := g.meta.Write(p.encode(g.seal)); err != nil {
		s.active = nil
		return err
	}
	s.index[spotKey(p.name)] = spot{g, g.records}
	g.records++
	return nil
}

// appendableLocked returns a segment with room for n bytes more.
func (s *shelf) appendableLocked(n int64) (*segment, error) {
	if s.closed {
		return nil, fs.ErrClosed
	}
	if g := s.active; g != nil {
		if g.size+n <= s.limit() && len(s.index) < maxShelved {
			return g, nil
		}
		s.active = nil
		_ = unix.Flock(int(g.meta.Fd()), unix.LOCK_UN)
	}
	if len(s.index) >= maxShelved {
		s.dropOldestLocked()
	}
	for _, g := range s.segments { // of an earlier run
		if g.size+n <= s.limit() && s.takeLocked(g) {
			return g, nil
		}
	}
	return s.createLocked()
}

// takeLocked makes a segment the one that this process appends to, if no other process does.
func (s *shelf) takeLocked(g *segment) bool {
	if unix.Flock(int(g.meta.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	st, err := g.meta.Stat()
	data, dataErr := g.data.Stat()
	// What another process has added since is not known here, and what one that was killed left may be torn.
	if err != nil || dataErr != nil || st.Size() != int64(g.records)*packedRecord || linksOf(st) == 0 {
		_ = unix.Flock(int(g.meta.Fd()), unix.LOCK_UN)
		return false
	}
	g.size = data.Size()
	s.active = g
	return true
}

func (s *shelf) createLocked() (*segment, error) {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	g := &segment{name: hex.EncodeToString(raw[:]), used: time.Now()}
	copy(g.seal[:], raw[:])
	if err := os.MkdirAll(s.folder(), 0o700); err != nil {
		return nil, err
	}
	var err error
	if g.data, err = os.OpenFile(s.dataPath(g.name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if g.meta, err = os.OpenFile(s.metaPath(g.name), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		_ = g.data.Close()
		_ = os.Remove(s.dataPath(g.name))
		return nil, err
	}
	if err := unix.Flock(int(g.meta.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		s.removeFiles(g)
		return nil, err
	}
	s.segments[g.name], s.active = g, g
	return g, nil
}

func (s *shelf) removeFiles(g *segment) {
	g.close()
	_ = os.Remove(s.metaPath(g.name))
	_ = os.Remove(s.dataPath(g.name))
}

// move gives an object another name, if it is in the segment that this process appends to; else it is
// known by neither.
func (s *shelf) move(from, to [16]byte, p packed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.index[spotKey(from)]
	delete(s.index, spotKey(from))
	if !ok || at.segment != s.active && (s.active != nil || s.closed || !s.takeLocked(at.segment)) {
		return
	}
	p.name = to
	_ = s.recordLocked(at.segment, p)
}

// forget makes an object unknown.
func (s *shelf) forget(name [16]byte) {
	s.mu.Lock()
	delete(s.index, spotKey(name))
	s.mu.Unlock()
}

// dropOldestLocked makes room in the index.
func (s *shelf) dropOldestLocked() {
	var oldest *segment
	for _, g := range s.segments {
		if oldest == nil || g.used.Before(oldest.used) {
			oldest = g
		}
	}
	if oldest != nil {
		s.dropLocked(oldest)
		s.removeFiles(oldest)
	}
}

// drop forgets a segment, whose files the caller removes. Who reads from it meets a closed file and
// takes the bytes elsewhere.
func (s *shelf) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.segments[name]; g != nil {
		s.dropLocked(g)
		g.close()
	}
}

func (s *shelf) dropLocked(g *segment) {
	delete(s.segments, g.name)
	if s.active == g {
		s.active = nil
	}
	for k, at := range s.index {
		if at.segment == g {
			delete(s.index, k)
		}
	}
}

// refresh takes up the segments that other processes have made, and drops those that they removed.
func (s *shelf) refresh(onDisk map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for name, g := range s.segments {
		if !onDisk[name] && linksGone(g.meta) {
			s.dropLocked(g)
			g.close()
		}
	}
	for name := range onDisk {
		if s.segments[name] == nil {
			s.openLocked(name)
		}
	}
}

// linksGone tells whether an open file has been removed.
func linksGone(f *os.File) bool {
	st, err := f.Stat()
	return err != nil || linksOf(st) == 0
}

func linksOf(info fs.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink)
}

// close ends all use.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.active = true, nil
	for _, g := range s.segments {
		g.close()
	}
}
