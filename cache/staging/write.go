package staging

import (
	"errors"
	"io"

	"github.com/objmount/objmount/backend"
)

// WriteAt writes p at off; a gap before it becomes zeros. KindNoSpace when the area's limit or the
// disk is reached: nothing is written over the limit, and on a full disk the count says how much
// was. The map is unchanged for what was not written.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.rangeLocked("write", off, int64(len(p))); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	stop := off + int64(len(p))
	if f.m.streamed(off, stop) {
		return 0, f.busyLocked("write")
	}
	grow := int64(0) // bytes that need new space
	if off >= f.m.size {
		grow = int64(len(p))
	} else {
		f.m.each(off, stop, func(x piece) bool {
			if !x.Local || x.frozen {
				grow += x.Len
			}
			return true
		})
		grow += max(stop-max(f.m.size, off), 0)
	}
	if err := f.area.reserve(grow, f.spec.Target); err != nil {
		return 0, err
	}
	file, err := f.openDataLocked(off)
	if err != nil {
		f.area.giveBack(grow)
		return 0, diskError("write", f.spec.Target, err)
	}
	defer f.area.handles.release(&f.data)
	before, size := f.space.tail, f.m.size
	done, err := f.writeLocked(file, p, off)
	used := f.space.tail - before
	f.space.held += used
	f.area.giveBack(grow - used)
	if done > 0 || err == nil {
		f.rewritten = f.rewritten || off != size
		f.dataDirty = true
		f.changedLocked()
	}
	return done, diskError("write", f.spec.Target, err)
}

// writeLocked writes run by run: bytes that are local and not frozen stay in their place, all
// others go to new space.
func (f *File) writeLocked(file DiskFile, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n, pos, inPlace := f.runLocked(at, int64(len(p)-done))
		if !inPlace {
			pos = f.space.tail
		}
		wrote, err := file.WriteAt(p[done:done+int(n)], pos)
		if !inPlace && wrote > 0 {
			f.space.tail += int64(wrote)
			f.putLocked(piece{Extent: Extent{Off: at, Len: int64(wrote), Local: true, Pos: pos}})
		}
		done += wrote
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// runLocked returns how many bytes from off on can be written by one call, and where.
func (f *File) runLocked(off, n int64) (run, pos int64, inPlace bool) {
	if off >= f.m.size {
		return n, 0, false
	}
	first := *f.m.at(f.m.find(off))
	if first.Local && !first.frozen {
		first = first.cut(off, first.End())
		return min(n, first.Len), first.Pos, true
	}
	f.m.each(off, off+n, func(x piece) bool {
		if x.Local && !x.frozen {
			return false
		}
		run += x.Len
		return true
	})
	if off+run == f.m.size {
		run = n
	}
	return run, 0, false
}

// putLocked makes a range that piece; what was local there is dead space now, and a gap before it
// becomes zeros.
func (f *File) putLocked(p piece) {
	if p.Off > f.m.size {
		f.m.truncate(p.Off)
	}
	f.killLocked(p.Off, p.End())
	f.m.replace(p)
}

func (f *File) killLocked(off, stop int64) {
	f.m.each(off, stop, func(x piece) bool {
		if x.Local && !x.Streamed {
			f.space.kill(x.Pos, x.Len, x.frozen, f.seals)
		}
		return true
	})
}

// openDataLocked opens the data file. Before its first byte the journal learns what it belongs to.
func (f *File) openDataLocked(off int64) (DiskFile, error) {
	if !f.recorded {
		c := f.contentLocked()
		c.first = off
		if err := f.journalLocked(f.record(recordBegin, c)); err != nil {
			return nil, err
		}
	}
	if f.created {
		return f.area.handles.acquire(&f.data, false)
	}
	file, err := f.area.handles.acquire(&f.data, true)
	if err == nil {
		f.created = true
		f.area.namesDirty.Store(true)
	}
	return file, err
}

// rangeLocked checks the arguments of a change.
func (f *File) rangeLocked(op string, off, n int64) error {
	if err := f.usableLocked(op); err != nil {
		return err
	}
	if off < 0 || n < 0 || off+n < 0 {
		return refuse(backend.KindInvalid, op, f.spec.Target, "the range is not valid")
	}
	return nil
}

// Truncate sets the size: a longer file gets zeros at its end. KindBusy when it would cut off some
// streamed ranges and not others: an upload has whole parts.
func (f *File) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.rangeLocked("truncate", size, 0); err != nil {
		return err
	}
	if size == f.m.size {
		return nil
	}
	if f.m.streamed(0, size) && f.m.streamed(size, f.m.size) {
		return f.busyLocked("truncate")
	}
	f.killLocked(size, f.m.size)
	f.m.truncate(size)
	f.rewritten = size > 0 // from the start again
	f.changedLocked()
	return nil
}

// Punch makes [off, off+n) zeros, growing the file to off+n where it was shorter.
func (f *File) Punch(off, n int64) error {
	return f.set("punch", off, n, piece{})
}

// SetRemote makes [off, off+n) the bytes of r from objectOff on.
func (f *File) SetRemote(off int64, r *Remote, objectOff, n int64) error {
	if r == nil || objectOff < 0 || n < 0 || end(objectOff, n) > r.Size {
		return refuse(backend.KindInvalid, "copy", f.Spec().Target, "the range is not inside the source")
	}
	return f.set("copy", off, n, piece{Extent: Extent{Object: r, ObjectOff: objectOff}})
}

func (f *File) set(op string, off, n int64, p piece) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.rangeLocked(op, off, n); err != nil || n == 0 {
		return err
	}
	if f.m.streamed(off, off+n) {
		return f.busyLocked(op)
	}
	p.Off, p.Len = off, n
	f.rewritten = true
	f.putLocked(p)
	f.changedLocked()
	return nil
}

// CopyFrom makes [off, off+n) the bytes of src from srcOff on. What src has in the store, or not at
// all, is only referred to; local bytes are copied. src may be f when the ranges do not overlap.
// KindRange when the range is not inside src; KindNoSpace as for WriteAt, the file is unchanged then.
func (f *File) CopyFrom(off int64, src *File, srcOff, n int64) error {
	unlock := lockBoth(f, src)
	defer unlock()
	if err := f.rangeLocked("copy", off, n); err != nil || n == 0 {
		return err
	}
	if srcOff < 0 || end(srcOff, n) > src.m.size {
		return refuse(backend.KindRange, "copy", f.spec.Target, "the range is not inside the source")
	}
	if f == src && off < srcOff+n && srcOff < off+n {
		return refuse(backend.KindInvalid, "copy", f.spec.Target, "the ranges overlap")
	}
	if f.m.streamed(off, off+n) || src.m.streamed(srcOff, srcOff+n) {
		return f.busyLocked("copy")
	}
	list := src.m.extents(srcOff, srcOff+n)
	if err := f.copyLocalLocked(list, src, off); err != nil {
		return err
	}
	f.rewritten = true
	for _, e := range list {
		e.Off += off - srcOff
		f.putLocked(piece{Extent: e})
	}
	f.changedLocked()
	return nil
}

// copyLocalLocked copies the bytes that are only local to new space of f, and changes the list to
// say so.
func (f *File) copyLocalLocked(list []Extent, src *File, off int64) error {
	need := int64(0)
	for i := range list {
		if list[i].Object != nil {
			list[i].Local, list[i].Pos = false, 0
		} else if list[i].Local {
			need += list[i].Len
		}
	}
	if need == 0 {
		return nil
	}
	if err := f.area.reserve(need, f.spec.Target); err != nil {
		return err
	}
	tail := f.space.tail
	err := f.withDataLocked(off, func(to DiskFile) error {
		from, err := src.area.handles.acquire(&src.data, false)
		if err != nil {
			return err
		}
		defer src.area.handles.release(&src.data)
		for i := range list {
			if !list[i].Local {
				continue
			}
			if err := to.CopyFrom(tail, from, list[i].Pos, list[i].Len); err != nil {
				return err
			}
			list[i].Pos = tail
			tail += list[i].Len
		}
		return nil
	})
	if err != nil {
		// What was copied lies behind the tail, where later writes go.
		f.area.giveBack(need)
		return diskError("copy", f.spec.Target, err)
	}
	f.space.tail = tail
	f.space.held += need
	f.dataDirty = true
	return nil
}

func (f *File) withDataLocked(off int64, fn func(DiskFile) error) error {
	file, err := f.openDataLocked(off)
	if err != nil {
		return err
	}
	defer f.area.handles.release(&f.data)
	return fn(file)
}

// lockBoth locks two files, the older one first.
func lockBoth(a, b *File) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() { b.mu.Unlock(); a.mu.Unlock() }
}

// ReadLocal reads bytes of a local extent: p is filled from offset off of the file, which lies inside e, as
// far as e reaches. Zero extents read as zeros. Bytes that are missing on the disk are an error (KindCorrupt),
// never zeros; those that were given back, also since e was asked for, are KindBusy. It holds no lock while it
// reads, so that a long read does not stop a writer.
func (f *File) ReadLocal(e Extent, p []byte, off int64) (int, error) {
	if off < e.Off || off > e.End() || !e.Local && e.Object != nil {
		return 0, refuse(backend.KindInvalid, "read", f.Spec().Target, "not a range of local bytes")
	}
	p = p[:min(int64(len(p)), e.End()-off)]
	if !e.Local {
		clear(p)
		return len(p), nil
	}
	if len(p) == 0 {
		return 0, nil
	}
	if e.Streamed {
		return 0, refuse(backend.KindBusy, "read", f.Spec().Target, whyBusy)
	}
	n := 0
	file, err := f.area.handles.acquire(&f.data, false)
	if err == nil {
		n, err = file.ReadAt(p, e.Pos+off-e.Off)
		f.area.handles.release(&f.data)
	}
	if err := f.givenBack(e.Pos+off-e.Off, int64(n)); err != nil {
		return 0, err
	}
	if n == len(p) {
		return n, nil
	}
	id := f.Spec().Target
	if errors.Is(err, io.EOF) || isNotExist(err) {
		return n, refuse(backend.KindCorrupt, "read", id, "staged bytes are missing on the disk")
	}
	return n, diskError("read", id, err)
}
