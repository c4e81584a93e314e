package writeback

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// jobState says where a job is.
type jobState uint8

const (
	jobWaiting jobState = iota // for its time, the key, the file, or jobs that read what it replaces
	jobReady                   // for a place among Config.Files
	jobRunning
	jobParked // failed, not as a conflict; tried again rarely
	jobEnded
)

// job is one snapshot on its way. A newer snapshot of the file takes the place of the one in a
// job that does not run. Fields are guarded by Queue.mu; those that a running attempt reads do
// not change while it runs.
type job struct {
	file   *staging.File
	snap   *staging.Snapshot
	target backend.ObjectID
	share  *share
	reads  []backend.ObjectID // other objects that the content refers to
	seq    uint64             // order of arrival
	since  time.Time

	state    jobState
	urgent   bool // somebody waits
	due      time.Time
	timer    *time.Timer
	attempts int
	began    time.Time        // the last attempt
	moved    atomic.Int64     // when a byte was last sent that had not been before, or a part stored; Unix nanoseconds
	reached  map[int32]*reach // by number of the part
	failing  time.Time        // since when; zero: not failing
	lastErr  error
	told     backend.Kind // kind of the last failure that OnFail saw

	canceled   bool
	publishing bool               // the request that makes the object may be on its way
	abandon    context.CancelFunc // ends a running attempt before that
	sent       atomic.Int64       // bytes of parts that the store has
	progress   atomic.Bool        // a part was stored since the last failure

	expected  backend.Condition // of the running attempt
	before    *ancestor         // the commit of the same key by another file just before
	unsure    bool              // an attempt may have stored the object
	looked    bool              // the running attempt saw that nothing before it did
	stage     *staging.Remote   // the content is stored as this, its properties are not yet
	recovered bool              // sealed by an earlier process, and nothing of the file was stored since
	base      *staging.Remote   // the object that the file's content is stored as, older or without its properties
	localOnly bool              // objects that have the same bytes as local extents are gone
	noCopy    bool              // the store refused to copy the whole object
	waiting   []*outcome
	successor *job // took over those who wait
}

// ancestor is what another file's commit of the same key did: a job that expected what that one
// replaced now expects what it stored.
type ancestor struct {
	expected backend.Condition
	etag     string
}

// inherit notes that another file's commit of the key replaced what expected says by etag.
func (j *job) inherit(expected backend.Condition, etag string) {
	if j.before != nil && j.before.etag == expected.IfMatch {
		j.before.etag = etag
		return
	}
	j.before = &ancestor{expected: expected, etag: etag}
}

// outcome is what those who wait for a job get. Fields are set before done is closed.
type outcome struct {
	done chan struct{}
	obj  backend.Object
	err  error
}

// doubtLocked notes after a failed attempt whether it is known that the object was not stored.
func (j *job) doubtLocked(err error) {
	j.unsure = backend.IsKind(err, backend.KindUnknown) || j.stage != nil || j.unsure && !j.looked
}

// outcome returns what a new waiter of the job waits for. Guarded by Queue.mu.
func (j *job) outcome() *outcome {
	if len(j.waiting) == 0 {
		j.waiting = append(j.waiting, &outcome{done: make(chan struct{})})
	}
	return j.waiting[len(j.waiting)-1]
}

// settle wakes those who wait for the job.
func (j *job) settle(obj backend.Object, err error) {
	for _, o := range j.waiting {
		o.obj, o.err = obj, err
		close(o.done)
	}
	j.waiting = nil
}

// load gives the job a snapshot that has not been tried yet.
func (j *job) load(s *staging.Snapshot) {
	exts, spec := s.Current()
	j.snap, j.target, j.reads = s, spec.Target, referred(exts, spec.Target)
	j.stage, j.localOnly, j.noCopy, j.told = nil, false, false, backend.KindOther
	j.sent.Store(0)
	j.reached = nil
}

// referred returns the objects other than target that the content needs.
func referred(exts []staging.Extent, target backend.ObjectID) []backend.ObjectID {
	var ids []backend.ObjectID
	var last *staging.Remote
	for _, e := range exts {
		if e.Object == nil || e.Local || e.Object == last {
			continue
		}
		last = e.Object
		if id := objectOf(last); id != target && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func objectOf(r *staging.Remote) backend.ObjectID {
	return backend.ObjectID{Bucket: r.Bucket, Key: r.Key}
}

// backoff is the pause after the n-th failure in a row, from 1: it doubles, and is spread by a
// fifth so that files that failed together do not come back together.
func (q *Queue) backoff(n int) time.Duration {
	d := lastBackoff
	if n < 16 {
		d = min(d, q.pause<<(n-1))
	}
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}
