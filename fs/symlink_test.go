package fs

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestSymlinkTargets(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		o := testOptions{commit: commit, state: t.TempDir()}
		m := newTestMount(t, o)
		targets := map[string]string{
			"short": "a", "utf8": "../some where/ü%20\n", "raw": "\xff\xfe",
			"long": strings.Repeat("long/", 300), "longest": strings.Repeat("x", 4095),
		}
		for name, target := range targets {
			check(t, os.Symlink(target, m.path(name)))
		}
		when := unix.Timespec{Sec: 1_500_000_000, Nsec: 7}
		check(t, unix.UtimesNanoAt(unix.AT_FDCWD, m.path("long"), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW))
		check(t, os.Rename(m.path("utf8"), m.path("moved")))
		targets["moved"] = targets["utf8"]
		delete(targets, "utf8")
		verify := func(m *testMount) {
			t.Helper()
			entries, err := os.ReadDir(m.dir)
			check(t, err)
			if len(entries) != len(targets) {
				t.Errorf("%d entries", len(entries))
			}
			for _, e := range entries {
				info, err := os.Lstat(m.path(e.Name()))
				check(t, err)
				target := targets[e.Name()]
				got, err := os.Readlink(m.path(e.Name()))
				if err != nil || got != target || info.Size() != int64(len(target)) || info.Mode()&os.ModeSymlink == 0 || e.Type() != os.ModeSymlink {
					t.Errorf("%s: %d bytes %q (%v), size %d, mode %v, listed as %v", e.Name(), len(got), got, err, info.Size(), info.Mode(), e.Type())
				}
				if e.Name() == "long" && info.ModTime().UnixNano() != when.Nano() {
					t.Errorf("mtime %v", info.ModTime())
				}
			}
		}
		verify(m)
		check(t, m.fs.Drain(t.Context(), nil))
		for name, target := range targets {
			data, obj := m.object(name)
			if string(data) != target {
				t.Errorf("%s: the object holds %q", name, data)
			}
			var size int
			for key, value := range obj.Metadata {
				size += len(key) + len(value)
			}
			if _, inMeta := obj.Metadata["symlink-target"]; inMeta != (len(target) < 1000) || size > 2000 {
				t.Errorf("%s: target in metadata is %v, %d bytes of metadata", name, inMeta, size)
			}
		}
		m.unmount()
		o.store = m.raw
		verify(newTestMount(t, o))
		o.state = t.TempDir()
		verify(newTestMount(t, o))
	})
}

// Links that other programs made have their target in the object's bytes only.
func TestForeignSymlinks(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOn})
	for name, meta := range map[string]map[string]string{
		"fsx": {"file-permissions": "0120777", "file-owner": "5"}, "s3fs": {"mode": "41471", "uid": "5"},
	} {
		_, err := m.store.Put(t.Context(), backend.PutInput{
			Bucket: testBucket, Key: name, Body: bytes.NewReader([]byte("the/target")), Size: 10, Properties: backend.Properties{Metadata: meta},
		})
		check(t, err)
	}
	for _, name := range []string{"fsx", "s3fs"} {
		info, err := os.Lstat(m.path(name))
		check(t, err)
		if info.Mode()&os.ModeSymlink == 0 || info.Size() != 10 || info.Sys().(*syscall.Stat_t).Uid != 5 {
			t.Errorf("%s: %v, %d bytes, owner %d", name, info.Mode(), info.Size(), info.Sys().(*syscall.Stat_t).Uid)
		}
		m.requests(func() {
			for range 2 {
				if target, err := os.Readlink(m.path(name)); err != nil || target != "the/target" {
					t.Errorf("%s: %q (%v)", name, target, err)
				}
			}
		}, map[string]int{"GetObject": 1})
		// A change of the link's attributes leaves its bytes.
		check(t, os.Lchown(m.path(name), 7, 7))
		check(t, m.fs.Drain(t.Context(), nil))
		if data, obj := m.object(name); string(data) != "the/target" || obj.Metadata["file-owner"] != "7" || obj.Metadata["file-permissions"] != "0120777" {
			t.Errorf("%s: %q %v", name, data, obj.Metadata)
		}
	}
}

func TestBudgetSymlink(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	check(t, os.WriteFile(m.path("first"), []byte("x"), 0o600)) // the root keeps attributes now
	check(t, m.fs.Drain(t.Context(), nil))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	m.requests(func() { check(t, os.Symlink("target", m.path("link"))) }, map[string]int{"PutObject": 1})
	m.requests(func() {
		if target, err := os.Readlink(m.path("link")); err != nil || target != "target" {
			t.Errorf("%q (%v)", target, err)
		}
	}, map[string]int{})
}

// Where attributes are never read, what lives in them cannot be made.
func TestPosixOffRefusesLinksAndDevices(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	for what, err := range map[string]error{
		"symlink": os.Symlink("x", m.path("link")), "fifo": unix.Mkfifo(m.path("fifo"), 0o600),
	} {
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, unix.Mknod(m.path("plain"), unix.S_IFREG|0o600, 0))
	if got := namesBelow(t, m.dir); got != "plain" {
		t.Errorf("there is %s", got)
	}
}

// A link that cannot be stored is not there.
func TestSymlinkThatFailsIsNotThere(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s, mem.Rule{Op: "PutObject", Key: func(key string) bool { return key == "link" }, Do: []mem.Action{mem.Fail(backend.KindPermission)}})
		return faults
	}})
	if err := os.Symlink("x", m.path("link")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("symlink: %v", err)
	}
	if _, err := os.Lstat(m.path("link")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("afterwards: %v", err)
	}
	faults.Clear()
	check(t, os.Symlink("y", m.path("link")))
	if data, _ := m.object("link"); string(data) != "y" {
		t.Errorf("the object holds %q", data)
	}
}
