package writeback

import (
	"context"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Submit queues a snapshot for upload now, as Commit does, and returns the wait for it. So a caller
// puts its snapshots in order under a lock of its own, and waits without it. It takes over s. The
// returned function may be called once, or not at all.
func (q *Queue) Submit(s *staging.Snapshot) func(context.Context) (backend.Object, error) {
	j, result, started := q.add(s, 0, origin{urgent: true})
	if j == nil {
		err := closedError(s.Spec.Target)
		return func(context.Context) (backend.Object, error) { return backend.Object{}, err }
	}
	if started {
		go q.run(j)
	}
	return func(ctx context.Context) (backend.Object, error) { return q.await(ctx, j, result) }
}
