package fs

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// namesIn returns what a directory lists, sorted.
func (m *testMount) namesIn(dir string) []string {
	m.t.Helper()
	entries, err := os.ReadDir(m.path(dir))
	check(m.t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
		if !e.IsDir() && e.Name() != "file" && e.Name() != "tmp%file" {
			m.t.Errorf("%s is listed as %v", e.Name(), e.Type())
		}
	}
	return all
}

// A directory that is present is found and listed without an object and without a request of its own.
func TestPresentDirectories(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, present: []string{"tmp/", "a/b/tmp/", "a/data/", "full/"}})
	m.put("full/file", []byte("x"))
	m.put("file", []byte("x"))
	m.put("tmp", []byte("an object of that name"))
	m.requests(func() {
		for _, dir := range []string{"tmp", "a", "a/b", "a/b/tmp", "a/data", "full"} {
			info, err := os.Stat(m.path(dir))
			check(t, err)
			if !info.IsDir() {
				t.Errorf("%s is %v", dir, info.Mode())
			}
		}
	}, map[string]int{})
	m.requests(func() {
		for dir, want := range map[string][]string{
			"": {"a", "file", "full", "tmp", "tmp%file"}, "a": {"b", "data"}, "a/b": {"tmp"}, "tmp": nil, "full": {"file"},
		} {
			if got := m.namesIn(dir); !slices.Equal(got, want) {
				t.Errorf("%q lists %q, want %q", dir, got, want)
			}
		}
	}, map[string]int{"ListObjectsV2": 5})
	data, err := os.ReadFile(m.path("tmp%file"))
	check(t, err)
	if string(data) != "an object of that name" {
		t.Errorf("tmp%%file has %q", data)
	}
	if _, err := os.Stat(m.path("a/c")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("beside them: %v", err)
	}
}

// It stays when its content goes, and cannot be removed, renamed or made; no marker is written for it.
func TestPresentDirectoriesStay(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, posix: PosixOff, present: []string{"a/tmp/"}})
		for _, dir := range []string{"a", "a/tmp"} {
			for what, fn := range map[string]func() error{
				"rmdir":  func() error { return os.Remove(m.path(dir)) },
				"rename": func() error { return os.Rename(m.path(dir), m.path("other")) },
			} {
				if err := fn(); !errors.Is(err, syscall.EBUSY) {
					t.Errorf("%s of %s: %v, want EBUSY", what, dir, err)
				}
			}
			if err := os.Mkdir(m.path(dir), 0o755); !errors.Is(err, syscall.EEXIST) {
				t.Errorf("mkdir of %s: %v", dir, err)
			}
		}
		check(t, os.WriteFile(m.path("a/tmp/file"), []byte("x"), 0o644))
		check(t, m.fs.Drain(t.Context(), nil))
		m.requests(func() { check(t, os.Remove(m.path("a/tmp/file"))) }, m.atMost(map[string]int{"DeleteObject": 1, "ListObjectsV2": 1}))
		m.gone("a/tmp/file")
		page, err := m.raw.List(t.Context(), listAll)
		check(t, err)
		if len(page.Objects) != 0 {
			t.Errorf("the store has %+v", page.Objects)
		}
		check(t, os.Mkdir(m.path("d"), 0o755))
		check(t, os.WriteFile(m.path("d/file"), []byte("x"), 0o644))
		check(t, syscall.Rename(m.path("d"), m.path("a/tmp"))) // it is empty; os.Rename refuses any directory
		check(t, m.fs.Drain(t.Context(), nil))
		m.mustHave("a/tmp/file", "x")
		if got := m.namesIn("a"); !slices.Equal(got, []string{"tmp"}) {
			t.Errorf("a lists %q", got)
		}
		l, err := m.fs.Locate(t.Context(), "a/tmp")
		check(t, err)
		if !l.Dir || l.Key != "a/tmp/" {
			t.Errorf("%+v", l)
		}
	})
}

// Names that no path can express are not shown for a prefix that has no object, and nothing is in the way of them.
func TestPresentIsExpressible(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, present: []string{strings.Repeat("x", 300) + "/", "a%b/", "/", ""}})
	if got := m.namesIn(""); len(got) != 1 {
		t.Errorf("%q", got)
	}
	m.put("a%b/file", []byte("x"))
	if got := m.namesIn(m.namesIn("")[0]); !slices.Equal(got, []string{"file"}) {
		t.Errorf("%q", got)
	}
}
