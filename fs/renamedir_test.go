package fs

import (
	"os"
	"strings"
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
