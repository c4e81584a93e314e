package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

const renameNoReplace = 1 // RENAME_NOREPLACE of renameat2(2)

// Rename moves a file or a directory. See SEMANTICS.md for what other clients see meanwhile.
func (f *FS) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	from, to := f.tree.get(in.NodeId), f.tree.get(in.Newdir)
	if from == nil || to == nil {
		return fuse.Status(syscall.ESTALE)
	}
	switch {
	case f.cfg.ReadOnly, from.view != noView, to.view != noView:
		return fuse.EROFS
	case in.Flags&^renameNoReplace != 0:
		return fuse.EINVAL
	case f.isGroupList(from) || f.isGroupList(to):
		return fuse.EPERM
	case f.isBucketList(from) || f.isBucketList(to):
		return fuse.EXDEV
	}
	if err := f.inOneGroup(f.tree.locate(from), f.tree.locate(to)); err != nil {
		return f.status("rename", err)
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	leave, err := f.enterRename(r, from, oldName, to)
	if err != nil {
		return f.status("rename", err)
	}
	defer leave()
	if f.overtaken.repeated(in.Pid, to.id, newName) {
		return fuse.Status(syscall.ESTALE)
	}
	m := move{from: from, oldName: oldName, to: to, name: newName, noReplace: in.Flags&renameNoReplace != 0}
	err = f.rename(r, from, oldName, m)
	if errors.Is(err, errOvertaken) {
		f.overtaken.refuse(in.Pid, to.id, newName)
	}
	return f.status("rename", err)
}

// move is the destination of a rename.
type move struct {
	from      *node // directory
	oldName   string
	to        *node // directory
	name      string
	component string
	place     place
	noReplace bool
	target    *node           // what has the name now; nil: nothing
	unlinked  *deferredDelete // of an object that is still there under the name; taken back
	preserved *staging.File   // the target's bytes, for programs that have it open; nil: not needed
	seen      looks           // of what goes
}

func (f *FS) rename(ctx context.Context, from *node, oldName string, m move) error {
	n, err := f.lookup(ctx, from, oldName)
	if err != nil {
		return err
	}
	if n.view != noView {
		return syscall.EROFS
	}
	if err := f.movable(n); err != nil {
		return err
	}
	if n.dir && f.staysPresent(f.tree.locate(n)) {
		return syscall.EBUSY
	}
	component, err := f.newComponent(ctx, m.to, m.name, n.dir)
	if err != nil {
		return err
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
	case m.target.view != noView:
		return syscall.EROFS
	case m.target == n:
		return nil
	case m.noReplace:
		return syscall.EEXIST
	case n.dir && !m.target.dir:
		return syscall.ENOTDIR
	case !n.dir && m.target.dir:
		return syscall.EISDIR
	}
	if err := f.awaitStreams(ctx, n); err != nil {
		return err
	}
	if err := f.mayArrive(ctx, n, m.place.id()); err != nil {
		return err
	}
	m.seen, err = f.mayTakeNames(ctx, n, m.target)
	switch {
	case err != nil:
	case n.dir:
		err = f.mayMove(ctx, f.tree.locate(n), place{m.place.bucket, m.place.key + "/"})
	case m.target == nil:
		err = f.mayTakeFree(ctx, m.place.id())
	}
	if err != nil {
		return err
	}
	if from != m.to {
		if err := f.keepDirectory(ctx, from); err != nil {
			return err
		}
	}
	if err := f.keepArriving(ctx, n, m.to); err != nil {
		return err
	}
	if n.dir {
		err = f.renameDir(ctx, n, m)
	} else {
		err = f.renameWithTags(ctx, n, m)
	}
	if err == nil {
		f.touchDir(from)
		f.touchDir(m.to)
	}
	return err
}

func (f *FS) renameFile(ctx context.Context, n *node, m move) error {
	n.rlock()
	file, v := n.staged, n.current
	settled := file == nil || v != nil && file.State() == staging.StateCommitted && !file.Dirty() && !n.written
	n.runlock()
	if m.noReplace && v != nil && !f.cfg.Capabilities(m.place.bucket).CopyDestination {
		return syscall.EINVAL
	}
	var err error
	if v == nil { // it is made there
		if err := f.canHave(m.place.id(), f.givenTo(m.place.id(), syscall.S_IFREG)); err != nil {
			return err
		}
	}
	if settled && v.remote.Size > f.cfg.Capabilities(m.place.bucket).Limits.MaxCopy {
		if err := f.stage(ctx, n); err != nil {
			return err
		}
		settled = false
	}
	if v != nil {
		if err := f.commitReferences(ctx, n, v.remoteID()); err != nil {
			return err
		}
	}
	if m.target != nil {
		f.hold(m.target)
		defer f.letGo(m.target)
	}
	condition, err := f.claimName(ctx, &m)
	if err == nil && m.target != nil { // its content does not change any more
		m.preserved, err = f.preserve(ctx, m.target)
	}
	switch {
	case err != nil:
	case settled:
		err = f.renameStored(ctx, n, v, m, condition)
	default:
		err = f.renameStaged(ctx, n, m, condition)
	}
	if err != nil {
		f.leaveTarget(n, m)
	}
	return err
}

// renameStored copies the object and deletes the old key.
func (f *FS) renameStored(ctx context.Context, n *node, v *version, m move, condition backend.Condition) error {
	caps := f.cfg.Capabilities(m.place.bucket)
	in := backend.CopyInput{Bucket: m.place.bucket, Key: m.place.key, Source: v.remote.Source, Size: v.remote.Size}
	in.Source.VersionID = "" // it has to be current
	if caps.CopyDestination {
		in.Condition = condition
	}
	now := n.typeUnder(m.place.key)
	if caps.Classes || now != "" {
		props, err := f.classOf(ctx, n, v, now)
		if err != nil {
			return err
		}
		in.Replace = props
	}
	over, err := f.announce(intentRename, fileMove{From: in.Source, To: m.place.id(), Before: condition.IfMatch, Over: stagedUnder(m.target)})
	if err != nil {
		return err
	}
	defer over()
	obj, err := f.cfg.Store.Copy(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) { // a lost reply: the same copy once more changes nothing
		if !m.noReplace {
			in.Condition = backend.Condition{}
		}
		obj, err = f.cfg.Store.Copy(ctx, in)
	}
	if err != nil {
		if f.destinationGone(ctx, m, in.Condition, err) {
			return errOvertaken
		}
		return f.sourceGone(n, v, err)
	}
	promise, err := f.promiseDelete(v.remote, nil)
	if err != nil {
		return err
	}
	promise.seen = m.seen[v.remoteID()]
	obj.Bucket, obj.Key, obj.Size = m.place.bucket, m.place.key, v.remote.Size
	if now != "" {
		n.typed(now)
	}
	f.arrive(n, v, obj, m)
	over()
	err = f.fulfil(ctx, promise)
	switch {
	case err == nil:
		return nil
	case backend.IsKind(err, backend.KindPermission), backend.IsKind(err, backend.KindLocked): // both names exist now
		if _, backErr := f.takeBack(promise.id()); backErr != nil {
			return backErr
		}
		f.cfg.Metadata.Invalidate(promise.Bucket, prefixOf(promise.Key))
		return err
	default:
		f.fulfilLater(promise)
		return nil
	}
}

// classOf returns properties to send with a copy, for an object with a class or encryption of
// its own, which a plain copy would lose, or that gets another content type.
func (f *FS) classOf(ctx context.Context, n *node, v *version, contentType string) (*backend.Properties, error) {
	n.rlock()
	props := n.props
	n.runlock()
	props, err := f.fullProperties(ctx, n, v, props)
	if err != nil {
		return nil, f.sourceGone(n, v, err)
	}
	if contentType != "" {
		own := props.Clone()
		own.Headers.ContentType = contentType
		return &own, nil
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
	n.lock()
	if n.staged != nil {
		if err := n.staged.Rebase(old.remote, v.remote); err != nil {
			f.log.Warn("journal", "error", err.Error())
		}
		if now := n.current; now != nil && !now.is(old) && now.remote.ETag == old.remote.ETag { // its version id was learnt since
			f.rebaseLocked(n, now.remote, v.remote)
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
	n.unlock()
	if meta, ok := f.cfg.Metadata.Attributes(backend.Object{Bucket: old.remote.Bucket, Key: old.remote.Key, ETag: old.remote.ETag, LastModified: old.modified}); ok && !shown.HasMetadata {
		shown.Metadata, shown.HasMetadata = meta, true
	}
	f.replaceTarget(m)
	f.scratch(m.target)
	f.tree.move(n, m.to, m.name, m.component)
	f.cfg.Metadata.Removed(old.remote.Bucket, old.remote.Key)
	f.cfg.Metadata.Stored(shown)
	if shown.HasMetadata {
		shown.LastModified = time.Time{}
		f.cfg.Metadata.Remember(shown)
	}
	f.cfg.Blocks.Move(old.blocks(), v.blocks())
}

// renameStaged changes the key of content that is not stored under the new name yet. What is
// stored under the old one is deleted after the commit.
func (f *FS) renameStaged(ctx context.Context, n *node, m move, condition backend.Condition) error {
	replaced := stagedUnder(m.target)
	n.lock()
	file, v := n.staged, n.current
	if file == nil || file.State() == staging.StateCommitted && !file.Dirty() && !n.written { // stored since
		n.unlock()
		if v == nil {
			return syscall.ESTALE
		}
		return f.renameStored(ctx, n, v, m, condition)
	}
	before := file.Spec()
	over, err := f.announceStaged(file, before, m.place.id(), replaced)
	if err == nil {
		defer over()
		err = file.SetTarget(m.place.id(), condition) // first, so that a close meanwhile stores it there
		f.giveAgainLocked(n)
	}
	n.unlock()
	if err != nil {
		return err
	}
	if _, err = f.queue.Cancel(ctx, file); err == nil {
		err = f.promiseOldName(n, file, v, before, m.place.id())
	}
	if err != nil {
		n.lock()
		if targetErr := file.SetTarget(before.Target, before.Condition); targetErr != nil {
			f.log.Warn("journal", "error", targetErr.Error())
		}
		f.giveAgainLocked(n)
		n.unlock()
		f.revive(n)
		return err
	}
	f.replaceTarget(m)
	over()
	f.tree.move(n, m.to, m.name, m.component)
	n.lock()
	sealed := n.staged == file && file.State() == staging.StateSealed && !file.Dirty()
	stored := n.current != nil
	due := sealed || n.writers == 0 // else its close commits it
	if sealed {
		err = f.resealLocked(n, file)
	}
	n.unlock()
	if err != nil || !due {
		return err
	}
	return f.commit(ctx, n, commitOptions{wait: stored || f.cfg.Commit == CommitClose})
}

// resealLocked makes content that was sealed for another key due again.
func (f *FS) resealLocked(n *node, file *staging.File) error {
	return file.SetProperties(f.propertiesLocked(n))
}
