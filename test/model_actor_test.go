package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An actor makes calls in one directory and describes their results, in words that are the same for the same results.
// testdata/replay.py is another one.
type actor struct {
	root  string
	files [handles]int // descriptors, -1: none
}

func newActor(root string) *actor {
	if err := os.Mkdir(root, 0o755); err != nil {
		panic(err)
	}
	a := &actor{root: root}
	for i := range a.files {
		a.files[i] = -1
	}
	return a
}

// close gives back what is held.
func (a *actor) close() {
	for i, fd := range a.files {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		a.files[i] = -1
	}
}

func (a *actor) path(name string) string { return filepath.Join(a.root, name) }

// outcome names the error, or the result when there is none.
func outcome(err error, result ...any) string {
	if e := errno(err); e != 0 {
		return unix.ErrnoName(e)
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(fmt.Sprintln(append([]any{"ok"}, result...)...), "\n")
}

// mark is a digest that can be read.
func mark(data []byte) string { return digest(data)[:12] }

// uninterrupted repeats a call that a signal of Go's scheduler ended.
func uninterrupted[T any](f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

func openAt(name string, flags int) (int, error) {
	return uninterrupted(func() (int, error) { return unix.Open(name, flags|unix.O_CLOEXEC, 0o644) })
}

// done is uninterrupted for calls that give nothing but an error.
func done(f func() error) error {
	_, err := uninterrupted(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (a *actor) do(c call) string {
	switch {
	case strings.HasPrefix(c.what, "h"):
		return a.onHandle(c)
	case modelEvents[c.what] > 0:
		return a.event(c)
	}
	name, other := a.path(c.a), a.path(c.b)
	switch c.what {
	case "put":
		return outcome(put(name, unix.O_CREAT|c.flags&^unix.O_APPEND, c))
	case "append":
		return outcome(put(name, unix.O_APPEND, c))
	case "twoappend":
		return outcome(appendTwice(name, c))
	case "truncate":
		return outcome(done(func() error { return unix.Truncate(name, int64(c.n)) }))
	case "read":
		data, err := os.ReadFile(name)
		return outcome(err, len(data), mark(data))
	case "stat":
		var s unix.Stat_t
		err := done(func() error { return unix.Lstat(name, &s) })
		return outcome(err, describe(&s))
	case "rename":
		return outcome(done(func() error { return unix.Rename(name, other) }))
	case "link":
		err := unix.Link(name, other)
		if err == nil { // a second name would change everything that follows
			return outcome(unix.Unlink(other), "made and removed")
		}
		return outcome(err)
	case "unlink":
		return outcome(done(func() error { return unix.Unlink(name) }))
	case "mkdir":
		return outcome(done(func() error { return unix.Mkdir(name, 0o755) }))
	case "rmdir":
		return outcome(done(func() error { return unix.Rmdir(name) }))
	case "readdir":
		return readNames(name)
	case "symlink":
		return outcome(done(func() error { return unix.Symlink(c.b, name) }))
	case "readlink":
		target, err := os.Readlink(name)
		return outcome(err, target)
	case "chmod":
		return outcome(done(func() error { return unix.Chmod(name, modeOf(c)) }))
	case "copy":
		n, err := copyWhole(name, other)
		return outcome(err, n)
	case "noreplace", "exchange":
		return renameAndBack(name, other, c)
	case "open":
		return a.open(name, c)
	}
	return a.attribute(name, c)
}

// renameAndBack renames with a flag, and back if that went: not every mount can do it at every moment, and what follows must not depend
// on it.
func renameAndBack(name, other string, c call) string {
	there, back := uint(unix.RENAME_NOREPLACE), uint(0)
	if c.what == "exchange" {
		there, back = unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE
	}
	err := done(func() error { return unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, other, there) })
	if err == nil {
		err = done(func() error { return unix.Renameat2(unix.AT_FDCWD, other, unix.AT_FDCWD, name, back) })
		return outcome(err, "and back")
	}
	return outcome(err)
}

// attribute makes the calls on owners, times and extended attributes.
func (a *actor) attribute(name string, c call) string {
	key := xattrName(c)
	switch c.what {
	case "chown":
		flags := 0
		if c.other%2 == 0 {
			flags = unix.AT_SYMLINK_NOFOLLOW
		}
		return outcome(done(func() error { return unix.Fchownat(unix.AT_FDCWD, name, ownerOf(c), groupOf(c), flags) }))
	case "utimens":
		times, flags := timesOf(c), 0
		if c.seed%2 == 0 {
			flags = unix.AT_SYMLINK_NOFOLLOW
		}
		var s unix.Stat_t
		err := done(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, name, times[:], flags) })
		if err == nil {
			err = done(func() error { return unix.Fstatat(unix.AT_FDCWD, name, &s, flags) })
		}
		return outcome(err, shownTimes(times, &s))
	case "setxattr":
		return outcome(done(func() error { return unix.Setxattr(name, key, xattrValue(c), c.other%3) }))
	case "getxattr":
		buffer := make([]byte, 1000)
		n, err := uninterrupted(func() (int, error) { return unix.Getxattr(name, key, buffer) })
		return outcome(err, n, mark(buffer[:max(n, 0)]))
	case "listxattr":
		buffer := make([]byte, 10_000)
		n, err := uninterrupted(func() (int, error) { return unix.Listxattr(name, buffer) })
		return outcome(err, userNames(buffer[:max(n, 0)]))
	case "removexattr":
		return outcome(done(func() error { return unix.Removexattr(name, key) }))
	}
	panic("no call " + c.what)
}

// open keeps the descriptor, if the handle is free.
func (a *actor) open(name string, c call) string {
	if a.files[c.handle] >= 0 {
		return "in use"
	}
	flags := []int{unix.O_RDWR, unix.O_RDWR, unix.O_RDWR, unix.O_WRONLY, unix.O_RDONLY}[c.seed%5] | c.flags
	if c.seed%2 == 0 || c.flags&unix.O_EXCL != 0 {
		flags |= unix.O_CREAT
	}
	fd, err := openAt(name, flags)
	if err == nil {
		a.files[c.handle] = fd
	}
	return outcome(err)
}

func modeOf(c call) uint32 { return []uint32{0o644, 0o600, 0o755, 0o444}[c.seed%4] }

// ownerOf and groupOf are ids, or -1 for what is left as it is.
func ownerOf(c call) int { return []int{-1, 0, 1000, 65534}[c.seed%4] }
func groupOf(c call) int { return []int{-1, 0, 100}[c.n%3] }

// timesOf is an access and a modification time of long ago: describe shows those, and not the ones that calls leave. Sometimes
// one of them is left as it is.
func timesOf(c call) [2]unix.Timespec {
	nanoseconds := []int64{0, 1, 999_999_999, 123_456_789, 500_000_000}
	times := [2]unix.Timespec{
		{Sec: 1_000_000_000 + int64(c.seed), Nsec: nanoseconds[c.handle]},
		{Sec: 1_100_000_000 + int64(c.n), Nsec: nanoseconds[c.seed%5]},
	}
	if c.other < 2 {
		times[c.other].Nsec = unix.UTIME_OMIT
	}
	return times
}

var longAgo = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// shownTimes tells those of a file's times that were set.
func shownTimes(set [2]unix.Timespec, s *unix.Stat_t) string {
	out := ""
	for i, at := range []unix.Timespec{s.Atim, s.Mtim} {
		if set[i].Nsec != unix.UTIME_OMIT {
			out += fmt.Sprintf("%d.%09d ", at.Sec, at.Nsec)
		}
	}
	return strings.TrimSpace(out)
}

func describe(s *unix.Stat_t) string {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return fmt.Sprintf("%o %d:%d", s.Mode, s.Uid, s.Gid)
	case unix.S_IFLNK:
		return fmt.Sprintf("symlink %d:%d", s.Uid, s.Gid)
	}
	mtime := "new"
	if s.Mtim.Sec < longAgo {
		mtime = fmt.Sprintf("%d.%09d", s.Mtim.Sec, s.Mtim.Nsec)
	}
	return fmt.Sprintf("%o %d:%d %d bytes, %d names, %s", s.Mode, s.Uid, s.Gid, s.Size, s.Nlink, mtime)
}

func xattrName(c call) string {
	return []string{"user.a", "user.b", "user.B.b", "user.größe"}[c.handle]
}

func xattrValue(c call) []byte { return contentOf(c.seed, c.n%90) }

// userNames are the attributes that programs have set: those that a mount shows of itself are left out.
func userNames(list []byte) []string {
	names := []string{}
	for name := range strings.SplitSeq(string(list), "\x00") {
		if strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.s3") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// put opens for writing, writes at an offset (or the end) and closes.
func put(name string, flags int, c call) error {
	fd, err := openAt(name, unix.O_WRONLY|flags)
	if err != nil {
		return err
	}
	_, err = writeAll(fd, contentOf(c.seed, c.n), c.off)
	return errors.Join(err, unix.Close(fd))
}

// appendTwice has two descriptors that append in turn.
func appendTwice(name string, c call) error {
	first, err := openAt(name, unix.O_WRONLY|unix.O_APPEND)
	if err != nil {
		return err
	}
	second, err := openAt(name, unix.O_RDWR|unix.O_APPEND)
	if err != nil {
		return errors.Join(err, unix.Close(first))
	}
	var errs []error
	for i, fd := range []int{first, second, second, first} {
		_, err := writeAll(fd, contentOf(c.seed+uint64(i), c.n%100_000), 0)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, unix.Close(first), unix.Close(second))...)
}

// writeAll writes at off, and where it likes to a descriptor that appends.
func writeAll(fd int, data []byte, off int64) (int, error) {
	total := 0
	for total < len(data) {
		n, err := uninterrupted(func() (int, error) { return unix.Pwrite(fd, data[total:], off+int64(total)) })
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// readAll reads up to n bytes at off.
func readAll(fd, n int, off int64) ([]byte, error) {
	data := make([]byte, n)
	total := 0
	for total < n {
		got, err := uninterrupted(func() (int, error) { return unix.Pread(fd, data[total:], off+int64(total)) })
		if err != nil {
			return nil, err
		}
		if got == 0 {
			break
		}
		total += got
	}
	return data[:total], nil
}

func readNames(name string) string {
	entries, err := os.ReadDir(name)
	names := []string{}
	for _, e := range entries {
		kind := map[os.FileMode]string{os.ModeDir: "/", os.ModeSymlink: "@"}[e.Type()]
		names = append(names, e.Name()+kind)
	}
	slices.Sort(names)
	return outcome(err, names)
}

// copyWhole replaces the file to by the file from with copy_file_range(2).
func copyWhole(from, to string) (int, error) {
	src, err := openAt(from, unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer unix.Close(src)
	var s unix.Stat_t
	if err := unix.Fstat(src, &s); err != nil {
		return 0, err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, unix.EISDIR
	}
	dst, err := openAt(to, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return 0, err
	}
	n, err := copyRange(src, 0, dst, 0, int(s.Size))
	return n, errors.Join(err, unix.Close(dst))
}

// copyRange copies up to n bytes.
func copyRange(src int, from int64, dst int, to int64, n int) (int, error) {
	total := 0
	for total < n {
		got, err := uninterrupted(func() (int, error) { return unix.CopyFileRange(src, &from, dst, &to, n-total, 0) })
		if err != nil {
			return total, err
		}
		if got == 0 {
			break // the end of the source, which may be the target that was just emptied
		}
		total += got
	}
	return total, nil
}
