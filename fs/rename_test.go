package fs

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// A file that is renamed while it is written, and never closed because of a crash, is still there under its
// old name: nothing else has its content.
func TestRenamedWhileWrittenThenKilled(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		state := t.TempDir()
		m := newTestMount(t, testOptions{state: state, commit: commit})
		old := bytes.Repeat([]byte("old "), 1<<20)
		m.put("before", old)
		file, err := os.OpenFile(m.path("before"), os.O_RDWR, 0)
		check(t, err)
		defer file.Close()
		_, err = file.WriteString("new")
		check(t, err)
		check(t, os.Rename(m.path("before"), m.path("after")))
		check(t, m.fs.cfg.Staging.Files()[0].Sync())

		next := m.killed(state)
		next.unmount()
		if data, err := next.stored("before"); !bytes.Equal(data, old) {
			t.Errorf("the object under the old name: %d bytes, %v", len(data), err)
		}
	})
}

// Once it is closed, the rename is finished by the next mount.
func TestRenamedAndClosedThenKilled(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	hold := func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Stall()}})
	}
	m := newTestMount(t, testOptions{state: state, commit: CommitBackground, wrap: hold})
	m.lost = true
	m.put("before", []byte("old"))
	file, err := os.OpenFile(m.path("before"), os.O_RDWR, 0)
	check(t, err)
	_, err = file.WriteString("new")
	check(t, err)
	check(t, os.Rename(m.path("before"), m.path("after")))
	check(t, file.Close())
	check(t, m.fs.cfg.Staging.Files()[0].Sync())

	next := m.killed(state)
	next.gone("before")
	next.unmount()
	if data, err := next.stored("after"); string(data) != "new" {
		t.Errorf("%q, %v", data, err)
	}
}

// An object that is too large for one CopyObject is copied by parts, and has its new name when rename returns.
func TestRenameAboveTheLargestCopy(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, maxCopy: 6 << 20})
		data := randomBytes(1, 20<<20)
		m.put("before", data)
		check(t, os.Rename(m.path("before"), m.path("after")))
		if got, err := m.stored("after"); !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		m.gone("before")
		if got, err := os.ReadFile(m.path("after")); !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// Where deleting is not allowed, a rename says so and both names are shown.
func TestRenameWithoutTheRightToDelete(t *testing.T) {
	t.Parallel()
	deny := func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "DeleteObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}
	m := newTestMount(t, testOptions{wrap: deny})
	m.put("before", []byte("text"))
	if err := os.Rename(m.path("before"), m.path("after")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("%v, want EACCES", err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the kernel is told in the background
		data, err := os.ReadFile(m.path("before"))
		if string(data) == "text" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%q, %v", data, err)
		}
	}
}
