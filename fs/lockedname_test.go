package fs

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// A rename to a name that seems to be free does not cover a locked object that another client has stored there since, also
// where a copy has no condition on its destination.
func TestLockedUnderAFreeName(t *testing.T) {
	t.Parallel()
	for _, conditions := range []bool{true, false} {
		m := newTestMount(t, testOptions{posix: PosixOff, settings: withLocks, capabilities: func(c *backend.Capabilities) { c.CopyDestination = conditions }})
		m.put("a", []byte("ours"))
		if _, err := os.ReadDir(m.path(".")); err != nil { // it is known that there is no b
			t.Fatal(err)
		}
		m.put("b", []byte("theirs"))
		m.hold("b")
		err := os.Rename(m.path("a"), m.path("b"))
		if data, _ := m.object("b"); err == nil || !conditions && !errors.Is(err, os.ErrPermission) || string(data) != "theirs" {
			t.Errorf("conditions %v: %v, and b is %q", conditions, err, data)
		}
		if data, _ := m.object("a"); string(data) != "ours" {
			t.Errorf("conditions %v: a is %q", conditions, data)
		}
	}
}

// An upload of this mount that ends between the question whether a file may go and its removal is no other client's: the file
// goes.
func TestLooksBesideAnUpload(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{posix: PosixOff, commit: CommitBackground, settings: withLocks, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	m.put("d/f", []byte("old"))
	upload, uploading, store := blockOf("PutObject")
	faults.Add(upload)
	check(t, os.WriteFile(m.path("d/f"), []byte("new content"), 0o644))
	<-uploading
	marker, asked, goOn := blockOf("PutObject") // d would vanish: after the question, it gets a marker
	faults.Add(marker)
	d := m.nodeOf("d")
	result := make(chan fuse.Status)
	go func() { result <- m.fs.Unlink(nil, &fuse.InHeader{NodeId: d.id}, "f") }() // the kernel would try again
	<-asked
	close(store)
	eventually(t, func() bool {
		data, _ := m.stored("d/f")
		return string(data) == "new content" && len(m.fs.queue.Pending()) == 0
	})
	close(goOn)
	if code := <-result; !code.Ok() {
		t.Errorf("unlink: %v", code)
	}
	m.fs.notifyEntry(d, "f")
	m.gone("d/f")
	check(t, os.WriteFile(m.path("d/f"), []byte("another"), 0o644))
	check(t, m.fs.Drain(t.Context(), nil))
	if data, _ := m.object("d/f"); string(data) != "another" || len(m.fs.Status().Kept) != 0 {
		t.Errorf("%q, kept %+v", data, m.fs.Status().Kept)
	}
}

// What is on its way with a legal hold is not changed any more: the change could not be stored after it.
func TestLockOnItsWay(t *testing.T) {
	t.Parallel()
	upload, uploading, store := blockOf("PutObject")
	m := newTestMount(t, testOptions{posix: PosixOn, commit: CommitBackground, settings: withLocks, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, upload)
	}})
	file, err := os.Create(m.path("f"))
	check(t, err)
	setXattr(t, m.path("f"), "user.s3.legal-hold", "on")
	_, err = file.WriteString("data")
	check(t, err)
	check(t, file.Close())
	<-uploading
	for what, change := range map[string]func() error{
		"chmod":    func() error { return os.Chmod(m.path("f"), 0o600) },
		"truncate": func() error { return os.Truncate(m.path("f"), 1) },
		"open": func() error {
			file, err := os.OpenFile(m.path("f"), os.O_WRONLY, 0)
			if err == nil {
				file.Close()
			}
			return err
		},
	} {
		if err := change(); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
	results := make(chan error, 3)
	for _, a := range []string{"user.a", "user.s3.tag.a", "user.s3.legal-hold"} {
		go func() { results <- unix.Setxattr(m.path("f"), a, []byte("off"), 0) }()
	}
	time.Sleep(100 * time.Millisecond) // for them to wait, as they do; else nothing is tried here
	close(store)
	refused := 0
	for range 3 {
		if err := <-results; errors.Is(err, os.ErrPermission) {
			refused++
		} else {
			check(t, err)
		}
	}
	check(t, m.fs.Drain(t.Context(), nil))
	lock, err := m.raw.Lock(t.Context(), idOf("f"), "")
	check(t, err)
	if lock.LegalHold || m.tagsOf("f")["a"] != "off" || refused > 1 {
		t.Errorf("then %+v, tags %v, %d refused", lock, m.tagsOf("f"), refused)
	}
	if data, _ := m.object("f"); string(data) != "data" || len(m.fs.Status().Kept) != 0 {
		t.Errorf("%q, kept %+v", data, m.fs.Status().Kept)
	}
}

// The retention that a bucket gives to everything is not listed, so copies neither carry it nor try to remove it; one that
// somebody chose is. Both are read by name.
func TestRetentionOfTheBucketIsNotListed(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, settings: withRetention})
	const name = "user.s3.retention"
	m.put("rule", []byte("x"))
	m.put("longer", []byte("x"))
	m.retain("longer", time.Now().AddDate(0, 0, 10))
	check(t, os.WriteFile(m.path("ours"), []byte("x"), 0o644))
	m.putWith("mode", "x", backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Compliance, Until: time.Now().AddDate(0, 0, 1)}}})
	check(t, os.Mkdir(m.path("d"), 0o755))
	for file, want := range map[string]bool{"rule": false, "longer": true, "ours": false, "mode": true, "d": false} {
		if got, listed := xattrsOf(t, m.path(file))[name]; listed != want {
			t.Errorf("%s: listed %q, %v", file, got, listed)
		}
		if got := getXattr(t, m.path(file), name); got == "" {
			t.Errorf("%s: %q", file, got)
		}
	}
	_, err := os.ReadDir(m.path("."))
	check(t, err)
	m.requests(func() { xattrsOf(t, m.path("rule")); xattrsOf(t, m.path("longer")) }, map[string]int{}) // the rule is known for a minute
}
