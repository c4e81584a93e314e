package fs

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Open revalidates the pinned version (close-to-open) and answers ESTALE when another one is
// current: the kernel then looks the name up again and opens the new inode.
func (f *FS) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	// Linux empties a file that is opened to be read with O_TRUNC, too, and has asked for the right to write.
	writable := in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY || in.Flags&syscall.O_TRUNC != 0
	if writable && (f.cfg.ReadOnly || n.view != noView) {
		return fuse.EROFS
	}
	bytesToo := in.Flags&syscall.O_TRUNC == 0 && !(writable && f.locks(f.tree.locate(n).bucket))
	seen, err := f.revalidate(r, n, bytesToo)
	if err == nil && writable {
		err = f.mayChange(r, n, seen)
	}
	if err != nil {
		return f.status("open", err)
	}
	h := &handle{node: n, writable: writable}
	if writable {
		h.opener, h.thread = threadGroup(in.Pid), in.Pid
		if err := f.storeAttributes(r, n); err != nil {
			return f.status("open", err)
		}
		if err := f.joinWriters(n); err != nil {
			return f.status("open", err)
		}
		f.endMade(n) // from here on it is this one's close that stores it
		if in.Flags&syscall.O_TRUNC != 0 {
			if err := f.truncateForOpen(r, n); err != nil {
				f.leaveWriters(n)
				return f.status("open", err)
			}
		}
	}
	if err := f.register(r, n, h, out); err != nil {
		if writable {
			f.leaveWriters(n)
		}
		return f.status("open", err)
	}
	return fuse.OK
}

// joinWriters counts a writer. Beside readers by passthrough there can be none: they keep the old
// inode, the writer gets a new one.
func (f *FS) joinWriters(n *node) error {
	n.lock()
	defer n.unlock()
	if n.open.passthrough > 0 {
		f.tree.detach(n)
		return syscall.ESTALE
	}
	n.writers++
	n.active++
	return nil
}

func (f *FS) leaveWriters(n *node) {
	n.lock()
	n.writers--
	n.active--
	n.unlock()
}

// storeAttributes commits changed attributes of an inode that is open by passthrough: what is opened
// beside may be another inode, which knows only what is stored.
func (f *FS) storeAttributes(ctx context.Context, n *node) error {
	n.rlock()
	pending := n.open.passthrough > 0 && n.staged != nil
	n.runlock()
	if !pending {
		return nil
	}
	return f.commit(ctx, n, commitOptions{wait: true})
}

// register numbers a handle and chooses how the kernel reads through it.
func (f *FS) register(ctx context.Context, n *node, h *handle, out *fuse.OpenOut) error {
	if err := f.storeAttributes(ctx, n); err != nil {
		return err
	}
	n.lock()
	if !f.openPassthroughLocked(n, h, out) {
		if n.open.passthrough > 0 { // the kernel takes no open through its cache beside them
			f.tree.detach(n)
			n.unlock()
			return syscall.ESTALE
		}
		n.open.cached++
		if !n.wrong {
			out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
		}
		n.wrong = false
	}
	if n.current != nil {
		h.version, h.sum, h.summed = n.current.remote, n.current.sum, n.current.summed
	}
	n.opens++
	n.unlock()
	out.Fh = f.handles.add(h)
	return nil
}

// truncateForOpen is O_TRUNC: the content is empty from now on, the object stays until the commit.
func (f *FS) truncateForOpen(ctx context.Context, n *node) error {
	if err := f.takesName(ctx, f.tree.locate(n).id()); err != nil {
		return err
	}
	if err := f.stage(ctx, n); err != nil {
		return err
	}
	n.lock()
	defer n.unlock()
	if n.staged == nil {
		return syscall.ESTALE
	}
	n.replacing = n.current != nil
	n.attr.mtime = time.Now()
	return n.staged.Truncate(0)
}

// Create makes a new file: its object is written when it is committed, and only if the key is
// still free then.
func (f *FS) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	parent := f.tree.get(in.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly || parent.view != noView {
		return fuse.EROFS
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("create", err)
	}
	defer leave()
	n, err := f.lookup(r, parent, name)
	switch {
	case err == nil && in.Flags&syscall.O_EXCL != 0:
		return fuse.Status(syscall.EEXIST)
	case err == nil:
		return f.openExisting(r, n, in, out)
	case !backend.IsKind(err, backend.KindNotExist):
		return f.status("create", err)
	}
	a := f.newAttr(in.Uid, in.Gid, syscall.S_IFREG|in.Mode&0o7777)
	n, err = f.newFile(r, parent, name, a)
	if err == nil && f.cfg.ExclusiveOpen && in.Flags&syscall.O_EXCL != 0 && !f.locksNew(r, f.tree.locate(n).id(), a.mode) {
		if err = f.storeFirst(r, n, true); backend.IsKind(err, backend.KindCanceled) {
			f.unmake(n)
		}
	}
	if err != nil {
		return f.status("create", err)
	}
	h := &handle{node: n, writable: true, opener: threadGroup(in.Pid), thread: in.Pid}
	n.lock()
	n.writers++
	n.active++
	n.unlock()
	if err := f.register(r, n, h, &out.OpenOut); err != nil {
		f.leaveWriters(n)
		return f.status("create", err)
	}
	f.touchDir(parent)
	f.tree.remember(n)
	f.entry(n, &out.EntryOut)
	return fuse.OK
}

// openExisting is Create of a name that another client made since the kernel looked.
func (f *FS) openExisting(r *request, n *node, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	if n.dir {
		return fuse.Status(syscall.EISDIR)
	}
	open := fuse.OpenIn{InHeader: in.InHeader, Flags: in.Flags}
	open.NodeId = n.id
	f.tree.remember(n)
	if code := f.Open(r.cancel, &open, &out.OpenOut); !code.Ok() {
		f.tree.forget(n.id, 1)
		return code
	}
	f.entry(n, &out.EntryOut)
	return fuse.OK
}

// newAttr is what a new file or directory of this caller shows.
func (f *FS) newAttr(uid, gid, mode uint32) attr {
	a := attr{mode: mode, uid: uid, gid: gid, mtime: time.Now()}
	if f.cfg.Posix == PosixOff && mode&syscall.S_IFMT != syscall.S_IFLNK {
		a.uid, a.gid, a.mode = f.cfg.UID, f.cfg.GID, mode&syscall.S_IFMT|f.cfg.FileMode
		if mode&syscall.S_IFMT == syscall.S_IFDIR {
			a.mode = mode&syscall.S_IFMT | f.cfg.DirMode
		}
	}
	return a
}

// newFile makes a node with empty staged content under a name that is free.
func (f *FS) newFile(ctx context.Context, parent *node, name string, a attr) (*node, error) {
	if f.aboveBuckets(parent) {
		return nil, syscall.EPERM
	}
	component, err := f.newComponent(ctx, parent, name, false)
	if err != nil {
		return nil, err
	}
	at := f.tree.locate(parent)
	id := backend.ObjectID{Bucket: at.bucket, Key: at.key + component}
	if len(id.Key) > maxKey {
		return nil, syscall.ENAMETOOLONG
	}
	if a.mode&syscall.S_IFMT == syscall.S_IFREG {
		if err := f.takesName(ctx, id); err != nil {
			return nil, err
		}
	}
	n := &node{extra: &extra{suffix: component}, ino: inoOf(id.Bucket, id.Key, ""), body: &body{attr: a, tagCount: 0, checked: time.Now()}}
	if err := f.give(n, id); err != nil {
		return nil, err
	}
	condition := backend.Condition{IfNoneMatch: true}
	old, err := f.takeBack(id)
	if err != nil {
		return nil, err
	}
	if old != nil { // unlinked, but still there for those who have it open: the new file replaces it
		f.preserveUnlinked(f.ctx, old)
		condition = backend.Condition{IfMatch: old.ETag}
	}
	file, err := f.cfg.Staging.Create(staging.Spec{Target: id, Condition: condition})
	if err != nil {
		if old != nil {
			f.promiseAgain(old)
		}
		return nil, err
	}
	f.tree.add(parent, name, n, false)
	n.lock()
	f.attachLocked(n, file)
	n.unlock()
	return n, nil
}

// openPassthroughLocked lets the kernel read a file of the disk tier by itself, where that is
// allowed: read-only, complete and verified, not staged, not small, and nothing else open through the page cache.
func (f *FS) openPassthroughLocked(n *node, h *handle, out *fuse.OpenOut) bool {
	if h.writable || n.staged != nil || n.current == nil || n.open.cached > 0 || n.writers > 0 {
		return false
	}
	if n.open.passthrough == 0 && (!f.passthrough.Load() || n.current.remote.Size <= smallFile) {
		return false
	}
	if n.open.passthrough == 0 {
		file, ok := f.cfg.Blocks.Complete(n.current.blocks())
		if !ok {
			return false
		}
		id, errno := f.registerBacking(file)
		file.Close()
		if errno != 0 {
			f.log.Info("passthrough is off", "errno", errno.Error())
			f.passthrough.Store(false)
			return false
		}
		n.open.backing = id
	}
	n.open.passthrough++
	h.through = true
	out.BackingID = n.open.backing
	out.OpenFlags |= fuse.FOPEN_PASSTHROUGH
	return true
}

func (f *FS) registerBacking(file *os.File) (int32, syscall.Errno) {
	m := fuse.BackingMap{Fd: int32(file.Fd())}
	return f.server.Load().RegisterBackingFd(&m)
}

// closeModeLocked undoes register's choice.
func (f *FS) closeModeLocked(n *node, h *handle) {
	n.opens--
	if !h.through {
		n.open.cached--
		return
	}
	if n.open.passthrough--; n.open.passthrough == 0 {
		f.server.Load().UnregisterBackingFd(n.open.backing)
		n.open.backing = 0
	}
}
