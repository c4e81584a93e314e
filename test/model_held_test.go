package test

import (
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// onHandle makes a call on a file that is held open.
func (a *actor) onHandle(c call) string {
	fd := a.files[c.handle]
	if fd < 0 {
		return "not open"
	}
	switch c.what {
	case "hwrite":
		n, err := writeAll(fd, contentOf(c.seed, c.n), c.off)
		return outcome(err, n)
	case "hread":
		data, err := readAll(fd, c.n, c.off)
		return outcome(err, len(data), mark(data))
	case "htruncate":
		return outcome(done(func() error { return unix.Ftruncate(fd, int64(c.n)) }))
	case "hfsync":
		return outcome(done(func() error { return unix.Fsync(fd) }))
	case "hstat":
		var s unix.Stat_t
		err := done(func() error { return unix.Fstat(fd, &s) })
		return outcome(err, describe(&s))
	case "hforget": // the pages that the kernel has of it
		return outcome(done(func() error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }))
	case "hdup":
		return a.dup(c)
	case "hclose":
		a.files[c.handle] = -1
		return outcome(unix.Close(fd))
	case "hmapread":
		return mapped(fd, unix.PROT_READ, func(memory []byte) (string, error) { return mark(memory), nil })
	case "hmapwrite":
		return mapped(fd, unix.PROT_READ|unix.PROT_WRITE, func(memory []byte) (string, error) {
			n := copy(memory[min(c.off, int64(len(memory))):], contentOf(c.seed, c.n))
			return fmt.Sprint(n), unix.Msync(memory, unix.MS_SYNC)
		})
	case "hcopy":
		target := a.files[c.other]
		if target < 0 {
			return "not open"
		}
		n, err := copyRange(fd, c.off, target, int64(c.n), int(c.seed)*1000)
		return outcome(err, n)
	}
	return onAttribute(fd, c)
}

// onAttribute makes the calls on space, times and extended attributes of a descriptor.
func onAttribute(fd int, c call) string {
	fallocate := func(mode uint32) string {
		return outcome(done(func() error { return unix.Fallocate(fd, mode, c.off, int64(c.n)) }))
	}
	switch c.what {
	case "hfallocate":
		return fallocate(0)
	case "hpunch":
		return fallocate(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
	case "hzero":
		return fallocate(unix.FALLOC_FL_ZERO_RANGE)
	case "hkeepsize":
		return withoutTrace(fd, func() string { return fallocate(unix.FALLOC_FL_KEEP_SIZE) })
	case "hseek":
		if isFile, _, _ := sizeOf(fd); !isFile {
			return "no file"
		}
		at, err := unix.Seek(fd, c.off, whence(c))
		return outcome(err, at)
	case "hchmod":
		return outcome(done(func() error { return unix.Fchmod(fd, modeOf(c)) }))
	case "hchown":
		return outcome(done(func() error { return unix.Fchown(fd, ownerOf(c), groupOf(c)) }))
	case "hutimens":
		times := timesOf(c)
		var s unix.Stat_t
		err := done(func() error { return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH) })
		if err == nil {
			err = done(func() error { return unix.Fstat(fd, &s) })
		}
		return outcome(err, shownTimes(times, &s))
	case "hsetxattr":
		return outcome(done(func() error { return unix.Fsetxattr(fd, xattrName(c), xattrValue(c), c.other%3) }))
	case "hlistxattr":
		buffer := make([]byte, 10_000)
		n, err := uninterrupted(func() (int, error) { return unix.Flistxattr(fd, buffer) })
		return outcome(err, userNames(buffer[:max(n, 0)]))
	}
	panic("no call " + c.what)
}

// withoutTrace leaves the time of the last change as it was: not every filesystem does what f does.
func withoutTrace(fd int, f func() string) string {
	var s unix.Stat_t
	err := done(func() error { return unix.Fstat(fd, &s) })
	said := f()
	if err == nil && said == outcome(nil) {
		times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, s.Mtim}
		err = done(func() error { return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH) })
	}
	if err != nil {
		return outcome(err)
	}
	return said
}

func whence(c call) int {
	if c.seed%2 == 0 {
		return unix.SEEK_DATA
	}
	return unix.SEEK_HOLE
}

// dup is for two descriptors of one open file: the first close of them is not the last.
func (a *actor) dup(c call) string {
	if a.files[c.other] >= 0 {
		return "in use"
	}
	fd, err := unix.FcntlInt(uintptr(a.files[c.handle]), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		a.files[c.other] = fd
	}
	return outcome(err)
}

// sizeOf also tells whether it is a file: a directory can be held open, too.
func sizeOf(fd int) (isFile bool, size int, err error) {
	var s unix.Stat_t
	err = done(func() error { return unix.Fstat(fd, &s) })
	return s.Mode&unix.S_IFMT == unix.S_IFREG, int(s.Size), err
}

// mapped maps a whole file for use. A page that the filesystem cannot give is the outcome, and not the end of the test. The
// filesystem is another process: one that maps its own files waits for itself.
func mapped(fd, protection int, use func(memory []byte) (string, error)) (result string) {
	isFile, size, err := sizeOf(fd)
	switch {
	case err != nil:
		return outcome(err)
	case !isFile:
		return "no file"
	case size == 0:
		return "empty"
	}
	memory, err := unix.Mmap(fd, 0, size, protection, unix.MAP_SHARED)
	if err != nil {
		return outcome(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			_ = unix.Munmap(memory)
			result = fmt.Sprint(fault)
		}
	}()
	result, err = use(memory)
	return outcome(errors.Join(err, unix.Munmap(memory)), result)
}
