package metadata

import (
	"container/list"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

// Config says how a Cache works. Lister and Reader are required.
type Config struct {
	Lister backend.Lister
	Reader backend.Reader // for Fill
	// Path is the file that keeps attributes across remounts; empty: memory only. When the
	// file is used by another process, or cannot be read or made, it is memory only too,
	// with one warning.
	Path string
	// TTL is how long names and listings are fresh; 0: never, every question is asked. SetTTL changes it.
	TTL time.Duration
	// NegativeTTL is the same for single names that do not exist.
	NegativeTTL time.Duration
	// MaxEntries bounds the entries of all listings and lookups together, at about 200 bytes
	// each; 0: 1,000,000. A tenth of it bounds the attributes kept in memory.
	MaxEntries int
	Log        *slog.Logger // nil: slog.Default()
}

const (
	defaultMaxEntries = 1_000_000
	// lookupKeys is the page of a lookup: "name-1" and "name.txt" sort before "name/".
	lookupKeys = 100
	// lookupsToList is how many lookups in one directory cost a request each before the
	// first page of its listing is asked for instead.
	lookupsToList = 4
)

// Cache answers questions about names and attributes, from memory where it may. Its methods
// are safe for concurrent use. The Objects that it returns are the caller's, but their
// Metadata maps are shared and must not be changed.
type Cache struct {
	cfg   Config
	epoch time.Time
	ctx   context.Context // ends at Close; requests run under it
	stop  context.CancelFunc
	work  sync.WaitGroup // every goroutine
	attrs *recollection
	heads headers

	fresh, absent atomic.Int64 // TTL and NegativeTTL, in nanoseconds

	mu       sync.Mutex
	closed   bool
	seq      uint64
	dirs     map[dirID]*dir
	below    map[dirID]int // how many of dirs lie below a prefix
	lru      *list.List    // of *dir, those in dirs, the last used first
	detached map[*dir]struct{}
	entries  int
	lookups  map[lookupID]*flight
	watches  map[*watch]struct{}
	walks    []*walk
	noFlat   bool // the store does not list from the middle
}

// Open returns a Cache. A file that cannot be used is no error.
func Open(cfg Config) (*Cache, error) {
	if cfg.Lister == nil || cfg.Reader == nil {
		return nil, &backend.Error{Kind: backend.KindInvalid, Op: "metadata.Open", Message: "a lister and a reader are required"}
	}
	if cfg.MaxEntries <= 0 {
		cfg.MaxEntries = defaultMaxEntries
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Cache{
		cfg: cfg, epoch: time.Now(), ctx: ctx, stop: stop,
		dirs: make(map[dirID]*dir), below: make(map[dirID]int), lru: list.New(), detached: make(map[*dir]struct{}),
		lookups: make(map[lookupID]*flight), watches: make(map[*watch]struct{}),
	}
	c.SetTTL(cfg.TTL, cfg.NegativeTTL)
	c.heads.init()
	c.attrs = openRecollection(cfg, &c.work)
	return c, nil
}

// SetTTL changes how long answers are fresh from now on, also those that are there; see Config.
func (c *Cache) SetTTL(ttl, negative time.Duration) {
	c.fresh.Store(int64(ttl))
	c.absent.Store(int64(negative))
}

func (c *Cache) ttl() time.Duration { return time.Duration(c.fresh.Load()) }

func (c *Cache) negativeTTL() time.Duration { return time.Duration(c.absent.Load()) }

// Close ends all requests and waits for them, and writes what is left to the file. Scans that
// are open fail with KindCanceled.
func (c *Cache) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return nil
	}
	c.stop()
	c.attrs.stop()
	c.work.Wait()
	return c.attrs.close()
}

// now returns the time on the cache's clock, which does not jump.
func (c *Cache) now() int64 { return int64(time.Since(c.epoch)) }

func (c *Cache) stampLocked() stamp {
	c.seq++
	return stamp{at: c.now(), seq: c.seq}
}

func (c *Cache) freshLocked(s stamp, ttl time.Duration) bool {
	return c.now()-s.at < int64(ttl)
}

// dirLocked returns what is known about a directory, or makes a place for it.
func (c *Cache) dirLocked(id dirID) *dir {
	if d := c.dirs[id]; d != nil {
		c.lru.MoveToFront(d.element)
		return d
	}
	d := &dir{dirID: id, scans: make(map[*Scan]struct{})}
	if id.prefix != "" && !strings.HasSuffix(id.prefix, "/") {
		// A piece of a long component: own changes would not find it by its path.
		c.detached[d] = struct{}{}
		return d
	}
	c.dirs[id] = d
	d.element = c.lru.PushFront(d)
	ancestors(id, func(up dirID) { c.below[up]++ })
	c.accountLocked(d)
	return d
}

// ancestors calls f with every directory above id.
func ancestors(id dirID, f func(dirID)) {
	for prefix := id.prefix; prefix != ""; {
		prefix, _ = parent(prefix)
		f(dirID{id.bucket, prefix})
	}
}

// detachLocked lets nobody find d any more. Scans that are on it go on.
func (c *Cache) detachLocked(d *dir) {
	if d.element == nil {
		return
	}
	c.lru.Remove(d.element)
	d.element = nil
	delete(c.dirs, d.dirID)
	ancestors(d.dirID, func(up dirID) {
		if c.below[up]--; c.below[up] == 0 {
			delete(c.below, up)
		}
	})
	c.detached[d] = struct{}{}
	c.releaseLocked(d)
}

// releaseLocked forgets a detached directory that nobody uses.
func (c *Cache) releaseLocked(d *dir) {
	if d.element == nil && len(d.scans) == 0 && d.fetch == nil {
		delete(c.detached, d)
		c.entries -= d.weight
		d.weight = 0
	}
}

// accountLocked counts what d holds. It must follow every change of d.
func (c *Cache) accountLocked(d *dir) {
	if _, detached := c.detached[d]; d.element == nil && !detached {
		return // released
	}
	weight := 1 + len(d.items) + len(d.singles)
	c.entries += weight - d.weight
	d.weight = weight
}

// shrinkLocked keeps the number of entries under its bound; d is the directory that grew,
// and leaves last. nil: none that matters more than another.
func (c *Cache) shrinkLocked(d *dir) {
	for back := c.lru.Back(); back != nil && c.entries > c.cfg.MaxEntries; {
		old := back.Value.(*dir)
		back = back.Prev()
		if old != d && len(old.scans) == 0 && old.fetch == nil {
			c.detachLocked(old)
		}
	}
	if d == nil {
		return
	}
	if c.entries > c.cfg.MaxEntries && d.weight > c.cfg.MaxEntries/4 {
		c.trimLocked(d)
	}
	if c.entries <= c.cfg.MaxEntries {
		return
	}
	for old := range c.pinnedLocked() {
		if old != d && old.fetch == nil && c.entries > c.cfg.MaxEntries {
			c.evictLocked(old)
		}
	}
}

// pinnedLocked returns the directories that scans are on.
func (c *Cache) pinnedLocked() map[*dir]struct{} {
	pinned := make(map[*dir]struct{})
	for d := range c.detached {
		pinned[d] = struct{}{}
	}
	for _, d := range c.dirs {
		if len(d.scans) > 0 {
			pinned[d] = struct{}{}
		}
	}
	return pinned
}

// evictLocked takes a listing away from its scans: they begin it again, and skip what they
// have passed.
func (c *Cache) evictLocked(d *dir) {
	for s := range d.scans {
		s.d = nil
	}
	clear(d.scans)
	c.detachLocked(d)
	c.releaseLocked(d)
}

// trimLocked drops what the fastest scan of d has passed. Slower ones begin again.
func (c *Cache) trimLocked(d *dir) {
	var fastest *Scan
	for s := range d.scans {
		if fastest == nil || s.ahead(fastest) {
			fastest = s
		}
	}
	if fastest == nil {
		c.evictLocked(d)
		return
	}
	for s := range d.scans {
		if s != fastest {
			s.d = nil
			delete(d.scans, s)
		}
	}
	c.detachLocked(d)
	d.trimmed = true
	d.items = append([]*item(nil), d.items[fastest.index(d):]...)
	d.singles = nil
	c.accountLocked(d)
}
