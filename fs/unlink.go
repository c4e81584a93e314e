package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// deleteObject is a DeleteObject on the condition that the object is the one we saw. Where the
// store has no such condition, and where objects may be locked, a HEAD goes before, if none has lately: seen.
func (f *FS) deleteObject(ctx context.Context, id backend.ObjectID, etag string, seen look) error {
	in := backend.DeleteInput{Bucket: id.Bucket, Key: id.Key}
	guarded := f.cfg.Capabilities(id.Bucket).DeleteIfMatch
	if guarded {
		in.IfMatch = etag
	}
	if ask := f.locks(id.Bucket) || etag != "" && !guarded; ask && !seen.of(etag) {
		obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
		if err == nil && (etag == "" || obj.ETag == etag) {
			err = f.unlocked(ctx, obj)
		}
		if err != nil {
			return err
		}
		seen = look{obj.ETag, time.Now()}
	}
	switch {
	case !seen.recent():
	case seen.etag == "":
		return &backend.Error{Kind: backend.KindNotExist, Op: "DeleteObject", Bucket: id.Bucket, Key: id.Key}
	case etag != "" && seen.etag != etag:
		return &backend.Error{Kind: backend.KindChanged, Op: "DeleteObject", Bucket: id.Bucket, Key: id.Key}
	}
	err := f.cfg.Store.Delete(ctx, in)
	for again := 0; again < lostDeletes && backend.IsKind(err, backend.KindUnknown); again++ { // a lost reply: look
		obj, headErr := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
		switch {
		case backend.IsKind(headErr, backend.KindNotExist):
			return nil
		case headErr == nil && etag != "" && obj.ETag != etag:
			return &backend.Error{Kind: backend.KindChanged, Op: "DeleteObject", Bucket: id.Bucket, Key: id.Key}
		case headErr != nil:
			return err
		}
		err = f.cfg.Store.Delete(ctx, in)
	}
	return err
}

// lostDeletes is how often a delete is repeated whose outcome is not known, though the store answers other requests.
const lostDeletes = 5

// Unlink removes a file. One that is open here loses its name; its object goes at the last close.
func (f *FS) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	switch {
	case f.cfg.ReadOnly:
		return fuse.EROFS
	case parent.view != noView: // objmount ctl versions purge removes versions
		return fuse.EPERM
	case f.overtaken.repeated(h.Pid, parent.id, name):
		return fuse.Status(syscall.ESTALE)
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("unlink", err)
	}
	defer leave()
	n, err := f.lookup(r, parent, name)
	if err != nil {
		return f.status("unlink", err)
	}
	if n.dir {
		return fuse.Status(syscall.EISDIR)
	}
	if f.isContent(n) {
		return f.status("unlink", f.clearContent(r, parent, n))
	}
	seen, err := f.mayTakeNames(r, n)
	if err == nil {
		err = f.keepDirectory(r, parent)
	}
	if err != nil {
		return f.status("unlink", err)
	}
	if err := f.remove(r, n, seen); err != nil {
		if backend.IsKind(err, backend.KindChanged) {
			f.cfg.Metadata.Invalidate(f.tree.locate(parent).bucket, f.tree.locate(parent).key)
			f.tree.detach(n)
			f.overtaken.refuse(h.Pid, parent.id, name)
		}
		return f.status("unlink", err)
	}
	f.tree.detach(n)
	f.touchDir(parent)
	return fuse.OK
}

// remove takes a file's content away: what is staged is not committed any more, what is stored
// is deleted, now or at the last close. seen says of what it was asked whether it may be.
func (f *FS) remove(ctx context.Context, n *node, seen looks) error {
	release, err := f.holdNodeTags(ctx, n)
	if err != nil {
		return err
	}
	defer func() { release(err == nil) }()
	f.hold(n)
	defer f.letGo(n)
	n.rlock()
	file := n.staged
	n.runlock()
	if file != nil {
		if _, err = f.queue.Cancel(ctx, file); err != nil {
			f.revive(n)
			return err
		}
	}
	n.lock()
	v, opens := n.current, n.opens
	var replaces *staging.Remote // not stored yet: the name has another object, which goes with it
	if file != nil && n.staged == file {
		spec := file.Spec()
		replaces = covered(spec)
		if v != nil && replaces != nil && v.remoteID() == spec.Target && v.remote.ETag == replaces.ETag {
			replaces = nil
		} else {
			v = nil // under an old name, which is promised to go, or replaced since
		}
	}
	n.unlock()
	over, err := f.announceRemoval(file, v, replaces)
	if err != nil {
		f.revive(n)
		return err
	}
	defer over()
	n.lock()
	f.unsealLocked(n)
	n.unlock()
	if v != nil && !f.promises.has(v.remoteID()) {
		err = f.removeStored(ctx, n, v, opens, seen[v.remoteID()])
	}
	if err == nil && replaces != nil {
		err = f.removeReplaced(ctx, n, replaces, seen)
	}
	if err != nil {
		f.revive(n)
		return err
	}
	f.scratch(n)
	return nil
}

// announceRemoval journals that what is stored under the name of staged content is about to go, before the content is not to be
// stored any more: after a crash in between, the name must not show older content than before.
func (f *FS) announceRemoval(file *staging.File, v *version, replaces *staging.Remote) (over func(), err error) {
	if replaces == nil && v != nil {
		replaces = v.remote
	}
	if file == nil || replaces == nil || file.State() != staging.StateSealed || f.promises.has(backend.ObjectID{Bucket: replaces.Bucket, Key: replaces.Key}) {
		return func() {}, nil
	}
	return f.announce(intentDelete, &deferredDelete{Bucket: replaces.Bucket, Key: replaces.Key, ETag: replaces.ETag})
}

// removeReplaced deletes the object that staged content was to replace.
func (f *FS) removeReplaced(ctx context.Context, n *node, r *staging.Remote, seen looks) error {
	id := backend.ObjectID{Bucket: r.Bucket, Key: r.Key}
	if f.promises.has(id) {
		return nil
	}
	if err := f.commitReferences(ctx, n, id); err != nil {
		return err
	}
	if err := f.deleteObject(ctx, id, r.ETag, seen[id]); err != nil && !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	f.cfg.Metadata.Removed(r.Bucket, r.Key)
	return nil
}

func (f *FS) removeStored(ctx context.Context, n *node, v *version, opens int, seen look) error {
	if err := f.commitReferences(ctx, n, v.remoteID()); err != nil {
		return err
	}
	if opens == 0 {
		if err := f.deleteObject(ctx, v.remoteID(), v.remote.ETag, seen); err != nil && !backend.IsKind(err, backend.KindNotExist) {
			return err
		}
		f.cfg.Blocks.Drop(v.remote.Bucket, v.remote.Key)
		f.cfg.Metadata.Removed(v.remote.Bucket, v.remote.Key)
		return nil
	}
	if !seen.of(v.remote.ETag) {
		if _, err := f.mayReplace(ctx, v.remoteID()); err != nil {
			return err
		}
	}
	d, err := f.promiseDelete(v.remote, n)
	if err != nil {
		return err
	}
	n.lock()
	n.doomedID = d
	n.unlock()
	f.cfg.Metadata.Removed(v.remote.Bucket, v.remote.Key)
	return nil
}

func (v *version) remoteID() backend.ObjectID {
	return backend.ObjectID{Bucket: v.remote.Bucket, Key: v.remote.Key}
}

// unsealLocked takes back the promise that staged content is uploaded: its name is gone.
func (f *FS) unsealLocked(n *node) {
	if n.staged == nil || n.staged.State() != staging.StateSealed {
		return
	}
	if err := n.staged.SetState(staging.StateOpen, "unlinked"); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
}

// revive takes back a removal that failed; content that waited is queued again.
func (f *FS) revive(n *node) {
	n.lock()
	n.doomed = false
	n.unlock()
	if err := f.requeue(n); err != nil {
		f.log.Warn("upload", "error", err.Error())
	}
}

// discard removes the staged content of a doomed node that nobody has open.
func (f *FS) discard(n *node) {
	n.lock()
	file := f.detachStagedLocked(n)
	n.unlock()
	if file != nil {
		f.removeStaged(file)
	}
}

// hold keeps a node that is about to lose its name: its last close does not end it meanwhile.
func (f *FS) hold(n *node) {
	n.lock()
	n.doomed = true // no commit begins any more
	n.holds++
	n.unlock()
}

// letGo ends a hold, and a doomed node that nobody has open.
func (f *FS) letGo(n *node) {
	n.lock()
	n.holds--
	over := n.doomed && n.opens == 0 && n.holds == 0
	n.unlock()
	if over {
		f.buryLast(n)
	}
}

// buryLast ends a doomed node at its last close.
func (f *FS) buryLast(n *node) {
	f.discard(n)
	n.lock()
	due := n.after // never stored under the name it lost
	if n.doomedID != nil {
		due = append(due, n.doomedID)
	}
	n.after, n.doomedID = nil, nil
	n.unlock()
	for _, d := range due {
		f.fulfilLater(d)
	}
}

// keepDirectory writes a directory's marker if the entry that is about to go is its last: a
// directory does not vanish with its content.
func (f *FS) keepDirectory(ctx context.Context, dir *node) error {
	dir = f.tree.home(dir)
	if dir.id == rootID || dir.bucket() != "" {
		return nil
	}
	dir.rlock()
	exists := dir.keeps.exists
	dir.runlock()
	if exists {
		return nil
	}
	at := f.tree.locate(dir)
	if f.staysPresent(at) {
		return nil
	}
	scan := f.cfg.Metadata.Scan(at.bucket, at.key)
	defer scan.Close()
	for entries := 0; entries < 2; entries++ {
		if _, err := scan.Next(ctx); err != nil {
			break
		}
		if entries == 1 {
			return nil
		}
	}
	if scan.Self() != nil {
		dir.lock()
		dir.keeps.exists = true
		dir.unlock()
		return nil
	}
	return f.writeMarker(ctx, dir, false)
}
