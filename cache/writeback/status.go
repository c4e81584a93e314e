package writeback

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Status is one upload that is not done.
type Status struct {
	ID        string    `json:"id"` // of the staged file
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	State     string    `json:"state"` // waiting, uploading, retrying, failed (tried again rarely), streaming, streamed (some of it is only there)
	Bytes     int64     `json:"bytes"` // of the file
	Done      int64     `json:"done"`  // bytes of parts that the store has
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
	NextTry   time.Time `json:"next_try,omitzero"`
	Since     time.Time `json:"since,omitzero"`
}

// Pending lists what is not stored yet, in order of arrival; files that are only streamed, and not
// committed, come last.
func (q *Queue) Pending() []Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := []Status{}
	order := []*job{}
	for _, e := range q.files {
		order = append(order, e.jobs...)
	}
	slices.SortFunc(order, func(a, b *job) int { return int(a.seq) - int(b.seq) })
	for _, j := range order {
		if j.file.State() != staging.StateCommitted { // else OnCommit has seen it, and the job is about to end
			list = append(list, j.status())
		}
	}
	for f, e := range q.files {
		if s := e.stream; s != nil && len(e.jobs) == 0 && (s.busy || s.frugal || len(s.flights) > 0) {
			target, state := f.Spec().Target, "streaming"
			if s.frugal && f.Streamed() > 0 {
				state = "streamed"
			}
			list = append(list, Status{ID: f.ID(), Bucket: target.Bucket, Key: target.Key, State: state, Bytes: f.Size(), Done: min(s.bytes, f.Size())})
		}
	}
	return list
}

func (j *job) status() Status {
	s := Status{
		ID: j.file.ID(), Bucket: j.target.Bucket, Key: j.target.Key, State: "waiting", Bytes: j.snap.Size,
		Done: min(j.sent.Load(), j.snap.Size), Attempts: j.attempts, Since: j.since,
	}
	if j.lastErr != nil {
		s.LastError = j.lastErr.Error()
	}
	switch {
	case j.state == jobRunning:
		s.State = "uploading"
	case j.state == jobParked:
		s.State, s.NextTry = "failed", j.due
	case j.attempts > 0:
		s.State, s.NextTry = "retrying", j.due
	default:
		s.NextTry = j.due
	}
	return s
}

// Stats are counts since New.
type Stats struct {
	Queued  int `json:"queued"`
	Running int `json:"running"`

	Commits    int64 `json:"commits"`   // snapshots stored
	Conflicts  int64 `json:"conflicts"` // lost to other clients, or to a lock of what they would replace
	Failures   int64 `json:"failures"`  // conflicts, and others that last
	Retries    int64 `json:"retries"`   // temporary failures
	Unguarded  int64 `json:"unguarded"` // commits whose condition the store does not honour
	Puts       int64 `json:"puts"`
	Copies     int64 `json:"copies"`
	Multiparts int64 `json:"multiparts"`
	Restamps   int64 `json:"restamps"` // copies onto itself, because properties changed during a streamed upload
	Streams    int64 `json:"streams"`  // uploads begun while the file was being written
	Aborts     int64 `json:"aborts"`

	PartsSent   int64 `json:"parts_sent"`
	PartsCopied int64 `json:"parts_copied"`
	PartsMerged int64 `json:"parts_merged"` // bodies put together of local and fetched pieces
	PartsReused int64 `json:"parts_reused"`

	BytesCommitted int64 `json:"bytes_committed"`
	BytesSent      int64 `json:"bytes_sent"`
	BytesFetched   int64 `json:"bytes_fetched"`
	BytesCopied    int64 `json:"bytes_copied"` // inside the store
}

type counters struct {
	commits, conflicts, failures, retries, unguarded, puts, copies, multiparts, restamps, streams, aborts atomic.Int64
	partsSent, partsCopied, partsMerged, partsReused                                                      atomic.Int64
	bytesSent, bytesFetched, bytesCopied                                                                  atomic.Int64
}

func (c *counters) part(p Part) {
	if p.Action == CopyPart {
		c.partsCopied.Add(1)
		c.bytesCopied.Add(p.Len)
		return
	}
	c.partsSent.Add(1)
	c.bytesSent.Add(p.Len)
}

// Stats returns the counts.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	queued := 0
	for _, e := range q.files {
		queued += len(e.jobs)
	}
	running, stored := q.runningLocked(), q.stored
	q.mu.Unlock()
	c := &q.counts
	return Stats{
		Queued: queued - running, Running: running,
		Commits: c.commits.Load(), Conflicts: c.conflicts.Load(), Failures: c.failures.Load(), Retries: c.retries.Load(),
		Unguarded: c.unguarded.Load(), Puts: c.puts.Load(), Copies: c.copies.Load(), Multiparts: c.multiparts.Load(),
		Restamps: c.restamps.Load(), Streams: c.streams.Load(), Aborts: c.aborts.Load(),
		PartsSent: c.partsSent.Load(), PartsCopied: c.partsCopied.Load(), PartsMerged: c.partsMerged.Load(), PartsReused: c.partsReused.Load(),
		BytesCommitted: stored, BytesSent: c.bytesSent.Load(), BytesFetched: c.bytesFetched.Load(), BytesCopied: c.bytesCopied.Load(),
	}
}

// progressEvery is the longest pause between two calls of a progress function.
const progressEvery = 200 * time.Millisecond

// Flush uploads everything now and waits. Delays and back-offs are cut short once. It returns nil when
// all is stored; the first failure when some files failed for good (they are tried again rarely, or
// are conflicts); KindCanceled when ctx ends first. progress, which may be nil, is called now and then on this
// goroutine: bytes stored and to be stored since Flush began, and files left.
func (q *Queue) Flush(ctx context.Context, progress func(doneBytes, totalBytes int64, files int)) error {
	if progress == nil {
		progress = func(int64, int64, int) {}
	}
	q.mu.Lock()
	q.flushing++
	start, conflicts := q.stored, q.counts.conflicts.Load()
	var most int64
	for _, e := range q.files {
		for _, j := range e.jobs {
			q.againLocked(j)
		}
	}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.flushing--
		q.mu.Unlock()
	}()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		q.mu.Lock()
		left, sent, total, parked := q.loadLocked()
		changed, stored := q.changed, q.stored-start
		q.mu.Unlock()
		most = max(most, stored+sent) // parts of an attempt that failed may be sent again
		progress(min(most, stored+total), stored+total, left)
		if left == len(parked) {
			return flushError(parked, q.counts.conflicts.Load()-conflicts)
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-ctx.Done():
			return &backend.Error{Kind: backend.KindCanceled, Op: "Flush", Message: fmt.Sprintf("%d files are not stored yet", left), Err: context.Cause(ctx)}
		}
	}
}

// loadLocked sums up the unfinished jobs.
func (q *Queue) loadLocked() (jobs int, sent, total int64, parked []error) {
	seen := make(map[*staging.File]bool)
	for f, e := range q.files {
		for _, j := range e.jobs {
			jobs++
			if j.state == jobParked {
				parked = append(parked, j.lastErr)
			}
			if !seen[f] {
				total += j.snap.Size
				sent += min(j.sent.Load(), j.snap.Size)
			}
			seen[f] = true
		}
	}
	return jobs, sent, total, parked
}

func flushError(parked []error, conflicts int64) error {
	switch {
	case len(parked) > 0:
		return fmt.Errorf("%d files could not be stored; the first: %w", int64(len(parked))+conflicts, parked[0])
	case conflicts > 0:
		return &backend.Error{Kind: backend.KindChanged, Op: "Flush", Message: fmt.Sprintf("%d files lost to other clients, or to a lock", conflicts)}
	default:
		return nil
	}
}
