package metadata

import (
	"math"
	"sort"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Entry is what is known about one name in a directory.
type Entry struct {
	Name   string          // one key component: raw bytes without "/"; may be empty
	Object *backend.Object // the object prefix+Name; nil: there is none
	Dir    bool            // there are keys that begin with prefix+Name+"/"
	// Marker is the object prefix+Name+"/", when a listing or a HEAD showed it; nil: there
	// is none, or nobody looked.
	Marker *backend.Object
	// Asked is when the request began that told this, or when this process changed it.
	Asked time.Time
}

// item is an entry as it is kept. It is never changed, only replaced.
type item struct {
	name     string
	object   bool
	dir      bool
	etag     string
	class    string
	size     int64
	modified int64           // nanoseconds since 1970; noTime: unknown
	full     *backend.Object // instead of the four above, when more is known than a plain listing tells
	marker   *backend.Object
	stamp
}

// stamp says when a request began, or a change was made.
type stamp struct {
	at  int64  // nanoseconds on the cache's clock; decides what is fresh
	seq uint64 // counts requests and changes; decides what is newer
}

const noTime = math.MinInt64

func (it *item) exists() bool { return it.object || it.dir }

func (it *item) setObject(o *backend.Object) {
	it.object, it.full = true, nil
	it.etag, it.size, it.class, it.modified = o.ETag, o.Size, o.StorageClass, noTime
	if !o.LastModified.IsZero() {
		it.modified = o.LastModified.UnixNano()
	}
	if o.HasMetadata || o.VersionID != "" || o.CRC64NVME != "" || !o.Fetched.IsZero() || o.Headers != (backend.Headers{}) || o.Encryption != (backend.Encryption{}) {
		it.full = own(o)
	}
}

// own copies an object out of a page, so as not to keep the whole page.
func own(o *backend.Object) *backend.Object {
	c := *o
	return &c
}

func (it *item) clearObject() {
	it.object, it.full, it.etag, it.class = false, nil, "", ""
}

// entry builds the Entry in the directory of that bucket and prefix.
func (it *item) entry(bucket, prefix string) Entry {
	e := Entry{Name: it.name, Dir: it.dir}
	if it.marker != nil {
		e.Marker = own(it.marker)
	}
	switch {
	case it.full != nil:
		e.Object = own(it.full)
	case it.object:
		e.Object = &backend.Object{
			Bucket: bucket, Key: prefix + it.name, ETag: it.etag, Size: it.size, StorageClass: it.class, TagCount: -1,
		}
		if it.modified != noTime {
			e.Object.LastModified = time.Unix(0, it.modified).UTC()
		}
	}
	return e
}

// compareTree orders names as their directories lie in a listing: by name+"/".
func compareTree(a, b string) int {
	n := min(len(a), len(b))
	if c := strings.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	switch {
	case len(a) == len(b):
		return 0
	case len(a) < len(b):
		if '/' < b[n] {
			return -1
		}
		return 1
	default:
		if a[n] < '/' {
			return -1
		}
		return 1
	}
}

// treePassed reports whether name+"/" <= frontier.
func treePassed(name, frontier string) bool {
	if !strings.HasPrefix(frontier, name) {
		return name < frontier
	}
	return len(frontier) > len(name) && frontier[len(name)] >= '/'
}

// search finds a name in items in tree order.
func search(items []*item, name string) (at int, found bool) {
	// Listings come in order: look at the end first.
	if n := len(items); n > 0 && compareTree(items[n-1].name, name) < 0 {
		return n, false
	}
	at = sort.Search(len(items), func(i int) bool { return compareTree(items[i].name, name) >= 0 })
	return at, at < len(items) && items[at].name == name
}
