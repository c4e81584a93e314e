package writeback

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

// failedLocked notes that the store did not take something that was begun at a time.
func (s *share) failedLocked(began time.Time, err error) {
	switch backend.KindOf(err) {
	case backend.KindTransient, backend.KindUnreachable, backend.KindUnknown:
		if s.failing.IsZero() {
			s.failing = latest(began, s.took)
		}
		s.lastErr = err
	}
}

// tookLocked notes that the store has taken something.
func (s *share) tookLocked() { s.took, s.failing, s.lastErr = time.Now(), time.Time{}, nil }

// troubled notes that a request of a running attempt failed, though the attempt goes on: who waits for the job has waited
// since the request began.
func (q *Queue) troubled(j *job, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.failing.IsZero() {
		j.failing = j.quietSince()
	}
	j.lastErr = err
	j.share.failedLocked(j.quietSince(), err)
}

// quietSince is when the job's attempt began, or was last seen to move. Who calls it holds Queue.mu, or runs the job.
func (j *job) quietSince() time.Time { return latest(j.began, j.movedAt()) }

func (j *job) movedAt() time.Time {
	if at := j.moved.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reach is how far the bytes of one request have got, in all attempts. A store that does not answer takes what fits into
// buffers anew with each attempt: that is no progress.
type reach struct {
	furthest atomic.Int64
	moved    *atomic.Int64 // of the job
}

// reachOf returns the reach of a part of the job's content; 0 stands for all of it.
func (q *Queue) reachOf(j *job, part int32) *reach {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.reached == nil {
		j.reached = make(map[int32]*reach)
	}
	if j.reached[part] == nil {
		j.reached[part] = &reach{moved: &j.moved}
	}
	return j.reached[part]
}

// follow returns body, and notes what is read of it. A nil reach notes nothing.
func (r *reach) follow(body io.ReadSeeker) io.ReadSeeker {
	if r == nil {
		return body
	}
	return &followed{body, 0, r}
}

// followed is a body at its beginning.
type followed struct {
	io.ReadSeeker
	pos   int64
	reach *reach
}

// Read implements io.Reader.
func (f *followed) Read(p []byte) (int, error) {
	n, err := f.ReadSeeker.Read(p)
	f.pos += int64(n)
	if f.pos > f.reach.furthest.Load() {
		f.reach.furthest.Store(f.pos)
		f.reach.moved.Store(time.Now().UnixNano())
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *followed) Seek(off int64, whence int) (int64, error) {
	pos, err := f.ReadSeeker.Seek(off, whence)
	f.pos = pos
	return pos, err
}
