package fs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// twin is a directory of the mount beside one of the machine's own filesystem, in which the same is done.
type twin struct {
	t    fataler
	dirs [2]string // the model, the mount
}

// both does something in both directories and compares the outcomes.
func (w *twin) both(what string, fn func(dir string) error) {
	w.t.Helper()
	var errno [2]syscall.Errno
	for i, dir := range w.dirs {
		if err := fn(dir); err != nil && !errors.As(err, &errno[i]) {
			w.t.Fatalf("%s: %v", what, err)
		}
	}
	if errno[0] != errno[1] {
		w.t.Fatalf("%s: %v, want %v", what, errno[1], errno[0])
	}
}

// state lists a tree with its attributes. Times of the last hour are "now": both clocks ran. Those of
// directories change with their content, and are compared elsewhere.
func (w *twin) state(dir string) map[string]string {
	w.t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		mtime := time.Unix(st.Mtim.Unix()).UTC().Format(time.RFC3339Nano)
		if time.Since(time.Unix(st.Mtim.Unix())) < time.Hour {
			mtime = "now"
		}
		if e.IsDir() {
			mtime = "some time"
		}
		text := fmt.Sprintf("%o %d:%d %s", st.Mode, st.Uid, st.Gid, mtime)
		switch {
		case st.Mode&unix.S_IFMT == unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		case st.Mode&unix.S_IFMT == unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		}
		rel, err := filepath.Rel(dir, path)
		all[rel] = text
		return err
	})
	if err != nil {
		w.t.Fatalf("list: %v", err)
	}
	return all
}

func (w *twin) compare(when string) {
	w.t.Helper()
	want, got := w.state(w.dirs[0]), w.state(w.dirs[1])
	for name, text := range want {
		if got[name] != text {
			w.t.Errorf("%s: %s: %q, want %q", when, name, got[name], text)
		}
	}
	for name := range got {
		if want[name] == "" {
			w.t.Errorf("%s: %s is too much", when, name)
		}
	}
}

func (w *twin) step(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "f", "f/a"})
	path := name.Draw(t, "path")
	mode := rapid.SampledFrom([]uint32{0o644, 0o600, 0o755, 0o4711, 0o1777, 0, 0o644}).Draw(t, "mode")
	when := unix.NsecToTimespec(rapid.SampledFrom([]int64{1_500_000_000_123_456_789, 1, 999_999_999_000_000_000}).Draw(t, "time"))
	switch op := rapid.SampledFrom([]string{
		"write", "write", "append", "mkdir", "mkdir", "symlink", "chmod", "chmod", "chown", "times", "times", "touch", "truncate", "rename", "rename", "remove", "mknod", "install",
	}).Draw(t, "op"); op {
	case "write":
		w.both(op+" "+path, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, path), []byte(path), os.FileMode(mode&0o777))
		})
	case "append":
		w.both(op+" "+path, func(dir string) error {
			file, err := os.OpenFile(filepath.Join(dir, path), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			if _, err := file.WriteString("+"); err != nil {
				return err
			}
			return file.Close()
		})
	case "install": // as cp -p does
		w.both(op+" "+path, func(dir string) error {
			file, err := os.OpenFile(filepath.Join(dir, path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			defer file.Close()
			if _, err := file.WriteString("installed"); err != nil {
				return err
			}
			if err := unix.Fchmod(int(file.Fd()), mode); err != nil {
				return err
			}
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, path), []unix.Timespec{when, when}, 0)
		})
	case "mkdir":
		w.both(op+" "+path, func(dir string) error {
			return unix.Mkdir(filepath.Join(dir, path), []uint32{0o755, mode | 0o700}[mode&1])
		})
	case "symlink":
		w.both(op+" "+path, func(dir string) error { return unix.Symlink("to "+path, filepath.Join(dir, path)) })
	case "mknod":
		w.both(op+" "+path, func(dir string) error { return unix.Mknod(filepath.Join(dir, path), unix.S_IFSOCK|mode, 0) })
	case "chmod":
		w.both(fmt.Sprintf("chmod %o %s", mode, path), func(dir string) error {
			return unix.Fchmodat(unix.AT_FDCWD, filepath.Join(dir, path), mode, 0)
		})
	case "chown":
		w.both(op+" "+path, func(dir string) error { return unix.Lchown(filepath.Join(dir, path), 11, int(mode)) })
	case "times":
		w.both(op+" "+path, func(dir string) error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, path), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
		})
	case "touch":
		w.both(op+" "+path, func(dir string) error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, path), nil, unix.AT_SYMLINK_NOFOLLOW)
		})
	case "truncate":
		w.both(op+" "+path, func(dir string) error { return unix.Truncate(filepath.Join(dir, path), 3) })
	case "rename":
		to := name.Draw(t, "to")
		w.both("rename "+path+" "+to, func(dir string) error { return unix.Rename(filepath.Join(dir, path), filepath.Join(dir, to)) })
	case "remove":
		w.both(op+" "+path, func(dir string) error { return os.Remove(filepath.Join(dir, path)) })
	}
}

// Whatever programs do to attributes, the mount shows what an ordinary filesystem shows, and a mount that
// knows nothing shows the same.
func TestAttributesLikeAnOrdinaryFilesystem(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		local := t.TempDir()
		m := newTestMount(t, testOptions{commit: commit})
		cases := 0
		rapid.Check(t, func(t *rapid.T) {
			cases++
			w := &twin{t: t}
			for i, root := range []string{local, m.dir} {
				w.dirs[i] = filepath.Join(root, fmt.Sprint("case", cases))
				if err := os.Mkdir(w.dirs[i], 0o755); err != nil {
					t.Fatalf("%v", err)
				}
			}
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				w.step(t)
			}
			w.compare("at once")
		})
		// Everything once more, as it lies in the store.
		m.unmount()
		fresh := newTestMount(t, testOptions{store: m.raw, commit: commit})
		(&twin{t: t, dirs: [2]string{local, fresh.dir}}).compare("in a fresh mount")
	})
}
