package writeback

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Queue uploads snapshots. It is safe for concurrent use.
type Queue struct {
	cfg    Config
	ctx    context.Context // of every request; ends when Close loses its patience
	stop   context.CancelFunc
	shares sync.Map            // *share by the name of the store
	budget *semaphore.Weighted // bytes of merged parts
	work   sync.WaitGroup      // running jobs, streams, and the sweeper
	counts counters
	pause  time.Duration // after the first failure
	retry  atomic.Int64  // Config.RetryTimeout as it is now, in nanoseconds

	nameless sync.Map // buckets whose versions may not be read by their ids

	mu       sync.Mutex
	closed   bool
	seq      uint64
	files    map[*staging.File]*entry
	lanes    map[backend.ObjectID][]*job            // unfinished jobs of a key, in order of arrival
	readers  map[backend.ObjectID]map[*job]struct{} // unfinished jobs whose content is in that object
	stored   int64                                  // bytes of files stored so far
	flushing int
	changed  chan struct{}    // closed and replaced when a job ends or fails
	uploads  map[string]stamp // multipart uploads that this process began, by id
	orphans  []orphan         // uploads that could not be aborted yet
	sweeping bool
	wake     chan struct{} // ends the sweeper's sleep at Close
}

// entry is what the queue knows of a file.
type entry struct {
	jobs    []*job // in order; only the first runs, and only the last is not tried yet
	stream  *stream
	lastErr error // of the last job, when it failed for good
}

func (e *entry) last() *job {
	if len(e.jobs) == 0 {
		return nil
	}
	return e.jobs[len(e.jobs)-1]
}

// New starts nothing: goroutines begin with the first work.
func New(cfg Config) *Queue {
	cfg = cfg.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{
		cfg: cfg, ctx: ctx, stop: stop,
		budget: semaphore.NewWeighted(cfg.BufferLimit),
		files:  make(map[*staging.File]*entry), lanes: make(map[backend.ObjectID][]*job),
		readers: make(map[backend.ObjectID]map[*job]struct{}),
		pause:   firstBackoff, changed: make(chan struct{}), uploads: make(map[string]stamp), wake: make(chan struct{}, 1),
	}
	q.retry.Store(int64(cfg.RetryTimeout))
	return q
}

// SetRetryTimeout changes Config.RetryTimeout. Who waits already looks at it when the old time is over.
func (q *Queue) SetRetryTimeout(limit time.Duration) { q.retry.Store(int64(limit)) }

func (q *Queue) retryTimeout() time.Duration { return time.Duration(q.retry.Load()) }

// Commit uploads a snapshot now and waits until it, or a newer one of the same file that took
// its place, is stored. It takes over s and releases it. When ctx ends only the waiting ends, with
// KindCanceled. A temporary failure is returned after Config.RetryTimeout; the upload goes on.
func (q *Queue) Commit(ctx context.Context, s *staging.Snapshot) (backend.Object, error) {
	j, result, started := q.add(s, 0, origin{urgent: true})
	if j == nil {
		return backend.Object{}, closedError(s.Spec.Target)
	}
	switch {
	case started && ctx.Done() == nil:
		q.run(j)
	case started:
		go q.run(j)
	}
	return q.await(ctx, j, result)
}

// Enqueue uploads a snapshot in the background, at the earliest after delay. It takes over s. A
// snapshot of the same file that has not been started is dropped; its time stays if it is earlier.
func (q *Queue) Enqueue(s *staging.Snapshot, delay time.Duration) {
	if j, _, started := q.add(s, delay, origin{}); started {
		go q.run(j)
	}
}

// Recover is Enqueue for a snapshot that an earlier process sealed: that process may have stored
// it, or an older one of the same file, just before it ended. So it looks before it uploads.
func (q *Queue) Recover(s *staging.Snapshot) {
	if j, _, started := q.add(s, 0, origin{recovered: true}); started {
		go q.run(j)
	}
}

// Wait returns when nothing of the file is queued or running: nil, or what the last upload failed
// with. Temporary failures are returned as by Commit, failures that are tried again only rarely at once.
func (q *Queue) Wait(ctx context.Context, f *staging.File) error {
	for {
		q.mu.Lock()
		e := q.files[f]
		if e == nil {
			q.mu.Unlock()
			return nil
		}
		j := e.last()
		if j == nil || j.state == jobParked {
			err := e.lastErr
			q.mu.Unlock()
			return err
		}
		result := j.outcome()
		q.hurryLocked(e.jobs[0])
		q.mu.Unlock()
		if _, err := q.await(ctx, j, result); err != nil {
			return err
		}
	}
}

// hurryLocked starts the job that somebody waits for now, if it can start. A back-off stays.
func (q *Queue) hurryLocked(j *job) {
	if j.state == jobReady && !j.urgent {
		j.share.ready[1] = append(j.share.ready[1], j)
	}
	j.urgent = true
	if j.attempts == 0 {
		j.due = time.Time{}
	}
	q.goLocked(j)
}

// Retry tries the file's upload now if it waits for its next attempt.
func (q *Queue) Retry(f *staging.File) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.files[f]; e != nil && len(e.jobs) > 0 {
		q.againLocked(e.jobs[0])
	}
}

// againLocked makes a job that waits for its time due.
func (q *Queue) againLocked(j *job) {
	j.due = time.Time{}
	if j.state == jobParked {
		j.state = jobWaiting
	}
	q.goLocked(j)
}

// origin says where a snapshot comes from.
type origin struct {
	urgent    bool // somebody waits
	recovered bool // an earlier process sealed it
}

// add queues a snapshot. It returns the job, nil when the queue is closed, the outcome to wait
// for, and whether the caller has to run the job.
func (q *Queue) add(s *staging.Snapshot, delay time.Duration, from origin) (*job, *outcome, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		s.Release()
		return nil, nil, false
	}
	if q.flushing > 0 {
		delay = 0
	}
	var due time.Time
	if delay > 0 {
		due = time.Now().Add(delay)
	}
	e := q.entryLocked(s.File)
	j := e.last()
	if j != nil && j.state != jobRunning && !j.unsure {
		q.supersedeLocked(j, s, due, from.urgent)
	} else {
		q.seq++
		j = &job{file: s.File, seq: q.seq, since: time.Now(), due: due}
		j.load(s)
		j.share = q.shareOf(j.target.Bucket)
		e.jobs = append(e.jobs, j)
		q.enterLocked(j)
	}
	result := j.outcome()
	j.urgent, j.recovered = j.urgent || from.urgent, j.recovered || from.recovered
	return j, result, q.startLocked(j)
}

func (q *Queue) entryLocked(f *staging.File) *entry {
	e := q.files[f]
	if e == nil {
		e = &entry{}
		q.files[f] = e
	}
	return e
}

// supersedeLocked gives a job that does not run a newer snapshot.
func (q *Queue) supersedeLocked(j *job, s *staging.Snapshot, due time.Time, urgent bool) {
	old := j.snap
	q.leaveLocked(j)
	j.load(s)
	q.enterLocked(j)
	old.Release()
	if j.state == jobParked {
		j.state, j.due = jobWaiting, due
	}
	if urgent || due.Before(j.due) && j.attempts == 0 {
		j.due = due
	}
}

// enterLocked puts a job in the order of its key and notes what it reads.
func (q *Queue) enterLocked(j *job) {
	lane := q.lanes[j.target]
	i := len(lane)
	for i > 0 && lane[i-1].seq > j.seq {
		i--
	}
	lane = append(lane, nil)
	copy(lane[i+1:], lane[i:])
	lane[i] = j
	q.lanes[j.target] = lane
	for _, id := range j.reads {
		if q.readers[id] == nil {
			q.readers[id] = make(map[*job]struct{})
		}
		q.readers[id][j] = struct{}{}
	}
}

// leaveLocked undoes enterLocked.
func (q *Queue) leaveLocked(j *job) {
	lane := q.lanes[j.target]
	for i := range lane {
		if lane[i] == j {
			lane = append(lane[:i:i], lane[i+1:]...)
			break
		}
	}
	if q.lanes[j.target] = lane; len(lane) == 0 {
		delete(q.lanes, j.target)
	}
	for _, id := range j.reads {
		if delete(q.readers[id], j); len(q.readers[id]) == 0 {
			delete(q.readers, id)
		}
	}
}

// await waits for an outcome.
func (q *Queue) await(ctx context.Context, j *job, result *outcome) (backend.Object, error) {
	select {
	case <-result.done: // also when ctx has ended
		return result.obj, result.err
	default:
	}
	timer := time.NewTimer(q.retryTimeout())
	defer timer.Stop()
	for {
		select {
		case <-result.done:
			return result.obj, result.err
		case <-ctx.Done():
			return backend.Object{}, &backend.Error{Kind: backend.KindCanceled, Op: "Commit", Err: context.Cause(ctx)}
		case <-timer.C:
			q.mu.Lock()
			err, again := q.stuckLocked(j, 0)
			q.mu.Unlock()
			if err != nil {
				return backend.Object{}, err
			}
			timer.Reset(again)
		}
	}
}

// stuckLocked returns the temporary failure that keeps a job, or one that it waits for, from being
// stored for RetryTimeout; else when to ask again.
func (q *Queue) stuckLocked(j *job, depth int) (error, time.Duration) {
	for j.successor != nil {
		j = j.successor
	}
	if !j.failing.IsZero() {
		if rest := q.retryTimeout() - time.Since(latest(j.failing, j.movedAt())); rest > 0 {
			return nil, rest
		}
		return j.lastErr, 0
	}
	if j.state == jobWaiting && depth < 8 {
		if first := q.files[j.file].jobs[0]; first != j {
			return q.stuckLocked(first, depth+1)
		}
		if first := q.headLocked(j.target); first != nil && first != j {
			return q.stuckLocked(first, depth+1)
		}
		for r := range q.readers[j.target] {
			if r.file != j.file && r.state != jobParked {
				return q.stuckLocked(r, depth+1)
			}
		}
	}
	// It may not have come so far as to fail itself: others hold all places, or a request is not answered.
	if s := j.share; !s.failing.IsZero() && time.Since(latest(s.failing, latest(j.since, j.movedAt()))) > q.retryTimeout() {
		return s.lastErr, 0
	}
	return nil, min(max(q.retryTimeout()/10, time.Millisecond), time.Second)
}
