package blocks

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	// A broken body is resumed this often in a row without a byte of progress, and this
	// often altogether.
	maxStalls  = 4
	maxResumes = 32
	// A download with less than this to go is finished even if nobody wants it any more:
	// the connection stays usable.
	worthFinishing = 256 << 10
)

// fetch is one range of an object on its way from the store into blocks. One goroutine
// runs it, on the cache's context.
type fetch struct {
	content *content
	off     int64
	end     int64
	blocks  []*block // contiguous; a reference of each until it is full
	whole   bool     // one block that is the whole object: verified before anybody sees it
	sticky  bool     // never abandoned: somebody asked for all of it
	offer   bool     // full blocks go to the policy at once, not when they are read
	ctx     context.Context
	cancel  context.CancelFunc
	next    int          // first block that is not full; of the goroutine
	filled  int64        // bytes of blocks[next]; of the goroutine
	got     atomic.Int64 // bytes of the whole fetch

	mu        sync.Mutex // leaf
	interest  int        // pins of unread blocks and readers that wait
	abandoned bool
}

// newFetchLocked makes a fetch without blocks; the caller holds c.mu.
func (c *content) newFetchLocked(off int64) *fetch {
	c.users++
	f := &fetch{content: c, off: off, end: off, sticky: true, offer: true}
	f.ctx, f.cancel = context.WithCancel(c.cache.ctx)
	return f
}

// addLocked appends the unit that begins at f.end and returns its block, with the
// caller's reference. A pinned block counts as interest until the pin is dropped.
func (f *fetch) addLocked(u unit, pinned bool) *block {
	b := f.content.newBlockLocked(u, f)
	f.blocks = append(f.blocks, b)
	f.end += b.size()
	if pinned {
		f.interest++
		f.sticky, f.offer = false, false
	}
	return b
}

// start runs the fetch. open, when not nil, is a GET that begins at f.off.
func (f *fetch) start(open *backend.Body) {
	cache := f.content.cache
	f.whole = f.off == 0 && f.end == f.content.source().Size && len(f.blocks) == 1
	cache.tasks.Add(1)
	go func() {
		defer cache.tasks.Done()
		f.run(open)
	}()
}

// run downloads and settles every block.
func (f *fetch) run(open *backend.Body) {
	c := f.content.cache
	var err error
	if open == nil { // else it has had its turn: see first
		if err = c.enter(f.ctx); err == nil {
			defer c.leave()
		}
	}
	if err == nil && f.whole {
		err = f.runWhole(open)
	} else if err == nil {
		err = f.runRange(open)
	}
	f.finish(err)
}

// finish fails the blocks that did not get full and lets go of everything.
func (f *fetch) finish(err error) {
	f.mu.Lock()
	if f.abandoned {
		err = errRetry
	}
	f.mu.Unlock()
	if err != nil && f.ctx.Err() != nil && !errors.Is(err, errRetry) {
		err = f.content.canceled(f.ctx) // the cache is being closed
	}
	for _, b := range f.blocks[f.next:] {
		f.content.forget(b)
		b.fail(err)
		f.content.settled(b)
		b.unref()
	}
	f.cancel()
	f.content.release()
}

// retain counts a reader that waits; false: the fetch was given up.
func (f *fetch) retain() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.abandoned {
		return false
	}
	f.interest++
	return true
}

// release ends a retain or a pin. Without any interest left the download is given up.
func (f *fetch) release() {
	f.mu.Lock()
	f.interest--
	left := f.end - f.off - f.got.Load()
	give := f.interest == 0 && !f.sticky && !f.abandoned && left > worthFinishing
	f.abandoned = f.abandoned || give
	f.mu.Unlock()
	if !give {
		return
	}
	for _, b := range f.blocks { // out of the index first: who comes now starts anew
		if !b.full() {
			f.content.forget(b)
		}
	}
	f.cancel()
}

// runRange streams [off, end) into the blocks, resuming bodies that break.
func (f *fetch) runRange(open *backend.Body) error {
	return f.stream(open, func(body *backend.Body) error { return f.read(body, true) })
}

// stream calls read with a body that begins at the first missing byte until all is there.
func (f *fetch) stream(body *backend.Body, read func(*backend.Body) error) error {
	stalls, resumes, moved := 0, 0, time.Now()
	for {
		before := f.got.Load()
		var err error
		if body == nil {
			body, err = f.get(f.off + before)
		}
		opened := err == nil
		if opened {
			err = read(body)
			_ = body.Close()
			body = nil
			if err == nil {
				return nil
			}
		}
		if f.got.Load() > before {
			stalls, moved = 0, time.Now()
		}
		stalls++
		resumes++
		// The store repeats what fails at the opening by itself; only a body that broke
		// (now or before) is taken up again.
		broken := opened || resumes > 1
		if limit := f.content.cache.patience(); limit > 0 && time.Since(moved) > limit {
			broken = false
		} else if limit > 0 {
			stalls = min(stalls, maxStalls)
		}
		if !broken || !resumable(err) || stalls > maxStalls || resumes > maxResumes || f.ctx.Err() != nil {
			return err
		}
		f.content.cache.stats.resumed.Add(1)
		if !sleep(f.ctx, backoff(stalls)) {
			return err
		}
	}
}

// get opens the object from pos to the end of the fetch and makes sure that the answer
// is of the same version, also from a store that ignores If-Match.
func (f *fetch) get(pos int64) (*backend.Body, error) {
	c := f.content.cache
	for {
		f.content.mu.Lock()
		src, moved := f.content.src, f.content.moved
		f.content.mu.Unlock()
		opt := backend.GetOptions{IfMatch: src.ETag, VersionID: src.VersionID}
		if !f.whole || pos > 0 {
			opt.Range = &backend.Range{Off: pos, Len: f.end - pos}
		}
		id := backend.ObjectID{Bucket: src.Bucket, Key: src.Key}
		c.stats.requests.Add(1)
		body, err := c.reader.Get(f.ctx, id, opt)
		if err == nil {
			if err = f.content.check(src, body, pos, f.end); err == nil {
				return body, nil
			}
			_ = body.Close()
		}
		if f.content.movedSince(moved) && (backend.IsKind(err, backend.KindChanged) || backend.IsKind(err, backend.KindNotExist)) {
			continue // the same bytes have another name now
		}
		if opt.VersionID != "" && f.content.without(opt.VersionID, err) {
			continue
		}
		return nil, err
	}
}

// check compares an answer with what was asked for.
func (c *content) check(src Source, body *backend.Body, pos, end int64) error {
	o := body.Object
	switch {
	case o.ETag != "" && o.ETag != src.ETag, o.Size != src.Size:
		return &backend.Error{
			Kind: backend.KindChanged, Op: "GetObject", Bucket: src.Bucket, Key: src.Key,
			Message: "the store answered with another version, ETag " + o.ETag,
		}
	case body.Range.Off != pos || body.Range.Len < end-pos:
		return &backend.Error{
			Kind: backend.KindOther, Op: "GetObject", Bucket: src.Bucket, Key: src.Key,
			Message: "the store answered with another range than asked for",
		}
	}
	if o.CRC64NVME != "" || o.VersionID != "" {
		c.mu.Lock()
		if o.CRC64NVME != "" {
			c.src.CRC64NVME = o.CRC64NVME
		}
		c.nameLocked(o.VersionID)
		c.mu.Unlock()
	}
	return nil
}

func (c *content) movedSince(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved != n
}

// read copies body into the blocks. With show, readers see the bytes as they arrive and
// full blocks are settled; otherwise the last block stays as it is until settle.
func (f *fetch) read(body *backend.Body, show bool) error {
	var n int
	var err error
	for f.next < len(f.blocks) {
		b := f.blocks[f.next]
		for size := b.size(); f.filled < size; {
			if err != nil {
				return brokenBody(err)
			}
			n, err = body.Read(b.buf.data[f.filled:])
			f.filled += int64(n)
			f.got.Add(int64(n))
			f.content.cache.stats.storeBytes.Add(int64(n))
			if show && n > 0 && f.filled < size {
				b.publish(f.filled)
			}
		}
		if !show {
			break
		}
		f.settle(b)
	}
	if err == nil && body.Range.Off+body.Range.Len == f.end {
		var end [1]byte
		_, _ = body.Read(end[:]) // the end: the connection can be used again
	}
	return nil
}

// settle shows a full block, hands it to those who keep it, and lets go of it.
func (f *fetch) settle(b *block) {
	c := f.content.cache
	f.next++
	f.filled = 0
	if !f.content.withhold(b) {
		b.publish(b.size())
	}
	c.persist(b)
	if f.offer {
		c.policy.keep(b)
	}
	f.content.settled(b)
	b.unref()
}

func brokenBody(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// resumable reports whether the rest of a body may be asked for again.
func resumable(err error) bool {
	switch backend.KindOf(err) {
	case backend.KindTransient, backend.KindUnreachable, backend.KindOther, backend.KindUnknown:
		return true
	default:
		return false
	}
}

// backoff returns a pause that grows with n from about 50 ms to about 1 s.
func backoff(n int) time.Duration {
	d := 50 * time.Millisecond << min(n-1, 4)
	return d/2 + rand.N(d)
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter waits for one of the requests that may run at once.
func (c *Cache) enter(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Cache) leave() { <-c.slots }
