package fs

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// keyIn is a rule's test for keys that begin with a prefix.
func keyIn(prefix string) func(string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) }
}

// mustHave checks what the store has under a key.
func (m *testMount) mustHave(key, want string) {
	m.t.Helper()
	if data, err := m.stored(key); err != nil || string(data) != want {
		m.t.Errorf("%s has %q in the store (%v), want %q", key, data, err, want)
	}
}

// The deletes of a directory's old keys fail and are repeated. What is made under these names meanwhile has the
// same bytes and so the same ETag, and stays.
func TestRenameDirAndBack(t *testing.T) {
	t.Parallel()
	for name, remake := range map[string]func(m *testMount){
		"renamed": func(m *testMount) { check(m.t, os.Rename(m.path("b"), m.path("a"))) },
		"made": func(m *testMount) {
			check(m.t, os.Mkdir(m.path("a"), 0o755))
			check(m.t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults *mem.Faults
			m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
				faults = mem.Faulty(s)
				return faults
			}})
			check(t, os.Mkdir(m.path("a"), 0o755))
			check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
			check(t, os.WriteFile(m.path("a/y"), []byte("other"), 0o644))
			rule := faults.Add(mem.Rule{Op: "DeleteObject", Key: keyIn("a/"), Do: []mem.Action{mem.Fail(backend.KindTransient)}})
			check(t, os.Rename(m.path("a"), m.path("b")))
			if entries, err := os.ReadDir(m.dir); err != nil || len(entries) != 1 || entries[0].Name() != "b" {
				t.Errorf("after the rename: %v, %v", entries, err)
			}
			remake(m)
			rule.Remove()
			if name == "made" {
				m.gone("a/y")
			}
			time.Sleep(1200 * time.Millisecond) // the repeat
			m.mustHave("a/", "")
			m.mustHave("a/x", "same")
			if name == "renamed" {
				m.mustHave("a/y", "other")
			}
		})
	}
}

// The next mount goes on with these deletes, but not with those that were taken back.
func TestRenameDirRecoversDeletes(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	fail := mem.Rule{Op: "DeleteObject", Key: keyIn("a/"), Do: []mem.Action{mem.Fail(backend.KindTransient)}}
	m := newTestMount(t, testOptions{state: state, wrap: func(s backend.Store) backend.Store { return mem.Faulty(s, fail) }})
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
	check(t, os.WriteFile(m.path("a/y"), []byte("other"), 0o644))
	check(t, os.Rename(m.path("a"), m.path("b")))
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
	m.unmount()
	m.mustHave("a/y", "other")

	next := newTestMount(t, testOptions{state: state, store: m.raw})
	next.gone("a/y")
	next.unmount()
	next.mustHave("a/", "")
	next.mustHave("a/x", "same")
	next.mustHave("b/y", "other")
	last := newTestMount(t, testOptions{state: state, store: m.raw})
	if left := last.fs.cfg.Staging.Intents(); len(left) > 0 {
		t.Errorf("the journal keeps %v", left)
	}
}

// What the store does not let us delete stays, is shown, and the rename says so.
func TestRenameDirDeleteRefused(t *testing.T) {
	t.Parallel()
	fail := mem.Rule{Op: "DeleteObject", Key: keyIn("a/x"), Do: []mem.Action{mem.Fail(backend.KindPermission)}}
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store { return mem.Faulty(s, fail) }})
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("x"), 0o644))
	check(t, os.WriteFile(m.path("a/y"), []byte("y"), 0o644))
	if err := os.Rename(m.path("a"), m.path("b")); !os.IsPermission(err) {
		t.Errorf("rename: %v", err)
	}
	m.gone("a/y")
	for _, name := range []string{"b/x", "b/y", "a/x"} {
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			data, err := os.ReadFile(m.path(name))
			if err == nil && string(data) == name[2:] {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: %q, %v", name, data, err)
				break
			}
		}
	}
}

// Names below a directory wait for its rename: what is made, removed or changed there while the copies are made would be
// forgotten, or come back.
func TestRenameDirStopsNamesBelow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(m *testMount, dir string) error
		want   map[string]string // after the rename, below b; "-": nothing
	}{
		"mkdir":  {func(m *testMount, dir string) error { return os.Mkdir(dir+"/sub/new", 0o755) }, map[string]string{"b/sub/new/": "", "a/sub/new/": "-"}},
		"unlink": {func(m *testMount, dir string) error { return os.Remove(dir + "/sub/x") }, map[string]string{"b/sub/x": "-", "a/sub/x": "-"}},
		"rename out": {func(m *testMount, dir string) error { return os.Rename(dir+"/sub/x", m.path("out")) },
			map[string]string{"out": "x", "b/sub/x": "-", "a/sub/x": "-"}},
		"rename a directory": {func(m *testMount, dir string) error { return os.Rename(dir+"/sub", dir+"/other") },
			map[string]string{"b/other/x": "x", "b/sub/x": "-", "a/other/x": "-", "a/sub/x": "-"}},
		"chmod": {func(m *testMount, dir string) error { return os.Chmod(dir+"/sub", 0o700) }, map[string]string{"b/sub/": "", "a/sub/": "-"}},
		"symlink": {func(m *testMount, dir string) error { return os.Symlink("target", dir+"/sub/link") },
			map[string]string{"b/sub/link": "target", "a/sub/link": "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults *mem.Faults
			m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
				faults = mem.Faulty(s)
				return faults
			}})
			check(t, os.MkdirAll(m.path("a/sub"), 0o755))
			check(t, os.WriteFile(m.path("a/sub/x"), []byte("x"), 0o644))
			check(t, os.WriteFile(m.path("a/y"), []byte("y"), 0o644))
			copying, gate := make(chan struct{}), make(chan struct{})
			var once sync.Once
			faults.Add(mem.Rule{Op: "CopyObject", Key: keyIn("b/y"), Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
				once.Do(func() { close(copying) })
				<-gate
			})}})
			// The directory is also the process's own, so that the name can be used though its parent is locked.
			dir, err := os.Open(m.path("a"))
			check(t, err)
			renamed, changed := make(chan error, 1), make(chan error, 1)
			go func() { renamed <- os.Rename(m.path("a"), m.path("b")) }()
			<-copying
			go func() { changed <- c.change(m, fmt.Sprintf("/proc/self/fd/%d", dir.Fd())) }()
			select {
			case err := <-changed:
				t.Errorf("done while the directory moves: %v", err)
				changed <- err
			case <-time.After(100 * time.Millisecond):
			}
			close(gate)
			check(t, <-renamed)
			check(t, <-changed)
			check(t, dir.Close())
			m.unmount()
			for key, want := range c.want {
				if data, err := m.stored(key); want == "-" {
					if !backend.IsKind(err, backend.KindNotExist) {
						t.Errorf("%s: %q, %v", key, data, err)
					}
				} else {
					m.mustHave(key, want)
				}
			}
		})
	}
}
