package writeback

import (
	"time"

	"golang.org/x/sync/semaphore"
)

// share is what the uploads to one store may use at once. Each store has its own, so that one that does not answer
// keeps nothing from going to another.
type share struct {
	parts *semaphore.Weighted // part requests

	// Guarded by Queue.mu.
	ready   [2][]*job // wait for a place among Config.Files; urgent ones in 1
	running int
	took    time.Time // when the store has last taken something
	failing time.Time // since when it has taken nothing, and something has failed; zero: it works
	lastErr error
}

// shareOf returns the share of a bucket's store.
func (q *Queue) shareOf(bucket string) *share {
	name := ""
	if q.cfg.StoreOf != nil {
		name = q.cfg.StoreOf(bucket)
	}
	if s, ok := q.shares.Load(name); ok {
		return s.(*share)
	}
	s, _ := q.shares.LoadOrStore(name, &share{parts: semaphore.NewWeighted(int64(q.cfg.Parts))})
	return s.(*share)
}

// runningLocked counts the jobs that run.
func (q *Queue) runningLocked() int {
	sum := 0
	q.shares.Range(func(_, s any) bool {
		sum += s.(*share).running
		return true
	})
	return sum
}
