package fs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
)

// Mknod makes an empty file, or a fifo, socket or device that lives in metadata. It commits
// before it returns.
func (f *FS) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	a := f.newAttr(in.Uid, in.Gid, in.Mode)
	if a.mode&syscall.S_IFMT == 0 {
		a.mode |= syscall.S_IFREG
	}
	a.rdev = in.Rdev
	return f.makeStored(cancel, &in.InHeader, name, a, out)
}

// Symlink stores an empty object whose metadata holds the target.
func (f *FS) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	a := f.newAttr(h.Uid, h.Gid, syscall.S_IFLNK|0o777)
	a.target, a.size = target, int64(len(target))
	return f.makeStored(cancel, h, name, a, out)
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
	if f.cfg.ReadOnly {
		return fuse.EROFS
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	n, err := f.storeNew(r, parent, name, a)
	if err != nil {
		return f.status("create", err)
	}
	f.tree.remember(n)
	f.entry(n, out)
	return fuse.OK
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
	if err := f.commit(ctx, n, commitOptions{wait: f.cfg.Commit == CommitClose}); err != nil {
		return nil, err
	}
	f.touchDir(parent)
	return n, nil
}
