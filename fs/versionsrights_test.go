package fs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// wantModes compares the rights of a file's versions, the oldest first, with what its view shows.
func (m *versioned) wantModes(view, key string, want ...fs.FileMode) {
	m.t.Helper()
	var got []fs.FileMode
	for _, v := range slices.Backward(m.versionsOf(key)) {
		info, err := os.Stat(m.path(view + "/" + versionName(v)))
		check(m.t, err)
		got = append(got, info.Mode())
	}
	if !slices.Equal(got, want) {
		m.t.Errorf("%s: %v, want %v", view, got, want)
	}
}

// A version that is copied back is a file that its owner can write, as it was; the version itself cannot be.
func TestVersionCopiedIsWritable(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{})
	m.clock.Store(time.Now().Unix())
	check(t, os.Mkdir(m.path("kept"), 0o755))
	check(t, os.WriteFile(m.path("kept/tool"), []byte("tool"), 0o644))
	check(t, os.Chmod(m.path("kept/tool"), 0o750))
	check(t, m.fs.Drain(t.Context(), nil))
	m.clock.Add(1)
	for file, want := range map[string]fs.FileMode{"kept/tool": 0o750, "plain": 0o644} {
		if file == "plain" {
			m.put(file, "plain")
		}
		v := m.versionsOf(file)[0]
		version := m.path(".versions/" + file + "/" + versionName(v))
		m.clock.Add(1)
		check(t, os.Remove(m.path(file)))
		if f, err := os.OpenFile(version, os.O_RDWR, 0); !errors.Is(err, syscall.EROFS) {
			t.Errorf("open of %s for writing: %v", version, err)
			f.Close()
		}
		cp(t, version, m.path(file))
		info, err := os.Stat(m.path(file))
		check(t, err)
		if info.Mode() != want {
			t.Errorf("%s: %v, want %v", file, info.Mode(), want)
		}
		appendTo(t, m.path(file), " and more")
	}
}

// Who makes a file private has made its older versions private: at once, for other mounts when it is stored, and
// after the file is deleted.
func TestVersionsOfPrivateFile(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newVersioned(t, testOptions{wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	m.clock.Store(time.Now().Unix())
	check(t, os.Mkdir(m.path("d"), 0o755))
	check(t, os.WriteFile(m.path("d/secret"), []byte("one"), 0o644))
	m.clock.Add(1)
	check(t, os.Chmod(m.path("d/secret"), 0o664)) // so that something is kept
	check(t, m.fs.Drain(t.Context(), nil))
	m.wantModes("d/.versions/secret", "d/secret", 0o644, 0o664)
	m.clock.Add(1)
	rule, _, release := blockOf("CopyObject")
	faults.Add(rule)
	check(t, os.Chmod(m.path("d/secret"), 0o600)) // on its way
	_, err := os.Stat(m.path(".versions/d/secret"))
	check(t, err)
	known := func(names ...string) *node {
		n := m.fs.tree.root()
		for _, name := range names {
			if n = m.fs.tree.child(n, name); n == nil {
				t.Fatalf("no node of %q", names)
			}
		}
		return n
	}
	n, view := known("d", "secret"), known("d", ".versions", "secret")
	if mode, set := m.fs.modeNow(view); !set || mode != syscall.S_IFREG|0o600 {
		t.Errorf("known of the file: %o %v", mode, set)
	}
	if got := m.fs.tree.behind(known(".versions", "d", "secret")); got != n {
		t.Errorf("from the top: %v", got)
	}
	list, err := m.fs.versionsOf(t.Context(), idOf("d/secret"))
	check(t, err)
	a, err := m.fs.versionAttr(t.Context(), view, list, len(list.all)-1)
	check(t, err)
	if a.mode&permBits != 0o600 {
		t.Errorf("before the change is stored: %o", a.mode)
	}
	close(release)
	check(t, m.fs.Drain(t.Context(), nil))
	next := newVersioned(t, testOptions{store: m.raw})
	next.requests(func() { next.wantModes("d/.versions/secret", "d/secret", 0o600, 0o600, 0o600) }, next.atMost(map[string]int{
		"GetBucketVersioning": 1, "ListObjectVersions": 2, "ListObjectsV2": 2, "HeadObject": 6,
	}))
	m.clock.Add(1)
	check(t, os.Remove(m.path("d/secret")))
	last := newVersioned(t, testOptions{store: m.raw})
	last.wantModes("d/.versions/secret", "d/secret", 0o600, 0o600, 0o600, 0o644) // the last is the marker
}

// The version of a symbolic link is a file with the target in it, with a file's rights.
func TestVersionOfSymlink(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{})
	m.clock.Store(time.Now().Unix())
	check(t, os.Symlink("target", m.path("link")))
	check(t, m.fs.Drain(t.Context(), nil))
	m.wantModes(".versions/link", "link", 0o644)
	out, err := exec.Command("cat", m.path(".versions/link/"+versionName(m.versionsOf("link")[0]))).Output()
	if err != nil || string(out) != "target" {
		t.Errorf("%q %v", out, err)
	}
}

// Whose versions are too many to be remembered: the rights of the newest count for the others, too.
func TestNewestOfMarkers(t *testing.T) {
	t.Parallel()
	marker := backend.Version{DeleteMarker: true}
	content := backend.Version{Object: backend.Object{VersionID: "v"}}
	if got := newest([]backend.Version{marker, content, content}); len(got) != 1 || got[0].VersionID != "v" {
		t.Errorf("%v", got)
	}
	if got := newest([]backend.Version{marker}); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
