package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Key names one version of an object.
type Key struct {
	Bucket, Key, ETag string
	Size              int64 // bytes
}

// name is the file name without ending.
func (k Key) name() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s%d:%s%d:%s%d", len(k.Bucket), k.Bucket, len(k.Key), k.Key, len(k.ETag), k.ETag, k.Size)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Config is what Open needs.
type Config struct {
	Dir   string
	Limit int64 // bytes on disk
	Queue int64 // bytes that may wait to be written
	Log   *slog.Logger
	// OpenFiles is how many objects, each with two files open, may be in use or were used last; more are not cached until some
	// of those are closed. Small objects share files and do not count. 0: any number.
	OpenFiles int
}

// Stats are counters since Open; Used and Limit are gauges. Bytes.
type Stats struct {
	Used, Limit      int64
	Written, Dropped int64 // Dropped: queued, but there was no room on disk
	Queued           int64 // gauge: bytes that wait to be written
	Corrupt          int64 // pieces that did not match their hash
}

const (
	maxIdle  = 128         // open files that nobody uses
	noSpace  = time.Minute // pause of writing on a full disk
	queueLen = 4096        // jobs
	// A scan is never followed by another one at once: where eviction frees nothing, the
	// writer would do nothing else.
	scanPause = 200 * time.Millisecond
	minFree   = int64(512 << 20) // bytes left free on the file system, or a fiftieth of it
)

// Tier is the disk tier. The methods of a nil Tier do nothing and find nothing.
type Tier struct {
	dir   string
	limit int64
	log   *slog.Logger
	ctx   context.Context // of verifications
	stop  context.CancelFunc

	shelf    *shelf
	jobs     chan job
	maxQueue int64
	queued   atomic.Int64 // bytes
	writer   chan struct{}
	checks   sync.WaitGroup
	checking chan struct{} // one element per running verification

	mostOpen int64        // Config.OpenFiles
	maxIdle  int          // open files that nobody uses
	pairs    atomic.Int64 // open
	used     atomic.Int64 // bytes: at the last scan plus written since
	allowed  atomic.Int64 // limit, or less on a disk that is nearly full
	fresh    atomic.Int64 // bytes written since the last scan
	full     atomic.Bool  // something did not fit since the last scan
	scanned  time.Time    // when the last scan began; of the writer
	disabled atomic.Bool  // the disk failed: nothing is written any more
	paused   atomic.Int64 // nothing is written until then, Unix nanoseconds
	warned   sync.Once
	spoilt   sync.Once
	written  atomic.Int64
	dropped  atomic.Int64
	corrupt  atomic.Int64

	mu     sync.Mutex
	files  map[Key]*File
	idle   []*File // open, refs == 0, least recently used first
	closed bool
}

// job is a run of bytes to be written.
type job struct {
	file *File
	off  int64
	data []byte
	done func()
}

// Open makes the folder and starts the writer.
func Open(cfg Config) (*Tier, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	t := &Tier{
		dir: cfg.Dir, limit: cfg.Limit, log: cfg.Log, maxQueue: cfg.Queue,
		jobs: make(chan job, queueLen), writer: make(chan struct{}),
		checking: make(chan struct{}, 2),
		mostOpen: int64(cfg.OpenFiles), maxIdle: maxIdle,
		files: map[Key]*File{},
	}
	if t.log == nil {
		t.log = slog.Default()
	}
	if cfg.OpenFiles > 0 {
		t.maxIdle = min(maxIdle, cfg.OpenFiles/2)
	}
	t.allowed.Store(cfg.Limit)
	t.shelf = newShelf(t)
	t.ctx, t.stop = context.WithCancel(context.Background())
	if err := unix.Access(cfg.Dir, unix.W_OK|unix.X_OK); err != nil {
		t.disable(err) // what is there can still be read
	}
	go t.run()
	return t, nil
}

// Close writes what is queued and closes the files that nobody uses.
func (t *Tier) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	close(t.jobs)
	t.mu.Unlock()
	t.stop()
	<-t.writer
	t.checks.Wait()
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, f := range idle {
		f.close()
	}
	t.shelf.close()
	return nil
}

// Stats returns the counters.
func (t *Tier) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	return Stats{
		Used: t.used.Load(), Limit: t.limit, Written: t.written.Load(),
		Dropped: t.dropped.Load(), Corrupt: t.corrupt.Load(), Queued: t.queued.Load(),
	}
}

// File returns the file of k, which may be absent on disk. The caller releases it.
func (t *Tier) File(k Key) *File {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	f := t.files[k]
	if f == nil {
		f = &File{tier: t, key: k, name: k.name(), size: k.Size, pieces: piecesOf(k.Size)}
		t.files[k] = f
	}
	if f.refs++; f.refs == 1 {
		for i, o := range t.idle {
			if o == f {
				t.idle = append(t.idle[:i], t.idle[i+1:]...)
				break
			}
		}
	}
	t.mu.Unlock()
	f.open.Do(f.load)
	return f
}

// Release ends the use of a File.
func (f *File) Release() {
	if f == nil {
		return
	}
	t := f.tier
	t.mu.Lock()
	f.refs--
	var out *File
	switch {
	case f.refs > 0:
	case t.closed || f.isAbsent() || t.files[f.key] != f:
		out = f
	default:
		t.idle = append(t.idle, f)
		if len(t.idle) > t.maxIdle {
			out = t.idle[0]
			t.idle = t.idle[1:]
		}
	}
	if out != nil && t.files[out.key] == out {
		delete(t.files, out.key)
	}
	t.mu.Unlock()
	if out != nil {
		out.close()
	}
}

// Takes reports whether n more bytes have a place in the queue at the moment.
func (t *Tier) Takes(n int64) bool {
	return t != nil && t.queued.Load()+n <= t.maxQueue && t.writable()
}

// Enqueue writes data at off (a multiple of PieceSize, and whole pieces up to the
// object's end) later, and calls done when data is no longer needed. It returns false, and
// does neither, if the queue is full or writing makes no sense.
func (t *Tier) Enqueue(f *File, off int64, data []byte, done func()) bool {
	n := int64(len(data))
	t.mu.Lock()
	ok := !t.closed && t.Takes(n)
	if ok {
		select {
		case t.jobs <- job{f, off, data, done}:
			t.queued.Add(n)
		default:
			ok = false
		}
	}
	t.mu.Unlock()
	return ok
}

// writable reports whether writing makes sense at the moment.
func (t *Tier) writable() bool {
	return !t.disabled.Load() && time.Now().UnixNano() >= t.paused.Load()
}

// run is the writer.
func (t *Tier) run() {
	defer close(t.writer)
	t.scan()
	for j := range t.jobs {
		j.file.Write(j.off, j.data)
		t.queued.Add(-int64(len(j.data)))
		j.done()
		if (t.full.Load() || t.fresh.Load() > t.limit/16) && time.Since(t.scanned) > scanPause {
			t.scan()
		}
	}
}

// failed notes an error of writing: a full disk, and too many open files, pause the tier, any other error
// ends writing for good.
func (t *Tier) failed(err error) {
	for _, passing := range []error{unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, passing) {
			t.paused.Store(time.Now().Add(noSpace).UnixNano())
			t.full.Store(true) // look at the disk again
			t.warned.Do(func() {
				t.log.Warn("block cache: nothing more is written to the disk until there is room", "dir", t.dir, "error", err)
			})
			return
		}
	}
	t.disable(err)
}

// errCrowded: there are Config.OpenFiles already.
var errCrowded = errors.New("disk: enough files are open")

func (t *Tier) crowded() bool { return t.mostOpen > 0 && t.pairs.Load() >= t.mostOpen }

// damaged counts a piece that is not what was written.
func (t *Tier) damaged() {
	t.corrupt.Add(1)
	t.spoilt.Do(func() {
		t.log.Warn("block cache: bytes on the disk are not those that were written; they are fetched again", "dir", t.dir)
	})
}

func (t *Tier) disable(err error) {
	t.disabled.Store(true)
	t.warned.Do(func() {
		t.log.Warn("block cache: the disk tier cannot be written and stays as it is", "dir", t.dir, "error", err)
	})
}

// folder returns the folder of a name.
func (t *Tier) folder(name string) string { return filepath.Join(t.dir, name[:2]) }
