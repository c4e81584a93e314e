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
	flights map[backend.ObjectID]chan struct{}
	// failed are objects whose HEAD was refused (an SSE-C key, say), and when.
	failed map[backend.ObjectID]time.Time
}

func (h *headers) init() {
	h.slots = make(chan struct{}, headsAtOnce)
	h.flights = make(map[backend.ObjectID]chan struct{})
	h.failed = make(map[backend.ObjectID]time.Time)
}

// Fill asks for the attributes of those objects of which they are not known, 64 at once over
// all callers, and remembers them. It returns when all answers are there or ctx ends;
// requests under way go on. An object whose HEAD fails stays unknown, and is not asked for
// again within TTL.
func (c *Cache) Fill(ctx context.Context, objs []backend.Object) {
	var waits []chan struct{}
	for i := range objs {
		if _, known := c.Details(objs[i]); known {
			continue
		}
		done, ok := c.head(ctx, &objs[i])
		if !ok {
			return
		}
		if done != nil {
			waits = append(waits, done)
		}
	}
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// head begins the HEAD of an object, or joins one. ok is false when ctx or the cache ended.
func (c *Cache) head(ctx context.Context, obj *backend.Object) (done chan struct{}, ok bool) {
	h, id := &c.heads, obj.ID()
	h.mu.Lock()
	done, flying := h.flights[id]
	at, failed := h.failed[id]
	h.mu.Unlock()
	if flying {
		return done, true
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
	if done, flying = h.flights[id]; flying {
		<-h.slots
		return done, true
	}
	if _, known := c.Details(*obj); known { // since we looked
		<-h.slots
		return nil, true
	}
	done = make(chan struct{})
	if !c.begin() {
		<-h.slots
		return nil, false
	}
	h.flights[id] = done
	asked := *obj
	go func() {
		defer c.work.Done()
		c.runHead(asked)
		h.mu.Lock()
		delete(h.flights, id)
		h.mu.Unlock()
		<-h.slots
		close(done)
	}()
	return done, true
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

func (c *Cache) runHead(asked backend.Object) {
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
	}
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
