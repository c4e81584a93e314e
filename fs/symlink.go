package fs

import (
	"context"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// maxTarget is the longest target of a symbolic link, in bytes (PATH_MAX less the final NUL).
const maxTarget = 4095

// Symlink stores an object whose bytes are the target, as Amazon FSx and s3fs do. The metadata hold it
// too, unless it is long: there it costs no request to read.
func (f *FS) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	if f.cfg.Posix == PosixOff {
		return fuse.EPERM
	}
	if len(target) > maxTarget {
		return fuse.Status(syscall.ENAMETOOLONG)
	}
	a := f.newAttr(h.Uid, h.Gid, syscall.S_IFLNK|0o777)
	a.target, a.size = target, int64(len(target))
	return f.makeStored(cancel, h, name, a, out)
}

// writeTarget makes the target of a new symbolic link its content.
func (f *FS) writeTarget(ctx context.Context, n *node, target string) error {
	return f.change(ctx, n, func(file *staging.File) error {
		_, err := file.WriteAt([]byte(target), 0)
		return err
	})
}

// Readlink returns a symlink's target: from its metadata, else its bytes.
func (f *FS) Readlink(cancel <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := f.tree.get(h.NodeId)
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	n.rlock()
	isLink, target := n.attr.mode&syscall.S_IFMT == syscall.S_IFLNK, n.attr.target
	n.runlock()
	if !isLink {
		return nil, fuse.EINVAL
	}
	if target != "" {
		return []byte(target), fuse.OK
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	target, err := f.readTarget(r, n)
	if err != nil {
		return nil, f.status("readlink", err)
	}
	return []byte(target), fuse.OK
}

// readTarget reads a target from the object's bytes, and keeps it with the node: its version is pinned.
func (f *FS) readTarget(ctx context.Context, n *node) (string, error) {
	h := &handle{node: n}
	defer h.close()
	buf := make([]byte, maxTarget+1)
	result, err := f.read(ctx, h, &fuse.ReadIn{Size: uint32(len(buf))}, buf)
	if err != nil {
		gone := backend.IsKind(err, backend.KindChanged) || backend.IsKind(err, backend.KindNotExist)
		return "", staleIf(gone, err)
	}
	defer result.Done()
	data, code := result.Bytes(buf)
	if !code.Ok() {
		return "", syscall.Errno(code)
	}
	target, _, _ := strings.Cut(string(data), "\x00")
	if target == "" || len(target) > maxTarget {
		return "", syscall.EIO
	}
	n.lock()
	n.attr.target = target
	n.unlock()
	return target, nil
}
