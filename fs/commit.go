package fs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"reflect"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
	"github.com/objmount/objmount/fs/attributes"
)

// commitOptions say what a commit is for.
type commitOptions struct {
	wait  bool          // for the store
	fsync bool          // data and journal on the local disk before it returns
	delay time.Duration // of the upload, when not waiting: more changes may come
	// nested: on behalf of a change to an object that the content refers to; its own references are
	// not followed again.
	nested bool
	reseal bool // queue content again that is sealed and should be queued
}

// commitOnce publishes a node's staged content: seals it, and hands it to write-back. Content that is
// sealed already is only waited for. No lock is held on entry. Its answer may be one of errAgain and
// errIdle, which commit understands.
func (f *FS) commitOnce(ctx context.Context, n *node, o commitOptions) error {
	if err := f.prepareCommit(ctx, n, o); err != nil {
		return err
	}
	if err := f.lockSteady(ctx, n); err != nil {
		return err
	}
	file := n.staged
	if file == nil || n.doomed {
		defer n.unlock()
		return n.tellLocked()
	}
	touched := n.written // also by a truncate to the size it has: that is its date
	if (o.reseal || touched) && !changed(file) && file.State() == staging.StateSealed {
		if err := f.resealLocked(n, file); err != nil {
			n.unlock()
			return err
		}
	}
	if !changed(file) {
		n.unlock()
		return f.await(ctx, n, file, o)
	}
	f.dateLocked(n)
	if props := f.propertiesLocked(n); !reflect.DeepEqual(props, file.Spec().Properties) {
		if err := file.SetProperties(props); err != nil {
			n.unlock()
			return err
		}
	}
	n.written, n.replacing, n.assured, n.failure = false, false, false, nil
	snap, err := file.Seal(false)
	if err != nil {
		n.unlock()
		return err
	}
	// Queued under the lock: the queue must see the snapshots of a file in their order.
	var wait func(context.Context) (backend.Object, error)
	if o.wait || refersElsewhere(snap) {
		wait = f.queue.Submit(snap)
	} else {
		f.queue.Enqueue(snap, o.delay)
	}
	n.unlock()
	if o.fsync {
		if err := file.Sync(); err != nil {
			return err
		}
	}
	if wait == nil {
		return nil
	}
	_, err = wait(ctx)
	return f.commitError(ctx, n, file, err)
}

// commitReferences stores the content of other files that still refers to an object which is about to go
// or to be replaced (copy_file_range), before that happens.
func (f *FS) commitReferences(ctx context.Context, n *node, id backend.ObjectID) error {
	for _, other := range f.staged.all() {
		if other == n {
			continue
		}
		other.rlock()
		doomed := other.doomed
		refers := other.staged != nil && other.staged.References(id.Bucket, id.Key) && (doomed || other.staged.Spec().Target != id)
		other.runlock()
		if !refers {
			continue
		}
		if doomed {
			f.preserveRanges(ctx, other, id)
			continue
		}
		if err := f.commit(ctx, other, commitOptions{wait: true, nested: true}); err != nil {
			return err
		}
	}
	return nil
}

// changed tells whether a staged file holds anything that no commit was begun for.
func changed(file *staging.File) bool { return file.Dirty() || file.State() == staging.StateOpen }

// prepareCommit writes the markers that a file with attributes of its own needs. In background mode, where close does not wait for the
// store, the upload does it.
func (f *FS) prepareCommit(ctx context.Context, n *node, o commitOptions) error {
	f.inheritType(ctx, n)
	if err := f.checkLimits(ctx, n, true); err != nil {
		return err
	}
	var replaces *staging.Remote
	n.rlock()
	if n.staged != nil && !n.doomed && changed(n.staged) {
		replaces = covered(n.staged.Spec())
	}
	n.runlock()
	if replaces != nil && !o.nested {
		if err := f.commitReferences(ctx, n, backend.ObjectID{Bucket: replaces.Bucket, Key: replaces.Key}); err != nil {
			return err
		}
	}
	n.lock()
	if n.staged == nil || n.doomed || !changed(n.staged) {
		n.unlock()
		return nil
	}
	if !n.explicit && f.cfg.Posix != PosixOff && time.Since(n.attr.mtime) > 2*time.Second {
		n.explicit = true
	}
	own, file := f.ownLocked(n), n.staged
	n.unlock()
	if !own {
		return nil
	}
	if f.cfg.Commit == CommitBackground && !o.wait && o.delay == 0 {
		f.staged.owe(file, true)
		return nil
	}
	return f.markFor(ctx, n)
}

// propertiesLocked are the properties to store with a node's content: those of the object it
// replaces, the attributes where they are its own, and for a new file a content type.
func (f *FS) propertiesLocked(n *node) backend.Properties {
	var props backend.Properties
	if n.props != nil {
		props = n.props.Clone()
	}
	if props.Metadata == nil {
		props.Metadata = make(map[string]string)
	}
	delete(props.Metadata, backend.MetaGeneration)
	switch {
	case f.ownLocked(n):
		n.attr.encode(props.Metadata)
	case attributes.Decode(props.Metadata).Has.Has(attributes.Mtime): // the others are not shown here, and stay
		attributes.Encode(props.Metadata, attributes.Attr{Mtime: n.attr.mtime, Has: attributes.Mtime})
	}
	if n.attr.mode&syscall.S_IFMT == syscall.S_IFREG && n.untypedLocked() {
		props.Headers.ContentType = contentType(n.staged, n.inherited)
	} else if now := contenttype.ByName(n.staged.Spec().Target.Key); n.guessed && now != "" {
		props.Headers.ContentType = now // renamed since
	}
	return props
}

// refersElsewhere tells whether a snapshot has ranges of objects other than the one it replaces:
// such a copy is made before close returns, because the other object may go.
func refersElsewhere(s *staging.Snapshot) bool {
	extents, spec := s.Current()
	for _, e := range extents {
		if e.Object != nil && !e.Local && (e.Object.Key != spec.Target.Key || e.Object.Bucket != spec.Target.Bucket) {
			return true
		}
	}
	return false
}

// committed is write-back's word that a snapshot is in the store as obj. It runs on write-back's
// goroutine, without locks, before anyone who waits is woken.
func (f *FS) committed(file *staging.File, snap *staging.Snapshot, obj backend.Object) {
	f.versions.changed(obj.ID())
	n := f.staged.node(file)
	if n == nil {
		f.committedOrphan(file, snap, obj)
		return
	}
	obj.Size = snap.Size
	v := newVersion(obj)
	extents, spec := snap.Current()
	props := spec.Properties.Clone()
	props.Lock = backend.ObjectLock{} // of this one version
	f.tellStored(n, obj, props)       // before it is not staged any more: its name must be somewhere
	n.lock()
	clean, err := file.Committed(snap, v.remote)
	if err != nil {
		f.log.Warn("journal", "key", obj.Key, "error", err.Error())
	}
	old := n.current
	n.guessed = (n.guessed || n.untypedLocked() && n.inherited == "") && contenttype.ByName(obj.Key) == ""
	n.current, n.failure = v, nil
	n.inherited, n.given, n.dated = "", nil, false // of a file that was never stored
	n.storedWithLocked(props, clean)
	n.checked = time.Now()
	var after, later []*deferredDelete
	for _, d := range n.after { // what newer content still refers to is deleted after its commit
		if !clean && file.References(d.Bucket, d.Key) {
			later = append(later, d)
		} else {
			after = append(after, d)
		}
	}
	n.after = later
	settled := clean && !n.written && n.writers == 0
	n.unlock()

	f.facts.drop(obj.ID())
	f.carriedTags(obj.ID(), props.Tags)
	f.keepBlocks(file, extents, old, v)
	for _, source := range after {
		f.deleteAfter(source)
	}
	if settled {
		f.settle(n, file)
	}
}

// tellStored makes the cache of names and attributes know what was stored.
func (f *FS) tellStored(n *node, obj backend.Object, props backend.Properties) {
	obj.Metadata, obj.HasMetadata, obj.Headers = props.Metadata, true, props.Headers
	shown := obj
	if shown.LastModified.IsZero() {
		n.rlock()
		shown.LastModified = n.attr.mtime
		n.runlock()
	}
	f.cfg.Metadata.Stored(shown)
	obj.LastModified = time.Time{}
	f.cfg.Metadata.Remember(obj)
}

// storedWithLocked takes over the properties that a commit had. Those that were changed since stay: the next commit has
// them, and with them the content type that this one was given.
func (n *node) storedWithLocked(props backend.Properties, clean bool) {
	if !clean && n.props != nil {
		newer := n.props.Clone()
		if newer.Headers.ContentType == "" {
			newer.Headers.ContentType = props.Headers.ContentType
		}
		props = newer
	}
	n.props, n.propsAt, n.tagCount = &props, time.Now(), len(props.Tags)
}

// committedOrphan ends an upload that no node belongs to: recovered data whose name was taken since.
func (f *FS) committedOrphan(file *staging.File, snap *staging.Snapshot, obj backend.Object) {
	obj.Size = snap.Size
	if _, err := file.Committed(snap, newVersion(obj).remote); err != nil {
		f.log.Warn("journal", "key", obj.Key, "error", err.Error())
	}
	f.cfg.Metadata.Invalidate(obj.Bucket, prefixOf(obj.Key))
	f.removeStaged(file)
}

// keepBlocks carries cached bytes over to the new version, or drops those of the old one.
func (f *FS) keepBlocks(file *staging.File, extents []staging.Extent, old, v *version) {
	size := v.remote.Size
	if old != nil && isCopyOf(extents, size, old.remote) {
		f.cfg.Blocks.Move(old.blocks(), v.blocks())
		return
	}
	if old != nil {
		f.cfg.Blocks.Drop(old.remote.Bucket, old.remote.Key)
	}
	if size == 0 || size > smallFile {
		return
	}
	for _, e := range extents {
		if !e.Local && e.Object != nil {
			return
		}
	}
	data, err := io.ReadAll(file.Reader(extents))
	if err == nil {
		f.cfg.Blocks.Adopt(v.blocks(), bytes.NewReader(data))
	}
}

// isCopyOf tells whether content is all of one object, unchanged.
func isCopyOf(extents []staging.Extent, size int64, r *staging.Remote) bool {
	return len(extents) == 1 && extents[0].Object != nil && !extents[0].Local &&
		extents[0].Object.ETag == r.ETag && extents[0].ObjectOff == 0 && extents[0].Len == r.Size && size == r.Size
}

// settle lets go of staged content that is in the store and that nobody writes.
func (f *FS) settle(n *node, file *staging.File) {
	n.lock()
	if n.staged != file || n.writers > 0 || n.written || file.Dirty() || file.State() != staging.StateCommitted {
		n.unlock()
		return
	}
	f.detachStagedLocked(n)
	n.unlock()
	f.removeStaged(file)
}

// removeStaged ends a staged file that no node needs.
func (f *FS) removeStaged(file *staging.File) {
	if file.Streamed() > 0 {
		f.removeStreamed(file)
		return
	}
	if err := file.Remove(); err != nil {
		f.log.Warn("staging", slog.String("key", file.Spec().Target.Key), slog.String("error", err.Error()))
	}
}

// failed is write-back's word that a snapshot will not be stored as things are.
func (f *FS) failed(file *staging.File, snap *staging.Snapshot, cause error) {
	n := f.staged.node(file)
	conflict := writeback.Final(cause)
	f.log.Warn("upload failed", slog.String("bucket", snap.Spec.Target.Bucket), slog.String("key", snap.Spec.Target.Key),
		slog.Bool("conflict", conflict), slog.String("error", cause.Error()))
	if !conflict {
		if n != nil {
			n.lock()
			n.failure = cause
			n.unlock()
		}
		return
	}
	if err := file.SetState(staging.StateConflict, cause.Error()); err != nil {
		f.log.Warn("journal", slog.String("error", err.Error()))
	}
	f.cfg.Metadata.Invalidate(snap.Spec.Target.Bucket, prefixOf(snap.Spec.Target.Key))
	if n != nil {
		f.lose(n, cause)
	}
}

// lose cuts a node off from content that lost against another client's. Programs that have it
// open get ESTALE; the name shows the store's object.
func (f *FS) lose(n *node, cause error) {
	f.tree.mu.RLock()
	parent, name := n.parent, n.name
	f.tree.mu.RUnlock()
	n.lock()
	n.lost, n.failure = true, cause
	f.detachStagedLocked(n)
	after := n.after
	n.after = nil
	n.unlock()
	for _, source := range after { // the object under the old name stays
		if f.promises.get(source.id()) != source {
			continue
		}
		if _, err := f.takeBack(source.id()); err != nil {
			f.log.Warn("journal", slog.String("error", err.Error()))
		}
		f.cfg.Metadata.Invalidate(source.Bucket, prefixOf(source.Key))
	}
	f.tree.detach(n)
	f.notifyEntry(parent, name)
	f.notifyContent(n)
}

// prefixOf is the directory of a key.
func prefixOf(key string) string {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '/' {
			return key[:i+1]
		}
	}
	return ""
}
