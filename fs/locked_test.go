package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// withLocks is a bucket with object lock.
func withLocks(b *mem.BucketSettings) { b.Lock.Enabled = true }

// withRetention is one that locks what is stored for a day.
func withRetention(b *mem.BucketSettings) {
	b.Lock = backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 1}
}

func idOf(key string) backend.ObjectID { return backend.ObjectID{Bucket: testBucket, Key: key} }

// hold puts a legal hold on the current version of an object.
func (m *testMount) hold(key string) {
	m.t.Helper()
	check(m.t, m.raw.SetLegalHold(context.Background(), idOf(key), "", true))
}

// retain locks it until a date.
func (m *testMount) retain(key string, until time.Time) {
	m.t.Helper()
	check(m.t, m.raw.SetRetention(context.Background(), idOf(key), "", backend.Retention{Mode: backend.Governance, Until: until}, true))
}

// versions lists the ids of all versions and markers in the bucket, the newest of a key first.
func (m *testMount) versions() map[string][]string {
	m.t.Helper()
	page, err := m.raw.ListVersions(context.Background(), backend.ListVersionsInput{Bucket: testBucket})
	check(m.t, err)
	ids := make(map[string][]string)
	for _, v := range page.Versions {
		id := v.VersionID
		if v.DeleteMarker {
			id += " marker"
		}
		ids[v.Key] = append(ids[v.Key], id)
	}
	return ids
}

// untouched checks that fn fails with EPERM and changes no object.
func (m *testMount) untouched(what string, fn func() error) {
	m.t.Helper()
	before := fmt.Sprint(m.versions())
	if err := fn(); !errors.Is(err, syscall.EPERM) {
		m.t.Errorf("%s: %v, want EPERM", what, err)
	}
	if after := fmt.Sprint(m.versions()); after != before {
		m.t.Errorf("%s: %s became %s", what, before, after)
	}
}

func openFor(path string, flags int) error {
	file, err := os.OpenFile(path, flags, 0o644)
	if err == nil {
		err = file.Close()
	}
	return err
}

// Whatever would take the name of a locked object is refused, and the store has what it had.
func TestLockedStays(t *testing.T) {
	t.Parallel()
	for name, lock := range map[string]func(m *testMount, key string){
		"hold":      func(m *testMount, key string) { m.hold(key) },
		"retention": func(m *testMount, key string) { m.retain(key, time.Now().Add(time.Hour)) },
	} {
		for _, mode := range []CommitMode{CommitClose, CommitBackground} {
			t.Run(fmt.Sprint(name, mode), func(t *testing.T) {
				t.Parallel()
				m := newTestMount(t, testOptions{settings: withLocks, commit: mode})
				m.put("d/", nil)
				for _, key := range []string{"d/f", "d/free", "large"} {
					m.put(key, randomBytes(1, len(key)<<18))
				}
				for _, key := range []string{"d/f", "large"} {
					lock(m, key)
				}
				for _, file := range []string{"d/f", "large"} {
					path := m.path(file)
					m.untouched("unlink", func() error { return os.Remove(path) })
					m.untouched("open for writing", func() error { return openFor(path, os.O_WRONLY) })
					m.untouched("open to append", func() error { return openFor(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE) })
					m.untouched("open to truncate", func() error { return openFor(path, os.O_RDWR|os.O_TRUNC) })
					m.untouched("truncate", func() error { return os.Truncate(path, 1) })
					m.untouched("truncate to nothing", func() error { return os.Truncate(path, 0) })
					m.untouched("chmod", func() error { return os.Chmod(path, 0o600) })
					m.untouched("utimens", func() error { return os.Chtimes(path, time.Unix(1, 0), time.Unix(2, 0)) })
					m.untouched("rename", func() error { return os.Rename(path, m.path("elsewhere")) })
					m.untouched("rename over it", func() error { return os.Rename(m.path("d/free"), path) })
				}
				m.untouched("rename of its directory", func() error { return os.Rename(m.path("d"), m.path("e")) })
				check(t, os.Remove(m.path("d/free")))
				check(t, openFor(m.path("d/f"), os.O_RDONLY))
			})
		}
	}
}

// A lock that has ended, or was taken off, does not block.
func TestLockEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	store := mem.New(testBucket)
	store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return now } })
	m := newTestMount(t, testOptions{store: store, settings: withLocks})
	m.put("retained", []byte("old"))
	m.put("held", []byte("old"))
	m.retain("retained", now.Add(time.Minute))
	m.hold("held")
	for _, name := range []string{"retained", "held"} {
		m.untouched(name, func() error { return os.WriteFile(m.path(name), []byte("new"), 0o644) })
	}
	store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return now.Add(2 * time.Minute) } })
	check(t, m.raw.SetLegalHold(context.Background(), idOf("held"), "", false))
	for _, name := range []string{"retained", "held"} {
		check(t, os.WriteFile(m.path(name), []byte("new"), 0o644))
		m.mustHave(name, "new")
		check(t, os.Remove(m.path(name)))
	}
}

// One HEAD precedes a change, and open's own serves. A bucket without object lock pays nothing.
func TestLockRequests(t *testing.T) {
	t.Parallel()
	for _, locks := range []bool{true, false} {
		t.Run(fmt.Sprint("locks ", locks), func(t *testing.T) {
			t.Parallel()
			settings, head := func(*mem.BucketSettings) {}, 0
			if locks {
				settings, head = withLocks, 1
			}
			m := newTestMount(t, testOptions{settings: settings, ttl: time.Hour})
			for _, key := range []string{"unlinked", "renamed", "target", "replaced", "truncated", "changed", "open"} {
				m.put(key, []byte(key))
			}
			_, err := os.ReadDir(m.dir)
			check(t, err)
			rule := map[bool]int{true: 1}[locks] // GetObjectLockConfiguration, once a minute
			m.requests(func() { check(t, os.Remove(m.path("unlinked"))) }, map[string]int{"HeadObject": head, "DeleteObject": 1, "GetObjectLockConfiguration": rule})
			m.requests(func() { check(t, os.Rename(m.path("renamed"), m.path("target"))) },
				map[string]int{"HeadObject": 1 + head, "CopyObject": 1, "DeleteObject": 1}) // of both; one asks for the class
			m.requests(func() { check(t, openFor(m.path("open"), os.O_RDWR)) }, map[string]int{"HeadObject": head, "GetObject": 1 - head})
			m.requests(func() { check(t, openFor(m.path("open"), os.O_RDONLY)) }, map[string]int{"GetObject": 1})
			// Of open, which tells the properties too, and just before the new object takes its place.
			m.requests(func() { check(t, os.WriteFile(m.path("replaced"), []byte("new"), 0o644)) }, map[string]int{"HeadObject": 1 + head, "PutObject": 1})
			m.requests(func() {
				check(t, os.Chmod(m.path("changed"), 0o600))
				check(t, os.Chmod(m.path("changed"), 0o640))
				check(t, os.Chtimes(m.path("changed"), time.Unix(1, 0), time.Unix(2, 0)))
			}, m.atMost(map[string]int{"HeadObject": 1 + 2, "PutObject": 1})) // and of the directory's marker
		})
	}
}

// A lock that another client sets while a file is written is found when it is stored: the object stays, the data is kept.
func TestLockFoundAtCommit(t *testing.T) {
	t.Parallel()
	for _, mode := range []CommitMode{CommitClose, CommitBackground} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{settings: withLocks, commit: mode})
			m.put("f", []byte("old"))
			file, err := os.OpenFile(m.path("f"), os.O_WRONLY|os.O_TRUNC, 0)
			check(t, err)
			_, err = file.WriteString("new")
			check(t, err)
			m.hold("f")
			err = file.Close()
			if mode == CommitClose && !errors.Is(err, syscall.EPERM) || mode == CommitBackground && err != nil {
				t.Errorf("close: %v", err)
			}
			var kept []KeptFile
			for end := time.Now().Add(5 * time.Second); len(kept) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				kept = m.fs.Status().Kept
			}
			if len(kept) != 1 || kept[0].Key != "f" || kept[0].State != "conflict" || kept[0].Size != 3 {
				t.Fatalf("kept: %+v", kept)
			}
			if want := "locked by retention or legal hold (a legal hold is on it)"; kept[0].Reason != `Replace "f" in bucket "bucket": `+want {
				t.Errorf("reason %q", kept[0].Reason)
			}
			if data, err := os.ReadFile(kept[0].Path); err != nil || string(data) != "new" {
				t.Errorf("the data kept is %q, %v", data, err)
			}
			if pending := m.fs.Status().Pending; len(pending) > 0 {
				t.Errorf("still tried: %+v", pending)
			}
			m.mustHave("f", "old")
			if data, err := os.ReadFile(m.path("f")); err != nil || string(data) != "old" {
				t.Errorf("the name shows %q, %v", data, err)
			}
			if ids := m.versions()["f"]; len(ids) != 1 {
				t.Errorf("versions %v", ids)
			}
		})
	}
}

// An attribute change that waits to be sent finds the lock, too, and is not repeated.
func TestLockFoundByAttributes(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks})
	m.put("f", []byte("old"))
	check(t, os.Chmod(m.path("f"), 0o600))
	m.hold("f")
	for end := time.Now().Add(5 * time.Second); len(m.fs.Status().Pending) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	if s := m.fs.Status(); len(s.Pending) > 0 || len(s.Kept) != 1 {
		t.Errorf("%+v", s)
	}
	if ids := m.versions()["f"]; len(ids) != 1 {
		t.Errorf("versions %v", ids)
	}
	m.mustHave("f", "old")
}

// Deletes that are promised are asked for before, and given up when a lock comes in between: the name is there again.
func TestPromisedDeleteLocked(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks})
	m.put("before", []byte("before"))
	m.put("after", []byte("after"))
	m.hold("before")
	reader, err := os.Open(m.path("before"))
	check(t, err)
	defer reader.Close()
	m.untouched("unlink while it is open", func() error { return os.Remove(m.path("before")) })
	second, err := os.Open(m.path("after"))
	check(t, err)
	check(t, os.Remove(m.path("after")))
	m.hold("after")
	check(t, second.Close())
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(m.path("after")); err == nil && string(data) == "after" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the name does not come back")
		}
	}
	if left := m.fs.cfg.Staging.Intents(); len(left) > 0 {
		t.Errorf("the journal keeps %v", left)
	}
	if ids := m.versions(); len(ids["after"]) != 1 || len(ids["before"]) != 1 {
		t.Errorf("versions %v", ids)
	}
}

// Nothing of a directory moves when something in it is locked; all is asked at once.
func TestLockedDirectory(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks, ttl: time.Millisecond})
	check(t, os.MkdirAll(m.path("a/sub"), 0o755))
	for i := range 100 {
		m.put(fmt.Sprintf("a/%03d", i), []byte("free"))
	}
	m.put("a/sub/locked", []byte("locked"))
	m.hold("a/sub/locked")
	m.requests(func() {
		m.untouched("rename", func() error { return os.Rename(m.path("a"), m.path("b")) })
	}, m.atMost(map[string]int{"HeadObject": 103, "ListObjectsV2": 8, "GetObjectLockConfiguration": 1}))
	if left := m.fs.cfg.Staging.Intents(); len(left) > 0 {
		t.Errorf("the journal keeps %v", left)
	}
	if err := os.RemoveAll(m.path("a")); !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("rm -r: %v", err)
	}
	if ids := m.versions(); len(ids["a/000"]) != 2 || len(ids["a/sub/locked"]) != 1 {
		t.Errorf("after rm -r: %v", ids)
	}
	check(t, m.raw.SetLegalHold(context.Background(), idOf("a/sub/locked"), "", false))
	check(t, os.Rename(m.path("a"), m.path("b")))
	m.mustHave("b/sub/locked", "locked")
}

// Nor does a directory move over what another client has stored where there seemed to be nothing.
func TestDirectoryOverLocked(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks, ttl: time.Hour})
	m.put("a/x", []byte("x"))
	for _, dir := range []string{m.dir, m.path("a")} {
		_, err := os.ReadDir(dir)
		check(t, err)
	}
	m.put("b/x", []byte("other"))
	m.hold("b/x")
	m.untouched("rename", func() error { return os.Rename(m.path("a"), m.path("b")) })
	m.mustHave("b/x", "other")
}

// A lock that comes while a directory's copies are made keeps that object under its old name, and the rename says so.
func TestDirectoryLockedMeanwhile(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{settings: withLocks, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	check(t, os.Mkdir(m.path("a"), 0o755))
	for _, name := range []string{"x", "y"} {
		check(t, os.WriteFile(m.path("a/"+name), []byte(name), 0o644))
	}
	faults.Add(mem.Rule{Op: "CopyObject", Key: keyIn("b/x"), Times: 1, Do: []mem.Action{mem.After(func(context.Context, mem.Call) { m.hold("a/x") })}})
	if err := os.Rename(m.path("a"), m.path("b")); !errors.Is(err, syscall.EPERM) {
		t.Errorf("rename: %v", err)
	}
	for _, key := range []string{"a/x", "b/x", "b/y"} {
		m.mustHave(key, key[2:])
	}
	m.gone("a/y")
	if left := m.fs.cfg.Staging.Intents(); len(left) > 0 {
		t.Errorf("the journal keeps %v", left)
	}
	if ids := m.versions()["a/x"]; len(ids) != 1 {
		t.Errorf("versions %v", ids)
	}
}

// Markers are objects like others: a locked one is neither deleted nor written again, and nothing waits for it for ever.
func TestLockedMarker(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withLocks})
	for _, key := range []string{"d/", "empty/", "from/"} {
		m.put(key, nil)
	}
	m.put("d/f", []byte("f"))
	m.hold("d/")
	m.hold("empty/")
	m.untouched("rmdir", func() error { return os.Remove(m.path("empty")) })
	m.untouched("rename over it", func() error { return syscall.Rename(m.path("from"), m.path("empty")) })
	m.untouched("rename", func() error { return os.Rename(m.path("empty"), m.path("elsewhere")) })
	if err := os.Chmod(m.path("d"), 0o700); !errors.Is(err, syscall.EPERM) {
		t.Errorf("chmod of the directory: %v", err)
	}
	if info, err := os.Stat(m.path("d")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Chmod(m.path("d/f"), 0o600); !errors.Is(err, syscall.EPERM) {
		t.Errorf("chmod of a file whose directory cannot say that it keeps attributes: %v", err)
	}
	file, err := os.OpenFile(m.path("d/new"), os.O_CREATE|os.O_WRONLY, 0o600) // the content does not wait for that
	check(t, err)
	_, err = file.WriteString("new")
	check(t, err)
	check(t, file.Close())
	m.mustHave("d/new", "new")
	if ids := m.versions(); len(ids["d/"]) != 1 || len(ids["empty/"]) != 1 {
		t.Errorf("versions %v", ids)
	}
}

// In a bucket that locks what is stored, a file is written once: what comes after is refused at the call, what was stored stays.
func TestDefaultRetention(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withRetention, exclusive: true})
	check(t, os.MkdirAll(m.path("d/e"), 0o755))
	file, err := os.OpenFile(m.path("d/e/f"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	check(t, err)
	defer file.Close()
	_, err = file.WriteString("first")
	check(t, err)
	check(t, file.Chmod(0o604))
	check(t, os.Chtimes(m.path("d/e/f"), time.Unix(1000, 0), time.Unix(2000, 0)))
	check(t, file.Sync())
	m.untouched("write after fsync", func() error { _, err := file.WriteString("more"); return err })
	m.untouched("truncate after fsync", func() error { return file.Truncate(0) })
	check(t, file.Sync())
	check(t, file.Close())
	m.mustHave("d/e/f", "first")
	m.untouched("append", func() error { return openFor(m.path("d/e/f"), os.O_APPEND|os.O_WRONLY) })
	m.untouched("rename", func() error { return os.Rename(m.path("d/e/f"), m.path("g")) })
	m.untouched("rename of the directory", func() error { return os.Rename(m.path("d"), m.path("g")) })
	m.untouched("rmdir", func() error { return os.RemoveAll(m.path("d")) })
	m.unmount()
	if s := m.fs.Status(); len(s.Kept) > 0 {
		t.Errorf("kept: %+v", s.Kept)
	}
	next := newTestMount(t, testOptions{store: m.raw})
	info, err := os.Stat(next.path("d/e/f"))
	check(t, err)
	if info.Mode().Perm() != 0o604 || !info.ModTime().Equal(time.Unix(2000, 0)) {
		t.Errorf("%v %v", info.Mode(), info.ModTime())
	}
}

// Locks that a HEAD does not show to these credentials are taken from the bucket's rule.
func TestHiddenRetention(t *testing.T) {
	t.Parallel()
	now := time.Now()
	store := mem.New(testBucket)
	store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return now } })
	var faults *mem.Faults
	m := newTestMount(t, testOptions{store: store, settings: withRetention, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(hiding{s})
		return faults
	}})
	m.put("f", []byte("old"))
	m.untouched("its lock is asked for", func() error { return os.Remove(m.path("f")) })
	refuse := faults.Add(mem.Rule{Op: "GetObjectRetention", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	m.untouched("the rule covers it", func() error { return os.Remove(m.path("f")) })
	refuse.Remove()
	check(t, m.raw.SetRetention(context.Background(), idOf("f"), "", backend.Retention{}, true))
	check(t, os.Remove(m.path("f"))) // stored before there was a rule, say
	m.put("g", []byte("old"))
	store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return now.Add(25 * time.Hour) } })
	faults.Add(mem.Rule{Op: "GetObjectRetention", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	check(t, os.Remove(m.path("g"))) // too old for the rule
}

// hiding is a store that shows no locks to those who read objects.
type hiding struct{ backend.Store }

func (h hiding) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	obj, err := h.Store.Head(ctx, id, opt)
	obj.Lock = backend.ObjectLock{}
	return obj, err
}
