package fs

import (
	"context"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/cache/staging"
)

// CopyFileRange makes a range of one file refer to the bytes of another: nothing is moved but
// bytes that are only staged.
func (f *FS) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	src, dst := f.handles.get(in.FhIn), f.handles.get(in.FhOut)
	if src == nil || dst == nil || !dst.writable {
		return 0, fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	length := int64(min(in.Len, 1<<31))
	from, to := int64(in.OffIn), int64(in.OffOut)
	if src.node == dst.node && from < to+length && to < from+length {
		return 0, fuse.EINVAL
	}
	if src.node != dst.node {
		if err := f.inOneGroup(f.tree.locate(src.node), f.tree.locate(dst.node)); err != nil {
			return 0, f.status("copy_file_range", err)
		}
		if err := f.storeSource(r, src.node); err != nil {
			return 0, f.status("copy_file_range", err)
		}
	}
	most, err := f.roomFor(r, dst.node)
	if err != nil {
		return 0, f.status("copy_file_range", err)
	}
	var copied int64
	err = f.change(r, dst.node, func(file *staging.File) error {
		var err error
		if !dst.node.doomed && to+length > most {
			if to >= most {
				return growsLocked(dst.node, file, max(to+length, file.Size()+1), most)
			}
			length = most - to
		}
		copied, err = f.copyRange(file, to, src.node, dst.node, from, length)
		return err
	})
	if err != nil {
		return 0, f.status("copy_file_range", err)
	}
	return uint32(copied), fuse.OK
}

// storeSource commits a file that is about to be copied from, if it refers to an object that its own
// commit replaces or deletes: references to that object would be broken by the commit.
func (f *FS) storeSource(ctx context.Context, n *node) error {
	n.rlock()
	due := n.replacesOwnBytesLocked()
	n.runlock()
	if !due {
		return nil
	}
	return f.commit(ctx, n, commitOptions{wait: true})
}

// replacesOwnBytesLocked tells whether staged content that is not stored refers to the object under its own key, or to one under a name
// that it had before: that is deleted after the commit.
func (n *node) replacesOwnBytesLocked() bool {
	if n.staged == nil || n.doomed || n.staged.State() == staging.StateCommitted && !n.staged.Dirty() {
		return false
	}
	target := n.staged.Spec().Target
	return n.staged.References(target.Bucket, target.Key) ||
		slices.ContainsFunc(n.after, func(d *deferredDelete) bool { return n.staged.References(d.Bucket, d.Key) })
}

// copyRange runs under dst's lock. The source's lock is only tried, so that two copies in opposite directions
// do not block each other, and is held until the reference is made: a later change of the source finds it.
// EOPNOTSUPP makes the kernel copy by read and write.
func (f *FS) copyRange(file *staging.File, to int64, src, dst *node, from, length int64) (int64, error) {
	if src != dst {
		if !src.tryRLock() {
			return 0, syscall.EOPNOTSUPP
		}
		defer src.runlock()
		if src.doomed || src.replacesOwnBytesLocked() {
			return 0, syscall.EOPNOTSUPP // its object is about to go, or it was written again
		}
	}
	staged, v := src.staged, src.current
	if staged != nil {
		length = min(length, staged.Size()-from)
		if length <= 0 {
			return 0, nil
		}
		return length, file.CopyFrom(to, staged, from, length)
	}
	if v == nil {
		return 0, nil
	}
	length = min(length, v.remote.Size-from)
	if length <= 0 {
		return 0, nil
	}
	if to == 0 && src.props != nil && dst.current == nil && dst.inherited == "" {
		dst.inherited = src.props.Headers.ContentType // known from open: the commit need not ask
	}
	return length, file.SetRemote(to, v.remote, from, length)
}
