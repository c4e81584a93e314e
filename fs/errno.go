package fs

import (
	"errors"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
)

// errnoOf is the one table from a kind of failure to an errno; a test ranges over all kinds.
var errnoOf = map[backend.Kind]syscall.Errno{
	backend.KindOther:       syscall.EIO,
	backend.KindNotExist:    syscall.ENOENT,
	backend.KindNoBucket:    syscall.ENOENT,
	backend.KindExist:       syscall.EEXIST,
	backend.KindChanged:     syscall.ESTALE,
	backend.KindNotModified: syscall.EIO, // never reaches a caller: readers ask for it and handle it
	backend.KindPermission:  syscall.EACCES,
	backend.KindCredentials: syscall.EACCES,
	backend.KindInvalid:     syscall.EINVAL,
	backend.KindNameTooLong: syscall.ENAMETOOLONG,
	backend.KindRange:       syscall.EIO, // the file is shorter than its version said
	backend.KindTooLarge:    syscall.EFBIG,
	backend.KindNoSpace:     syscall.ENOSPC,
	backend.KindUnsupported: syscall.EOPNOTSUPP,
	backend.KindLocked:      syscall.EPERM,
	backend.KindArchived:    syscall.EACCES,
	backend.KindNotEmpty:    syscall.ENOTEMPTY,
	backend.KindCanceled:    syscall.EINTR,
	backend.KindUnknown:     syscall.EIO,
	backend.KindTransient:   syscall.EIO,
	backend.KindUnreachable: syscall.EIO,
	backend.KindCorrupt:     syscall.EIO,
	backend.KindBusy:        syscall.EBUSY,
	backend.KindElsewhere:   syscall.EXDEV,
	backend.KindRefused:     syscall.EPERM,
}

// status turns an error into the kernel's answer. An errno passes through. Failures whose
// errno says less than the error are logged with the key and the store's words.
func (f *FS) status(op string, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	var no syscall.Errno
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		f.fewFiles(op, err)
		return fuse.Status(syscall.ENFILE) // EMFILE is for the program's own descriptors
	}
	if errors.As(err, &no) {
		var be *backend.Error
		if !errors.As(err, &be) {
			return fuse.Status(no)
		}
	}
	no, ok := errnoOf[backend.KindOf(err)]
	if !ok {
		no = syscall.EIO
	}
	if errors.Is(err, syscall.ESTALE) { // joined to what the store said
		no = syscall.ESTALE
	}
	switch no {
	case syscall.EIO, syscall.EACCES, syscall.ENOSPC, syscall.EFBIG, syscall.EINVAL, syscall.EOPNOTSUPP:
		f.log.Warn("request failed", slog.String("op", op), slog.String("errno", no.Error()), slog.String("error", err.Error()))
	case syscall.EPERM:
		f.log.Info("not allowed", slog.String("op", op), slog.String("error", err.Error()))
	case syscall.ESTALE:
		f.log.Info("changed by another client", slog.String("op", op), slog.String("error", err.Error()))
	}
	return fuse.Status(no)
}

// fewFiles says once what to do about a process that may not open more files.
func (f *FS) fewFiles(op string, err error) {
	level := slog.LevelInfo
	if !f.fewSaid.Swap(true) {
		level = slog.LevelWarn
	}
	f.log.Log(f.ctx, level, "too many files and connections are open for a request; nothing is lost, but programs get ENFILE; raise the limit of the mount: ulimit -Hn, or LimitNOFILE= of the service",
		slog.String("op", op), slog.String("error", err.Error()))
}
