package metadata

import (
	"context"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

type lookupID struct {
	dirID
	name string
}

// Lookup returns the entry of a name in the directory of a prefix ("" or ending in "/", or
// a piece of a long component that stands before name). A name that does not exist is
// KindNotExist. It costs nothing while the name or a listing is fresh; else one LIST, or
// two where many names begin with name and a byte below "/".
func (c *Cache) Lookup(ctx context.Context, bucket, prefix, name string) (Entry, error) {
	id, short := c.lookupID(bucket, prefix, name)
	c.mu.Lock()
	it := c.cachedLocked(id)
	if it == nil && c.lookups[id] == nil {
		if f := c.listInsteadLocked(id.dirID); f != nil {
			c.mu.Unlock()
			// Its error is no answer to this question: ask it.
			if err := f.wait(ctx); err != nil && ctx.Err() != nil {
				return Entry{}, err
			}
			c.mu.Lock()
			it = c.cachedLocked(id)
		}
	}
	if it != nil {
		c.mu.Unlock()
		return c.result(id, it, short)
	}
	f := c.lookups[id]
	if f == nil {
		f = c.askLocked(id)
		c.lookups[id] = f
	}
	c.mu.Unlock()
	if err := f.wait(ctx); err != nil {
		return Entry{}, err
	}
	return c.result(id, f.item, short)
}

// Refresh is Lookup that always asks the store, with a request that begins now.
func (c *Cache) Refresh(ctx context.Context, bucket, prefix, name string) (Entry, error) {
	id, short := c.lookupID(bucket, prefix, name)
	c.mu.Lock()
	f := c.askLocked(id)
	c.mu.Unlock()
	if err := f.wait(ctx); err != nil {
		return Entry{}, err
	}
	return c.result(id, f.item, short)
}

// lookupID moves a piece of a long component from the prefix to the name.
func (c *Cache) lookupID(bucket, prefix, name string) (id lookupID, short string) {
	at := strings.LastIndexByte(prefix, '/') + 1
	return lookupID{dirID{bucket, prefix[:at]}, prefix[at:] + name}, name
}

func (c *Cache) result(id lookupID, it *item, short string) (Entry, error) {
	// The object of a prefix itself is no entry in it: see Scan.Self.
	if !it.dir && (!it.object || short == "") {
		return Entry{}, &backend.Error{Kind: backend.KindNotExist, Op: "Lookup", Bucket: id.bucket, Key: id.prefix + id.name}
	}
	e := it.entry(id.bucket, id.prefix)
	e.Asked = c.epoch.Add(time.Duration(it.at))
	if e.Name = short; short == "" {
		e.Object = nil
	}
	return e, nil
}

// cachedLocked returns what is known and fresh, also that the name does not exist.
func (c *Cache) cachedLocked(id lookupID) *item {
	d := c.dirs[id.dirID]
	if d == nil {
		return nil
	}
	it, listing := d.known(id.name)
	if it == nil {
		return nil
	}
	ttl := c.ttl()
	if !listing && !it.exists() {
		ttl = min(ttl, c.negativeTTL())
	}
	if !c.freshLocked(it.stamp, ttl) {
		return nil
	}
	c.lru.MoveToFront(d.element)
	return it
}

// listInsteadLocked counts the lookups that miss in a directory, and after some of them
// brings the first page of its listing, once per TTL.
func (c *Cache) listInsteadLocked(id dirID) *flight {
	if c.ttl() <= 0 || c.closed {
		return nil
	}
	d := c.dirLocked(id)
	if c.now()-d.missed >= int64(c.ttl()) {
		d.misses, d.missed = 0, c.now()
	}
	d.misses++
	if d.misses < lookupsToList || d.listed && c.freshLocked(d.stamp, c.ttl()) {
		return nil
	}
	return c.fetchLocked(c.currentLocked(id))
}

// askLocked asks the store about one name.
func (c *Cache) askLocked(id lookupID) *flight {
	f := &flight{}
	at := c.stampLocked()
	w := c.watchLocked(id.bucket, id.prefix+id.name)
	if c.closed {
		c.unwatchLocked(w)
	}
	return c.flyLocked(f, func(ctx context.Context) func() {
		it, err := c.ask(ctx, id)
		return func() {
			changes := c.unwatchLocked(w)
			if c.lookups[id] == f {
				delete(c.lookups, id)
			}
			if err != nil {
				f.err = err
				return
			}
			it.stamp = at
			f.item = c.settleLookupLocked(id, it, changes)
		}
	})
}

// settleLookupLocked repeats own changes on an answer and keeps it.
func (c *Cache) settleLookupLocked(id lookupID, it *item, changes []*change) *item {
	// A directory of one name takes the changes.
	alone := &dir{dirID: id.dirID, listed: true, done: true, stamp: it.stamp}
	if it.exists() {
		alone.items = []*item{it}
	}
	keep := true
	for _, ch := range changes {
		switch {
		case ch.op == opPrefixRemoved && ch.forgets(id.prefix):
			alone.items, keep = nil, false
		case ch.forgets(id.prefix):
			keep = false
		default:
			alone.apply(ch)
		}
	}
	it, _ = alone.known(id.name)
	if keep {
		d := c.dirLocked(id.dirID)
		d.record(it)
		c.accountLocked(d)
		c.shrinkLocked(d)
	}
	return it
}

// ask makes the requests of a lookup.
func (c *Cache) ask(ctx context.Context, id lookupID) (*item, error) {
	key := id.prefix + id.name
	it := &item{name: id.name}
	in := backend.ListInput{Bucket: id.bucket, Prefix: key, Delimiter: "/", MaxKeys: lookupKeys}
	for {
		page, err := c.cfg.Lister.List(ctx, in)
		if err != nil {
			return nil, err
		}
		passed := page.Next == ""
		for i := range page.Objects {
			o := &page.Objects[i]
			if o.Key == key && id.name != "" {
				it.setObject(o)
			}
			passed = passed || o.Key > key+"/"
		}
		for _, prefix := range page.Prefixes {
			it.dir = it.dir || prefix == key+"/"
			passed = passed || prefix > key+"/"
		}
		if it.dir || passed {
			return it, nil
		}
		if len(page.Objects)+len(page.Prefixes) > 0 {
			break
		}
		in.Token = page.Next
	}
	// Neighbours fill the page: ask for the directory alone.
	in = backend.ListInput{Bucket: id.bucket, Prefix: key + "/", MaxKeys: 1}
	for {
		page, err := c.cfg.Lister.List(ctx, in)
		if err != nil {
			return nil, err
		}
		if len(page.Objects) > 0 {
			it.dir = true
			if page.Objects[0].Key == key+"/" {
				it.marker = own(&page.Objects[0])
			}
		}
		if it.dir || page.Next == "" {
			return it, nil
		}
		in.Token = page.Next
	}
}
