package fs

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func mknod(t *testing.T, path string) {
	t.Helper()
	check(t, unix.Mknod(path, unix.S_IFREG|0o640, 0))
}

// A file that mknod made is there at once, and in the store soon, though nobody opens it.
func TestMknodIsStoredSoon(t *testing.T) {
	t.Parallel()
	for _, commit := range []CommitMode{CommitClose, CommitBackground} {
		m := newTestMount(t, testOptions{commit: commit, posix: PosixOn})
		m.requests(func() { mknod(t, m.path("f")) }, m.atMost(map[string]int{"ListObjectsV2": 1, "HeadObject": 1}))
		info, err := os.Stat(m.path("f"))
		check(t, err)
		if info.Mode() != 0o640&^umask(t) || info.Size() != 0 {
			t.Errorf("%v", info.Mode())
		}
		if err := unix.Mknod(m.path("f"), unix.S_IFREG|0o640, 0); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("once more: %v", err)
		}
		eventually(t, func() bool { data, err := m.stored("f"); return err == nil && len(data) == 0 })
		eventually(t, func() bool {
			n := m.nodeOf("f")
			n.rlock()
			defer n.runlock()
			return n.staged == nil && n.writers == 0 && n.active == 0
		})
		mknod(t, m.path("synced"))
		file, err := os.Open(m.path("synced"))
		check(t, err)
		check(t, file.Sync())
		check(t, file.Close())
		m.mustHave("synced", "")
		mknod(t, m.path("last"))
		m.unmount()
		m.mustHave("last", "")
	}
}

func umask(t *testing.T) os.FileMode {
	t.Helper()
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return os.FileMode(mask)
}

// tar makes a file by mknod, gives it attributes, opens and writes it: where what is stored is locked, all of that is one object.
func TestMknodAsTarDoes(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"", "GOVERNANCE 30d"} {
		m := newTestMount(t, testOptions{posix: PosixOn, settings: withRetention})
		mknod(t, m.path("f"))
		setXattr(t, m.path("f"), "user.foo", "1")
		if lock != "" {
			setXattr(t, m.path("f"), "user.s3.retention", lock)
		}
		setXattr(t, m.path("f"), "user.s3.storage-class", "STANDARD_IA")
		check(t, os.Chmod(m.path("f"), 0o604))
		file, err := os.OpenFile(m.path("f"), os.O_WRONLY, 0)
		check(t, err)
		time.Sleep(attributeDelay + attributeDelay/5) // the file would be stored by now if nobody had it open
		_, err = file.WriteString("content")
		check(t, err)
		check(t, file.Close())
		data, obj := m.object("f")
		if string(data) != "content" || obj.Metadata["xattr-foo"] != "1" || obj.StorageClass != "STANDARD_IA" || len(m.versions()["f"]) != 1 {
			t.Errorf("%q %+v, versions %v", data, obj, m.versions()["f"])
		}
		if long := obj.Lock.Retention.Until.After(time.Now().AddDate(0, 0, 20)); long != (lock != "") {
			t.Errorf("%+v", obj.Lock)
		}
		info, err := os.Stat(m.path("f"))
		check(t, err)
		if info.Mode() != 0o604 || len(m.fs.Status().Kept) != 0 {
			t.Errorf("%v, kept %+v", info.Mode(), m.fs.Status().Kept)
		}
		m.unmount()
	}
}

// What is opened and not written, renamed, removed or replaced before its time is what any new file is.
func TestMknodBeforeItIsStored(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	for _, name := range []string{"opened", "renamed", "removed", "replaced", "cut"} {
		mknod(t, m.path(name))
	}
	check(t, openFor(m.path("opened"), os.O_WRONLY))
	check(t, os.Rename(m.path("renamed"), m.path("other")))
	check(t, os.Remove(m.path("removed")))
	check(t, os.WriteFile(m.path("new"), []byte("new"), 0o644))
	check(t, os.Rename(m.path("new"), m.path("replaced")))
	check(t, os.Truncate(m.path("cut"), 3))
	m.unmount()
	for name, want := range map[string]string{"opened": "", "other": "", "replaced": "new", "cut": "\x00\x00\x00"} {
		m.mustHave(name, want)
	}
	for _, name := range []string{"renamed", "removed", "new"} {
		if data, err := m.stored(name); err == nil {
			t.Errorf("%s is stored: %q", name, data)
		}
	}
	if kept := m.fs.Status().Kept; len(kept) != 0 {
		t.Errorf("kept: %+v", kept)
	}
}

// A crash does not lose what mknod returned for, before and after the journal has heard of what was changed since.
func TestMknodThenACrash(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"made", "changed", "journalled"} {
		state := t.TempDir()
		m := newTestMount(t, testOptions{store: mem.New(testBucket), state: state, posix: PosixOff, wrap: func(s backend.Store) backend.Store {
			return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Stall()}}) // the next mount stores it
		}})
		m.lost = true
		mknod(t, m.path("f"))
		if step != "made" {
			setXattr(t, m.path("f"), "user.foo", "1")
		}
		if step == "journalled" {
			check(t, m.fs.cfg.Staging.Files()[0].Sync())
		}
		next := m.killed(state)
		check(t, next.fs.Drain(t.Context(), nil))
		next.mustHave("f", "")
		if kept := next.fs.Status().Kept; len(kept) != 0 {
			t.Errorf("%s: kept: %+v", step, kept)
		}
	}
}
