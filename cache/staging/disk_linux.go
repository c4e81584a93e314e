package staging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// osDisk is the machine's own file system. Data files are opened by system calls and not by
// package os, which tries to register each of them with the poller.
type osDisk struct{ boot string }

// newOSDisk reads the boot id. Without one, every start counts as a reboot, which is the safe side.
func newOSDisk() osDisk {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return osDisk{boot: fmt.Sprintf("unknown, process %d", os.Getpid())}
	}
	return osDisk{boot: strings.TrimSpace(string(id))}
}

func (d osDisk) Boot() string               { return d.boot }
func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (d osDisk) MkdirAll(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := d.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

func (osDisk) Remove(path string) error {
	return pathError("unlink", path, retry(func() error { return unix.Unlink(path) }))
}

func (osDisk) ReadDir(path string) ([]DirEntry, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	list := make([]DirEntry, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, DirEntry{Name: e.Name(), Size: info.Size(), Dir: e.IsDir()})
	}
	return list, nil
}

func (osDisk) Open(path string, create bool) (DiskFile, error) {
	flags := unix.O_RDWR | unix.O_CLOEXEC
	if create {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	var fd int
	err := withDescriptor(func() error {
		return retry(func() (err error) {
			fd, err = unix.Open(path, flags, 0o600)
			return err
		})
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return osFile(fd), nil
}

func (osDisk) SyncDir(path string) error {
	var dir *os.File
	err := withDescriptor(func() (err error) {
		dir, err = os.Open(path)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// descriptorPatience is how long an open waits for others to close something. Connections that nobody uses are closed after
// 20 seconds.
const descriptorPatience = 30 * time.Second

// withDescriptor calls open again while the process may not open more files: what fails here would be told as a disk that fails.
func withDescriptor(open func() error) error {
	for began, pause := time.Now(), time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := open()
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) || time.Since(began) > descriptorPatience {
			return err
		}
		time.Sleep(pause)
	}
}

// Lock holds a flock until the file is closed.
func (osDisk) Lock(path, holder string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		other, _ := io.ReadAll(io.LimitReader(f, 200))
		f.Close()
		if len(other) == 0 {
			other = []byte("another process")
		}
		return nil, &LockedError{Path: path, Holder: strings.TrimSpace(string(other))}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(holder+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, pathError("lock", path, err)
	}
	return f, nil
}

// osFile is a file descriptor.
type osFile int

func (f osFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(int(f), p[done:], off+int64(done))
			return err
		})
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(int(f), p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func (f osFile) Close() error { return unix.Close(int(f)) }

func (f osFile) Size() (int64, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(int(f), &st) })
	return st.Size, err
}

func (f osFile) Truncate(size int64) error {
	return retry(func() error { return unix.Ftruncate(int(f), size) })
}

func (f osFile) StartSync() {
	_ = unix.SyncFileRange(int(f), 0, 0, unix.SYNC_FILE_RANGE_WRITE) // only a hint: Sync reports errors
}

func (f osFile) Sync() error { return retry(func() error { return unix.Fdatasync(int(f)) }) }

func (f osFile) Punch(off, n int64) error {
	err := retry(func() error {
		return unix.Fallocate(int(f), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return errors.ErrUnsupported
	}
	return err
}

// CopyFrom uses copy_file_range, which shares blocks on file systems with reflinks.
func (f osFile) CopyFrom(off int64, src DiskFile, srcOff, n int64) error {
	from, ok := src.(osFile)
	for ok && n > 0 {
		in, out := srcOff, off
		done, err := unix.CopyFileRange(int(from), &in, int(f), &out, int(min(n, 1<<30)), 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || done == 0 {
			break // another file system, an old kernel, or the end: the plain copy tells
		}
		off, srcOff, n = off+int64(done), srcOff+int64(done), n-int64(done)
	}
	return copyRange(f, off, src, srcOff, n)
}

// copyRange copies by reading and writing.
func copyRange(dst io.WriterAt, off int64, src io.ReaderAt, srcOff, n int64) error {
	if n == 0 {
		return nil
	}
	buf := make([]byte, min(n, 1<<20))
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		if _, err := src.ReadAt(part, srcOff); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := dst.WriteAt(part, off); err != nil {
			return err
		}
		off, srcOff, n = off+int64(len(part)), srcOff+int64(len(part)), n-int64(len(part))
	}
	return nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
