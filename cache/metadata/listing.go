package metadata

import (
	"context"
	"strings"

	"github.com/objmount/objmount/backend"
)

// maxStalls is how many pages in a row may bring nothing new before a listing fails:
// some stores page in circles.
const maxStalls = 20

// fetchLocked brings the next page of a directory's listing, or joins the flight that does.
func (c *Cache) fetchLocked(d *dir) *flight {
	if d.fetch == nil {
		if f := c.fetchFlatLocked(d); f != nil {
			return f
		}
		return c.fetchPageLocked(d)
	}
	return d.fetch
}

// fetchPageLocked asks for a page with delimiter.
func (c *Cache) fetchPageLocked(d *dir) *flight {
	in := backend.ListInput{Bucket: d.bucket, Prefix: d.prefix, Delimiter: "/", Token: d.token}
	if in.Token == "" && d.frontier != "" {
		in.StartAfter = d.prefix + d.frontier
		if name, _, nested := strings.Cut(d.frontier, "/"); nested {
			in.StartAfter = d.prefix + name + "/" + maxRune
		}
	}
	s := c.stampLocked()
	w := c.watchLocked(d.bucket, d.prefix)
	f := &flight{}
	if c.closed {
		c.unwatchLocked(w)
	} else {
		d.fetch = f
	}
	return c.flyLocked(f, func(ctx context.Context) func() {
		page, err := c.cfg.Lister.List(ctx, in)
		return func() {
			changes := c.unwatchLocked(w)
			d.fetch = nil
			if f.err = err; err == nil {
				f.err = c.settlePageLocked(d, page, s, changes)
			}
			d.failed = f.err != nil
			c.releaseLocked(d)
		}
	})
}

// settlePageLocked adds a page to a listing and repeats own changes on it.
func (c *Cache) settlePageLocked(d *dir, page backend.Page, s stamp, changes []*change) error {
	first := !d.listed
	if first {
		d.listed, d.stamp = true, s
	}
	moved := d.page(page, s)
	for _, ch := range changes {
		c.applyLocked(d, ch)
	}
	if first {
		c.markerLocked(d)
	}
	c.accountLocked(d)
	c.shrinkLocked(d)
	if moved {
		d.stalls = 0
		return nil
	}
	if d.stalls++; d.stalls < maxStalls {
		return nil
	}
	d.stalls = 0
	return &backend.Error{Kind: backend.KindOther, Op: "ListObjectsV2", Bucket: d.bucket, Key: d.prefix, Message: "the store repeats the same page of a listing"}
}

// markerLocked tells the directory above about the marker of d.
func (c *Cache) markerLocked(d *dir) {
	if d.element == nil || d.prefix == "" || !whole(d.prefix) {
		return
	}
	prefix, name := parent(d.prefix)
	up := c.dirs[dirID{d.bucket, prefix}]
	if up == nil {
		return
	}
	mark := func(old *item) *item {
		if old.marker == d.self {
			return old
		}
		it := *old
		it.marker = d.self
		return &it
	}
	if at, found := search(up.items, name); found && up.items[at].dir {
		up.items[at] = mark(up.items[at])
	}
	if single := up.singles[name]; single != nil && single.dir {
		up.singles[name] = mark(single)
	}
}
