package writeback

import (
	"time"

	"github.com/objmount/objmount/backend"
)

// orphan is an upload that has to be aborted later: one that could not be aborted, or, without
// an upload id, one whose id never arrived.
type orphan struct {
	upload backend.Upload
	due    time.Time
	tries  int
}

const (
	// lostAge is how old an upload without parts must be before it is taken for one whose id
	// did not arrive: it could be another client's that has just begun.
	lostAge = 15 * time.Minute
	// sweepTries is how often an abort is tried; then the bucket's own rules have to do it.
	sweepTries = 20
)

// lookForLost aborts, when they are old enough, uploads of a key that have no part: one of them
// may have been begun by a request whose answer did not arrive.
func (q *Queue) lookForLost(id backend.ObjectID) {
	q.sweepLater(orphan{upload: backend.Upload{Bucket: id.Bucket, Key: id.Key}, due: time.Now().Add(lostAge + time.Minute)})
}

// sweepLater gives an orphan to the sweeper, which runs while there are any.
func (q *Queue) sweepLater(o orphan) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.orphans = append(q.orphans, o)
	if q.sweeping {
		select {
		case q.wake <- struct{}{}:
		default:
		}
		return
	}
	q.sweeping = true
	q.work.Add(1)
	go q.sweep()
}

func (q *Queue) sweep() {
	defer q.work.Done()
	for {
		q.mu.Lock()
		if q.closed || len(q.orphans) == 0 {
			q.sweeping = false
			q.mu.Unlock()
			return
		}
		first := 0
		for i, o := range q.orphans {
			if o.due.Before(q.orphans[first].due) {
				first = i
			}
		}
		o := q.orphans[first]
		pause := time.Until(o.due)
		if pause <= 0 {
			q.orphans = append(q.orphans[:first], q.orphans[first+1:]...)
		}
		q.mu.Unlock()
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-q.wake:
			}
			timer.Stop()
			continue
		}
		if again := q.sweepOne(&o); again {
			q.mu.Lock()
			q.orphans = append(q.orphans, o)
			q.mu.Unlock()
		}
	}
}

// sweepOne aborts what an orphan stands for. It returns true when it has to be tried again.
func (q *Queue) sweepOne(o *orphan) bool {
	var err error
	if o.upload.UploadID != "" {
		err = q.cfg.Store.AbortUpload(q.ctx, o.upload)
	} else {
		err = q.abortLost(o.upload)
	}
	o.tries++
	if err == nil || !backend.Temporary(err) || o.tries >= sweepTries {
		return false
	}
	o.due = time.Now().Add(q.backoff(o.tries + 3))
	return true
}

func (q *Queue) abortLost(like backend.Upload) error {
	uploads, err := q.cfg.Store.ListUploads(q.ctx, backend.ObjectID{Bucket: like.Bucket, Key: like.Key})
	if err != nil {
		return err
	}
	for _, up := range uploads {
		q.mu.Lock()
		_, mine := q.uploads[up.UploadID]
		q.mu.Unlock()
		if mine || time.Since(up.Initiated) < lostAge {
			continue
		}
		parts, err := q.cfg.Store.ListParts(q.ctx, up)
		if err == nil && len(parts) == 0 {
			err = q.cfg.Store.AbortUpload(q.ctx, up)
		}
		if err != nil && !backend.IsKind(err, backend.KindNotExist) {
			return err
		}
	}
	return nil
}
