package fs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func bothModes(t *testing.T, fn func(t *testing.T, commit CommitMode)) {
	t.Parallel()
	t.Run("close", func(t *testing.T) { t.Parallel(); fn(t, CommitClose) })
	t.Run("background", func(t *testing.T) { t.Parallel(); fn(t, CommitBackground) })
}

func randomBytes(seed uint64, n int) []byte {
	source := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(source.Uint32())
	}
	return p
}

func TestWriteReadBack(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		for _, size := range []int{0, 1, 4096, 1 << 20, 12<<20 + 17} {
			data := randomBytes(uint64(size), size)
			check(t, os.WriteFile(m.path("f"), data, 0o644))
			got, err := os.ReadFile(m.path("f"))
			check(t, err)
			if !bytes.Equal(got, data) {
				t.Fatalf("size %d: read back %d other bytes", size, len(got))
			}
			if commit == CommitBackground || size == 0 { // an empty file is committed by RELEASE
				eventually(t, func() bool {
					stored, err := m.stored("f")
					return err == nil && bytes.Equal(stored, data)
				})
			} else if stored, err := m.stored("f"); err != nil || !bytes.Equal(stored, data) {
				t.Fatalf("size %d: the store has %d other bytes (%v)", size, len(stored), err)
			}
		}
	})
}

func TestOverwriteAppendTruncate(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		want := randomBytes(7, 300_000)
		m.put("f", want)
		file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
		check(t, err)
		_, err = file.WriteAt([]byte("middle"), 150_000)
		check(t, err)
		copy(want[150_000:], "middle")
		check(t, file.Truncate(200_000))
		want = want[:200_000]
		check(t, file.Truncate(200_100))
		want = append(want, make([]byte, 100)...)
		check(t, file.Close())
		appendTo(t, m.path("f"), "tail")
		want = append(want, "tail"...)
		got, err := os.ReadFile(m.path("f"))
		check(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("read back %d bytes, want %d", len(got), len(want))
		}
		check(t, m.fs.Drain(t.Context(), nil))
		if stored, _ := m.object("f"); !bytes.Equal(stored, want) {
			t.Fatalf("the store has %d bytes, want %d", len(stored), len(want))
		}
		check(t, os.Truncate(m.path("f"), 3))
		check(t, m.fs.Drain(t.Context(), nil))
		if stored, _ := m.object("f"); !bytes.Equal(stored, want[:3]) {
			t.Fatalf("after truncate(2): %d bytes", len(stored))
		}
	})
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = file.WriteString(text)
	check(t, err)
	check(t, file.Close())
}

func TestDirectories(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("implicit/deep/file", []byte("x"))
		check(t, os.MkdirAll(m.path("a/b"), 0o755))
		check(t, os.WriteFile(m.path("a/b/f"), []byte("1"), 0o644))
		if err := os.Remove(m.path("a/b")); !errors.Is(err, syscall.ENOTEMPTY) {
			t.Errorf("rmdir of a full directory: %v", err)
		}
		if got := namesBelow(t, m.dir); got != "a/ a/b/ a/b/f implicit/ implicit/deep/ implicit/deep/file" {
			t.Errorf("tree: %s", got)
		}
		check(t, os.Rename(m.path("a"), m.path("c")))
		check(t, os.Rename(m.path("implicit/deep"), m.path("c/deep")))
		if got := namesBelow(t, m.dir); got != "c/ c/b/ c/b/f c/deep/ c/deep/file implicit/" {
			t.Errorf("tree after renames: %s", got)
		}
		check(t, m.fs.Drain(t.Context(), nil))
		m.object("c/b/f")
		m.object("c/deep/file")
		m.gone("a/b/f")
		check(t, os.RemoveAll(m.path("c")))
		check(t, os.Remove(m.path("implicit")))
		if got := namesBelow(t, m.dir); got != "" {
			t.Errorf("tree at the end: %s", got)
		}
	})
}

// namesBelow lists everything below dir, directories with a slash.
func namesBelow(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	check(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if e.IsDir() {
			name += "/"
		}
		all = append(all, name)
		return nil
	}))
	sort.Strings(all)
	return strings.Join(all, " ")
}

func TestRenameFiles(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("stored", []byte("stored"))
		m.put("victim", []byte("victim"))
		check(t, os.Rename(m.path("stored"), m.path("victim")))
		if data, _ := m.object("victim"); string(data) != "stored" {
			t.Errorf("victim holds %q", data)
		}
		m.gone("stored")
		// An editor's save: a new file over an old one, while a reader has the old one open.
		old, err := os.Open(m.path("victim"))
		check(t, err)
		defer old.Close()
		check(t, os.WriteFile(m.path("new~"), []byte("second"), 0o644))
		check(t, os.Rename(m.path("new~"), m.path("victim")))
		got, err := os.ReadFile(m.path("victim"))
		check(t, err)
		if string(got) != "second" {
			t.Errorf("after the save: %q", got)
		}
		buf := make([]byte, 10)
		if n, err := old.ReadAt(buf, 0); string(buf[:n]) != "stored" {
			t.Errorf("the reader of the old file got %q (%v)", buf[:n], err)
		}
		// While it is being written.
		file, err := os.Create(m.path("w"))
		check(t, err)
		_, err = file.WriteString("one")
		check(t, err)
		check(t, os.Rename(m.path("w"), m.path("w2")))
		_, err = file.WriteString("two")
		check(t, err)
		check(t, file.Close())
		check(t, m.fs.Drain(t.Context(), nil))
		if data, _ := m.object("w2"); string(data) != "onetwo" {
			t.Errorf("w2 holds %q", data)
		}
		m.gone("w")
		err = unix.Renameat2(unix.AT_FDCWD, m.path("w2"), unix.AT_FDCWD, m.path("victim"), unix.RENAME_NOREPLACE)
		if !errors.Is(err, syscall.EEXIST) {
			t.Errorf("RENAME_NOREPLACE over a file: %v", err)
		}
	})
}

func TestUnlinkOpenFile(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("f", []byte("content"))
		file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
		check(t, err)
		check(t, os.Remove(m.path("f")))
		if _, err := os.Stat(m.path("f")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the name is still there: %v", err)
		}
		_, err = file.WriteAt([]byte("C"), 0)
		check(t, err)
		buf := make([]byte, 7)
		if _, err := file.ReadAt(buf, 0); err != nil || string(buf) != "Content" {
			t.Errorf("the open file reads %q (%v)", buf, err)
		}
		check(t, file.Close())
		eventually(t, func() bool {
			page, err := m.store.List(t.Context(), listAll)
			return err == nil && len(page.Objects) == 0
		})
	})
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("did not happen within 10 s")
}

func TestAttributesSurviveRemount(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		o := testOptions{commit: commit, state: t.TempDir()}
		m := newTestMount(t, o)
		when := time.Unix(1_500_000_000, 123_456_789)
		check(t, os.MkdirAll(m.path("d"), 0o700))
		check(t, os.WriteFile(m.path("d/f"), []byte("x"), 0o600))
		check(t, os.Chtimes(m.path("d/f"), when, when))
		check(t, os.Symlink("../some where/ü", m.path("d/link")))
		check(t, os.WriteFile(m.path("d/later"), []byte("y"), 0o644))
		check(t, os.Chmod(m.path("d/later"), 0o755))
		m.unmount()
		o.store = m.raw
		again := newTestMount(t, o)
		info, err := os.Lstat(again.path("d/f"))
		check(t, err)
		if info.Mode() != 0o600 || !info.ModTime().Equal(when) {
			t.Errorf("d/f: mode %v, mtime %v", info.Mode(), info.ModTime())
		}
		if info, err = os.Lstat(again.path("d/later")); err != nil || info.Mode() != 0o755 {
			t.Errorf("d/later: %v %v", info.Mode(), err)
		}
		if info, err = os.Lstat(again.path("d")); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("d: %v %v", info.Mode(), err)
		}
		if target, err := os.Readlink(again.path("d/link")); err != nil || target != "../some where/ü" {
			t.Errorf("link: %q %v", target, err)
		}
	})
}

func TestForeignChangeIsSeenAtOpen(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put("f", []byte("first"))
	old, err := os.Open(m.path("f"))
	check(t, err)
	defer old.Close()
	m.put("f", []byte("the second"))
	got, err := os.ReadFile(m.path("f"))
	check(t, err)
	if string(got) != "the second" {
		t.Errorf("a new open reads %q", got)
	}
	buf := make([]byte, 20)
	if n, _ := old.ReadAt(buf, 0); string(buf[:n]) != "first" {
		t.Errorf("the old descriptor reads %q", buf[:n])
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put("f", []byte("base"))
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	_, err = file.WriteString("mine")
	check(t, err)
	m.put("f", []byte("theirs"))
	if err := file.Close(); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("close after another client's write: %v, want ESTALE", err)
	}
	got, err := os.ReadFile(m.path("f"))
	check(t, err)
	if string(got) != "theirs" {
		t.Errorf("the name shows %q", got)
	}
	kept := m.fs.Status().Kept
	if len(kept) != 1 || kept[0].State != "conflict" || kept[0].Key != "f" {
		t.Errorf("kept: %+v", kept)
	}
}

func TestCopyFileRange(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	data := randomBytes(3, 6<<20)
	m.put("src", data)
	m.store.Reset()
	src, err := os.Open(m.path("src"))
	check(t, err)
	defer src.Close()
	dst, err := os.Create(m.path("dst"))
	check(t, err)
	for done := 0; done < len(data); {
		n, err := unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, len(data)-done, 0)
		check(t, err)
		done += n
	}
	check(t, dst.Close())
	if sent, received := m.store.BytesSent(), m.store.BytesReceived(); sent+received != 0 {
		t.Errorf("a copy moved %d bytes up and %d down", sent, received)
	}
	if stored, _ := m.object("dst"); !bytes.Equal(stored, data) {
		t.Error("the copy differs")
	}
}
