package fs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Mknod makes an empty file, or a fifo, socket or device that lives in metadata. It commits
// before it returns.
func (f *FS) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if in.Mode&syscall.S_IFMT == 0 {
		in.Mode |= syscall.S_IFREG
	}
	if f.cfg.Posix == PosixOff && in.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fuse.EPERM
	}
	a := f.newAttr(in.Uid, in.Gid, in.Mode)
	a.rdev = in.Rdev
	return f.makeStored(cancel, &in.InHeader, name, a, out)
}

// Link is refused: an object has one key.
func (f *FS) Link(<-chan struct{}, *fuse.LinkIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}

func (f *FS) makeStored(cancel <-chan struct{}, h *fuse.InHeader, name string, a attr, out *fuse.EntryOut) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly || parent.view != noView {
		return fuse.EROFS
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("create", err)
	}
	defer leave()
	n, err := f.storeNew(r, parent, name, a)
	if err != nil {
		return f.status("create", err)
	}
	f.tree.remember(n)
	f.entry(n, out)
	return fuse.OK
}

// unmake takes a new file back whose making failed.
func (f *FS) unmake(n *node) {
	n.mu.Lock()
	n.doomed = true
	file := n.staged
	n.mu.Unlock()
	if file != nil {
		if _, err := f.queue.Cancel(f.ctx, file); err != nil {
			f.log.Warn("cancel", "error", err.Error())
		}
		if old := covered(file.Spec()); old != nil && file.State() != staging.StateCommitted { // it had been unlinked
			f.promiseAgain(&deferredDelete{Bucket: old.Bucket, Key: old.Key, ETag: old.ETag})
		}
		f.discard(n)
	}
	f.tree.detach(n)
}

func (f *FS) storeNew(ctx context.Context, parent *node, name string, a attr) (*node, error) {
	switch _, err := f.lookup(ctx, parent, name); {
	case err == nil:
		return nil, syscall.EEXIST
	case !backend.IsKind(err, backend.KindNotExist):
		return nil, err
	}
	n, err := f.newFile(ctx, parent, name, a)
	if err != nil {
		return nil, err
	}
	if a.target != "" {
		if err := f.writeTarget(ctx, n, a.target); err != nil {
			f.unmake(n)
			return nil, err
		}
	}
	if err := f.commit(ctx, n, commitOptions{wait: f.cfg.Commit == CommitClose}); err != nil {
		if !backend.IsKind(err, backend.KindCanceled) { // else only the wait was ended
			f.unmake(n)
		}
		return nil, err
	}
	f.touchDir(parent)
	return n, nil
}
