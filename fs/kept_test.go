package fs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// conflict makes two clients write a file: "theirs" is stored, the content returned is kept here under the id.
func (m *testMount) conflict(name, mine string) (id string) {
	m.t.Helper()
	m.put(name, []byte("base"))
	file, err := os.OpenFile(m.path(name), os.O_RDWR|os.O_TRUNC, 0)
	check(m.t, err)
	_, err = file.WriteString(mine)
	check(m.t, err)
	m.put(name, []byte("theirs"))
	if err := file.Close(); !errors.Is(err, syscall.ESTALE) {
		m.t.Fatalf("close after another client's write: %v, want ESTALE", err)
	}
	kept := m.fs.Status().Kept
	return kept[len(kept)-1].ID
}

func (m *testMount) wantRead(name, want string) {
	m.t.Helper()
	if got, err := os.ReadFile(m.path(name)); err != nil || string(got) != want {
		m.t.Errorf("%s shows %q, %v; want %q", name, got, err, want)
	}
}

func TestKeepMine(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	id := m.conflict("f", "mine")
	m.wantRead("f", "theirs")
	var content bytes.Buffer
	check(t, m.fs.ReadKept(context.Background(), id, 3, &content))
	if content.String() != "min" {
		t.Errorf("the first 3 bytes kept are %q", content.String())
	}
	obj, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false)
	check(t, err)
	m.wantRead("f", "mine")
	if _, now := m.object("f"); now.ETag != obj.ETag {
		t.Errorf("stored as %s, the answer says %s", now.ETag, obj.ETag)
	}
	if s := m.fs.Status(); len(s.Kept) != 0 || s.Staging.Files != 0 {
		t.Errorf("still kept: %+v, %d files", s.Kept, s.Staging.Files)
	}
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("storing it again: %v", err)
	}
}

// TestKeepMineLosesAgain: the object is replaced after it was looked at; nothing is lost.
func TestKeepMineLosesAgain(t *testing.T) {
	t.Parallel()
	faults := (*mem.Faults)(nil)
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	id := m.conflict("f", "mine")
	faults.Add(mem.Rule{Op: "PutObject", Times: 1, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { m.put("f", []byte("newest")) })}})
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("%v, want changed", err)
	}
	m.wantRead("f", "newest")
	if kept := m.fs.Status().Kept; len(kept) != 1 || kept[0].ID != id || kept[0].State != "conflict" {
		t.Errorf("kept: %+v", kept)
	}
	_, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false)
	check(t, err)
	m.wantRead("f", "mine")
}

func TestSaveKeptAs(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	id := m.conflict("f", "mine")
	m.put("taken", []byte("x"))
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("taken"), true); !backend.IsKind(err, backend.KindExist) {
		t.Errorf("over another file: %v", err)
	}
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("d/other"), true); err != nil {
		t.Fatal(err)
	}
	m.wantRead("d/other", "mine")
	m.wantRead("f", "theirs")
	m.wantRead("taken", "x")
}

// TestKeepMineWhileWritten: what a program is writing now is not replaced behind its back.
func TestKeepMineWhileWritten(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	id := m.conflict("f", "mine")
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	_, err = file.WriteString("THEIRS")
	check(t, err)
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false); !backend.IsKind(err, backend.KindBusy) {
		t.Errorf("%v, want busy", err)
	}
	check(t, file.Close())
	m.wantRead("f", "THEIRS")
}

func TestKeepMineRespectsLocks(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks})
	id := m.conflict("f", "mine")
	m.hold("f")
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false); !backend.IsKind(err, backend.KindLocked) {
		t.Errorf("%v, want locked", err)
	}
	if kept := m.fs.Status().Kept; len(kept) != 1 || kept[0].State != "conflict" {
		t.Errorf("kept: %+v", kept)
	}
}

// TestKeepMineOfAnEdit: an edit of a version that is gone cannot be stored whole, and says so.
func TestKeepMineOfAnEdit(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put("f", bytes.Repeat([]byte("base"), 1<<20))
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	_, err = file.WriteString("mine")
	check(t, err)
	m.put("f", []byte("theirs"))
	if err := file.Close(); !errors.Is(err, syscall.ESTALE) {
		t.Fatal(err)
	}
	id := m.fs.Status().Kept[0].ID
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("f"), false); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("%v, want changed", err)
	}
	m.wantRead("f", "theirs")
	if _, err := m.fs.StoreKept(context.Background(), id, idOf("other"), true); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("under another name: %v, want changed", err)
	}
	if kept := m.fs.Status().Kept; len(kept) != 1 || kept[0].Key != "f" {
		t.Errorf("kept under another name: %+v", kept)
	}
	if err := m.fs.ReadKept(context.Background(), id, 1<<20, &strings.Builder{}); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("reading it: %v, want changed", err)
	}
	if kept := m.fs.Status().Kept; len(kept) != 1 || kept[0].State != "conflict" {
		t.Errorf("kept: %+v", kept)
	}
}

func TestDropKept(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	id := m.conflict("f", "mine")
	if stored, err := m.fs.Drop(context.Background(), id); stored || err != nil {
		t.Fatal(stored, err)
	}
	m.fs.Notified(context.Background())
	m.wantRead("f", "theirs")
	if s := m.fs.Status(); len(s.Kept) != 0 || s.Staging.Files != 0 || s.Staging.Bytes != 0 {
		t.Errorf("left: %+v %+v", s.Kept, s.Staging)
	}
}

// refusing is a mount in background mode whose store refuses PUTs of keys.
func refusing(t *testing.T, keys ...string) (*testMount, *mem.Active) {
	var rule *mem.Active
	m := newTestMount(t, testOptions{commit: CommitBackground, wrap: func(s backend.Store) backend.Store {
		faults := mem.Faulty(s)
		rule = faults.Add(mem.Rule{Op: "PutObject", Key: func(key string) bool {
			for _, k := range keys {
				if k == key {
					return true
				}
			}
			return false
		}, Do: []mem.Action{mem.Fail(backend.KindPermission)}})
		return faults
	}})
	return m, rule
}

// waitFailed waits until the upload of a key has failed.
func (m *testMount) waitFailed(key string) (id string) {
	m.t.Helper()
	eventually(m.t, func() bool {
		for _, q := range m.fs.Status().Pending {
			if q.Key == key && q.State == "failed" {
				id = q.ID
			}
		}
		return id != ""
	})
	return id
}

func TestRetryKept(t *testing.T) {
	t.Parallel()
	m, rule := refusing(t, "d/f")
	check(t, os.Mkdir(m.path("d"), 0o777))
	check(t, os.WriteFile(m.path("d/f"), []byte("data"), 0o666))
	m.waitFailed("d/f")
	rule.Remove()
	if n := m.fs.Retry(Located{Bucket: testBucket, Key: "e/", Dir: true}, ""); n != 0 {
		t.Errorf("%d uploads elsewhere", n)
	}
	if n := m.fs.Retry(Located{Bucket: testBucket, Dir: true}, "another"); n != 0 {
		t.Errorf("%d uploads with another id", n)
	}
	if n := m.fs.Retry(Located{Bucket: testBucket, Key: "d/", Dir: true}, ""); n != 1 {
		t.Errorf("%d uploads tried again", n)
	}
	eventually(t, func() bool {
		data, err := m.stored("d/f")
		return err == nil && string(data) == "data"
	})
}

// TestDropWaiting: the name shows the store's object again, and who has the file open gets ESTALE.
func TestDropWaiting(t *testing.T) {
	t.Parallel()
	m, _ := refusing(t, "f", "new")
	_, err := m.raw.Put(context.Background(), backend.PutInput{Bucket: testBucket, Key: "f", Body: strings.NewReader("base"), Size: 4})
	check(t, err)
	check(t, os.WriteFile(m.path("f"), []byte("mine"), 0o666))
	check(t, os.WriteFile(m.path("new"), []byte("mine"), 0o666))
	reader, err := os.Open(m.path("f"))
	check(t, err)
	defer reader.Close()
	writer, err := os.OpenFile(m.path("f"), os.O_WRONLY, 0)
	check(t, err)
	id := m.waitFailed("f")
	if _, err := m.fs.Drop(context.Background(), id); !backend.IsKind(err, backend.KindBusy) {
		t.Errorf("while it is open for writing: %v, want busy", err)
	}
	_ = writer.Close() // the failure of the upload
	eventually(t, func() bool {
		stored, err := m.fs.Drop(context.Background(), id)
		if err != nil && !backend.IsKind(err, backend.KindBusy) {
			t.Fatal(err)
		}
		return err == nil && !stored
	})
	m.fs.Notified(context.Background())
	if _, err := reader.Read(make([]byte, 10)); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("who has it open reads: %v, want ESTALE", err)
	}
	m.wantRead("f", "base")
	if _, err := m.fs.Drop(context.Background(), m.waitFailed("new")); err != nil {
		t.Fatal(err)
	}
	m.fs.Notified(context.Background())
	if _, err := os.Stat(m.path("new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that was never stored: %v", err)
	}
	if s := m.fs.Status(); len(s.Pending)+len(s.Kept) != 0 || s.Staging.Files != 0 {
		t.Errorf("left: %+v", s)
	}
}
