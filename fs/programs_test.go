package fs

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sourceTree makes a tree with every kind of file and attribute on a local filesystem.
func sourceTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	check(t, os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o755))
	for name, mode := range map[string]uint32{
		"plain": 0o644, "private": 0o600, "sub/tool": 0o755, "sub/setuid": 0o4755, "sub/setgid": 0o2750, "sub/deep/none": 0, "sub/empty": 0o640,
	} {
		data := []byte("content of " + name)
		if name == "sub/empty" {
			data = nil
		}
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		check(t, unix.Chmod(filepath.Join(dir, name), mode))
	}
	check(t, os.Symlink("../plain", filepath.Join(dir, "sub/link")))
	check(t, os.Symlink("nowhere/at all", filepath.Join(dir, "dangling")))
	check(t, unix.Mkfifo(filepath.Join(dir, "sub/fifo"), 0o620))
	check(t, unix.Mknod(filepath.Join(dir, "sub/socket"), unix.S_IFSOCK|0o777, 0))
	if os.Getuid() == 0 {
		check(t, unix.Mknod(filepath.Join(dir, "sub/device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		check(t, unix.Mknod(filepath.Join(dir, "sub/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70_000))))
		check(t, os.Chown(filepath.Join(dir, "sub/tool"), 1234, 4321))
		check(t, os.Lchown(filepath.Join(dir, "sub/link"), 1, 2))
		check(t, os.Chown(filepath.Join(dir, "sub/deep"), 77, 88))
	}
	check(t, unix.Chmod(filepath.Join(dir, "sub/deep"), 0o1777))
	check(t, unix.Chmod(filepath.Join(dir, "sub"), 0o2750))
	// The deepest first: the times of directories change with their content.
	var all []string
	check(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all = append([]string{path}, all...)
		return err
	}))
	for i, path := range all {
		when := unix.NsecToTimespec(time.Date(2001+i, 2, 3, 4, 5, 6, 123_456_700+i, time.UTC).UnixNano())
		check(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW))
	}
	return dir
}

// describe lists everything below a directory with its attributes and content.
func describe(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	check(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("mode %o owner %d:%d mtime %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		case unix.S_IFCHR, unix.S_IFBLK:
			text += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if got := uint32(e.Type().Type()); path != dir && got != uint32(modeType(st.Mode)) {
			text += fmt.Sprintf(" (listed as %v)", e.Type())
		}
		rel, err := filepath.Rel(dir, path)
		all[rel] = text
		return err
	}))
	return all
}

// modeType is the type bits of package io/fs for those of stat(2).
func modeType(mode uint32) fs.FileMode {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		return fs.ModeDir
	case syscall.S_IFLNK:
		return fs.ModeSymlink
	case syscall.S_IFIFO:
		return fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		return fs.ModeSocket
	case syscall.S_IFBLK:
		return fs.ModeDevice
	case syscall.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	}
	return 0
}

func compareTrees(t *testing.T, when string, want, got map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %s:\n got %s\nwant %s", when, name, got[name], text)
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			t.Errorf("%s: %s is too much", when, name)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What cp, tar and rsync copy into a mount has all its attributes, at once, after a remount, and for a
// mount that knows nothing.
func TestProgramsKeepAttributes(t *testing.T) {
	for _, program := range []string{"cp", "tar", "rsync"} {
		t.Run(program, func(t *testing.T) {
			bothModes(t, func(t *testing.T, commit CommitMode) {
				src := sourceTree(t)
				o := testOptions{commit: commit, state: t.TempDir()}
				m := newTestMount(t, o)
				dst := m.path("dst")
				switch program {
				case "cp":
					run(t, "cp", "-a", src, dst)
				case "tar":
					check(t, os.Mkdir(dst, 0o755))
					archive := filepath.Join(t.TempDir(), "tar")
					run(t, "tar", "--format=posix", "-C", src, "-cf", archive, "--exclude=socket", ".")
					run(t, "tar", "-C", dst, "-xpf", archive)
				case "rsync":
					run(t, "rsync", "-a", src+"/", dst+"/")
					if again := run(t, "rsync", "-ai", src+"/", dst+"/"); again != "" {
						t.Errorf("rsync sends again:\n%s", again)
					}
				}
				want := describe(t, src)
				if program == "tar" {
					delete(want, "sub/socket")
				}
				compareTrees(t, "at once", want, describe(t, dst))
				m.unmount()
				o.store = m.raw
				m = newTestMount(t, o)
				dst = m.path("dst")
				compareTrees(t, "after a remount", want, describe(t, dst))
				if program == "rsync" {
					if again := run(t, "rsync", "-ai", src+"/", dst+"/"); again != "" {
						t.Errorf("rsync sends again after a remount:\n%s", again)
					}
				}
				m.unmount()
				o.state = t.TempDir()
				m = newTestMount(t, o)
				compareTrees(t, "in a fresh mount", want, describe(t, m.path("dst")))
			})
		})
	}
}
