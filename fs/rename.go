package fs

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/names"
)

const renameNoReplace = 1 // RENAME_NOREPLACE of renameat2(2)

// Rename moves a file or a directory. See SEMANTICS.md for what other clients see meanwhile.
func (f *FS) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	from, to := f.tree.get(in.NodeId), f.tree.get(in.Newdir)
	if from == nil || to == nil {
		return fuse.Status(syscall.ESTALE)
	}
	switch {
	case f.cfg.ReadOnly:
		return fuse.EROFS
	case in.Flags&^renameNoReplace != 0:
		return fuse.EINVAL
	case f.isBucketList(from) || f.isBucketList(to):
		return fuse.EXDEV
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	m := move{to: to, name: newName, noReplace: in.Flags&renameNoReplace != 0}
	return f.status("rename", f.rename(r, from, oldName, m))
}

// move is the destination of a rename.
type move struct {
	to        *node // directory
	name      string
	component string
	place     place
	noReplace bool
	target    *node         // what has the name now; nil: nothing
	preserved *staging.File // the target's bytes, for programs that have it open; nil: not needed
}

func (f *FS) rename(ctx context.Context, from *node, oldName string, m move) error {
	n, err := f.lookup(ctx, from, oldName)
	if err != nil {
		return err
	}
	component, kind := names.Decode(m.name)
	if kind != names.Natural {
		return syscall.EINVAL
	}
	at := f.tree.locate(m.to)
	m.component, m.place = component, place{at.bucket, at.key + component}
	if len(m.place.key) > maxKey || n.dir && len(m.place.key) == maxKey {
		return syscall.ENAMETOOLONG
	}
	m.target, err = f.lookup(ctx, m.to, m.name)
	switch {
	case err != nil && !backend.IsKind(err, backend.KindNotExist):
		return err
	case err != nil:
		m.target = nil
	case m.target == n:
		return nil
	case m.noReplace:
		return syscall.EEXIST
	case n.dir && !m.target.dir:
		return syscall.ENOTDIR
	case !n.dir && m.target.dir:
		return syscall.EISDIR
	}
	if from != m.to {
		if err := f.keepDirectory(ctx, from); err != nil {
			return err
		}
	}
	if n.dir {
		err = f.renameDir(ctx, n, m)
	} else {
		err = f.renameFile(ctx, n, m)
	}
	if err == nil {
		f.touchDir(from)
		f.touchDir(m.to)
	}
	return err
}

func (f *FS) renameFile(ctx context.Context, n *node, m move) error {
	n.mu.RLock()
	file, v := n.staged, n.current
	settled := file == nil || v != nil && file.State() == staging.StateCommitted && !file.Dirty() && !n.written
	n.mu.RUnlock()
	if m.noReplace && v != nil && !f.cfg.Capabilities(m.place.bucket).CopyDestination {
		return syscall.EINVAL
	}
	var err error
	if settled && v.remote.Size > f.cfg.Capabilities(m.place.bucket).Limits.MaxCopy {
		if err := f.stage(ctx, n); err != nil {
			return err
		}
		settled = false
	}
	if v != nil {
		if err := f.commitReferences(ctx, n, v); err != nil {
			return err
		}
	}
	if m.target != nil {
		if m.preserved, err = f.preserve(ctx, m.target); err != nil {
			return err
		}
	}
	if settled {
		return f.renameStored(ctx, n, v, m)
	}
	return f.renameStaged(ctx, n, m)
}

// destination is the condition on what has the name now, where the store can check it.
func (f *FS) destination(m move) backend.Condition {
	if m.target != nil {
		m.target.mu.RLock()
		defer m.target.mu.RUnlock()
		if v := m.target.current; v != nil {
			return backend.Condition{IfMatch: v.remote.ETag}
		}
	}
	return backend.Condition{IfNoneMatch: true}
}

// claimName takes the new name from what has it: an upload to it is stopped, a delete of what was
// there is taken back. It returns the condition for storing there.
func (f *FS) claimName(ctx context.Context, m move) (backend.Condition, error) {
	if m.target != nil {
		m.target.mu.RLock()
		file := m.target.staged
		m.target.mu.RUnlock()
		if file != nil {
			if _, err := f.queue.Cancel(ctx, file); err != nil {
				return backend.Condition{}, err
			}
		}
	}
	old, err := f.takeBack(m.place.id())
	if err != nil {
		return backend.Condition{}, err
	}
	if old != nil {
		return backend.Condition{IfMatch: old.ETag}, nil
	}
	return f.destination(m), nil
}

// renameStored copies the object and deletes the old key.
func (f *FS) renameStored(ctx context.Context, n *node, v *version, m move) error {
	caps := f.cfg.Capabilities(m.place.bucket)
	in := backend.CopyInput{Bucket: m.place.bucket, Key: m.place.key, Source: v.remote.Source, Size: v.remote.Size}
	condition, err := f.claimName(ctx, m)
	if err != nil {
		return err
	}
	if caps.CopyDestination {
		in.Condition = condition
	}
	if caps.Classes {
		props, err := f.classOf(ctx, n, v)
		if err != nil {
			return err
		}
		in.Replace = props
	}
	obj, err := f.cfg.Store.Copy(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) { // a lost reply: the same copy once more changes nothing
		in.Condition = backend.Condition{}
		obj, err = f.cfg.Store.Copy(ctx, in)
	}
	if err != nil {
		return f.sourceGone(n, v, err)
	}
	promise, err := f.promiseDelete(v.remote)
	if err != nil {
		return err
	}
	obj.Bucket, obj.Key, obj.Size = m.place.bucket, m.place.key, v.remote.Size
	f.arrive(n, v, obj, m)
	if err := f.fulfil(ctx, promise); err != nil {
		f.fulfilLater(promise)
	}
	return nil
}

// classOf returns properties to send with a copy, for an object with a class or encryption of
// its own, which a plain copy would lose.
func (f *FS) classOf(ctx context.Context, n *node, v *version) (*backend.Properties, error) {
	n.mu.RLock()
	props := n.props
	n.mu.RUnlock()
	props, err := f.fullProperties(ctx, n, v, props)
	if err != nil {
		return nil, f.sourceGone(n, v, err)
	}
	if props.StorageClass == "" && props.Encryption == (backend.Encryption{}) {
		return nil, nil
	}
	return props, nil
}

// sourceGone turns a failed copy of a version that is not current any more into ESTALE.
func (f *FS) sourceGone(n *node, v *version, err error) error {
	if backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindChanged) {
		f.cfg.Metadata.Invalidate(v.remote.Bucket, prefixOf(v.remote.Key))
		f.tree.detach(n)
		return syscall.ESTALE
	}
	return err
}

// arrive gives a node its new name and version after the store has the copy.
func (f *FS) arrive(n *node, old *version, obj backend.Object, m move) {
	v := newVersion(obj)
	if v.remote.ETag == "" {
		v.remote.ETag = old.remote.ETag
	}
	n.mu.Lock()
	if n.staged != nil {
		if err := n.staged.Rebase(old.remote, v.remote); err != nil {
			f.log.Warn("journal", "error", err.Error())
		}
		if err := n.staged.SetTarget(obj.ID(), backend.Condition{IfMatch: v.remote.ETag}); err != nil {
			f.log.Warn("journal", "error", err.Error())
		}
	}
	n.current = v
	n.checked = time.Now()
	shown := obj
	shown.LastModified = n.attr.mtime
	if n.props != nil {
		shown.Metadata, shown.HasMetadata = n.props.Metadata, true
	}
	n.mu.Unlock()
	if meta, ok := f.cfg.Metadata.Attributes(backend.Object{Bucket: old.remote.Bucket, Key: old.remote.Key, ETag: old.remote.ETag, LastModified: old.modified}); ok && !shown.HasMetadata {
		shown.Metadata, shown.HasMetadata = meta, true
	}
	f.replaceTarget(m)
	f.tree.move(n, m.to, m.name, m.component)
	f.cfg.Metadata.Removed(old.remote.Bucket, old.remote.Key)
	f.cfg.Metadata.Stored(shown)
	if shown.HasMetadata {
		shown.LastModified = time.Time{}
		f.cfg.Metadata.Remember(shown)
	}
	f.cfg.Blocks.Move(old.blocks(), v.blocks())
}

// replaceTarget takes the name from what had it.
func (f *FS) replaceTarget(m move) {
	if m.target == nil {
		return
	}
	t := m.target
	t.mu.Lock()
	t.doomed = true
	file, opens := t.staged, t.opens
	f.unsealLocked(t)
	keep := m.preserved
	if keep != nil && file == nil && opens > 0 {
		f.attachLocked(t, keep)
		keep = nil
	}
	t.mu.Unlock()
	if keep != nil {
		if err := keep.Remove(); err != nil {
			f.log.Warn("staging", "error", err.Error())
		}
	}
	if file != nil && opens == 0 {
		f.discard(t)
	}
	f.tree.detach(t)
}

// renameStaged changes the key of content that is not stored under the new name yet. What is
// stored under the old one is deleted after the commit.
func (f *FS) renameStaged(ctx context.Context, n *node, m move) error {
	n.mu.RLock()
	file := n.staged
	n.mu.RUnlock()
	if file == nil {
		return syscall.ESTALE
	}
	condition, err := f.claimName(ctx, m)
	if err != nil {
		return err
	}
	n.mu.Lock()
	err = file.SetTarget(m.place.id(), condition) // first, so that a close meanwhile stores it there
	n.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := f.queue.Cancel(ctx, file); err != nil {
		return err
	}
	f.replaceTarget(m)
	n.mu.Lock()
	if n.staged != file { // it was stored while we cancelled: as for any stored file
		v := n.current
		n.mu.Unlock()
		if v == nil {
			return syscall.ESTALE
		}
		m.target = nil
		return f.renameStored(ctx, n, v, m)
	}
	v := n.current
	n.after = slices.DeleteFunc(n.after, func(d *deferredDelete) bool { return d.id() == m.place.id() })
	if v != nil && v.remoteID() != m.place.id() && !f.promises.has(v.remoteID()) {
		promise, err := f.promiseDelete(v.remote)
		if err != nil {
			n.mu.Unlock()
			return err
		}
		n.after = append(n.after, promise)
	}
	finished := file.State() == staging.StateSealed && !n.written && n.active == 0
	stored := v != nil
	if err == nil && finished {
		err = f.resealLocked(n, file)
	}
	n.mu.Unlock()
	if err != nil {
		return err
	}
	f.tree.move(n, m.to, m.name, m.component)
	if !finished {
		return nil
	}
	return f.commit(ctx, n, commitOptions{wait: stored || f.cfg.Commit == CommitClose})
}

// resealLocked makes content that was sealed for another key due again.
func (f *FS) resealLocked(n *node, file *staging.File) error {
	return file.SetProperties(f.propertiesLocked(n))
}

// preserve keeps the bytes of an object that is about to be replaced, for programs that have it
// open: by its version id where there is one, else in staging up to preserveLimit. Beyond that
// they get ESTALE. The file returned is attached when the object is really replaced.
func (f *FS) preserve(ctx context.Context, n *node) (*staging.File, error) {
	n.mu.RLock()
	v, needed := n.current, n.opens > 0 && n.staged == nil && n.open.passthrough == 0
	n.mu.RUnlock()
	if !needed || v == nil || v.remote.VersionID != "" || v.remote.Size > preserveLimit {
		return nil, nil
	}
	file, err := f.cfg.Staging.Create(staging.Spec{Target: v.remoteID()})
	if err != nil {
		return nil, err
	}
	h := &handle{node: n}
	defer h.close()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < v.remote.Size; {
		part := buf[:min(int64(len(buf)), v.remote.Size-off)]
		e := staging.Extent{Off: off, Len: int64(len(part)), Object: v.remote, ObjectOff: off}
		if err = f.readInto(ctx, h, e, part); err == nil {
			_, err = file.WriteAt(part, off)
		}
		if err != nil {
			if removeErr := file.Remove(); removeErr != nil {
				f.log.Warn("staging", "error", removeErr.Error())
			}
			return nil, nil // those readers get ESTALE
		}
		off += int64(len(part))
	}
	return file, nil
}
