package fs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// keptTree makes directories that keep attributes, each with a file.
func keptTree(t *testing.T, count int) *mem.Store {
	t.Helper()
	m := newTestMount(t, testOptions{})
	for i := range count {
		dir := m.path(fmt.Sprintf("tree/%03d", i))
		check(t, os.MkdirAll(dir, 0o700))
		check(t, os.WriteFile(dir+"/file", []byte("x"), 0o600))
	}
	m.unmount()
	return m.raw
}

// The markers of directories side by side are asked for many at once.
func TestMarkersAreAskedForAhead(t *testing.T) {
	t.Parallel()
	const count = 150
	o := testOptions{store: keptTree(t, count), wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Delay(20 * time.Millisecond)}})
	}}
	m := newTestMount(t, o)
	m.store.Reset()
	began := time.Now()
	entries, err := os.ReadDir(m.path("tree"))
	check(t, err)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: %v %v", e.Name(), info, err)
		}
	}
	took := time.Since(began)
	if heads := m.store.Requests()["HeadObject"]; heads != count+1 {
		t.Errorf("%d HEADs for %d directories", heads, count+1)
	}
	if took > count*20*time.Millisecond/2 {
		t.Errorf("took %v: one after the other", took)
	}
	// What this mount changes is not what was asked for before.
	check(t, os.Chmod(m.path("tree/007"), 0o711))
	check(t, os.Remove(m.path("tree/008/file")))
	check(t, os.Remove(m.path("tree/008")))
	check(t, os.Mkdir(m.path("tree/008"), 0o755))
	for name, want := range map[string]fs.FileMode{"tree/007": 0o711, "tree/008": 0o755} {
		if info, err := os.Stat(m.path(name)); err != nil || info.Mode() != os.ModeDir|want {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

// So are the attributes of files, also when all names are read before the first file is looked at.
func TestAttributesAreReadAhead(t *testing.T) {
	t.Parallel()
	const count = 400
	first := newTestMount(t, testOptions{})
	check(t, os.Chmod(first.dir, 0o700))
	for i := range count {
		first.put(fmt.Sprintf("d/%03d-with a long name to fill the pages of names", i), []byte("x"))
	}
	check(t, os.Chmod(first.path("d"), 0o700))
	first.unmount()
	m := newTestMount(t, testOptions{store: first.raw, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Delay(20 * time.Millisecond)}})
	}})
	m.store.Reset()
	began := time.Now()
	entries, err := os.ReadDir(m.path("d"))
	check(t, err)
	for _, e := range entries {
		_, err := e.Info()
		check(t, err)
	}
	if heads := m.store.Requests()["HeadObject"]; heads < count || heads > count+3 {
		t.Errorf("%d HEADs for %d files", heads, count)
	}
	if took := time.Since(began); took > count*20*time.Millisecond/3 {
		t.Errorf("took %v: one after the other", took)
	}
}

// One look at one file does not fetch the attributes of a whole large directory.
func TestOneLookFetchesFewNeighbours(t *testing.T) {
	t.Parallel()
	first := newTestMount(t, testOptions{})
	check(t, os.Mkdir(first.path("d"), 0o700))
	for i := range 500 {
		first.put(fmt.Sprintf("d/%03d", i), []byte("x"))
	}
	first.unmount()
	m := newTestMount(t, testOptions{store: first.raw})
	dir, err := os.Open(m.path("d"))
	check(t, err)
	defer dir.Close()
	_, err = dir.Readdirnames(-1)
	check(t, err)
	m.store.Reset()
	_, err = os.Stat(m.path("d/250"))
	check(t, err)
	time.Sleep(100 * time.Millisecond)
	if heads := m.store.Requests()["HeadObject"]; heads > firstStep {
		t.Errorf("%d HEADs for one file", heads)
	}
}

// An answer that came ahead is forgotten when this mount changes the marker before anybody took it.
func TestOwnChangeForgetsWhatCameAhead(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{store: keptTree(t, 3)})
	check(t, os.Chmod(m.dir, 0o700))
	entries, err := os.ReadDir(m.path("tree"))
	check(t, err)
	_, err = entries[0].Info() // asks for all
	check(t, err)
	tree := m.fs.tree.child(m.fs.tree.root(), "tree")
	marker := backend.ObjectID{Bucket: testBucket, Key: "tree/001/"}
	eventually(t, func() bool {
		m.fs.markers.mu.Lock()
		defer m.fs.markers.mu.Unlock()
		return m.fs.markers.byID[marker] != nil
	})
	other := m.fs.dirNode(tree, "001", "001/")
	other.lock()
	other.attr.mode = 0o40750
	other.unlock()
	check(t, m.fs.writeMarker(t.Context(), other, true))
	if m.fs.markers.take(marker) != nil {
		t.Error("an answer from before the change is still there")
	}
}

// A walk of a tree whose attributes were read before asks for few markers after a remount: listings
// show that they are the same.
func TestBudgetMarkersAfterRemount(t *testing.T) {
	t.Parallel()
	o := testOptions{store: keptTree(t, 60), state: t.TempDir()}
	time.Sleep(2100 * time.Millisecond) // what is younger is not trusted for long
	walk := func(m *testMount) {
		m.store.Reset()
		check(t, filepath.WalkDir(m.path("tree"), func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if want := map[bool]fs.FileMode{true: os.ModeDir | 0o700, false: 0o600}[e.IsDir()]; err == nil && info.Mode() != want {
				t.Errorf("%s: %v", path, info.Mode())
			}
			return err
		}))
	}
	m := newTestMount(t, o)
	walk(m)
	t.Logf("first: %v", m.store.Requests())
	m.unmount()
	m = newTestMount(t, o)
	walk(m)
	t.Logf("after a remount: %v", m.store.Requests())
	if heads := m.store.Requests()["HeadObject"]; heads > 70 {
		t.Errorf("%d HEADs", heads)
	}
}

// The directories of buckets show the attributes that are kept in the buckets.
func TestAttributesOfBuckets(t *testing.T) {
	t.Parallel()
	const count = 40
	store := mem.New(testBucket)
	for i := range count {
		check(t, store.CreateBucket(t.Context(), fmt.Sprintf("bucket-%02d", i)))
	}
	first := newTestMount(t, testOptions{store: store, buckets: true})
	when := time.Unix(1_500_000_000, 0)
	for _, name := range []string{"bucket", "bucket-07"} {
		check(t, os.Chmod(first.path(name), 0o700))
		setTimes(t, first.path(name), when)
	}
	first.unmount()
	m := newTestMount(t, testOptions{store: store, buckets: true, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Delay(20 * time.Millisecond)}},
			mem.Rule{Op: "HeadObject", Key: func(string) bool { return true }, Nth: 5, Times: 1, Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}})
	began := time.Now()
	entries, err := os.ReadDir(m.dir)
	check(t, err)
	kept := 0
	for _, e := range entries {
		info, err := e.Info()
		check(t, err)
		if info.Mode() == os.ModeDir|0o700 && info.ModTime().Equal(when) {
			kept++
		}
	}
	if len(entries) != count+1 || kept == 0 || kept > 2 {
		t.Errorf("%d buckets, %d with their attributes", len(entries), kept)
	}
	if took := time.Since(began); took > count*20*time.Millisecond {
		t.Errorf("took %v: one after the other", took)
	}
	if heads := m.store.Requests()["HeadObject"]; heads > count+2 {
		t.Errorf("%d HEADs", heads)
	}
}
