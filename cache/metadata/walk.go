package metadata

import (
	"slices"
	"strings"
	"time"
)

const (
	// walkGap ends a walk: no directory was begun for so long.
	walkGap = int64(10 * time.Second)
	// walkProof is how many small directories a walk must finish before it is believed.
	walkProof = 2
	// walkSmall is the most entries of a small directory.
	walkSmall = 500
	// flatPages is how many pages without delimiter are tried to finish one directory that
	// has many files. One that has large directories gets one.
	flatPages = 3
	maxWalks  = 16
	// walkRecent is how many directories back the next one may be related to: walkers with
	// several threads are not strictly in order.
	walkRecent = 8
)

// walk is a series of scans that goes through the directories below its root. Cache.mu
// guards it.
type walk struct {
	dirID  // the root
	last   int64
	small  int // small directories finished in a row; negative after a mistake
	fine   int // what the next mistake costs
	recent []string
	doubt  string // a page was spent on this directory; it is well spent if the walk enters it

	flight *flatFlight // at most one listing without delimiter at a time
	pages  int         // such listings so far
	middle string      // keys of the last page
	high   string      // all keys up to it were seen; empty: none
	token  string      // continues after high
	end    bool        // the root's last key was seen
}

// startedLocked counts a scan that begins as a step of a walk.
func (c *Cache) startedLocked(s *Scan) {
	if c.ttl() <= 0 || s.d.element == nil || !whole(s.id.prefix) {
		return
	}
	w := c.walkLocked(s.id)
	if w == nil {
		w = &walk{dirID: s.id, fine: 4}
		if len(c.walks) >= maxWalks {
			c.walks = slices.Delete(c.walks, 0, 1)
		}
		c.walks = append(c.walks, w)
	}
	w.last = c.now()
	if s.id == w.dirID {
		w.small = min(w.small, 0)
		return
	}
	if w.doubt != "" && !strings.HasPrefix(s.id.prefix, w.doubt) {
		w.mistake()
	}
	w.doubt = ""
	up, _ := parent(s.id.prefix)
	if len(w.recent) > 0 && !slices.ContainsFunc(w.recent, func(q string) bool { return strings.HasPrefix(q, up) }) {
		w.small = min(w.small, 0)
	}
	if len(w.recent) >= walkRecent {
		w.recent = slices.Delete(w.recent, 0, 1)
	}
	w.recent = append(w.recent, s.id.prefix)
	// The walk reads ahead: half of what it has is used up.
	if w.pages >= 2 && w.small >= walkProof && !w.end && w.flight == nil && s.id.prefix > w.middle && s.id.prefix <= w.high {
		c.flyFlatLocked(w, w.high, nil)
	}
}

// finishedLocked counts a scan that has read its directory to the end.
func (c *Cache) finishedLocked(s *Scan) {
	w := c.walkLocked(s.id)
	if w == nil || s.id == w.dirID {
		return
	}
	if s.count <= walkSmall {
		w.small++
	} else {
		w.small = min(w.small, 0)
	}
}

// walkLocked returns the walk that a directory belongs to.
func (c *Cache) walkLocked(id dirID) *walk {
	now := c.now()
	c.walks = slices.DeleteFunc(c.walks, func(w *walk) bool { return now-w.last > walkGap && w.flight == nil })
	var found *walk
	for _, w := range c.walks {
		if w.bucket == id.bucket && strings.HasPrefix(id.prefix, w.prefix) && (found == nil || len(w.prefix) > len(found.prefix)) {
			found = w
		}
	}
	return found
}

// fetchFlatLocked brings the next page of d by a listing without delimiter, if d belongs
// to a walk; nil: it does not.
func (c *Cache) fetchFlatLocked(d *dir) *flight {
	if c.noFlat || c.closed || d.element == nil || d.flat >= flatPages || !whole(d.prefix) {
		return nil
	}
	w := c.walkLocked(d.dirID)
	if w == nil || w.small < walkProof || w.prefix == d.prefix {
		return nil
	}
	low := startOf(d.prefix)
	if d.listed {
		low = d.prefix + d.frontier
	}
	if w.flight != nil {
		if w.flight.low > low {
			return nil
		}
		// It may pass d; if not, the next fetch begins where it ends.
		d.fetch = &w.flight.flight
		w.flight.waiting = append(w.flight.waiting, d)
		return d.fetch
	}
	return c.flyFlatLocked(w, low, d)
}

// whole reports whether a prefix is that of a directory, not of the part of a long name, whose
// keys a listing without delimiter puts into the directory around it.
func whole(prefix string) bool { return prefix == "" || strings.HasSuffix(prefix, "/") }

// startOf returns a string after which the keys of a prefix that ends in "/" begin.
func startOf(prefix string) string {
	return prefix[:len(prefix)-1] + "." + maxRune
}
