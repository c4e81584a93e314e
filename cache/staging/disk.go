package staging

import (
	"fmt"
	"io"
)

// Disk is the file system under a staging area: few operations, so that tests replace it by one
// that loses power. Paths are absolute or relative to the working directory. Errors are those of
// package os or system calls (errors.Is with fs.ErrNotExist, ENOSPC, ... works).
type Disk interface {
	// Boot names the run of the kernel: what was written but not synced in another run may be lost.
	Boot() string
	// MkdirAll makes a directory and its parents, mode 0700, and their names durable. One that
	// exists is no error.
	MkdirAll(path string) error
	// Open opens a file for reading and writing; with create it must not exist yet (mode 0600).
	Open(path string, create bool) (DiskFile, error)
	ReadDir(path string) ([]DirEntry, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
	// Lock takes a lock that ends with the process or with Close; *LockedError when it is held.
	Lock(path, holder string) (io.Closer, error)
}

// DiskFile is an open file.
type DiskFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// StartSync begins to write what is dirty, without waiting: a hint.
	StartSync()
	// Sync makes the data, and what is needed to read it back, durable.
	Sync() error
	// Punch gives the space of a range back; errors.ErrUnsupported where that cannot be done.
	Punch(off, n int64) error
	// CopyFrom copies a range of another file, sharing blocks where the file system can.
	CopyFrom(off int64, src DiskFile, srcOff, n int64) error
}

// DirEntry is one name in a directory.
type DirEntry struct {
	Name string
	Size int64 // bytes
	Dir  bool
}

// LockedError says who holds an area.
type LockedError struct {
	Path   string
	Holder string
}

// Error is one line.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is in use by %s", e.Path, e.Holder)
}
