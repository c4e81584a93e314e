package fs

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCopyOfARenamedFile: a file that is renamed while it is open for writing refers to the object under its old name, which is deleted
// when it is stored. What is copied from it before must not need that object.
func TestCopyOfARenamedFile(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		content := bytes.Repeat([]byte("content "), 100_000)
		m.put("old", content)
		source, err := os.OpenFile(m.path("old"), os.O_RDWR, 0)
		check(t, err)
		check(t, source.Chmod(0o600))
		check(t, os.Rename(m.path("old"), m.path("new")))
		target, err := os.Create(m.path("copy"))
		check(t, err)
		n, err := unix.CopyFileRange(int(source.Fd()), nil, int(target.Fd()), nil, len(content), 0)
		if check(t, err); n != len(content) {
			t.Fatalf("%d bytes were copied", n)
		}
		check(t, source.Close())
		check(t, m.fs.Drain(t.Context(), nil))
		check(t, target.Close())
		check(t, m.fs.Drain(t.Context(), nil))
		for _, name := range []string{"new", "copy"} {
			if got, err := os.ReadFile(m.path(name)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if got, _ := m.object(name); !bytes.Equal(got, content) {
				t.Errorf("%s has %d bytes in the store", name, len(got))
			}
		}
	})
}
