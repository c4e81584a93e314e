package writeback

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// share is what the uploads to one store may use at once. Each store has its own, so that one that does not answer
// keeps nothing from going to another.
type share struct {
	parts   *semaphore.Weighted // part requests; see takePart
	sending atomic.Int64        // part requests that have their place

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

// takePart waits for a place among Config.Parts; givePart gives it back.
func (s *share) takePart(ctx context.Context) error {
	err := s.parts.Acquire(ctx, 1)
	if err == nil {
		s.sending.Add(1)
	}
	return err
}

func (s *share) givePart() {
	s.sending.Add(-1)
	s.parts.Release(1)
}

// Load is what uploads use at the moment, and how much of it they may use: of all stores that something was uploaded to together,
// or of one.
type Load struct {
	Files, MostFiles int // uploads that run
	Parts, MostParts int // part requests
}

// Load returns what uploads use now.
func (q *Queue) Load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	var l Load
	stores := 0
	q.shares.Range(func(_, value any) bool {
		s := value.(*share)
		stores++
		l.Files += s.running
		l.Parts += int(s.sending.Load())
		return true
	})
	stores = max(stores, 1)
	l.MostFiles, l.MostParts = stores*q.cfg.Files, stores*q.cfg.Parts
	return l
}
