package metadata

import (
	"context"
	"strings"

	"github.com/objmount/objmount/backend"
)

// flatFlight is a listing without delimiter that fills the directories it passes.
type flatFlight struct {
	flight
	stamp
	low     string // it lists what comes after
	wanted  *dir   // the directory it is for; nil: read ahead
	waiting []*dir // all directories whose fetch it is
}

// flyFlatLocked lists the root of a walk from low on.
func (c *Cache) flyFlatLocked(w *walk, low string, wanted *dir) *flight {
	f := &flatFlight{stamp: c.stampLocked(), low: low, wanted: wanted}
	in := backend.ListInput{Bucket: w.bucket, Prefix: w.prefix, StartAfter: low}
	if low == w.high && w.token != "" {
		in.StartAfter, in.Token = "", w.token
	}
	w.flight = f
	if wanted != nil {
		wanted.fetch = &f.flight
		f.waiting = append(f.waiting, wanted)
	}
	watch := c.watchLocked(w.bucket, w.prefix)
	return c.flyLocked(&f.flight, func(ctx context.Context) func() {
		page, err := c.cfg.Lister.List(ctx, in)
		return func() {
			changes := c.unwatchLocked(watch)
			w.flight = nil
			for _, d := range f.waiting {
				d.fetch = nil
			}
			if err == nil && !c.settleFlatLocked(w, f, page, changes) {
				c.noFlat = true
			}
			switch {
			case c.ctx.Err() != nil:
				f.err = err
			case err != nil:
				// Not the answer to anybody's question: with delimiter it may succeed.
				w.mistake()
			}
			for _, d := range f.waiting {
				c.releaseLocked(d)
			}
		}
	})
}

// mistake makes the walk prove itself again, longer each time.
func (w *walk) mistake() {
	w.small = -w.fine
	w.fine = min(w.fine*2, 1<<10)
	w.pages = 0
}

// settleFlatLocked fills directories from a page. It returns false when the page is not
// what was asked for.
func (c *Cache) settleFlatLocked(w *walk, f *flatFlight, page backend.Page, changes []*change) bool {
	if !ascending(f.low, page) {
		return false
	}
	b := &flatBuilder{c: c, f: f, bucket: w.bucket}
	b.open(w.prefix)
	for i := range page.Objects {
		b.add(&page.Objects[i])
	}
	w.end, w.token = page.Next == "", page.Next
	if n := len(page.Objects); n > 0 {
		w.middle, w.high = page.Objects[n/2].Key, page.Objects[n-1].Key
	} else {
		w.high, w.token = "", ""
	}
	w.pages++
	b.close(w)
	c.settleWantedLocked(w, f, b)
	for _, d := range b.touched {
		for _, ch := range changes {
			if ch.forgets(d.prefix) {
				c.detachLocked(d)
			}
			c.applyLocked(d, ch)
		}
		c.accountLocked(d)
		c.markerLocked(d)
	}
	// What was not asked for must not push out what is being read.
	c.shrinkLocked(nil)
	if f.wanted != nil {
		c.shrinkLocked(f.wanted)
	}
	return true
}

// settleWantedLocked looks what the page did for the directory that it was for.
func (c *Cache) settleWantedLocked(w *walk, f *flatFlight, b *flatBuilder) {
	d := f.wanted
	if d == nil || d.done || d.element == nil {
		return
	}
	if !d.listed && (w.end || w.high > d.prefix && !strings.HasPrefix(w.high, d.prefix)) {
		// The page has passed it and no key was there.
		d.empty(f.stamp)
		b.touched = append(b.touched, d)
		return
	}
	if rest := strings.TrimPrefix(w.high, d.prefix); strings.Contains(rest, "/") {
		// Its subdirectories are large. With delimiter it takes fewer requests, and what the
		// page brought is used if the walk goes down there.
		d.flat, w.doubt = flatPages, d.prefix
		return
	}
	if d.flat++; d.flat >= flatPages {
		w.mistake()
	}
}

// ascending reports whether the keys of a page come in order, after low.
func ascending(low string, page backend.Page) bool {
	for i := range page.Objects {
		if page.Objects[i].Key <= low {
			return false
		}
		low = page.Objects[i].Key
	}
	return len(page.Prefixes) == 0
}

// flatBuilder goes through a page and keeps the directories that its position lies in.
type flatBuilder struct {
	c       *Cache
	f       *flatFlight
	bucket  string
	frames  []frame
	touched []*dir
}

type frame struct {
	prefix string
	fill   *dir // gets all that is passed; nil: it is listed already, or was begun elsewhere
	renew  *dir // is listed already: its directories are seen again
}

// open enters the directories around the low end of the page, which can be filled only
// if they are known up to there.
func (b *flatBuilder) open(root string) {
	for at := len(root); ; {
		prefix := b.f.low[:at]
		fr := frame{prefix: prefix}
		if d := b.c.dirs[dirID{b.bucket, prefix}]; d != nil && d.listed {
			switch {
			case d.done:
				fr.renew = d
			case d.frontier == b.f.low[at:] && b.free(d):
				fr.fill = d
				d.before = d.frontier
				b.touched = append(b.touched, d)
			}
		}
		b.frames = append(b.frames, fr)
		next := strings.IndexByte(b.f.low[at:], '/')
		if next < 0 {
			return
		}
		at += next + 1
	}
}

// free reports whether no other request is about to add to d.
func (b *flatBuilder) free(d *dir) bool {
	return d.fetch == nil
}

func (b *flatBuilder) add(o *backend.Object) {
	top := &b.frames[len(b.frames)-1]
	for !strings.HasPrefix(o.Key, top.prefix) {
		b.leave()
		top = &b.frames[len(b.frames)-1]
	}
	rest := o.Key[len(top.prefix):]
	for {
		name, below, nested := strings.Cut(rest, "/")
		if !nested {
			break
		}
		b.enter(name)
		rest = below
	}
	top = &b.frames[len(b.frames)-1]
	switch {
	case rest != "":
		if top.fill != nil {
			top.fill.object(rest, o, b.f.stamp)
		}
	case top.fill != nil:
		top.fill.self = own(o)
	}
}

// enter opens the directory of a name in the one on top.
func (b *flatBuilder) enter(name string) {
	top := b.frames[len(b.frames)-1]
	switch {
	case top.fill != nil:
		top.fill.subdir(name, b.f.stamp)
	case top.renew != nil:
		if at, found := search(top.renew.items, name); found && top.renew.items[at].dir && top.renew.items[at].seq < b.f.seq {
			it := *top.renew.items[at]
			it.stamp = b.f.stamp
			top.renew.items[at] = &it
		}
	}
	prefix := top.prefix + name + "/"
	fr := frame{prefix: strings.Clone(prefix)}
	id := dirID{b.bucket, fr.prefix}
	d := b.c.dirs[id]
	switch {
	case d == nil:
		fr.fill = b.c.dirLocked(id)
	case !b.free(d) || d.listed && d.seq > b.f.seq:
	case d.listed:
		b.c.detachLocked(d)
		fr.fill = b.c.dirLocked(id)
	default:
		fr.fill = d
	}
	if fr.fill != nil {
		fr.fill.listed, fr.fill.stamp = true, b.f.stamp
		b.touched = append(b.touched, fr.fill)
	}
	b.frames = append(b.frames, fr)
}

// leave closes the directory on top: all of it was passed.
func (b *flatBuilder) leave() {
	top := b.frames[len(b.frames)-1]
	b.frames = b.frames[:len(b.frames)-1]
	if d := top.fill; d != nil {
		d.done, d.token = true, ""
	}
}

// close says how far the directories that are still open are known.
func (b *flatBuilder) close(w *walk) {
	if w.end {
		for len(b.frames) > 0 {
			b.leave()
		}
		return
	}
	for _, fr := range b.frames {
		if d := fr.fill; d != nil {
			d.token = ""
			if rest, inside := strings.CutPrefix(w.high, fr.prefix); inside {
				d.frontier = rest
			}
		}
	}
}
