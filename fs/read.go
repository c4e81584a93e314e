package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/staging"
)

// viewResult answers a READ by writev from the block cache's own buffers; Done gives them back.
type viewResult struct{ view *blocks.View }

func (v viewResult) Size() int { return v.view.Len() }
func (v viewResult) Done()     { v.view.Release() }

// Bytes is what go-fuse calls where it cannot write a vector.
func (v viewResult) Bytes(buf []byte) ([]byte, fuse.Status) {
	if len(buf) < v.view.Len() {
		buf = make([]byte, v.view.Len())
	}
	return buf[:v.view.CopyTo(buf)], fuse.OK
}

// Slices lets go-fuse send without a copy.
func (v viewResult) Slices() ([][]byte, fuse.Status) { return v.view.Slices(), fuse.OK }

// Read returns the pinned version's bytes, or the staged ones.
func (f *FS) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h := f.handles.get(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	for first := true; ; first = false {
		result, err := f.read(r, h, in, buf)
		if err == nil {
			return result, fuse.OK
		}
		if backend.IsKind(err, backend.KindCorrupt) {
			f.dropPages(h.node)
		}
		gone := backend.IsKind(err, backend.KindChanged) || backend.IsKind(err, backend.KindNotExist)
		uploading := backend.IsKind(err, backend.KindBusy) // after close it can be waited for
		if gone && h.node.view != noView {
			return nil, f.status("read", f.versionGone(r, h.node, err))
		}
		if !gone && !uploading || !first || !f.movedOn(r, h.node) {
			return nil, f.status("read", staleIf(gone, err))
		}
	}
}

// dropPages takes from the kernel what it was given of content whose checksum turned out wrong at its end:
// the next read is of the store again.
func (f *FS) dropPages(n *node) {
	n.lock()
	n.wrong = true // should the notification get lost, the next open does it
	n.unlock()
	f.notifyContent(n)
}

// staleIf makes ESTALE of the end of a version that was pinned.
func staleIf(gone bool, err error) error {
	if gone {
		return errors.Join(syscall.ESTALE, err)
	}
	return err
}

// movedOn waits for a commit of our own that may just be taking the place of the version that a read
// was for. It returns false where there is none.
func (f *FS) movedOn(ctx context.Context, n *node) bool {
	n.rlock()
	file, doomed := n.staged, n.doomed
	recent := time.Since(n.checked) < 2*time.Second
	n.runlock()
	if file != nil && !doomed {
		return f.queue.Wait(ctx, file) == nil
	}
	return recent && !doomed
}

// read is one attempt with what is pinned now.
func (f *FS) read(ctx context.Context, h *handle, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, error) {
	n := h.node
	n.rlock()
	if n.lost {
		n.runlock()
		return nil, syscall.ESTALE
	}
	if n.staged != nil {
		return f.readStaged(ctx, h, in, buf) // gives the lock back
	}
	v := n.current
	n.runlock()
	if v == nil {
		return fuse.ReadResultData(nil), nil
	}
	return f.readVersion(ctx, h, v.remote, int64(in.Offset), int(in.Size))
}

func (f *FS) readVersion(ctx context.Context, h *handle, v *staging.Remote, off int64, size int) (fuse.ReadResult, error) {
	if off >= v.Size {
		return fuse.ReadResultData(nil), nil
	}
	view, err := h.reader(f.cfg.Blocks, v).ReadAt(ctx, off, size)
	if err != nil {
		return nil, err
	}
	return viewResult{view}, nil
}

// readStaged is called with node.mu held for reading and gives it back: local bytes are read
// under the lock, ranges of objects without it.
func (f *FS) readStaged(ctx context.Context, h *handle, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, error) {
	n := h.node
	off, size := int64(in.Offset), int64(min(int(in.Size), len(buf)))
	extents := n.staged.Extents(off, size)
	if len(extents) == 1 && !extents[0].Local && extents[0].Object != nil {
		n.runlock()
		e := extents[0]
		return f.readVersion(ctx, h, e.Object, e.ObjectOff, int(e.Len))
	}
	var end int64
	var err error
	for _, e := range extents {
		part := buf[e.Off-off : e.Off-off+e.Len]
		end = e.Off - off + e.Len
		switch {
		case e.Local:
			if _, err = n.staged.ReadLocal(e, part, e.Off); err != nil {
				n.runlock()
				return nil, err
			}
		case e.Object == nil:
			clear(part)
		}
	}
	n.runlock()
	for _, e := range extents {
		if e.Local || e.Object == nil {
			continue
		}
		if err := f.readInto(ctx, h, e, buf[e.Off-off:e.Off-off+e.Len]); err != nil {
			return nil, err
		}
	}
	return fuse.ReadResultData(buf[:end]), nil
}

// readInto fills p with a remote extent.
func (f *FS) readInto(ctx context.Context, h *handle, e staging.Extent, p []byte) error {
	reader := h.reader(f.cfg.Blocks, e.Object)
	for done := 0; done < len(p); {
		view, err := reader.ReadAt(ctx, e.ObjectOff+int64(done), len(p)-done)
		if err != nil {
			return err
		}
		n := view.CopyTo(p[done:])
		view.Release()
		if n == 0 {
			return syscall.EIO
		}
		done += n
	}
	return nil
}
