package writeback

import (
	"context"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// A job that is cancelled just after its attempt failed ends; it takes no later snapshot with it.
func TestCancelAfterAnAttempt(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*Queue, *job, error){"postpone": (*Queue).postpone, "park": (*Queue).park} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			f := r.create("a")
			r.write(f, []byte("data"), 0)
			j, _, started := r.q.add(r.seal(f), 0, origin{})
			if !started {
				t.Fatal("not started")
			}
			canceled := make(chan error, 1)
			go func() {
				_, err := r.q.Cancel(context.Background(), f)
				canceled <- err
			}()
			eventually(t, "cancelled", func() bool {
				r.q.mu.Lock()
				defer r.q.mu.Unlock()
				return j.canceled
			})
			after(r.q, j, &backend.Error{Kind: backend.KindPermission})
			r.q.work.Done()
			select {
			case err := <-canceled:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the job did not end")
			}
			if p := r.q.Pending(); len(p) > 0 {
				t.Fatalf("pending %+v", p)
			}
			r.mustCommit(f)
			r.has("a", []byte("data"))
		})
	}
}
