package fs

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// TestNameStaysWhileStored: a file that was closed has its name also in the moment when its upload ends: first the names that the store has
// are told of it, and then it is no longer what this mount has staged.
func TestNameStaysWhileStored(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{commit: CommitBackground, ttl: time.Hour})
	_, err := os.ReadDir(m.dir) // what is not in this listing does not exist for an hour, unless it is told of
	check(t, err)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 150 {
				name := fmt.Sprintf("f%d-%d", worker, i)
				if err := os.WriteFile(m.path(name), []byte("x"), 0o644); err != nil {
					t.Error(err)
					return
				}
				for range 200 {
					if _, err := m.fs.lookup(t.Context(), m.fs.tree.root(), name); err != nil { // as the kernel asks when it has forgotten it
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
