package metadata

import (
	"context"
	"io"
	"sort"
	"time"

	"github.com/objmount/objmount/backend"
)

// Scan reads the entries of a directory in tree order, each name once, while pages arrive.
// Names that appear or vanish meanwhile may be seen or not; own removals are not seen after
// they were made. A Scan is for one goroutine.
type Scan struct {
	c       *Cache
	id      dirID
	d       *dir   // nil: not on a listing (now); Cache.mu
	after   string // the last name returned
	started bool   // after means something
	hint    int    // where after probably stands in d.items
	count   int
	ended   bool // io.EOF was returned
	closed  bool
	self    *backend.Object
}

// Scan begins to read a directory: prefix is "" or ends in "/", or in a piece of a long
// component. Nothing is asked before the first Next. The caller closes it.
func (c *Cache) Scan(bucket, prefix string) *Scan {
	return &Scan{c: c, id: dirID{bucket, prefix}}
}

// Next returns the next entry, or io.EOF after the last one. After another error it may be
// called again, and tries again. ctx ends only the waiting.
func (s *Scan) Next(ctx context.Context) (Entry, error) {
	for {
		e, f, err := s.step()
		if f == nil || err != nil {
			return e, err
		}
		if err := f.wait(ctx); err != nil {
			return Entry{}, err
		}
	}
}

// step returns the next entry, or the flight to wait for.
func (s *Scan) step() (Entry, *flight, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.closed:
		return Entry{}, nil, &backend.Error{Kind: backend.KindInvalid, Op: "Scan", Bucket: s.id.bucket, Key: s.id.prefix, Message: "the scan is closed"}
	case s.ended:
		return Entry{}, nil, io.EOF
	}
	if s.d == nil {
		s.attachLocked()
	}
	d := s.d
	if at := s.index(d); at < len(d.items) && (d.done || treePassed(d.items[at].name, d.frontier)) {
		it := d.items[at]
		s.after, s.started, s.hint = it.name, true, at+1
		s.count++
		if !d.done && !d.failed && (d.before == "" || !treePassed(s.after, d.before)) {
			c.fetchLocked(d) // one page ahead
		}
		e := it.entry(d.bucket, d.prefix)
		e.Asked = c.epoch.Add(time.Duration(it.at))
		return e, nil, nil
	}
	if !d.done {
		return Entry{}, c.fetchLocked(d), nil
	}
	s.ended = true
	c.finishedLocked(s)
	s.leaveLocked()
	return Entry{}, nil, io.EOF
}

// Self returns the marker object of the directory itself (its key is the prefix), as far
// as the listing showed one. It is known after the first Next.
func (s *Scan) Self() *backend.Object {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.d != nil {
		s.self = s.d.self
	}
	if s.self == nil {
		return nil
	}
	return own(s.self)
}

// Close ends the scan. It may be called more than once.
func (s *Scan) Close() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.closed = true
	s.leaveLocked()
}

func (s *Scan) leaveLocked() {
	d := s.d
	if d == nil {
		return
	}
	s.self, s.d = d.self, nil
	delete(d.scans, s)
	s.c.releaseLocked(d)
}

// attachLocked puts the scan on a listing.
func (s *Scan) attachLocked() {
	d := s.c.currentLocked(s.id)
	if s.started && !d.listed {
		// It lost its listing to make room: take one that nobody else gets.
		s.c.detachLocked(d)
	}
	s.d, s.hint = d, 0
	d.scans[s] = struct{}{}
	if d.element == nil {
		s.c.detached[d] = struct{}{}
	}
	if !s.started {
		s.c.startedLocked(s)
	}
}

// index returns where the scan goes on in d.items.
func (s *Scan) index(d *dir) int {
	if !s.started {
		return 0
	}
	if s.hint > 0 && s.hint <= len(d.items) && d.items[s.hint-1].name == s.after {
		return s.hint
	}
	return sort.Search(len(d.items), func(i int) bool { return compareTree(d.items[i].name, s.after) > 0 })
}

// ahead reports whether s has passed more than o.
func (s *Scan) ahead(o *Scan) bool {
	return s.started && (!o.started || compareTree(s.after, o.after) > 0)
}

// currentLocked returns a directory whose listing is fresh, or has not begun.
func (c *Cache) currentLocked(id dirID) *dir {
	d := c.dirLocked(id)
	if !d.listed || c.freshLocked(d.stamp, c.ttl()) {
		return d
	}
	c.detachLocked(d)
	next := c.dirLocked(id)
	// What lookups brought stays known; the other one is only read to its end.
	next.singles, d.singles = d.singles, nil
	next.misses, next.missed = d.misses, d.missed
	c.accountLocked(d)
	c.accountLocked(next)
	return next
}
