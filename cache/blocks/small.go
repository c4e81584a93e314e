package blocks

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/objmount/objmount/backend"
)

// Small opens an object that is known or expected to be small: one GET brings its bytes
// and its metadata. The bytes, verified, are ready for the next Reader; of an object that
// turns out larger than 1 MiB only the first block is read and kept.
//
// known, if not nil, is the version seen last. When its bytes are cached the GET carries
// If-None-Match; if it is still current, the Object has known's ETag and size and
// HasMetadata is false.
//
// The answer is never older than the call, so two calls do not share a GET. ctx ends only
// the waiting.
func (c *Cache) Small(ctx context.Context, id backend.ObjectID, known *Source) (backend.Object, Source, error) {
	type answer struct {
		obj backend.Object
		src Source
		err error
	}
	if known != nil && (known.Size > blockSize || known.ETag == "" || !c.Cached(*known)) {
		known = nil
	}
	done := make(chan answer, 1)
	turn, tired := context.WithCancel(c.ctx) // ends while it waits for its turn: what is sent is finished, what is not is not needed
	defer tired()
	c.tasks.Add(1)
	go func() {
		defer c.tasks.Done()
		var a answer
		for try := 0; try == 0 || try < 8 && errors.Is(a.err, errRetry); try++ {
			a.obj, a.src, a.err = c.small(turn, id, known)
		}
		done <- a
	}()
	select {
	case a := <-done:
		return a.obj, a.src, a.err
	case <-ctx.Done():
		return backend.Object{}, Source{}, &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Bucket: id.Bucket, Key: id.Key, Err: ctx.Err()}
	}
}

func (c *Cache) small(turn context.Context, id backend.ObjectID, known *Source) (backend.Object, Source, error) {
	body, err := c.openSmall(turn, id, known)
	if known != nil && backend.IsKind(err, backend.KindNotModified) {
		return backend.Object{
			Bucket: id.Bucket, Key: id.Key, ETag: known.ETag, VersionID: known.VersionID,
			Size: known.Size, TagCount: -1,
		}, *known, nil
	}
	if err != nil {
		return backend.Object{}, Source{}, err
	}
	o := body.Object
	src := Source{
		Source: backend.Source{Bucket: id.Bucket, Key: id.Key, ETag: o.ETag, VersionID: o.VersionID},
		Size:   o.Size, CRC64NVME: o.CRC64NVME,
	}
	if o.Size == 0 || o.ETag == "" || body.Range.Off != 0 || body.Range.Len != o.Size {
		var end [1]byte
		_, _ = body.Read(end[:])
		return o, src, body.Close()
	}
	ct := c.acquire(src)
	defer ct.release()
	b, err := ct.first(c.ctx, body)
	if err != nil {
		return backend.Object{}, Source{}, err
	}
	defer b.unref()
	if err := b.wait(c.ctx, b.size()); err != nil {
		if !errors.Is(err, errRetry) {
			err = ct.typed(err)
		}
		return backend.Object{}, Source{}, err
	}
	if !b.kept.Load() && !c.parking.enter(b) {
		c.policy.keep(b)
	}
	return o, src, nil
}

// openSmall sends the GET. It holds one of the requests only until the answer begins: the
// rest of a small object is on its way by then.
func (c *Cache) openSmall(turn context.Context, id backend.ObjectID, known *Source) (*backend.Body, error) {
	if err := c.enter(turn); err != nil {
		return nil, &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Bucket: id.Bucket, Key: id.Key, Err: err}
	}
	defer c.leave()
	opt := backend.GetOptions{}
	if known != nil {
		opt.IfNoneMatch = known.ETag
	}
	c.stats.requests.Add(1)
	return c.reader.Get(c.ctx, id, opt)
}

// first returns the object's first block, referenced, filled from body or by whoever was
// earlier. It takes over body. An open body has a connection, and who has memory or a turn may wait for one: so nobody waits for
// memory or a turn with a body open. Where there is no memory at once it is closed, and asked for again when there is.
func (c *content) first(ctx context.Context, body *backend.Body) (*block, error) {
	u := wholeAt(0)
	_, size := u.span(body.Object.Size)
	budget := &c.cache.buffers.budget
	if !budget.tryDemand(size) {
		_ = body.Close()
		body = nil
		if err := budget.demand(ctx, size); err != nil {
			return nil, c.canceled(ctx)
		}
	}
	c.mu.Lock()
	if b := c.blocks[u]; b != nil && b.ref() {
		c.mu.Unlock()
		budget.release(size)
		if body != nil {
			_, _ = io.CopyN(io.Discard, body, worthFinishing)
			_ = body.Close()
		}
		return b, nil
	}
	f := c.newFetchLocked(0)
	b := f.addLocked(u, false)
	f.offer = false // it is parked for its Reader
	c.mu.Unlock()
	f.start(body)
	return b, nil
}

// parking keeps blocks that were fetched for a Reader that does not exist yet: the bytes
// of a small file between its open and its first read. Its bytes count as pinned.
type parking struct {
	cache *Cache
	limit int64 // bytes; immutable

	mu     sync.Mutex // before the budget's
	blocks []*block   // oldest first; referenced
	bytes  int64
}

// enter keeps b until it is read or newer blocks need the place; false: there is no place.
// The caller holds a reference.
func (p *parking) enter(b *block) bool {
	n := b.size()
	if n > p.limit {
		return false
	}
	if !b.parked.CompareAndSwap(false, true) {
		return true
	}
	p.mu.Lock()
	var out []*block
	for len(p.blocks) > 0 && p.bytes+n > p.limit {
		out = append(out, p.removeLocked(0))
	}
	ok := p.cache.buffers.budget.tryPin(n)
	if ok {
		b.ref() // the caller holds one
		p.blocks = append(p.blocks, b)
		p.bytes += n
	} else {
		b.parked.Store(false)
	}
	p.mu.Unlock()
	for _, b := range out {
		b.unref()
	}
	return ok
}

// leave lets go of b, which a Reader has read.
func (p *parking) leave(b *block) {
	p.mu.Lock()
	for i, o := range p.blocks {
		if o == b {
			p.removeLocked(i)
			p.mu.Unlock()
			b.unref()
			return
		}
	}
	p.mu.Unlock()
}

// empty lets go of all blocks.
func (p *parking) empty() {
	p.mu.Lock()
	var out []*block
	for len(p.blocks) > 0 {
		out = append(out, p.removeLocked(0))
	}
	p.mu.Unlock()
	for _, b := range out {
		b.unref()
	}
}

func (p *parking) removeLocked(i int) *block {
	b := p.blocks[i]
	p.blocks = append(p.blocks[:i], p.blocks[i+1:]...)
	p.bytes -= b.size()
	p.cache.buffers.budget.unpin(b.size())
	b.parked.Store(false)
	return b
}
