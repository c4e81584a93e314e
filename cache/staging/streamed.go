package staging

import (
	"cmp"
	"slices"

	"github.com/objmount/objmount/backend"
)

const whyBusy = "these bytes were given back to make room, and only the upload has them until it is completed"

func (f *File) busyLocked(op string) error {
	return refuse(backend.KindBusy, op, f.spec.Target, whyBusy)
}

// DropPart gives back the local bytes of a part of the file's Upload, for a file that outgrows the limit:
// they become Streamed extents, until a commit makes them the object's. The file then depends on its
// Upload: forgetting that loses them. It does nothing, and returns false, unless the file was only
// appended to since it was created or emptied, holds no promise or snapshot, and still has the part's content, all
// of it local: nothing of a part that was given back can be rewritten.
func (f *File) DropPart(number int32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removed || f.rewritten || f.state != StateOpen || f.promise != nil || len(f.snapshots) > 0 || f.upload == nil {
		return false
	}
	i := slices.IndexFunc(f.upload.Parts, func(p DonePart) bool { return p.Number == number })
	if i < 0 {
		return false
	}
	part := f.upload.Parts[i]
	now := f.m.extents(part.Off, part.Off+part.Len)
	rewritable := func(e Extent) bool { return !e.Local || e.Object != nil } // then the part is of no use
	if !SameContent(part.Content, now) || slices.ContainsFunc(now, rewritable) {
		return false
	}
	f.m.rewrite(part.Off, part.Off+part.Len, func(p *piece) {
		if !p.Streamed {
			f.space.kill(p.Pos, p.Len, false, f.seals)
			p.Streamed, p.frozen = true, true
		}
	})
	f.mapDue = true
	f.dueLocked()
	if f.area.space.waited() {
		f.area.committer.hurry()
	}
	return true
}

// Streamed is how many bytes of the file only its Upload has.
func (f *File) Streamed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := int64(0)
	f.m.each(0, f.m.size, func(p piece) bool {
		if p.Streamed {
			sum += p.Len
		}
		return true
	})
	return sum
}

// Limit is how many bytes of local data there may be in the file's area, 0: any number.
func (f *File) Limit() int64 { return f.area.space.limit }

// givenBack is the error of a read of n bytes at pos of the data file, if they were given back meanwhile.
func (f *File) givenBack(pos, n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.space.gaps, pos, func(gap span, pos int64) int { return cmp.Compare(gap.off+gap.len, pos+1) })
	if i < len(f.space.gaps) && f.space.gaps[i].off < pos+n {
		return f.busyLocked("read")
	}
	return nil
}
