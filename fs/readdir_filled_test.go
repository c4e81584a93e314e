package fs

import (
	"context"
	"os"
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
