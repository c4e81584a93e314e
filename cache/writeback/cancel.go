package writeback

import (
	"context"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Cancel drops what is queued of a file and ends what runs; who waits gets KindCanceled. Where
// the request that makes the object is on its way it is awaited: stored is what it made, and OnCommit
// was called then. Afterwards nothing of the file runs, and its multipart upload is aborted, unless that has the
// only copy of some of the content (see MakeRoom): Abandon does that when the file is removed.
// An error means that it is not known whether the object was stored (KindUnknown), or that ctx ended
// first (KindCanceled); the file is cancelled all the same.
func (q *Queue) Cancel(ctx context.Context, f *staging.File) (stored *backend.Object, err error) {
	stored, err = q.Detach(ctx, f)
	if err != nil && ctx.Err() != nil {
		return stored, err
	}
	q.spareUpload(f)
	return stored, err
}

// Detach is Cancel, but the multipart upload stays: a later commit of the same content under the
// same key goes on with its parts.
func (q *Queue) Detach(ctx context.Context, f *staging.File) (stored *backend.Object, err error) {
	q.mu.Lock()
	e := q.files[f]
	if e == nil {
		q.mu.Unlock()
		return nil, nil
	}
	e.lastErr = nil
	var running *outcome
	for i := len(e.jobs) - 1; i >= 0; i-- {
		j := e.jobs[i]
		switch {
		case j.state == jobRunning:
			running = j.outcome()
			j.cancelLocked()
		case j.unsure:
			running = j.outcome()
			q.findOutLocked(j)
		default:
			j.snap.Release()
			q.endLocked(j, backend.Object{}, canceledError(j.target))
		}
	}
	s := e.stream
	if s != nil {
		s.halted = true
		s.stop()
	}
	q.tidyLocked(f, e)
	q.mu.Unlock()
	if err := q.landed(ctx, f, e, s, running); err != nil {
		return nil, err
	}
	switch {
	case running != nil && running.err == nil:
		return &running.obj, nil
	case running != nil && backend.IsKind(running.err, backend.KindUnknown):
		return nil, running.err
	default:
		return nil, nil
	}
}

// landed waits until nothing of a cancelled file runs.
func (q *Queue) landed(ctx context.Context, f *staging.File, e *entry, s *stream, running *outcome) error {
	canceled := func() error {
		return &backend.Error{Kind: backend.KindCanceled, Op: "Cancel", Err: context.Cause(ctx)}
	}
	if running != nil {
		select {
		case <-running.done:
		case <-ctx.Done():
			return canceled()
		}
	}
	if s == nil {
		return nil
	}
	q.mu.Lock()
	busy, idle := s.busy, s.idle
	q.mu.Unlock()
	if busy {
		select {
		case <-idle:
		case <-ctx.Done():
			return canceled()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, part := range s.flights {
		q.mu.Unlock()
		<-part.done // its context has ended
		q.mu.Lock()
	}
	if e.stream == s {
		e.stream = nil
		q.tidyLocked(f, e)
	}
	return nil
}

// Close ends the queue: nothing is started any more, parts on their way are given up, and requests
// that make an object are awaited until ctx ends. What is not stored stays in staging, with its
// multipart upload, for the next process. Who waits gets KindCanceled.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.wake)
		for _, e := range q.files {
			q.closeLocked(e)
		}
	}
	q.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		q.work.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = &backend.Error{Kind: backend.KindCanceled, Op: "Close", Err: context.Cause(ctx)}
	}
	q.stop()
	<-idle
	return err
}

func (q *Queue) closeLocked(e *entry) {
	if e.stream != nil {
		e.stream.halted = true
		e.stream.stop()
	}
	for i := len(e.jobs) - 1; i >= 0; i-- {
		j := e.jobs[i]
		if j.state != jobRunning {
			j.snap.Release()
			q.endLocked(j, backend.Object{}, closedError(j.target))
			continue
		}
		j.cancelLocked()
	}
}

// cancelLocked ends a running job, unless the request that makes the object is on its way.
func (j *job) cancelLocked() {
	j.canceled = true
	if j.abandon != nil && !j.publishing {
		j.abandon()
	}
}

// findOutLocked ends a cancelled job that does not run, and of which it is not known whether it is stored.
func (q *Queue) findOutLocked(j *job) {
	if j.timer != nil {
		j.timer.Stop()
	}
	j.canceled, j.state = true, jobRunning
	j.share.running++
	q.work.Add(1)
	go func() {
		defer q.work.Done()
		q.findOut(j)
	}()
}

// findOut ends a cancelled job by looking whether it is stored.
func (q *Queue) findOut(j *job) {
	a := q.newAttempt(j, nil)
	staged := j.stage
	j.stage = nil // stored, whatever its properties
	now, err := a.look(q.ctx)
	switch {
	case err != nil:
		q.drop(j, unknown(j.target, err))
	case a.ours(now) || staged != nil && now.exists && now.obj.ETag == staged.ETag:
		q.finish(j, now.obj)
	default:
		q.drop(j, canceledError(j.target))
	}
}
