package blocks

import (
	"context"
	"hash"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks/disk"
)

// Config is what Open needs. Only Reader is required.
type Config struct {
	Reader backend.Reader
	// Memory bounds the bytes of all buffers together. 0 means 128 MiB; less than 16 MiB
	// means 16 MiB.
	Memory int64
	// Dir is the folder of the disk tier; empty: none. Several caches, also of other
	// processes, may share it.
	Dir string
	// DirSize bounds the bytes that the disk tier uses. 0 means 16 GiB.
	DirSize int64
	// OpenFiles is disk.Config.OpenFiles.
	OpenFiles int
	// Requests is how many GETs run at once. 0 means 64.
	Requests int
	// Checksum makes a hash for CRC64NVME. nil: objects are verified only by MD5.
	Checksum func() hash.Hash64
	// Patience is how long a download goes on without a byte while the store fails, and a read waits through failures of
	// downloads that others began. It is asked each time; nil: not at all, but for a few attempts at once.
	Patience func() time.Duration
	// Log gets warnings; nil: slog.Default().
	Log *slog.Logger
	// DiskLog gets those about the disk tier; nil: Log.
	DiskLog *slog.Logger
}

const (
	defaultMemory   = 128 << 20
	minMemory       = 16 << 20
	defaultDirSize  = 16 << 30
	defaultRequests = 64
)

// Cache keeps bytes of objects that may be thrown away at any moment. It is safe for
// concurrent use.
type Cache struct {
	reader   backend.Reader
	checksum func() hash.Hash64
	patience func() time.Duration
	log      *slog.Logger

	buffers   *buffers
	policy    *policy
	parking   parking
	tier      *disk.Tier    // nil without a disk tier
	slots     chan struct{} // one element per running GET
	maxPart   int64         // bytes of a read-ahead GET
	maxWindow int64         // bytes of read-ahead of one stream

	ctx    context.Context // of all downloads; ended by Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // fetches and Small calls

	mu        sync.Mutex // before content.mu
	contents  table
	readers   map[*Reader]struct{}
	reclaimed time.Time

	nameless sync.Map // buckets whose versions may not be read by their ids

	stats counters
}

// Open makes a cache. A disk tier that cannot be used is left out with a warning. The
// caller closes the cache.
func Open(cfg Config) (*Cache, error) {
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	cfg.Memory = max(cfg.Memory, minMemory)
	if cfg.Requests <= 0 {
		cfg.Requests = defaultRequests
	}
	if cfg.DirSize <= 0 {
		cfg.DirSize = defaultDirSize
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.DiskLog == nil {
		cfg.DiskLog = cfg.Log
	}
	if cfg.Patience == nil {
		cfg.Patience = func() time.Duration { return 0 }
	}
	c := &Cache{
		reader: cfg.Reader, checksum: cfg.Checksum, patience: cfg.Patience, log: cfg.Log,
		slots:    make(chan struct{}, cfg.Requests),
		contents: table{},
		readers:  map[*Reader]struct{}{},
	}
	// Shares: see budget. What waits to be written to disk is bounded by queue.
	reserve := max(6<<20, cfg.Memory/16)
	pinned := min((cfg.Memory-reserve)*9/16, 256<<20)
	var queue int64
	if cfg.Dir != "" {
		queue = min(16<<20, cfg.Memory/8)
	}
	c.maxWindow = min(maxWindow, pinned)
	c.maxPart = minPart
	for c.maxPart < maxPart && c.maxPart*2 <= pinned/8 {
		c.maxPart *= 2
	}
	c.parking.cache, c.parking.limit = c, pinned/4
	var err error
	if c.buffers, err = newBuffers(cfg.Memory, pinned, reserve); err != nil {
		return nil, &backend.Error{Kind: backend.KindNoSpace, Op: "open block cache", Err: err}
	}
	if c.policy, err = newPolicy(cfg.Memory - reserve - pinned - queue); err != nil {
		c.buffers.close()
		return nil, &backend.Error{Kind: backend.KindOther, Op: "open block cache", Err: err}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if cfg.Dir != "" {
		c.tier, err = disk.Open(disk.Config{Dir: cfg.Dir, Limit: cfg.DirSize, Queue: queue, Log: cfg.DiskLog, OpenFiles: cfg.OpenFiles})
		if err != nil {
			cfg.DiskLog.Warn("block cache without a disk tier", "dir", cfg.Dir, "error", err)
		}
	}
	return c, nil
}

// Close ends all downloads, writes what waits for the disk tier, and frees the memory.
// Readers should be closed before; a View that is still held stays valid.
func (c *Cache) Close() error {
	c.cancel()
	c.tasks.Wait()
	c.parking.empty()
	err := c.tier.Close()
	c.policy.close()
	c.buffers.close()
	return err
}

// file returns the disk tier's file of src, nil without a disk tier. The caller releases it.
func (c *Cache) file(src Source) *disk.File {
	return c.tier.File(src.diskKey())
}

// persist queues a full block for the disk tier, unless the queue is full. The caller
// holds a reference.
func (c *Cache) persist(b *block) {
	if !c.tier.Takes(b.size()) {
		return
	}
	b.content.mu.Lock()
	src, lost := b.content.src, b.content.lost
	b.content.mu.Unlock()
	if !b.saved.CompareAndSwap(false, true) || lost || !b.ref() {
		return
	}
	f := c.file(src)
	done := func() {
		f.Release()
		b.unref()
	}
	if !c.tier.Enqueue(f, b.off, b.buf.data, done) {
		b.saved.Store(false)
		done()
	}
}

// Cached reports whether every byte of src is in memory or on the disk tier.
func (c *Cache) Cached(src Source) bool {
	f := c.file(src)
	defer f.Release()
	ct := c.peek(src)
	if ct == nil {
		return f.Present(0, src.Size) == src.Size
	}
	defer ct.release()
	ct.mu.Lock()
	defer ct.mu.Unlock()
	return ct.coversLocked(0, src.Size, f)
}

// Complete returns a read-only file whose bytes 0..Size are the object's, for FUSE
// passthrough: complete on the disk tier and verified in this run. The caller closes it;
// eviction and Drop leave an open file as it is. When all is there but not yet verified,
// that is done in the background, so that a later call succeeds.
func (c *Cache) Complete(src Source) (fd *os.File, ok bool) {
	f := c.file(src)
	defer f.Release()
	return f.Complete()
}

// Drop forgets every version of a key, because another version is current now. Readers
// of an old version keep what they have, and what they read ahead.
func (c *Cache) Drop(bucket, key string) {
	c.mu.Lock()
	old := slices.Clone(c.contents[backend.ObjectID{Bucket: bucket, Key: key}])
	c.mu.Unlock()
	for _, ct := range old {
		c.expel(ct)
	}
}

// Evict drops what is cached of one version, because somebody asked for it. Readers keep what they have.
func (c *Cache) Evict(src Source) {
	c.mu.Lock()
	ct := c.contents.find(src)
	c.mu.Unlock()
	if ct == nil {
		c.tier.Remove(src.diskKey())
		return
	}
	c.expel(ct)
}

// expel takes a content out of the table: it is never found again, its blocks go when
// its last user does, its disk file at once.
func (c *Cache) expel(ct *content) {
	c.mu.Lock()
	ct.mu.Lock()
	src := ct.src
	c.contents.remove(ct, src)
	ct.lost = true
	unused := ct.users == 0
	ct.mu.Unlock()
	c.mu.Unlock()
	c.tier.Remove(src.diskKey())
	if unused {
		ct.evictAll(false)
	}
}

// Move says that the bytes of old are now known as new: a rename, or a copy onto itself
// that changed the ETag. Cached blocks and open Readers go along. The sizes are equal.
func (c *Cache) Move(old, new Source) {
	if old.Size != new.Size || old.same(new) {
		return
	}
	c.mu.Lock()
	if ct := c.contents.find(old); ct != nil {
		ct.mu.Lock()
		if new.CRC64NVME == "" {
			new.CRC64NVME = ct.src.CRC64NVME
		}
		c.contents.remove(ct, old)
		ct.src = new
		ct.moved++
		if c.contents.find(new) == nil {
			c.contents.add(ct, new)
		} else {
			ct.lost = true // its Readers go on, by the new name
		}
		ct.mu.Unlock()
	}
	c.mu.Unlock()
	c.tier.Move(old.diskKey(), new.diskKey())
}
