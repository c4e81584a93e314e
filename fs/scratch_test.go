package fs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/objmount/objmount/backend/mem"
)

// killed mounts what a mount would leave if it was killed now.
func (m *testMount) killed(state string) *testMount {
	m.t.Helper()
	return newTestMount(m.t, testOptions{store: m.raw, state: m.leftAt(state), commit: CommitBackground})
}

// leftAt returns a copy of what a mount would leave in its state directory if it was killed now.
func (m *testMount) leftAt(state string) string {
	m.t.Helper()
	left := m.t.TempDir()
	check(m.t, os.CopyFS(filepath.Join(left, "staging"), os.DirFS(filepath.Join(state, "staging"))))
	check(m.t, os.Remove(filepath.Join(left, "staging", "lock")))
	return left
}

// TestNothingOfUnlinkedFiles: after a crash nothing is left of files that were unlinked, or replaced by something
// that is stored, while programs had them open. Other files that are open are kept.
func TestNothingOfUnlinkedFiles(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{store: mem.New(testBucket), state: state})
	write := func(name string) *os.File {
		t.Helper()
		file, err := os.OpenFile(m.path(name), os.O_CREATE|os.O_RDWR, 0o666)
		check(t, err)
		t.Cleanup(func() { file.Close() })
		_, err = file.WriteString("bytes of " + name)
		check(t, err)
		return file
	}
	m.put("stored", []byte("an object"))
	m.put("replaced", []byte("an old object"))
	m.put("replacement", []byte("a new object"))
	write("unlinked")
	write("stored")
	for _, name := range []string{"unlinked", "stored"} {
		check(t, os.Remove(m.path(name)))
	}
	reader, err := os.Open(m.path("replaced"))
	check(t, err)
	defer reader.Close()
	check(t, os.Rename(m.path("replacement"), m.path("replaced")))
	write("open")
	check(t, m.fs.cfg.Staging.Files()[0].Sync())

	next := m.killed(state)
	kept := next.fs.Status().Kept
	if len(kept) != 1 || kept[0].Key != "open" || kept[0].State != "interrupted" {
		t.Errorf("kept: %+v", kept)
	}
	if n := len(next.fs.cfg.Staging.Files()); n != 1 {
		t.Errorf("%d files are staged", n)
	}
	buf := make([]byte, 100)
	if n, err := reader.ReadAt(buf, 0); n != len("an old object") {
		t.Errorf("its reader gets %q, %v", buf[:n], err)
	}
}
