package fs

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// bareReplies tells of what was stored no more than S3 does.
type bareReplies struct{ backend.Store }

func (s bareReplies) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	o, err := s.Store.Put(ctx, in)
	return backend.Object{ETag: o.ETag, VersionID: o.VersionID}, err
}

// TestForgottenDirectories: a directory that the kernel has forgotten and looks up again has the attributes that it was given, though all
// markers without bytes have one ETag.
func TestForgottenDirectories(t *testing.T) {
	t.Parallel()
	for _, posix := range []PosixMode{PosixAuto, PosixOn} {
		m := newTestMount(t, testOptions{posix: posix, wrap: func(s backend.Store) backend.Store { return bareReplies{s} }})
		check(t, os.Mkdir(m.path("d"), 0o755))
		check(t, os.Mkdir(m.path("d/e"), 0o755))
		for _, mode := range []uint32{0o600, 0o750, 0o755} {
			check(t, os.Chmod(m.path("d/e"), os.FileMode(mode)))
			d := m.forget(m.fs.tree.root(), "d", "e")
			if e := m.forget(d, "e"); e.attr.mode != syscall.S_IFDIR|mode {
				t.Errorf("%v: mode %o, want %o", posix, e.attr.mode, mode)
			}
			check(t, os.Chmod(m.path("d"), os.FileMode(mode)))
			if d := m.forget(m.fs.tree.root(), "d", "e"); d.attr.mode != syscall.S_IFDIR|mode {
				t.Errorf("%v: mode of the directory above %o, want %o", posix, d.attr.mode, mode)
			}
		}
	}
}

// forget makes the filesystem forget a directory, and those below it that are named, as the kernel does when memory is short, and looks
// it up again.
func (m *testMount) forget(parent *node, name string, below ...string) *node {
	m.t.Helper()
	ctx := context.Background()
	n, err := m.fs.lookup(ctx, parent, name)
	check(m.t, err)
	for _, b := range below {
		child, err := m.fs.lookup(ctx, n, b)
		check(m.t, err)
		m.fs.tree.forget(child.id, 1<<30)
	}
	m.fs.tree.forget(n.id, 1<<30)
	again, err := m.fs.lookup(ctx, parent, name)
	check(m.t, err)
	if again == n {
		m.t.Fatalf("%s was not forgotten", name)
	}
	again.lock() // what it answers the kernel comes after
	defer again.unlock()
	return again
}

// TestAttributesWithoutTTL: who looks at a file that was stored a moment ago sees the attributes that are stored with it, also where no
// answer of the store is good for another call.
func TestAttributesWithoutTTL(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOn, ttl: time.Nanosecond})
	for i := range 20 {
		name := fmt.Sprint("f", i)
		m.putWith(name, "of another client", backend.Properties{Metadata: map[string]string{"mode": "33184"}}) // 0100640
		info, err := os.Stat(m.path(name))
		check(t, err)
		if info.Mode() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
	}
}
