package staging

import (
	"errors"
	"io"
	"slices"

	"github.com/objmount/objmount/backend"
)

// Reader returns the bytes of local and zero extents, one after another; Seek positions are
// relative to the first extent's Off. It reads frozen bytes, so the extents come from Freeze or a
// Snapshot, and it is usable until the file was removed and its last snapshot released. It also is
// an io.ReaderAt. Reading a remote extent is KindInvalid.
func (f *File) Reader(exts []Extent) io.ReadSeeker {
	r := &reader{file: f, list: exts}
	if len(exts) > 0 {
		r.base = exts[0].Off
		r.size = exts[len(exts)-1].End() - r.base
	}
	return r
}

type reader struct {
	file *File
	list []Extent
	base int64 // offset in the file of position 0
	size int64
	pos  int64
}

// Read fills p as far as there are bytes, so that a caller with a large buffer reads little often.
func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	n, err := r.ReadAt(p[:min(int64(len(p)), r.size-r.pos)], r.pos)
	r.pos += int64(n)
	return n, err
}

// ReadAt is safe for concurrent use.
func (r *reader) ReadAt(p []byte, pos int64) (int, error) {
	if pos < 0 {
		return 0, errSeek
	}
	done := 0
	i, _ := slices.BinarySearchFunc(r.list, r.base+pos, func(e Extent, off int64) int {
		if e.End() <= off {
			return -1
		}
		return 1
	})
	for ; done < len(p) && i < len(r.list); i++ {
		off := r.base + pos + int64(done)
		n, err := r.file.ReadLocal(r.list[i], p[done:], off)
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	r.pos = offset
	return offset, nil
}

var errSeek = &backend.Error{Kind: backend.KindInvalid, Op: "seek", Err: errors.New("negative position")}
