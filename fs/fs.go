package fs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/cache/writeback"
)

// FS answers the kernel for one mount.
type FS struct {
	fuse.RawFileSystem // answers ENOSYS to what is not here

	cfg     Config
	log     *slog.Logger
	queue   *writeback.Queue
	server  atomic.Pointer[fuse.Server]
	started time.Time

	tree     *tree
	handles  table[*handle]
	dirs     table[*dirHandle]
	promises promises
	staged   stagedNodes
	markers  markerAnswers
	versions versionLists
	rules    lockRules
	limits   limitTable

	believed, missed atomic.Int64 // Config.TTL and Config.NegativeTTL as they are now, in nanoseconds
	passthrough      atomic.Bool
	waiting          atomic.Int64 // requests of the kernel that may have to wait
	interrupted      interruptions
	fewSaid          atomic.Bool // see fewFiles
	errands          errands

	moving    moving    // the directory that is being renamed
	overtaken overtaken // unlinks that the kernel repeats
	deciding  sync.Map  // ids of staged files that somebody is deciding about; the values say nothing

	facts       *facts   // of objects, for extended attributes
	tags        tagging  // changes that are not sent yet
	turns       turns    // of those who change attributes
	unannotated sync.Map // buckets without annotations; the values say nothing

	ctx     context.Context
	stop    context.CancelFunc
	closing chan struct{}  // closed when the mount ends: no repeats any more
	work    sync.WaitGroup // background
	notices sync.WaitGroup // the notifier
	notify  chan func(*fuse.Server)
}

// New builds the inode layer and takes over what an earlier mount left in staging: finished files
// are visible at once and their uploads begin.
func New(cfg Config) (*FS, error) {
	if cfg.Store == nil || cfg.Blocks == nil || cfg.Metadata == nil || cfg.Staging == nil || cfg.NewQueue == nil || cfg.Capabilities == nil {
		return nil, errors.New("fs: incomplete configuration")
	}
	if len(cfg.Groups) > 0 && cfg.Bucket+cfg.Prefix != "" {
		return nil, errors.New("fs: groups of buckets in one bucket")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &FS{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), cfg: cfg, log: cfg.Log, started: time.Now(),
		tree: newTree(cfg.Bucket, cfg.Prefix), ctx: ctx, stop: stop, closing: make(chan struct{}), facts: newFacts(),
		notify: make(chan func(*fuse.Server), 1024),
	}
	f.SetTTL(cfg.TTL, cfg.NegativeTTL)
	f.cfg.Store = noticing{cfg.Store, &f.versions}
	root := f.tree.root()
	root.attr = f.dirAttr()
	f.addGroups()
	f.queue = cfg.NewQueue(Callbacks{BeforeStream: f.describe, BeforeCommit: f.markUpload, OnCommit: f.committed, OnFail: f.failed, MayReplace: f.unlocked})
	f.notices.Add(1)
	go f.notifier()
	if !cfg.ReadOnly {
		f.recover()
	}
	return f, nil
}

// String names the filesystem in go-fuse's debug output.
func (f *FS) String() string { return "objmount" }

// background runs fn on a goroutine that Close waits for.
func (f *FS) background(fn func()) {
	f.work.Add(1)
	go func() {
		defer f.work.Done()
		fn()
	}()
}

// notifier sends notifications to the kernel, one at a time and with no lock held: the kernel may
// ask us something before it answers.
func (f *FS) notifier() {
	defer f.notices.Done()
	for {
		select {
		case <-f.ctx.Done():
			return
		case send := <-f.notify:
			if server := f.server.Load(); server != nil {
				send(server)
			}
		}
	}
}

// post queues a notification; when the queue is full it is dropped, and the kernel's timeouts do the work.
func (f *FS) post(send func(*fuse.Server)) {
	select {
	case f.notify <- send:
	default:
	}
}

// notifyEntry makes the kernel forget a name.
func (f *FS) notifyEntry(parent *node, name string) {
	if parent == nil {
		return
	}
	f.post(func(s *fuse.Server) { s.EntryNotify(parent.id, name) })
}

// notifyContent makes the kernel drop an inode's pages and attributes.
func (f *FS) notifyContent(n *node) {
	f.post(func(s *fuse.Server) { s.InodeNotify(n.id, 0, 0) })
}

// Drain waits until everything staged is in the store; progress may be nil. It can be called
// while the mount is up.
func (f *FS) Drain(ctx context.Context, progress func(done, total int64, files int)) error {
	if progress == nil {
		progress = func(int64, int64, int) {}
	}
	for _, n := range f.staged.all() {
		f.endMade(n)
	}
	err := f.flushTagsBelow(ctx, "", "")
	return errors.Join(f.queue.Flush(ctx, progress), err)
}

// Close waits for deletes under way, until ctx ends, and ends the queue and the background work. What is
// not in the store stays in staging. It is called once.
func (f *FS) Close(ctx context.Context) error {
	close(f.closing)
	f.stopTags()
	idle := make(chan struct{})
	go func() {
		f.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	err := f.queue.Close(ctx)
	f.stop()
	<-idle
	f.notices.Wait()
	return err
}

// Status is the state of a mount, for people and scripts.
type Status struct {
	Inodes      int                `json:"inodes"`
	MaxInodes   int                `json:"max_inodes"` // Config.MaxInodes
	Waiting     int                `json:"waiting"`    // requests of the kernel under way, but for those that are answered from memory
	OpenFiles   int                `json:"open_files"`
	OpenDirs    int                `json:"open_dirs"`
	Passthrough bool               `json:"passthrough"`
	Pending     []writeback.Status `json:"pending"`
	Staging     StagingStatus      `json:"staging"`
	Kept        []KeptFile         `json:"kept"`
}

// StagingStatus is how full staging is, in bytes.
type StagingStatus struct {
	Bytes       int64 `json:"bytes"`
	Limit       int64 `json:"limit"`
	Files       int   `json:"files"`
	Quarantined int   `json:"quarantined"`
}

// KeptFile is data that will not be uploaded by itself: a conflict, what no program finished, or tags that the store
// refused, which are not kept anywhere else.
type KeptFile struct {
	ID     string `json:"id"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	State  string `json:"state"`
	Size   int64  `json:"size"`
	Reason string `json:"reason"`
	Path   string `json:"path"` // the file with the bytes that were written; empty: none were
}
