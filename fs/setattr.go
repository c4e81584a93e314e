package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/cache/staging"
)

// SetAttr is truncate, chmod, chown and utimens.
func (f *FS) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly || n.view != noView {
		return fuse.EROFS
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	if size, ok := in.GetSize(); ok {
		if err := f.truncate(r, n, int64(size), in); err != nil {
			return f.status("truncate", err)
		}
	}
	if err := f.setAttributes(r, n, in); err != nil {
		return f.status("setattr", err)
	}
	f.fill(n, &out.Attr)
	out.SetTimeout(f.ttl())
	return fuse.OK
}

// truncate by path commits before it returns, unless the file is open for writing.
func (f *FS) truncate(ctx context.Context, n *node, size int64, in *fuse.SetAttrIn) error {
	if n.dir {
		return syscall.EISDIR
	}
	_, byHandle := in.GetFh()
	if !byHandle {
		seen, err := f.revalidate(ctx, n, size > 0 && !f.locks(f.tree.locate(n).bucket))
		if err == nil {
			err = f.mayChange(ctx, n, seen)
		}
		if err != nil {
			return err
		}
		if err := f.storeAttributes(ctx, n); err != nil {
			return err
		}
		n.rlock()
		through := n.open.passthrough > 0
		n.runlock()
		if through { // they keep the old content; the name gets a new inode
			f.tree.detach(n)
			return syscall.ESTALE
		}
	}
	most, err := f.roomFor(ctx, n)
	if err != nil {
		return err
	}
	if err := f.change(ctx, n, func(file *staging.File) error {
		if err := growsLocked(n, file, size, most); err != nil {
			return err
		}
		return file.Truncate(size)
	}); err != nil {
		return err
	}
	n.rlock()
	active := n.active
	n.runlock()
	if byHandle || active > 0 {
		return nil
	}
	return f.commit(ctx, n, commitOptions{wait: f.cfg.Commit == CommitClose})
}

// wanted is what a SETATTR asks for, laid over the attributes a node has.
func wanted(a attr, in *fuse.SetAttrIn) (b attr, times bool) {
	b = a
	if mode, ok := in.GetMode(); ok {
		b.mode = a.mode&syscall.S_IFMT | mode&0o7777
	}
	if uid, ok := in.GetUID(); ok {
		b.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		b.gid = gid
	}
	if mtime, ok := in.GetMTime(); ok {
		b.mtime = mtime
		times = in.Valid&fuse.FATTR_MTIME_NOW == 0
	}
	if atime, ok := in.GetATime(); ok && in.Valid&fuse.FATTR_ATIME_NOW == 0 {
		b.atime = atime
		times = true
	}
	return b, times
}

func (f *FS) setAttributes(ctx context.Context, n *node, in *fuse.SetAttrIn) error {
	n.rlock()
	next, times := wanted(n.attr, in)
	same := next.same(n.attr)
	rights := next.mode != n.attr.mode || next.uid != n.attr.uid || next.gid != n.attr.gid
	n.runlock()
	if same {
		return nil
	}
	if f.cfg.Posix == PosixOff && (rights || times) {
		return syscall.EPERM
	}
	if n.dir {
		return f.setDirAttributes(ctx, n, next)
	}
	if err := f.mayChange(ctx, n, nil); err != nil {
		return err
	}
	if rights || times { // what nobody would see is refused; the content is another matter
		if err := f.markParent(ctx, n); err != nil {
			return err
		}
	}
	if err := f.lockStaged(ctx, n); err != nil {
		return err
	}
	n.attr, _ = wanted(n.attr, in)
	n.explicit = n.explicit || times || rights
	// Also where nothing differs: a touch changes the object's date.
	n.written = true
	err := n.staged.SetProperties(f.propertiesLocked(n))
	active := n.active
	n.unlock()
	if err != nil {
		return err
	}
	if active > 0 {
		return nil // travels with the commit
	}
	return f.commit(ctx, n, commitOptions{delay: attributeDelay})
}

// setDirAttributes writes the directory's marker at once; the markers above it first.
func (f *FS) setDirAttributes(ctx context.Context, n *node, next attr) error {
	if f.aboveBuckets(n) || f.isPart(n) { // they have no marker
		return syscall.EPERM
	}
	leave, err := f.enter(ctx, n)
	if err != nil {
		return err
	}
	defer leave()
	n.lock()
	before := n.attr
	next.mode = syscall.S_IFDIR | next.mode&0o7777
	n.attr = next
	onlyTime := next.mode == before.mode && next.uid == before.uid && next.gid == before.gid
	kept := n.keeps.kept
	n.unlock()
	if onlyTime && !kept && time.Since(next.mtime) < 2*time.Second {
		return nil
	}
	err = f.markParent(ctx, n)
	if err == nil {
		err = f.writeMarker(ctx, n, true)
	}
	if err != nil {
		n.lock()
		n.attr = before
		n.unlock()
	}
	return err
}

// markParent makes the directory above keep attributes, where there is one.
func (f *FS) markParent(ctx context.Context, n *node) error {
	f.tree.mu.RLock()
	parent, isBucket := n.parent, n.bucket() != ""
	f.tree.mu.RUnlock()
	if parent == nil || isBucket {
		return nil
	}
	return f.markKeeping(ctx, parent)
}
