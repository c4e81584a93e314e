package fs

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// An answer about attributes that is older than what a listing shows by now does not bring the old version back.
func TestXattrsOfWhatIsNewer(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"replaced", "deleted"} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{posix: PosixOff})
			m.putWith("f", "old", backend.Properties{Metadata: map[string]string{"a": "old"}})
			_, err := os.Stat(m.path("f"))
			check(t, err)
			if before == "deleted" {
				check(t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: "f"}))
			}
			got, err := tryXattr(m.path("f"), "user.s3.meta.a")
			if (before == "deleted") != errors.Is(err, unix.ENOENT) || err == nil && got != "old" {
				t.Errorf("first: %q %v", got, err)
			}
			m.putWith("f", "new and longer", backend.Properties{Metadata: map[string]string{"a": "new"}})
			m.fs.cfg.Metadata.Invalidate(testBucket, "") // the listing is too old, what was told of f is not
			m.fs.notifyEntry(m.fs.tree.root(), "f")
			eventually(t, func() bool {
				info, err := os.Stat(m.path("f"))
				return err == nil && info.Size() == 14
			})
			if got, err := tryXattr(m.path("f"), "user.s3.meta.a"); err != nil || got != "new" {
				t.Errorf("then: %q %v", got, err)
			}
			if info, err := os.Stat(m.path("f")); err != nil || info.Size() != 14 {
				t.Errorf("at last: %v %v", info, err)
			}
		})
	}
}

// slowMarkers is a mount whose first marker is stored only when it is let go.
func slowMarkers(t *testing.T, o testOptions) (m *testMount, hold func() (started, release chan struct{})) {
	var faults *mem.Faults
	o.wrap = func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}
	m = newTestMount(t, o)
	return m, func() (started, release chan struct{}) {
		rule, started, release := blockOf("PutObject")
		rule.Key = func(key string) bool { return key == "d/" }
		faults.Add(rule)
		return started, release
	}
}

// An attribute of a directory, and its marker saying that attributes are kept in it: neither undoes the other, whichever
// is faster.
func TestDirXattrBesideMarker(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"setxattr", "chmod of a file"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			m, hold := slowMarkers(t, testOptions{posix: PosixAuto})
			m.put("d/", nil)
			m.put("d/f", []byte("x"))
			_, err := os.Stat(m.path("d/f"))
			check(t, err)
			changes := map[string]func() error{
				"setxattr":        func() error { return unix.Setxattr(m.path("d"), "user.a", []byte("1"), 0) },
				"chmod of a file": func() error { return os.Chmod(m.path("d/f"), 0o600) },
			}
			results := make(chan error, 2)
			started, release := hold()
			go func() { results <- changes[first]() }()
			<-started
			for other, change := range changes {
				if other != first {
					go func() { results <- change() }()
				}
			}
			time.AfterFunc(200*time.Millisecond, func() { close(release) }) // the other one waits, or is through
			check(t, <-results)
			check(t, <-results)
			_, obj := m.object("d/")
			if obj.Metadata["xattr-a"] != "1" || obj.Metadata[metaSince] == "" {
				t.Errorf("stored: %v", obj.Metadata)
			}
		})
	}
}

// Where another client makes a directory's marker while an attribute is set, both stay.
func TestDirXattrBesideForeignMarker(t *testing.T) {
	t.Parallel()
	m, hold := slowMarkers(t, testOptions{posix: PosixOff})
	m.put("d/f", []byte("x"))
	started, release := hold()
	result := make(chan error)
	go func() { result <- unix.Setxattr(m.path("d"), "user.a", []byte("1"), 0) }()
	<-started
	m.putWith("d/", "", backend.Properties{Metadata: map[string]string{"theirs": "2"}})
	close(release)
	check(t, <-result)
	if _, obj := m.object("d/"); obj.Metadata["xattr-a"] != "1" || obj.Metadata["theirs"] != "2" {
		t.Errorf("stored: %v", obj.Metadata)
	}
}
