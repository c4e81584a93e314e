package test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// TestLikeAPlainDirectory applies random system calls to a mount and to a plain directory: every
// result must be the same, and in the end so must the trees and the objects.
func TestLikeAPlainDirectory(t *testing.T) {
	checks := "25"
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		checks = "100" // the soak command repeats it
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.nofailfile", "true") // the failure itself prints the calls
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			s := openStore(t, c.store)
			bucket := s.newBucket(t)
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: c.args()})
			defer time.AfterFunc(10*time.Minute, m.dumpGoroutines).Stop()
			plain := t.TempDir()
			n, applied := 0, 0
			defer func() { tell(t, n, applied, 0) }()
			rapid.Check(t, func(t *rapid.T) {
				n++
				dir := fmt.Sprintf("case%d", n)
				ours, theirs := newActor(filepath.Join(m.dir, dir)), newActor(filepath.Join(plain, dir))
				defer ours.close()
				defer theirs.close()
				for i, call := range rapid.SliceOfN(callGenerator(), 1, 60).Draw(t, "calls") {
					applied++
					if got, want := ours.do(call), theirs.do(call); got != want {
						t.Fatalf("call %d, %v: the mount answers %s, a plain directory %s", i, call, got, want)
					}
				}
			})
			if t.Failed() {
				return
			}
			tree := mustTree(t, m.dir)
			compareTrees(t, tree, mustTree(t, plain), mtimes)
			m.unmount()
			compareObjects(t, s.snapshot(t, bucket, ""), "", tree)
		})
	}
}

func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	old := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(old) })
}

// A call is one system call, or a few that belong together. Which fields count depends on what.
type call struct {
	what   string
	a, b   string // names, relative
	flags  int    // of open
	handle int    // one of the files that are held open
	off    int64
	n      int
	seed   uint64
}

func (c call) String() string {
	return fmt.Sprintf("%s(%s %s flags=%#x handle=%d off=%d n=%d)", c.what, c.a, c.b, c.flags, c.handle, c.off, c.n)
}

const handles = 3

// callGenerator makes calls on few names, so that they meet.
func callGenerator() *rapid.Generator[call] {
	names := []string{"a", "b", "ab", "a.b", "d", "d/a", "d/b", "d/e", "d/e/a", "d-", "x"}
	sizes := []int{0, 1, 10, 4095, 4096, 5000, 70_000, 1 << 20, 5<<20 + 1}
	whats := []string{"put", "put", "append", "truncate", "read", "read", "stat", "stat", "rename", "rename", "unlink", "mkdir", "mkdir",
		"rmdir", "readdir", "symlink", "readlink", "chmod", "copy", "open", "open", "hwrite", "hwrite", "hwrite", "hread", "htruncate",
		"hfsync", "hstat", "hclose", "hclose", "hpunch"}
	return rapid.Custom(func(t *rapid.T) call {
		return call{
			what:   rapid.SampledFrom(whats).Draw(t, "what"),
			a:      rapid.SampledFrom(names).Draw(t, "a"),
			b:      rapid.SampledFrom(names).Draw(t, "b"),
			flags:  rapid.SampledFrom([]int{0, os.O_TRUNC, os.O_APPEND, os.O_EXCL, os.O_TRUNC | os.O_EXCL}).Draw(t, "flags"),
			handle: rapid.IntRange(0, handles-1).Draw(t, "handle"),
			off:    int64(rapid.SampledFrom(sizes).Draw(t, "off")),
			n:      rapid.SampledFrom(sizes).Draw(t, "n"),
			seed:   rapid.Uint64Range(0, 1000).Draw(t, "seed"),
		}
	})
}

// An actor makes calls in one directory and describes their results.
type actor struct {
	root  string
	files [handles]*os.File
}

func newActor(root string) *actor {
	if err := os.Mkdir(root, 0o755); err != nil {
		panic(err)
	}
	return &actor{root: root}
}

func (a *actor) close() {
	for _, f := range a.files {
		if f != nil {
			f.Close()
		}
	}
}

func (a *actor) path(name string) string { return filepath.Join(a.root, name) }

// outcome names the error, or the result when there is none.
func outcome(err error, result ...any) string {
	if e := errno(err); e != 0 {
		return unix.ErrnoName(e)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return fmt.Sprint(result...)
}

func (a *actor) do(c call) string {
	if strings.HasPrefix(c.what, "h") {
		return a.onHandle(c)
	}
	name, other := a.path(c.a), a.path(c.b)
	switch c.what {
	case "put":
		return outcome(put(name, os.O_WRONLY|os.O_CREATE|c.flags&^os.O_APPEND, c))
	case "append":
		return outcome(put(name, os.O_WRONLY|os.O_APPEND, c))
	case "truncate":
		return outcome(os.Truncate(name, int64(c.n)))
	case "read":
		data, err := os.ReadFile(name)
		return outcome(err, len(data), digest(data))
	case "stat":
		info, err := os.Lstat(name)
		return outcome(err, describe(info))
	case "rename":
		return outcome(os.Rename(name, other))
	case "unlink":
		return outcome(syscall.Unlink(name))
	case "mkdir":
		return outcome(os.Mkdir(name, 0o755))
	case "rmdir":
		return outcome(syscall.Rmdir(name))
	case "readdir":
		entries, err := os.ReadDir(name)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name()+" "+e.Type().String())
		}
		slices.Sort(names)
		return outcome(err, names)
	case "symlink":
		return outcome(os.Symlink(c.b, name))
	case "readlink":
		target, err := os.Readlink(name)
		return outcome(err, target)
	case "chmod":
		return outcome(os.Chmod(name, []os.FileMode{0o644, 0o600, 0o755, 0o444}[c.seed%4]))
	case "copy":
		return outcome(copyRange(name, other))
	case "open":
		return a.open(name, c)
	}
	panic("no call " + c.what)
}

// open replaces what the handle held.
func (a *actor) open(name string, c call) string {
	if a.files[c.handle] != nil {
		return "in use"
	}
	flags := os.O_RDWR | c.flags&^os.O_APPEND
	if c.seed%2 == 0 || c.flags&os.O_EXCL != 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(name, flags, 0o644)
	if err == nil {
		a.files[c.handle] = f
	}
	return outcome(err)
}

func (a *actor) onHandle(c call) string {
	f := a.files[c.handle]
	if f == nil {
		return "not open"
	}
	switch c.what {
	case "hwrite":
		n, err := f.WriteAt(bytesOf(c.seed, c.n), c.off)
		return outcome(err, n)
	case "hread":
		data := make([]byte, c.n)
		n, err := f.ReadAt(data, c.off)
		return outcome(err, n, digest(data[:n]))
	case "htruncate":
		return outcome(f.Truncate(int64(c.n)))
	case "hfsync":
		return outcome(f.Sync())
	case "hstat":
		info, err := f.Stat()
		return outcome(err, describe(info))
	case "hpunch":
		return outcome(unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, c.off, int64(c.n)))
	case "hclose":
		a.files[c.handle] = nil
		return outcome(f.Close())
	}
	panic("no call " + c.what)
}

func describe(info os.FileInfo) string {
	switch {
	case info == nil:
		return ""
	case info.IsDir():
		return info.Mode().String()
	case info.Mode()&os.ModeSymlink != 0:
		return "symlink"
	}
	return fmt.Sprint(info.Mode(), info.Size())
}

// put opens, writes at an offset (or the end) and closes.
func put(name string, flags int, c call) error {
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return err
	}
	if flags&os.O_APPEND != 0 {
		_, err = f.Write(bytesOf(c.seed, c.n))
	} else {
		_, err = f.WriteAt(bytesOf(c.seed, c.n), c.off)
	}
	return errors.Join(err, f.Close())
}

// copyRange replaces the file to by the file from with copy_file_range(2).
func copyRange(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return syscall.EISDIR
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	left := int(info.Size())
	for left > 0 && err == nil {
		var n int
		if n, err = unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, left, 0); n == 0 {
			break // the source is the target, which was just emptied
		}
		left -= n
	}
	return errors.Join(err, dst.Close())
}
