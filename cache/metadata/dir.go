package metadata

import (
	"container/list"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// dirID names a directory.
type dirID struct{ bucket, prefix string }

// maxRune sorts after every UTF-8 string that continues a key.
const maxRune = "\U0010FFFF"

// dir is what is known about one directory. Cache.mu guards it.
type dir struct {
	dirID
	// The listing: valid up to the frontier. Names that begin a longer one may stand behind
	// it, while it is not known whether they are directories too.
	listed   bool // it has begun: items, frontier, done, stamp mean something
	stamp         // of its first request
	items    []*item
	frontier string // relative to prefix: all keys up to it are known
	before   string // the frontier before the last page
	done     bool   // all keys are known
	token    string // continues the listing with delimiter at the frontier; may be empty
	stalls   int    // pages in a row that did not move the frontier
	failed   bool   // the last request for a page did
	flat     int    // pages without delimiter that did not finish it
	self     *backend.Object

	singles map[string]*item // what lookups brought about names not listed, or listed before
	misses  int              // lookups that cost a request since missed
	missed  int64

	fetch   *flight // brings the next page
	scans   map[*Scan]struct{}
	element *list.Element // in Cache.lru; nil: not found by others any more
	weight  int           // entries, as counted in Cache.entries
	trimmed bool          // its beginning was dropped
}

// maxSingles bounds the single entries of one directory.
const maxSingles = 10_000

// decided reports whether the listing tells about name.
func (d *dir) decided(name string) bool {
	return d.listed && !d.trimmed && (d.done || treePassed(name, d.frontier))
}

// known returns the newest that is known about name, fresh or not; nil: nothing. listing
// says that it comes from the listing.
func (d *dir) known(name string) (it *item, listing bool) {
	single := d.singles[name]
	if !d.decided(name) {
		return single, false
	}
	if at, found := search(d.items, name); found {
		it = d.items[at]
	} else {
		it = &item{name: name, stamp: d.stamp}
	}
	if single != nil && single.seq > it.seq {
		return single, false
	}
	return it, true
}

// record keeps the answer of a lookup, unless something newer is known.
func (d *dir) record(it *item) {
	if old, _ := d.known(it.name); old != nil && old.seq > it.seq {
		return
	}
	if d.decided(it.name) && it.exists() {
		delete(d.singles, it.name)
		d.put(it)
		return
	}
	if d.decided(it.name) {
		d.drop(it.name)
	}
	if len(d.singles) >= maxSingles {
		clear(d.singles)
	}
	if d.singles == nil {
		d.singles = make(map[string]*item)
	}
	d.singles[it.name] = it
}

// put inserts or replaces an item of the listing.
func (d *dir) put(it *item) {
	at, found := search(d.items, it.name)
	if found {
		d.items[at] = it
		return
	}
	d.items = slices.Insert(d.items, at, it)
}

func (d *dir) drop(name string) {
	if at, found := search(d.items, name); found {
		d.items = slices.Delete(d.items, at, at+1)
	}
}

// object adds an object of a page.
func (d *dir) object(name string, o *backend.Object, s stamp) {
	it := &item{name: strings.Clone(name), stamp: s}
	if at, found := search(d.items, name); found {
		it.dir, it.marker = d.items[at].dir, d.items[at].marker
	}
	it.setObject(o)
	d.put(it)
}

// subdir adds a directory of a page.
func (d *dir) subdir(name string, s stamp) {
	at, found := search(d.items, name)
	switch {
	case !found:
		d.items = slices.Insert(d.items, at, &item{name: strings.Clone(name), dir: true, stamp: s})
	case !d.items[at].dir:
		it := *d.items[at]
		it.dir = true
		d.items[at] = &it
	}
}

// page adds a page of a listing with delimiter. It reports whether the store made progress.
func (d *dir) page(p backend.Page, s stamp) bool {
	last := d.frontier
	fresh := func(raw string) bool { return raw != "" && raw > d.frontier }
	for i := range p.Objects {
		o := &p.Objects[i]
		rest, inside := strings.CutPrefix(o.Key, d.prefix)
		switch {
		case !inside:
		case rest == "":
			d.self = own(o)
		case fresh(rest):
			last = max(last, rest)
			name, _, nested := strings.Cut(rest, "/")
			if nested {
				d.subdir(name, s)
				continue
			}
			d.object(name, o, s)
		}
	}
	for _, prefix := range p.Prefixes {
		rest, inside := strings.CutPrefix(prefix, d.prefix)
		name, _, nested := strings.Cut(rest, "/")
		if inside && nested && fresh(rest) {
			d.subdir(name, s)
			last = max(last, name+"/"+maxRune)
		}
	}
	moved := last != d.frontier
	d.before, d.frontier = d.frontier, last
	d.token, d.done = p.Next, p.Next == ""
	return moved || d.done
}

// apply makes an own change in what is known here.
func (d *dir) apply(ch *change) {
	rest, inside := strings.CutPrefix(ch.key, d.prefix)
	if !inside {
		return
	}
	if rest == "" {
		switch ch.op {
		case opStored:
			d.self = ch.object
		case opRemoved:
			d.self = nil
		}
		return
	}
	name, below, nested := strings.Cut(rest, "/")
	switch {
	case ch.op == opStored && !nested:
		// The listing passes an object before the directory of the same name.
		d.update(name, ch, d.done || name <= d.frontier, func(it *item) { it.setObject(ch.object) })
	case ch.op == opStored || ch.op == opPrefixAdded || ch.op == opPrefixCreated:
		d.update(name, ch, d.decided(name), func(it *item) {
			it.dir = true
			if below == "" && ch.object != nil {
				it.marker = ch.object
			}
		})
	case ch.op == opRemoved && !nested:
		d.update(name, ch, false, (*item).clearObject)
	case ch.op == opRemoved && below == "":
		d.update(name, ch, false, func(it *item) { it.marker = nil })
	case ch.op == opPrefixRemoved && below == "":
		d.update(name, ch, false, func(it *item) { it.dir, it.marker = false, nil })
	}
}

// update changes the item of a name where there is one, and with add makes one in the
// listing.
func (d *dir) update(name string, ch *change, add bool, mutate func(*item)) {
	at, found := search(d.items, name)
	switch {
	case found:
		it := *d.items[at]
		mutate(&it)
		it.stamp = ch.stamp
		if it.exists() {
			d.items[at] = &it
		} else {
			d.items = slices.Delete(d.items, at, at+1)
		}
	case add && d.listed && !d.trimmed:
		it := &item{name: strings.Clone(name), stamp: ch.stamp}
		mutate(it)
		d.items = slices.Insert(d.items, at, it)
	}
	if old := d.singles[name]; old != nil {
		it := *old
		mutate(&it)
		it.stamp = ch.stamp
		d.singles[name] = &it
	}
}

// empty makes d a listing of nothing.
func (d *dir) empty(s stamp) {
	d.listed, d.done, d.stamp = true, true, s
	d.items, d.frontier, d.before, d.token, d.self = nil, "", "", "", nil
}

// parent returns the directory that holds the directory of a prefix, and its name there.
func parent(prefix string) (dir, name string) {
	trimmed := strings.TrimSuffix(prefix, "/")
	at := strings.LastIndexByte(trimmed, '/') + 1
	return prefix[:at], trimmed[at:]
}
