package staging

import "github.com/objmount/objmount/backend"

// Remote is one version of an object (its ETag is set) and its size in bytes. A Remote is
// immutable once it was handed to this package, and is shared by pointer.
type Remote struct {
	backend.Source
	Size int64
}

// same tells whether two references name the same version.
func (r *Remote) same(o *Remote) bool {
	return r == o || r != nil && o != nil && *r == *o
}

// Extent is [Off, Off+Len) of a file, of one of three kinds:
//
//   - Local: the bytes lie at Pos of the data file. With Object set, that object has the same bytes
//     at ObjectOff (they were committed): a reader takes the local ones, an uploader may copy them
//     inside the store. With Streamed set, they were there, and only a part of the file's Upload has
//     them now: nobody can read them before the commit.
//   - remote: not Local, Object set: the bytes are those of the object.
//   - zero: neither.
type Extent struct {
	Off, Len  int64
	Local     bool
	Streamed  bool
	Pos       int64
	Object    *Remote
	ObjectOff int64
}

// End is the first byte after the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// zero tells whether the extent is a hole.
func (e Extent) zero() bool { return !e.Local && e.Object == nil }

// cut returns the part [off, end) of the extent, which must lie inside it.
func (e Extent) cut(off, end int64) Extent {
	d := off - e.Off
	e.Off, e.Len = off, end-off
	if e.Local {
		e.Pos += d
	}
	if e.Object != nil {
		e.ObjectOff += d
	}
	return e
}

// joins tells whether next directly follows e and continues it, so that both are one extent.
func (e Extent) joins(next Extent) bool {
	if e.Local != next.Local || e.Streamed != next.Streamed || e.End() != next.Off {
		return false
	}
	if e.Local && e.Pos+e.Len != next.Pos {
		return false
	}
	if (e.Object == nil) != (next.Object == nil) {
		return false
	}
	return e.Object == nil || e.ObjectOff+e.Len == next.ObjectOff && e.Object.same(next.Object)
}

// sameBytes tells whether two extents of the same range refer to the same bytes: the same place of
// the data file, the same range of the same object, or both zeros.
func (e Extent) sameBytes(o Extent) bool {
	switch {
	case e.Local && o.Local:
		return e.Pos == o.Pos
	case e.Object != nil && o.Object != nil:
		return e.ObjectOff == o.ObjectOff && e.Object.same(o.Object)
	default:
		return e.zero() && o.zero()
	}
}

// SameContent tells whether two gapless lists of extents of one file cover the same range with the
// same bytes, however they are cut. It compares places, not bytes, so it is meaningful only for
// frozen extents (of a Freeze or a Snapshot): those places are never written again.
func SameContent(a, b []Extent) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	off := a[0].Off
	if b[0].Off != off || a[len(a)-1].End() != b[len(b)-1].End() {
		return false
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		end := min(a[i].End(), b[j].End())
		if !a[i].cut(off, end).sameBytes(b[j].cut(off, end)) {
			return false
		}
		if off = end; a[i].End() == end {
			i++
		}
		if b[j].End() == end {
			j++
		}
	}
	return true
}
