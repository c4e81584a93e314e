package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// GetXAttr answers from memory: ENODATA, never ENOSYS, which would switch attributes off for
// as long as the mount lives.
func (f *FS) GetXAttr(<-chan struct{}, *fuse.InHeader, string, []byte) (uint32, fuse.Status) {
	return 0, fuse.ENODATA
}

// ListXAttr lists none.
func (f *FS) ListXAttr(<-chan struct{}, *fuse.InHeader, []byte) (uint32, fuse.Status) {
	return 0, fuse.OK
}

// SetXAttr is refused: what cannot be stored is not accepted.
func (f *FS) SetXAttr(<-chan struct{}, *fuse.SetXAttrIn, string, []byte) fuse.Status {
	return fuse.Status(syscall.EOPNOTSUPP)
}

// RemoveXAttr finds none.
func (f *FS) RemoveXAttr(<-chan struct{}, *fuse.InHeader, string) fuse.Status {
	return fuse.ENODATA
}

// StatFs reports a filesystem that is very large and never full: a bucket has no size.
func (f *FS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const blockSize, blocks, files = 4096, 1 << 38, 1 << 40
	*out = fuse.StatfsOut{Bsize: blockSize, Frsize: blockSize, Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: files, Ffree: files, NameLen: 255}
	return fuse.OK
}
