package blocks

import "time"

const (
	maxStreams = 4       // per Reader
	maxPart    = 8 << 20 // bytes of one read-ahead GET
	minPart    = 1 << 20
	maxWindow  = 16 * maxPart
	// A stream counts as sequential from this many bytes on.
	minSequential = 64 << 10
	// A Reader that was idle this long may lose what it read ahead to another one.
	idleReader = 2 * time.Second
)

// stream is one place of a file where reads advance. The kernel sends the READs of one
// sequential reader in parallel and out of order, so a stream is a stretch of the file
// in which most bytes were asked for, not an exact next offset. Fields belong to
// Reader.mu.
type stream struct {
	start, hi int64 // the reads seen lie in [start, hi)
	bytes     int64 // their sum
	steps     int   // reads that moved hi
	head      int64 // up to here everything is read ahead
	window    int64 // bytes to be read ahead of hi; 0: not sequential
	verifying bool  // a passage from the object's start was begun
	grown     int64 // hi when window grew last
	pins      []pin
}

// pin keeps a block until left bytes of it were read.
type pin struct {
	block *block
	left  int64
}

// observe finds or makes the stream of a read and updates it.
func (r *Reader) observe(off, end int64, first bool) *stream {
	r.used = time.Now()
	n := end - off
	gap := min(max(16*n, 128<<10), 16<<20)
	var s *stream
	for i, c := range r.streams {
		if off <= max(c.hi+gap, c.head) && end >= c.hi-gap {
			s = c
			copy(r.streams[1:i+1], r.streams[:i])
			r.streams[0] = s
			break
		}
	}
	if s == nil {
		s = &stream{start: off, hi: off}
		if len(r.streams) == maxStreams {
			old := r.streams[maxStreams-1]
			r.dropPins(old, r.size)
			r.streams = r.streams[:maxStreams-1]
		}
		r.streams = append(r.streams, nil)
		copy(r.streams[1:], r.streams)
		r.streams[0] = s
	}
	if !first {
		return s
	}
	if end > s.hi {
		s.hi = end
		s.steps++
	}
	s.start = min(s.start, off)
	s.bytes += n
	if s.hi-s.start > 64<<20 { // the past fades
		s.start += (s.hi - s.start) / 2
		s.bytes /= 2
	}
	dense := s.bytes >= (s.hi-s.start)/2
	switch {
	case !dense:
		s.window = 0
	case s.window == 0 && s.steps > 1 && s.hi-s.start >= minSequential:
		s.window = min(16*s.bytes, 4<<20, r.cache.maxWindow)
		s.grown, s.head = s.hi, min(s.head, s.hi)
	}
	if s.window > 0 {
		if s.window < 2*r.cache.maxPart && s.hi-s.grown >= s.window/2 {
			s.window *= 2 // it does read on: fewer, larger requests
			s.grown = s.hi
		}
		r.dropPins(s, s.hi-min(max(32*n, 2<<20), 32<<20))
	}
	return s
}

// grow doubles the window: the reader waited for bytes although it read ahead, and has
// come a good part of the window further since the last time.
func (s *stream) grow() {
	if s.window > 0 && s.hi-s.grown >= s.window/4 {
		s.window *= 2
		s.grown = s.hi
	}
}

// ahead returns the whole block that begins at pos and its size, if the stream will read
// all of it; else 0.
func (r *Reader) ahead(s *stream, pos int64) (unit, int64) {
	u := wholeAt(pos)
	off, end := u.span(r.size)
	if off != pos || s.window == 0 || end > s.hi+s.window {
		return 0, 0
	}
	return u, end - off
}

// aheadLocked starts read-ahead for a sequential stream after a read that ended at end,
// and reports whether memory was missing for it. It holds r.mu and content.mu.
func (r *Reader) aheadLocked(s *stream, v *View, end int64) (starved bool) {
	if s.window == 0 {
		return false
	}
	if s.start == 0 && !s.verifying {
		s.verifying = true
		v.ask = r.content.verifyLocked()
	}
	s.window = min(s.window, r.cache.maxWindow)
	part := int64(minPart)
	for part*2 <= min(s.window/2, r.cache.maxPart) { // at least two in flight
		part *= 2
	}
	target := min(s.hi+s.window, r.size)
	s.head = max(s.head, end)
	for s.head < target {
		partEnd := min((s.head/part+1)*part, r.size)
		missing := r.missingLocked(s.head, partEnd)
		if missing > 0 {
			if len(r.cache.slots) > cap(r.cache.slots)*3/4 {
				return false // leave requests for those who wait
			}
			if !r.cache.buffers.budget.tryPinned(missing) {
				if part > minPart && s.head < s.hi+minPart {
					part /= 2 // little is better than nothing
					continue
				}
				return true
			}
			r.addMissingLocked(s, v, s.head%part != 0)
		}
		s.head = partEnd
	}
	return false
}

// missingLocked puts the units in [pos, end) that are neither in memory nor on disk into
// r.units and returns their bytes.
func (r *Reader) missingLocked(pos, end int64) (n int64) {
	c := r.content
	r.units = r.units[:0]
	for pos < end {
		if b := c.hasLocked(pos); b != nil {
			pos = b.off + b.size()
			continue
		}
		if n := r.disk.Present(pos, min(end, blockEnd(pos))); n > 0 {
			pos += n
			continue
		}
		u := wholeAt(pos)
		uOff, uEnd := u.span(r.size)
		if uOff != pos || uEnd > end {
			u = pieceAt(pos)
			uOff, uEnd = u.span(r.size)
		}
		r.units = append(r.units, u)
		n, pos = n+uEnd-uOff, uEnd
	}
	return n
}

// addMissingLocked makes pinned blocks for r.units, whose bytes were taken with
// tryPinned. With join, the first may continue the last fetch of v.
func (r *Reader) addMissingLocked(s *stream, v *View, join bool) {
	for _, u := range r.units {
		off, end := u.span(r.size)
		f := v.fetchAt(r.content, off, join)
		s.pins = append(s.pins, pin{f.addLocked(u, true), end - off})
		join = true
	}
}

// pin keeps b, whose bytes count as pinned, with a reference of its own.
func (s *stream) pin(b *block) {
	b.ref()
	s.pins = append(s.pins, pin{b, b.size()})
}

// consume notes that n bytes of b were read; the pin goes when all were.
func (r *Reader) consume(s *stream, b *block, n int64) {
	for i := range s.pins {
		if p := &s.pins[i]; p.block == b {
			if p.left -= n; p.left <= 0 {
				last := len(s.pins) - 1
				copy(s.pins[i:], s.pins[i+1:])
				s.pins[last] = pin{}
				s.pins = s.pins[:last]
				r.unpin(b)
			}
			return
		}
	}
}

// dropPins unpins the blocks that end at or before limit.
func (r *Reader) dropPins(s *stream, limit int64) {
	keep := s.pins[:0]
	for _, p := range s.pins {
		if p.block.off+p.block.size() > limit {
			keep = append(keep, p)
		} else {
			r.unpin(p.block)
		}
	}
	clear(s.pins[len(keep):])
	s.pins = keep
}

// unpin ends a pin: its count, its interest in the download, its reference.
func (r *Reader) unpin(b *block) {
	r.cache.buffers.budget.unpin(b.size())
	if b.fetch != nil {
		b.fetch.release()
	}
	b.unref()
}

// reclaim takes read-ahead from Readers that have been idle, so that it does not hold the
// share of those that read. It runs at most four times a second.
func (c *Cache) reclaim() {
	now := time.Now()
	c.mu.Lock()
	if now.Sub(c.reclaimed) < 250*time.Millisecond {
		c.mu.Unlock()
		return
	}
	c.reclaimed = now
	var all []*Reader
	for r := range c.readers {
		all = append(all, r)
	}
	c.mu.Unlock()
	for _, r := range all {
		if !r.mu.TryLock() {
			continue
		}
		if now.Sub(r.used) >= idleReader {
			for _, s := range r.streams {
				r.dropPins(s, r.size)
				s.head = min(s.head, s.hi)
			}
		}
		r.mu.Unlock()
	}
}
