package writeback

import (
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// startLocked makes a waiting job run if nothing keeps it: then the caller must call run(j).
func (q *Queue) startLocked(j *job) bool {
	if q.closed || j.state != jobWaiting {
		return false
	}
	if pause := time.Until(j.due); pause > 0 {
		q.alarmLocked(j, pause)
		return false
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	if q.files[j.file].jobs[0] != j || q.headLocked(j.target) != j || q.neededLocked(j) {
		return false // whoever is in the way starts it later
	}
	if j.share.running >= q.cfg.Files {
		j.state = jobReady
		list := 0
		if j.urgent {
			list = 1
		}
		j.share.ready[list] = append(j.share.ready[list], j)
		return false
	}
	j.state, j.publishing, j.abandon = jobRunning, false, nil
	j.began = time.Now()
	j.share.running++
	q.work.Add(1)
	return true
}

// goLocked starts a job on a goroutine of its own if nothing keeps it.
func (q *Queue) goLocked(j *job) {
	if q.startLocked(j) {
		go q.run(j)
	}
}

func (q *Queue) alarmLocked(j *job, pause time.Duration) {
	if j.timer != nil {
		j.timer.Reset(pause)
		return
	}
	j.timer = time.AfterFunc(pause, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if j.state == jobParked && time.Until(j.due) <= 0 {
			j.state = jobWaiting
		}
		q.goLocked(j)
	})
}

// headLocked is the first job of a key. Parked ones let others pass.
func (q *Queue) headLocked(id backend.ObjectID) *job {
	for _, j := range q.lanes[id] {
		if j.state != jobParked {
			return j
		}
	}
	return nil
}

// neededLocked tells whether another file's job still reads the object that j replaces. A job
// that itself waits for j does not count.
func (q *Queue) neededLocked(j *job) bool {
	for r := range q.readers[j.target] {
		if r.file != j.file && r.state != jobParked && !q.waitsLocked(r, j, make(map[*job]bool)) {
			return true
		}
	}
	return false
}

// waitsLocked tells whether r cannot run before j.
func (q *Queue) waitsLocked(r, j *job, seen map[*job]bool) bool {
	if r == j {
		return true
	}
	if r.state == jobRunning || seen[r] {
		return false
	}
	seen[r] = true
	for _, earlier := range q.lanes[r.target] {
		if earlier == r {
			break
		}
		if earlier.state != jobParked && q.waitsLocked(earlier, j, seen) {
			return true
		}
	}
	for other := range q.readers[r.target] {
		// Of two that read what the other replaces, the one that came first runs first.
		if other == j && r.seq < j.seq {
			continue
		}
		if other.file != r.file && other.state != jobParked && q.waitsLocked(other, j, seen) {
			return true
		}
	}
	return false
}

// run makes attempts with a job that startLocked accepted, until it ends or has to wait.
func (q *Queue) run(j *job) {
	defer q.work.Done()
	obj, err := q.attempt(j)
	if err == nil {
		q.finish(j, obj)
		return
	}
	q.mu.Lock()
	gone := j.canceled || q.closed && backend.IsKind(err, backend.KindCanceled)
	unsure := j.unsure || j.stage != nil || backend.IsKind(err, backend.KindUnknown)
	q.mu.Unlock()
	switch {
	case gone && unsure:
		q.findOut(j)
	case gone:
		q.drop(j, canceledError(j.target))
	case q.temporary(j, err):
		q.postpone(j, err)
	default:
		q.failed(j, err)
	}
}

// temporary tells whether to try again soon. Bytes that were damaged on the way count as that for a
// few times.
func (q *Queue) temporary(j *job, err error) bool {
	const damages = 5
	return backend.Temporary(err) || backend.IsKind(err, backend.KindCanceled) || backend.IsKind(err, backend.KindCorrupt) && j.attempts < damages
}

// finish ends a job whose content is in the store.
func (q *Queue) finish(j *job, obj backend.Object) {
	q.counts.commits.Add(1)
	q.mu.Lock()
	heirs := slices.Clone(q.lanes[j.target]) // who comes later knows of the object: it may be deleted again by then
	q.mu.Unlock()
	q.cfg.OnCommit(j.file, j.snap, obj)
	j.snap.Release()
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.files[j.file]
	e.lastErr = nil
	q.stored += j.snap.Size
	j.share.tookLocked()
	for _, later := range heirs {
		// What another mount left under this key did not follow on this: it is a conflict.
		if later.seq > j.seq && later.file != j.file && later.state != jobEnded && later.file.SameArea(j.file) {
			later.inherit(j.expected, obj.ETag)
		}
	}
	q.endLocked(j, obj, nil)
}

// drop ends a job that was cancelled.
func (q *Queue) drop(j *job, err error) {
	j.snap.Release()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endLocked(j, backend.Object{}, err)
}

// postpone makes a job wait for its next attempt.
func (q *Queue) postpone(j *job, err error) {
	q.counts.retries.Add(1)
	q.mu.Lock()
	if j.canceled {
		q.endCanceled(j, err)
		return
	}
	defer q.mu.Unlock()
	if progress := j.progress.Swap(false); progress || j.failing.IsZero() {
		j.failing = j.quietSince()
		if progress {
			j.attempts = 0
		}
	}
	j.share.failedLocked(j.quietSince(), err)
	j.attempts++
	q.cfg.Log.Debug("upload failed, will be repeated", "bucket", j.target.Bucket, "key", j.target.Key, "attempts", j.attempts, "error", err.Error())
	j.doubtLocked(err)
	q.backLocked(j, err, jobWaiting, q.backoff(j.attempts))
}

// endCanceled ends a job that was cancelled just after its attempt failed. q.mu is held, and given back.
func (q *Queue) endCanceled(j *job, err error) {
	j.doubtLocked(err)
	unsure := j.unsure
	q.mu.Unlock()
	if unsure {
		q.findOut(j)
		return
	}
	q.drop(j, canceledError(j.target))
}

// failed ends a job after a conflict or a lock, and parks it after any other failure that lasts.
func (q *Queue) failed(j *job, err error) {
	q.counts.failures.Add(1)
	if !Final(err) {
		q.park(j, err)
		return
	}
	q.counts.conflicts.Add(1)
	q.spareUpload(j.file)
	q.cfg.OnFail(j.file, j.snap, err)
	j.snap.Release()
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.files[j.file]
	e.lastErr = err
	for len(e.jobs) > 1 { // it expects the same object
		later := e.last()
		later.snap.Release()
		q.endLocked(later, backend.Object{}, err)
	}
	q.endLocked(j, backend.Object{}, err)
}

func (q *Queue) park(j *job, err error) {
	if kind := backend.KindOf(err); kind != j.told {
		j.told = kind
		q.cfg.OnFail(j.file, j.snap, err)
	}
	q.mu.Lock()
	if j.canceled {
		q.endCanceled(j, err)
		return
	}
	defer q.mu.Unlock()
	j.attempts++
	q.files[j.file].lastErr = err
	j.doubtLocked(err)
	if q.files[j.file].last() == j {
		j.settle(backend.Object{}, err)
	}
	q.backLocked(j, err, jobParked, parkedRetry)
}

// backLocked takes a job from running to waiting or parked. A newer snapshot of the file takes its
// place, unless it is not known whether the older one is stored.
func (q *Queue) backLocked(j *job, err error, state jobState, pause time.Duration) {
	j.share.running--
	j.lastErr, j.state = err, state
	e := q.files[j.file]
	if later := e.last(); later != j && !j.unsure {
		later.attempts, later.failing, later.lastErr = j.attempts, j.failing, err
		later.waiting = append(j.waiting, later.waiting...)
		j.waiting, j.successor, j.state = nil, later, jobEnded
		j.snap.Release()
		e.jobs = e.jobs[1:]
		q.leaveLocked(j)
		if state == jobWaiting {
			later.due = time.Now().Add(pause)
		}
	} else {
		j.due = time.Now().Add(pause)
		q.alarmLocked(j, pause)
	}
	q.broadcastLocked()
	q.moveOnLocked(j)
}

// endLocked takes a job out of the queue and wakes who waits for it.
func (q *Queue) endLocked(j *job, obj backend.Object, err error) {
	if j.state == jobRunning {
		j.share.running--
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	j.state = jobEnded
	e := q.files[j.file]
	e.jobs = slices.DeleteFunc(e.jobs, func(o *job) bool { return o == j })
	q.leaveLocked(j)
	q.tidyLocked(j.file, e)
	j.settle(obj, err)
	q.broadcastLocked()
	q.moveOnLocked(j)
}

// tidyLocked forgets a file of which nothing needs to be known.
func (q *Queue) tidyLocked(f *staging.File, e *entry) {
	if len(e.jobs) == 0 && e.stream == nil && e.lastErr == nil {
		delete(q.files, f)
	}
}

func (q *Queue) broadcastLocked() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// moveOnLocked starts what j was in the way of.
func (q *Queue) moveOnLocked(j *job) {
	if first := q.headLocked(j.target); first != nil {
		q.goLocked(first)
	}
	if e := q.files[j.file]; e != nil && len(e.jobs) > 0 {
		q.goLocked(e.jobs[0])
	}
	for _, id := range j.reads {
		if first := q.headLocked(id); first != nil {
			q.goLocked(first)
		}
	}
	for s := j.share; s.running < q.cfg.Files; {
		list := 1
		if len(s.ready[1]) == 0 {
			list = 0
		}
		if len(s.ready[list]) == 0 {
			return
		}
		next := s.ready[list][0]
		s.ready[list] = s.ready[list][1:]
		if next.state == jobReady {
			next.state = jobWaiting
			q.goLocked(next)
		}
	}
}
