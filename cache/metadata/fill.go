package metadata

import (
	"context"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	// headsAtOnce is how many HEADs of all Fills run at a time.
	headsAtOnce = 64
	// maxFailures bounds the HEADs that are remembered to have failed.
	maxFailures = 10_000
)

// headers runs the HEADs of Fill, one per object at a time.
type headers struct {
	slots chan struct{}

	mu      sync.Mutex
	flights map[backend.ObjectID]*headFlight
	// failed are objects whose HEAD was refused (an SSE-C key, say), and when.
	failed map[backend.ObjectID]time.Time
}

func (h *headers) init() {
	h.slots = make(chan struct{}, headsAtOnce)
	h.flights = make(map[backend.ObjectID]*headFlight)
	h.failed = make(map[backend.ObjectID]time.Time)
}

// A headFlight is a HEAD under way. Once done is closed, answer is what it told; nil: it failed, or told of another version.
type headFlight struct {
	done   chan struct{}
	answer *backend.Object
}

// Fill asks for the attributes of those objects of which they are not known, 64 at once over
// all callers, and remembers them. It returns when all answers are there or ctx ends;
// requests under way go on. An object whose HEAD fails stays unknown, and is not asked for
// again within TTL.
func (c *Cache) Fill(ctx context.Context, objs []backend.Object) {
	var under []*headFlight
	for i := range objs {
		if _, known := c.Details(objs[i]); known {
			continue
		}
		fl, ok := c.head(ctx, &objs[i])
		if !ok {
			return
		}
		if fl != nil {
			under = append(under, fl)
		}
	}
	for _, fl := range under {
		select {
		case <-fl.done:
		case <-ctx.Done():
			return
		}
	}
}

// Ask is Details, with the answer of a HEAD where nothing is known; also one that is too young to be remembered for
// longer than TTL, so it is there when TTL is 0. Without an answer about this version, it is obj itself.
func (c *Cache) Ask(ctx context.Context, obj backend.Object) (backend.Object, bool) {
	if known, ok := c.Details(obj); ok {
		return known, true
	}
	fl, ok := c.head(ctx, &obj)
	if !ok || fl == nil {
		return c.Details(obj) // since we looked
	}
	select {
	case <-fl.done:
	case <-ctx.Done():
		return obj, false
	}
	if fl.answer == nil || fl.answer.ETag != obj.ETag {
		return c.Details(obj) // who asked first had seen another version; its answer may be about this one
	}
	return *fl.answer, true
}

// head begins the HEAD of an object, or joins one; nil: there is no need. ok is false when ctx or the cache ended.
func (c *Cache) head(ctx context.Context, obj *backend.Object) (fl *headFlight, ok bool) {
	h, id := &c.heads, obj.ID()
	h.mu.Lock()
	fl, flying := h.flights[id]
	at, failed := h.failed[id]
	h.mu.Unlock()
	if flying {
		return fl, true
	}
	if failed && time.Since(at) < c.ttl() {
		return nil, true
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	case <-c.ctx.Done():
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if fl, flying = h.flights[id]; flying {
		<-h.slots
		return fl, true
	}
	if _, known := c.Details(*obj); known { // since we looked
		<-h.slots
		return nil, true
	}
	fl = &headFlight{done: make(chan struct{})}
	if !c.begin() {
		<-h.slots
		return nil, false
	}
	h.flights[id] = fl
	asked := *obj
	go func() {
		defer c.work.Done()
		fl.answer = c.runHead(asked)
		h.mu.Lock()
		delete(h.flights, id)
		h.mu.Unlock()
		<-h.slots
		close(fl.done)
	}()
	return fl, true
}

// begin counts a goroutine, unless the cache is closed.
func (c *Cache) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

// runHead returns what it was told of the version that was asked for.
func (c *Cache) runHead(asked backend.Object) *backend.Object {
	obj, err := c.cfg.Reader.Head(c.ctx, asked.ID(), backend.GetOptions{})
	if err == nil {
		obj.HasMetadata = true
		c.Remember(obj)
	}
	changed := err == nil && (obj.ETag != asked.ETag || !asked.LastModified.IsZero() && obj.LastModified.Unix() != asked.LastModified.Unix())
	if changed || backend.IsKind(err, backend.KindNotExist) {
		c.expire(asked.Bucket, asked.Key)
	}
	h := &c.heads
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failed, asked.ID())
	if err != nil || changed {
		if len(h.failed) >= maxFailures {
			clear(h.failed)
		}
		h.failed[asked.ID()] = time.Now()
		return nil
	}
	return &obj
}

// expire lets the next Lookup of an object ask the store: a HEAD showed another version.
func (c *Cache) expire(bucket, key string) {
	prefix, name := parent(key)
	if name == "" || key[len(key)-1] == '/' {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.dirs[dirID{bucket, prefix}]
	if d == nil {
		return
	}
	old := func(it *item) *item {
		aged := *it
		aged.at = -1 << 62
		return &aged
	}
	if at, found := search(d.items, name); found {
		d.items[at] = old(d.items[at])
	}
	if it := d.singles[name]; it != nil {
		d.singles[name] = old(it)
	}
}
