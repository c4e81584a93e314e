package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/fs"
)

// parts are what a mount is made of. They are opened in this order and closed in reverse.
type parts struct {
	cfg        *config
	file       atomic.Pointer[configfile.File] // of the last reload; nil: that of cfg. See remote
	log        *slog.Logger
	live       *live
	stores     []*mountedStore // one, or those of a mount of several
	store      backend.Store   // all of them, for uploads
	patient    backend.Store   // the same, for everything but uploads
	view       backend.Store   // what is shown of it: now, or as it was
	endpoint   string          // of all of them
	slot       *slot
	blocks     *blocks.Cache
	cacheDir   string      // of the blocks' disk tier; empty: none
	cacheSaid  atomic.Bool // one warning about the cache directory was logged
	metadata   *metadata.Cache
	staging    *staging.Area
	fs         *fs.FS
	queue      *writeback.Queue // of fs
	unexpired  unexpired        // namespaces that do not expire as configured
	openFiles  int              // staged files that stay open, see fitDescriptors
	openCached int              // objects of the disk cache that are open
	unsent     int              // files left for the next mount; known when closed
	closers    []func(ctx context.Context) error
}

// closeLater adds what close does; the last added is done first.
func (p *parts) closeLater(f func(ctx context.Context) error) { p.closers = append(p.closers, f) }

// close ends everything that was opened. ctx bounds the wait for requests that create objects.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	for _, f := range slices.Backward(p.closers) {
		errs = append(errs, f(ctx))
	}
	p.closers = nil
	return errors.Join(errs...)
}

// openStore connects and asks one question that needs everything a mount needs: endpoint,
// credentials, bucket, and the right to list.
func (p *parts) openStore(ctx context.Context) error {
	c := p.cfg
	p.fitDescriptors()
	err := p.openStores(ctx)
	switch {
	case err != nil:
		return err
	case c.several():
		return p.reachAll(ctx)
	case c.src.bucket == "":
		_, err = p.store.ListBuckets(ctx, "")
	default:
		_, err = p.store.List(ctx, backend.ListInput{Bucket: c.src.bucket, Prefix: c.src.prefix, MaxKeys: 1})
	}
	if err != nil {
		return explainStore(c.src, p.endpoint, c.noSignRequest, err)
	}
	return nil
}

// open joins everything up to the filesystem. What was opened before an error is closed by close.
func (p *parts) open(ctx context.Context) error {
	steps := []func(context.Context) error{p.openStore, p.openPast, p.openSlot, p.openCapabilities, p.openBlocks, p.openMetadata, p.openStaging, p.openFS, p.openNamespaces}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *parts) openSlot(context.Context) error {
	c := p.cfg
	var err error
	p.slot, err = takeSlot(c.places.state, scope{p.endpoint, c.src.bucket, c.src.prefix}, c.src, c.mountpoint, c.slotKind(), p.log)
	if err != nil {
		return err
	}
	p.closeLater(func(context.Context) error { return p.slot.release() })
	return nil
}

// openCapabilities asks now what a mount of one bucket can do, so that no file waits for it.
func (p *parts) openCapabilities(ctx context.Context) error {
	for i, m := range p.stores {
		m.capabilities = newCapabilities(m.store, m.store.Endpoint(), p.cfg.src.prefix, p.cfg.places.state, !p.cfg.readOnly, m.patient.log)
		if r := p.cfg.stores[i].remote; r != nil {
			m.capabilities.vendor = r.Vendor
		}
	}
	if p.cfg.src.bucket != "" {
		p.askCapabilities(ctx, p.cfg.src.bucket)
	}
	return ctx.Err()
}

func (p *parts) openBlocks(context.Context) error {
	m := divideMemory(int64(p.cfg.memoryLimit))
	debug.SetMemoryLimit(m.goHeap)
	conf := blocks.Config{Reader: p.view, Memory: m.blocks, Checksum: s3.NewCRC64NVME, Log: p.log, DiskLog: p.cacheLog(), Requests: min(64, p.cfg.maxConnections.n)}
	conf.Patience = func() time.Duration { return time.Duration(p.live.retryTimeout.Load()) }
	if p.cfg.cacheSize > 0 {
		// Objects of one name in two stores may have one ETag and different bytes.
		dir := filepath.Join(p.cfg.places.cache, "blocks", scope{Endpoint: p.endpoint}.id())
		if limit, err := p.diskShare(dir); err != nil {
			p.cacheLog().Warn("nothing is cached on the disk", slog.String("dir", dir), slog.Any("error", err))
		} else {
			conf.Dir, conf.DirSize, conf.OpenFiles, p.cacheDir = dir, limit, p.openCached, dir
		}
	}
	var err error
	if p.blocks, err = blocks.Open(conf); err != nil {
		return fail(exitLocal, "the block cache cannot be opened: %v", err)
	}
	p.closeLater(func(context.Context) error { return p.blocks.Close() })
	return nil
}

// diskShare makes the directory and bounds --cache-size to half of what is free on its disk, what
// the cache has already counting as free.
func (p *parts) diskShare(dir string) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	free, err := freeBytes(dir)
	if err != nil {
		return 0, err
	}
	want := int64(p.cfg.cacheSize)
	if free/2 >= want {
		return want, nil
	}
	limit := min(want, max((free+usedBy(dir))/2, backend.MiB))
	if limit < want {
		p.log.Info("the disk cache is bounded by half of the free space", slog.Int64("bytes", limit), slog.String("dir", dir))
	}
	return limit, nil
}

// freeBytes is what this user can still write on the disk of dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// usedBy adds up the blocks of the files below dir. What vanishes meanwhile does not count.
func usedBy(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && d.Type().IsRegular() && unix.Lstat(path, &st) == nil {
			const sector = 512
			sum += st.Blocks * sector
		}
		return nil
	})
	return sum
}

func (p *parts) openMetadata(context.Context) error {
	c := p.cfg
	conf := metadata.Config{
		Lister: p.view, Reader: p.view, TTL: time.Duration(c.metadataTTL), NegativeTTL: time.Duration(c.negativeTTL),
		MaxEntries: divideMemory(int64(c.memoryLimit)).entries, Log: p.log,
	}
	if !c.at.IsZero() {
		return p.openMetadataWith(conf) // in memory: the file would be of one time only
	}
	conf.Path, conf.Log = filepath.Join(c.places.cache, "attributes", p.slot.name+".db"), p.cacheLog()
	return p.openMetadataWith(conf)
}

func (p *parts) openMetadataWith(conf metadata.Config) error {
	var err error
	if p.metadata, err = metadata.Open(conf); err != nil {
		return fail(exitLocal, "the metadata cache cannot be opened: %v", err)
	}
	p.closeLater(func(context.Context) error { return p.metadata.Close() })
	return nil
}

func (p *parts) openStaging(context.Context) error {
	c := p.cfg
	limit := int64(c.stagingLimit)
	orphans := p.slot.orphans(p.log)
	if c.stagingShare {
		free, err := freeBytes(p.slot.dir)
		if err != nil {
			return fail(exitLocal, "the state directory cannot be used: %v; choose another with --state-dir", err)
		}
		used := usedBy(p.slot.staging())
		for _, o := range orphans {
			used += usedBy(o.staging())
		}
		limit = max((free+used)/10*9, backend.MiB)
	}
	var err error
	if p.staging, err = staging.Open(staging.Config{Dir: p.slot.staging(), Limit: limit, OpenFiles: p.openFiles, Log: p.log}); err != nil {
		return fail(exitLocal, "the files that are not uploaded yet cannot be opened: %v; free the disk or choose another directory with --state-dir", err)
	}
	adopted := adopt(p.staging, orphans, p.log)
	stop := p.slot.keepSpare(p.log)
	p.closeLater(func(context.Context) error {
		stop()
		var kept int
		p.unsent, kept = left(p.staging)
		err := p.staging.Close()
		for _, a := range adopted {
			kept -= a.end(err == nil)
		}
		if err == nil {
			err = p.slot.leave(kept)
		}
		return err
	})
	return nil
}

// left counts the files whose upload is still to come, and all that staging keeps for
// somebody: those, conflicts, what was interrupted, and promises.
func left(area *staging.Area) (unsent, kept int) {
	for _, f := range area.Files() {
		switch f.State() {
		case staging.StateSealed:
			unsent++
			kept++
		case staging.StateConflict, staging.StateInterrupted, staging.StateOpen:
			kept++
		case staging.StateScratch:
			if f.Upload() != nil { // to be aborted
				kept++
			}
		case staging.StateCommitted:
		}
	}
	return unsent, kept + len(area.Intents())
}

// modes are the flags in the words of package fs.
var (
	posixModes   = map[string]fs.PosixMode{"auto": fs.PosixAuto, "on": fs.PosixOn, "off": fs.PosixOff}
	commitModes  = map[string]fs.CommitMode{"close": fs.CommitClose, "background": fs.CommitBackground}
	consistences = map[string]fs.Consistency{"close-to-open": fs.CloseToOpen, "ttl": fs.TTLOnly, "immutable": fs.Immutable}
)

func (p *parts) openFS(context.Context) error {
	c := p.cfg
	var err error
	p.fs, err = fs.New(fs.Config{
		Store: p.view, Blocks: p.blocks, Metadata: p.metadata, Staging: p.staging, NewQueue: p.newQueue, Capabilities: p.capabilitiesOf,
		Bucket: c.src.bucket, Prefix: c.src.prefix, Groups: p.groups(), ReadOnly: c.readOnly,
		UID: c.uid.id, GID: c.gid.id, FileMode: c.shownFileMode, DirMode: c.shownDirMode,
		Posix: posixModes[c.posix.value], Commit: commitModes[c.commit.value], LocalFsync: c.fsync.value == "local",
		ExclusiveOpen: c.exclusiveCreate.value == "open", Consistency: consistences[c.consistency.value],
		TTL: time.Duration(c.metadataTTL), NegativeTTL: time.Duration(c.negativeTTL), MaxInodes: divideMemory(int64(c.memoryLimit)).inodes, Log: p.log,
		Defaults: p.defaults, Present: p.present, PublicURL: p.publicURL,
	})
	if err != nil {
		return fail(exitFailed, "the filesystem cannot be built: %v", err)
	}
	p.closeLater(p.fs.Close)
	return nil
}

// queuePatience is --retry-timeout for the queue: 0 means not to wait, there the default.
func queuePatience(limit time.Duration) time.Duration { return max(limit, time.Millisecond) }

func (p *parts) newQueue(call fs.Callbacks) *writeback.Queue {
	p.queue = writeback.New(writeback.Config{
		Store: p.store, StoreOf: p.remoteName, Capabilities: p.knownCapabilities, Checksum: s3.Checksum,
		Parts:    min(p.cfg.parallelParts.n, max(p.cfg.maxConnections.n/2, 1)), // a part may need a second request for what it is made of
		PartSize: int64(p.cfg.partSize), BufferLimit: divideMemory(int64(p.cfg.memoryLimit)).merge,
		RetryTimeout: queuePatience(time.Duration(p.cfg.retryTimeout)),
		BeforeStream: call.BeforeStream, BeforeCommit: call.BeforeCommit, OnCommit: call.OnCommit, OnFail: call.OnFail, MayReplace: call.MayReplace, Log: p.log,
	})
	return p.queue
}
