package fs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestListsDirectoriesOfStagedFiles: another client deletes all of a directory in which a file is being written here. The directory is
// found, because the file is, so it is listed, too.
func TestListsDirectoriesOfStagedFiles(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, ttl: time.Millisecond})
		check(t, os.MkdirAll(m.path("d/e"), 0o755))
		file, err := os.Create(m.path("d/e/new"))
		check(t, err)
		_, err = file.WriteString("content")
		check(t, err)
		for _, key := range []string{"d/e/", "d/"} {
			check(t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: key}))
		}
		time.Sleep(2 * time.Millisecond)
		if got := namesBelow(t, m.dir); got != "d/ d/e/ d/e/new" {
			t.Errorf("while it is written: %q", got)
		}
		check(t, file.Close())
		check(t, m.fs.Drain(t.Context(), nil))
		if got := namesBelow(t, m.dir); got != "d/ d/e/ d/e/new" {
			t.Errorf("stored: %q", got)
		}
	})
}

// TestListsWhatIsStoredMeanwhile: a file that is being written when a listing begins, and that is stored and forgotten by the kernel
// before the listing comes to it, is listed.
func TestListsWhatIsStoredMeanwhile(t *testing.T) {
	m := newTestMount(t, testOptions{})
	const others = 300
	for i := range others {
		m.put(fmt.Sprintf("d/%s%d", strings.Repeat("long", 25), i), []byte("x"))
	}
	for _, replaced := range []bool{false, true} {
		file, err := os.Create(m.path("d/a"))
		check(t, err)
		_, err = file.WriteString("content")
		check(t, err)
		dir, err := os.Open(m.path("d"))
		check(t, err)
		seen, err := dir.Readdirnames(1)
		check(t, err)
		check(t, file.Close())
		check(t, m.fs.Drain(t.Context(), nil))
		d := m.fs.tree.child(m.fs.tree.root(), "d")
		if n := m.fs.tree.child(d, "a"); n == nil {
			t.Fatal("nothing to forget")
		} else if replaced {
			check(t, os.WriteFile(m.path("d/other"), []byte("another"), 0o644))
			check(t, os.Rename(m.path("d/other"), m.path("d/a")))
		} else {
			eventually(t, func() bool { m.fs.tree.forget(n.id, 1<<30); return m.fs.tree.child(d, "a") == nil })
		}
		rest, err := dir.Readdirnames(-1)
		check(t, err)
		check(t, dir.Close())
		if names := append(seen, rest...); !slices.Contains(names, "a") || len(names) < others+1 {
			t.Errorf("replaced: %v: %d names, with a: %v", replaced, len(names), slices.Contains(names, "a"))
		}
		check(t, os.Remove(m.path("d/a")))
	}
}
