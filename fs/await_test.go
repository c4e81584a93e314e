package fs

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestCloseThroughRename: a rename stops the upload that close waits for. Close goes on waiting.
func TestCloseThroughRename(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ from, to, key string }{
		"file":      {"d/f", "d/g", "d/g"},
		"directory": {"d", "e", "e/f"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uploading, renaming, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var once sync.Once
			m := newTestMount(t, testOptions{partSize: 64 << 10, wrap: func(s backend.Store) backend.Store {
				return mem.Faulty(s,
					mem.Rule{Op: "UploadPart", Do: []mem.Action{mem.Before(func(ctx context.Context, c mem.Call) {
						if c.Key == "d/f" {
							once.Do(func() { close(uploading) })
							<-ctx.Done()
						}
					})}},
					mem.Rule{Op: "AbortMultipartUpload", Times: 1, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
						close(renaming)
						<-release
					})}})
			}})
			data := randomBytes(11, 300<<10)
			check(t, os.Mkdir(m.path("d"), 0o755))
			file, err := os.Create(m.path("d/f"))
			check(t, err)
			_, err = file.Write(data)
			check(t, err)
			closed, renamed := make(chan error, 1), make(chan error, 1)
			go func() { closed <- file.Close() }()
			<-uploading
			eventually(t, func() bool { // the stream is no commit yet
				n := m.fs.staged.all()[0]
				n.rlock()
				defer n.runlock()
				return !n.staged.Dirty()
			})
			go func() { renamed <- os.Rename(m.path(test.from), m.path(test.to)) }()
			<-renaming
			select {
			case err := <-closed:
				t.Errorf("close returned before the data was stored (%v)", err)
				closed <- err
			case <-time.After(200 * time.Millisecond):
			}
			close(release)
			check(t, <-closed)
			if stored, err := m.stored(test.key); err != nil || string(stored) != string(data) {
				t.Errorf("after close the store has %d bytes (%v)", len(stored), err)
			}
			check(t, <-renamed)
		})
	}
}

// TestNothingQueued: who waits for content that nobody has queued queues it.
func TestNothingQueued(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{commit: CommitBackground})
	file, err := os.Create(m.path("f"))
	check(t, err)
	defer file.Close()
	_, err = file.WriteString("data")
	check(t, err)
	n := m.fs.tree.child(m.fs.tree.root(), "f")
	snap, err := n.staged.Seal(false)
	check(t, err)
	snap.Release()
	check(t, m.fs.commit(t.Context(), n, commitOptions{wait: true}))
	if stored, err := m.stored("f"); err != nil || string(stored) != "data" {
		t.Errorf("the store has %q (%v)", stored, err)
	}
}

// TestConflictsAreStale: a conflict is ESTALE and keeps the data, whatever the store says to it.
func TestConflictsAreStale(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, partSize: 64 << 10})
		m.put("gone", randomBytes(12, 300<<10)) // most of it is to be copied
		for _, name := range []string{"gone", "new"} {
			file, err := os.OpenFile(m.path(name), os.O_RDWR|os.O_CREATE, 0o644)
			check(t, err)
			defer file.Close()
			again, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
			check(t, err)
			_, err = again.WriteString("mine")
			check(t, err)
			if name == "gone" {
				check(t, m.raw.Delete(t.Context(), backend.DeleteInput{Bucket: testBucket, Key: name}))
			} else {
				m.put(name, []byte("theirs"))
			}
			err = again.Close()
			if commit == CommitBackground { // a failure in the background is told next
				eventually(t, func() bool {
					return slices.ContainsFunc(m.fs.Status().Kept, func(k KeptFile) bool { return k.Key == name && k.State == "conflict" })
				})
				check(t, err)
				err = file.Sync()
			}
			if !errors.Is(err, syscall.ESTALE) {
				t.Errorf("%s: %v, want ESTALE", name, err)
			}
		}
		var kept []string
		for _, k := range m.fs.Status().Kept {
			kept = append(kept, k.State+" "+k.Key)
		}
		slices.Sort(kept)
		if got := strings.Join(kept, ", "); got != "conflict gone, conflict new" {
			t.Errorf("kept: %s", got)
		}
	})
}
