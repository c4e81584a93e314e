package fs

import (
	"context"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// preserveUnlinked keeps the bytes of an object that was unlinked while it is open, when its key gets
// another object.
func (f *FS) preserveUnlinked(ctx context.Context, d *deferredDelete) {
	if d == nil || d.node == nil {
		return
	}
	keep, err := f.preserve(ctx, d.node)
	if err != nil {
		f.log.Warn("staging", "error", err.Error())
	}
	if keep == nil {
		return
	}
	n := d.node
	n.lock()
	if n.staged == nil && n.opens > 0 {
		f.attachLocked(n, keep)
		keep = nil
	}
	n.unlock()
	if keep != nil {
		f.removeStaged(keep)
	}
}

// preserve keeps the bytes of an object that is about to be replaced, for programs that have it
// open: by its version id where there is one, else in staging up to preserveLimit. Beyond that
// they get ESTALE. The file returned is attached when the object is really replaced.
func (f *FS) preserve(ctx context.Context, n *node) (*staging.File, error) {
	n.rlock()
	v, staged, needed := n.current, n.staged != nil, n.opens > 0 && n.open.passthrough == 0
	n.runlock()
	if staged && v != nil {
		f.preserveRanges(ctx, n, v.remoteID())
		return nil, nil
	}
	if !needed || v == nil || v.remote.VersionID != "" || v.remote.Size > preserveLimit {
		return nil, nil
	}
	file, err := f.cfg.Staging.Create(staging.Spec{Target: v.remoteID()})
	if err != nil {
		return nil, err
	}
	if err := file.SetState(staging.StateScratch, ""); err != nil {
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
			f.removeStaged(file)
			return nil, nil // those readers get ESTALE
		}
		off += int64(len(part))
	}
	return file, nil
}

// preserveRanges fetches what staged content refers to of an object that is about to go or to be replaced,
// for programs that have the file open though its name is gone, or about to go.
func (f *FS) preserveRanges(ctx context.Context, n *node, id backend.ObjectID) {
	of := func(e staging.Extent) bool {
		return e.Object != nil && !e.Local && e.Object.Bucket == id.Bucket && e.Object.Key == id.Key && e.Object.VersionID == ""
	}
	var wanted []staging.Extent
	var size int64
	n.rlock()
	if n.staged != nil && n.opens > 0 {
		for _, e := range n.staged.Extents(0, n.staged.Size()) {
			if of(e) {
				wanted = append(wanted, e)
				size += e.Len
			}
		}
	}
	n.runlock()
	if size > preserveLimit {
		return
	}
	h := &handle{node: n}
	defer h.close()
	for _, e := range wanted {
		buf := make([]byte, e.Len)
		if err := f.readInto(ctx, h, e, buf); err != nil {
			return // reading them is ESTALE
		}
		n.lock()
		if n.staged != nil {
			for _, now := range n.staged.Extents(e.Off, e.Len) { // not what was written meanwhile
				if !of(now) {
					continue
				}
				if _, err := n.staged.WriteAt(buf[now.Off-e.Off:][:now.Len], now.Off); err != nil {
					f.log.Warn("staging", "error", err.Error())
				}
			}
		}
		n.unlock()
	}
}
