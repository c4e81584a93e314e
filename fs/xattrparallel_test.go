package fs

import (
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"
)

// Many set attributes of one file at once, past the kernel, which would let one after the other, while the file is
// written, renamed and given rights. The last value of each is there.
func TestXattrsInParallel(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		check(t, os.WriteFile(m.path("f0"), []byte("x"), 0o644))
		n := m.nodeOf("f0")
		const rounds = 40
		names := []string{"user.s3.tag.a", "user.s3.tag.b", "user.s3.meta.c", "user.d", "user.e", "user.s3.cache-control"}
		want := make(map[string]string)
		var setters sync.WaitGroup
		done := make(chan struct{})
		for _, name := range names {
			want[name] = fmt.Sprint(rounds - 1)
			setters.Go(func() {
				for i := range rounds {
					if code := m.rawSet(n, name, fmt.Sprint(i), 0); !code.Ok() {
						t.Errorf("%s: %v", name, code)
					}
					time.Sleep(time.Duration(i%5) * time.Millisecond)
				}
			})
		}
		go func() { setters.Wait(); close(done) }()
		written, path, busy := "", m.path("f0"), true
		for i := 0; busy; i++ {
			switch i % 4 {
			case 0:
				appendTo(t, path, "y")
				written += "y"
			case 1:
				check(t, os.Chmod(path, os.FileMode(0o600|i%8)))
			case 2:
				next := m.path(fmt.Sprintf("f%d", i))
				check(t, os.Rename(path, next))
				path = next
			}
			select {
			case <-done:
				busy = false
			case <-time.After(time.Millisecond):
			}
		}
		if got := xattrsOf(t, path); !maps.Equal(got, want) {
			t.Errorf("shown: %v", got)
		}
		check(t, m.fs.Drain(t.Context(), nil))
		m.fs.facts.clear()
		if got := xattrsOf(t, path); !maps.Equal(got, want) {
			t.Errorf("stored: %v", got)
		}
		if data, _ := m.object(path[len(m.dir)+1:]); string(data) != "x"+written {
			t.Errorf("%d bytes, want %d", len(data), len(written)+1)
		}
	})
}
