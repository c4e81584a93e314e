package blocks

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks/disk"
)

// MaxRead is the most bytes that one ReadAt returns.
const MaxRead = 4 << 20

// wholeLimit: an object up to this size is always fetched whole; one request costs more
// than its bytes.
const wholeLimit = 128 << 10

// Reader reads one version of an object. It belongs to an open file and owns that file's
// read-ahead. It is safe for concurrent use.
type Reader struct {
	cache   *Cache
	content *content
	size    int64
	disk    *disk.File // nil without a disk tier

	mu      sync.Mutex // before Cache.mu and content.mu
	streams []*stream  // most recently used first
	units   []unit     // scratch of aheadLocked
	used    time.Time  // of the last ReadAt
	closed  bool
}

// NewReader returns a Reader of src. The caller closes it.
func (c *Cache) NewReader(src Source) *Reader {
	r := &Reader{cache: c, content: c.acquire(src), size: src.Size, disk: c.file(src)}
	c.mu.Lock()
	c.readers[r] = struct{}{}
	c.mu.Unlock()
	return r
}

// Close drops what was read ahead; downloads that nobody else needs are given up. Views
// stay valid. ReadAt must not be called afterwards.
func (r *Reader) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	for _, s := range r.streams {
		r.dropPins(s, r.size)
	}
	r.streams = nil
	r.mu.Unlock()
	r.cache.mu.Lock()
	delete(r.cache.readers, r)
	r.cache.mu.Unlock()
	r.disk.Release()
	r.content.release()
}

// ReadAt returns the n bytes at off, fewer only at the object's end and never more than
// MaxRead. The caller releases the View. Errors are *backend.Error: KindChanged or
// KindNotExist when the object is another one now or gone and the bytes are not cached,
// KindCanceled when ctx ended (only the waiting ends, downloads go on), KindCorrupt when
// the bytes do not match their checksum (from then on always: some were given out already, and the
// kernel swallows the first error where it met it reading ahead), else what the store said.
func (r *Reader) ReadAt(ctx context.Context, off int64, n int) (*View, error) {
	if off < 0 || n < 0 {
		return nil, r.invalid("negative offset or length")
	}
	v := viewPool.Get().(*View)
	end := min(off+int64(min(n, MaxRead)), r.size)
	if off >= end {
		return v, nil
	}
	began := time.Now()
	var joined error // with which somebody else's download failed, before a try of our own
	for try := 0; ; try++ {
		s, err := r.gather(ctx, v, off, end, try == 0)
		if err != nil {
			v.Release()
			return nil, err
		}
		err = r.fill(ctx, v)
		if err == nil {
			r.served(s, v)
			return v, nil
		}
		again := try < 16 && errors.Is(err, errRetry)
		if limit := r.cache.patience(); !again && joined == nil && v.started == 0 && backend.Temporary(err) && (limit == 0 || time.Since(began) < limit) {
			joined, again = err, true
			if limit > 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeoutCause(ctx, limit-time.Since(began), err)
				defer stop()
			}
		}
		if joined != nil && !again && errors.Is(context.Cause(ctx), joined) {
			err = joined
		}
		v.drop()
		if !again {
			v.Release()
			return nil, r.content.typed(err)
		}
	}
}

func (r *Reader) invalid(text string) error {
	src := r.content.source()
	return &backend.Error{Kind: backend.KindInvalid, Op: "ReadAt", Bucket: src.Bucket, Key: src.Key, Message: text}
}

// typed makes a *backend.Error of err.
func (c *content) typed(err error) error {
	if e := (*backend.Error)(nil); errors.As(err, &e) {
		return err
	}
	src := c.source()
	return &backend.Error{Kind: backend.KindTransient, Op: "GetObject", Bucket: src.Bucket, Key: src.Key, Err: err}
}

// fill waits for the bytes of every segment and makes the slices.
func (r *Reader) fill(ctx context.Context, v *View) error {
	for i := range v.segs {
		if s := &v.segs[i]; s.block == nil {
			if err := r.disk.ReadAt(s.disk.data, s.off); err != nil {
				return errRetry // the disk tier has dropped the bytes
			}
			r.cache.stats.diskBytes.Add(s.hi)
		}
	}
	for i := range v.segs {
		s := &v.segs[i]
		data := s.disk.data
		if s.block != nil {
			if err := s.block.wait(ctx, s.hi); err != nil {
				return err
			}
			data = s.block.buf.data[s.lo:s.hi:s.hi]
		}
		v.slices = append(v.slices, data)
		v.n += len(data)
	}
	return nil
}

// served does the accounts of an answered read: the policy learns of the use, pins of
// bytes that were read are dropped. What is read sequentially of an object that is larger than
// what can be kept is not kept: the kernel has it now.
func (r *Reader) served(s *stream, v *View) {
	c := r.cache
	r.mu.Lock()
	passing := s.window > 0 && r.size > c.policy.size
	r.mu.Unlock()
	for i := range v.segs {
		b := v.segs[i].block
		if b == nil {
			continue
		}
		switch {
		case b.kept.Load():
			c.policy.touch(b)
		case passing: // it would only push out what is read more often, and itself soon
		case b.full():
			c.policy.keep(b)
		}
		if b.parked.Load() {
			c.parking.leave(b)
		}
		if !b.saved.Load() && b.full() {
			c.persist(b) // the queue was full when it arrived
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range v.segs {
		if g := &v.segs[i]; g.block != nil {
			r.consume(s, g.block, g.hi-g.lo)
		}
	}
}

// gather collects the blocks of [off, end), starting downloads for those that are
// nowhere, and read-ahead. It waits only for memory, and holds nothing meanwhile.
func (r *Reader) gather(ctx context.Context, v *View, off, end int64, first bool) (*stream, error) {
	c := r.content
	budget := &r.cache.buffers.budget
	var have int64
	for ; ; first = false {
		r.mu.Lock()
		if r.closed || r.cache.ctx.Err() != nil {
			r.mu.Unlock()
			budget.release(have)
			return nil, c.canceled(r.cache.ctx)
		}
		s := r.observe(off, end, first)
		c.mu.Lock()
		if bad := c.bad; bad != nil {
			c.mu.Unlock()
			r.mu.Unlock()
			budget.release(have)
			return nil, bad
		}
		want := r.wantLocked(off, end)
		if want > have && !budget.tryDemand(want-have) {
			c.mu.Unlock()
			r.mu.Unlock()
			budget.release(have)
			if budget.demand(ctx, want) != nil {
				return nil, c.canceled(ctx)
			}
			have = want
			continue
		}
		used, all := r.collectLocked(s, v, off, end, max(have, want))
		starved := all && r.aheadLocked(s, v, end)
		c.mu.Unlock()
		r.mu.Unlock()
		budget.release(max(have, want) - used)
		r.cache.launch(v)
		if v.ask {
			v.ask = false
			c.ask()
		}
		if starved {
			r.cache.reclaim()
		}
		if all {
			return s, nil
		}
		v.drop() // something vanished between the two looks
		have = 0
	}
}

// launch starts the fetches that were made for v.
func (c *Cache) launch(v *View) {
	v.started = len(v.fetches)
	for i, f := range v.fetches {
		v.fetches[i] = nil
		f.start(nil)
	}
	v.fetches = v.fetches[:0]
}

// wantLocked returns how many bytes of demand [off, end) needs at most.
func (r *Reader) wantLocked(off, end int64) (want int64) {
	c := r.content
	for pos := off; pos < end; {
		if b := c.hasLocked(pos); b != nil {
			pos = b.off + b.size()
			continue
		}
		if n := r.disk.Present(pos, min(end, blockEnd(pos))); n > 0 {
			want, pos = want+n, pos+n
			continue
		}
		uOff, uEnd := r.demanded(pos, off, end).span(r.size)
		want, pos = want+uEnd-uOff, uEnd
	}
	return want
}

// demanded returns the unit to fetch for the missing byte at pos of a read of [off, end):
// the whole block if all of it is asked for, else a piece.
func (r *Reader) demanded(pos, off, end int64) unit {
	u := wholeAt(pos)
	if uOff, uEnd := u.span(r.size); uOff >= off && uEnd <= end || r.size <= wholeLimit {
		return u
	}
	return pieceAt(pos)
}

func blockEnd(pos int64) int64 { return (pos>>blockShift + 1) << blockShift }

// collectLocked puts the segments of [off, end) into v and makes blocks for what is
// missing, in fetches of v. It returns how many it used of the have bytes that were taken,
// and false if they were not enough.
func (r *Reader) collectLocked(s *stream, v *View, off, end, have int64) (used int64, all bool) {
	c := r.content
	waits, stored := false, false
	for pos := off; pos < end; {
		if b := c.findLocked(pos); b != nil {
			upTo := min(b.off+b.size(), end)
			v.segs = append(v.segs, segment{block: b, lo: pos - b.off, hi: upTo - b.off})
			waits = waits || b.filled.Load() < upTo-b.off
			r.cache.stats.memoryBytes.Add(upTo - pos)
			pos = upTo
			continue
		}
		if n := r.disk.Present(pos, min(end, blockEnd(pos))); n > 0 {
			if used+n > have {
				return used, false
			}
			v.segs = append(v.segs, segment{disk: r.cache.buffers.get(n), off: pos, hi: n})
			used, pos = used+n, pos+n
			continue
		}
		u := r.demanded(pos, off, end)
		uOff, uEnd := u.span(r.size)
		pinned := false
		if whole, n := r.ahead(s, pos); n > 0 && u&1 == 1 && r.cache.buffers.budget.tryPinned(n) {
			// The rest of the block will be read next: not piece by piece.
			u, uEnd, pinned = whole, uOff+n, true
		} else {
			if used+uEnd-uOff > have {
				return used, false
			}
			used += uEnd - uOff
			pinned = (uOff < off || uEnd > end) && r.cache.buffers.budget.tryPin(uEnd-uOff)
		}
		b := v.fetchAt(c, uOff, true).addLocked(u, pinned)
		if pinned {
			s.pin(b)
		}
		v.segs = append(v.segs, segment{block: b, lo: pos - uOff, hi: min(uEnd, end) - uOff})
		stored, pos = true, min(uEnd, end)
	}
	if waits || stored {
		r.cache.stats.misses.Add(1)
		s.grow()
		if stored {
			s.head = min(s.head, end) // not all up to head is here after all
		}
	} else {
		r.cache.stats.hits.Add(1)
	}
	return used, true
}

// fetchAt returns the last fetch of v if it ends at off and join is set, else a new one
// that begins there.
func (v *View) fetchAt(c *content, off int64, join bool) *fetch {
	if n := len(v.fetches); join && n > 0 && v.fetches[n-1].end == off {
		return v.fetches[n-1]
	}
	f := c.newFetchLocked(off)
	v.fetches = append(v.fetches, f)
	return f
}
