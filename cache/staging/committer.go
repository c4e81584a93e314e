package staging

import (
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// syncEvery is how long a record may wait for its sync.
const syncEvery = time.Second

// committer makes things durable: on demand for callers that wait, together where they come at the
// same time, and for all others once a second. Its one goroutine is started by Open and ended by Close.
type committer struct {
	area  *Area
	every time.Duration
	wake  chan struct{} // there is something to do within every
	now   chan struct{} // somebody waits for space
	stop  chan struct{}
	ended chan struct{}

	mu   sync.Mutex
	open *round // what callers join

	run sync.Mutex // held while the journal is synced or compacted; before mu
}

// round is one sync of the journal for everybody who asked before it began. done and err are
// guarded by committer.run.
type round struct {
	done bool
	err  error
}

func newCommitter(a *Area, every time.Duration) *committer {
	return &committer{
		area: a, every: every, wake: make(chan struct{}, 1), now: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
}

// commit returns when everything that was journalled before is durable.
func (c *committer) commit() error {
	c.mu.Lock()
	if c.open == nil {
		c.open = &round{}
	}
	r := c.open
	c.mu.Unlock()

	c.run.Lock()
	defer c.run.Unlock()
	if r.done {
		return r.err
	}
	c.mu.Lock()
	c.open = nil // r: rounds are only taken by the holder of run
	c.mu.Unlock()
	r.err = c.flush()
	r.done = true
	return r.err
}

// flush syncs the names of new data files and the journal.
func (c *committer) flush() error {
	a := c.area
	if a.namesDirty.Swap(false) {
		if err := a.disk.SyncDir(a.dataDir); err != nil {
			a.namesDirty.Store(true)
			return diskError("sync", backend.ObjectID{}, err)
		}
	}
	return diskError("sync", backend.ObjectID{}, a.journal.sync())
}

// sync makes a file's data and records durable.
func (c *committer) sync(f *File) error {
	job, err := f.syncData()
	if err != nil {
		return err
	}
	if err := c.mark(job); err != nil {
		return err
	}
	if err := c.commit(); err != nil {
		return err
	}
	job.file.synced(job)
	return nil
}

// mark journals that the data of seals is durable.
func (c *committer) mark(jobs ...syncJob) error {
	var e encoder
	for _, job := range jobs {
		if job.sealSeq != 0 {
			e.uint(job.file.id)
			e.uint(job.sealSeq)
		}
	}
	if len(e.b) == 0 {
		return nil
	}
	_, err := c.area.journal.append(record{kind: recordSynced, payload: e.b})
	return diskError("journal", backend.ObjectID{}, err)
}

// wakeUp has the goroutine work within a second.
func (c *committer) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// hurry has it work at once.
func (c *committer) hurry() {
	select {
	case c.now <- struct{}{}:
	default:
	}
}

// loop is the goroutine.
func (c *committer) loop() {
	defer close(c.ended)
	timer := time.NewTimer(c.every)
	timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.now:
		case <-c.wake:
			timer.Reset(c.every)
			select {
			case <-c.stop:
				return
			case <-c.now:
			case <-timer.C:
			}
			timer.Stop()
		}
		if err := c.tick(); err != nil {
			c.area.log.Error("staging could not be synced; it is tried again", "error", err.Error())
			c.wakeUp()
		}
	}
}

// tick journals the maps of files that are being written, syncs the data of sealed files and the
// journal, gives space back, and compacts the journal.
func (c *committer) tick() error {
	a := c.area
	due := a.takeDue()
	var jobs []syncJob
	var failed error
	force := a.space.waited()
	for _, f := range due {
		if err := f.checkpoint(force); err != nil {
			failed = err
		}
		f.startSync()
	}
	for _, f := range due {
		if !f.promised() {
			continue
		}
		job, err := f.syncData()
		if err != nil {
			a.log.Error("staged data could not be synced", "file", f.ID(), "error", err.Error())
			continue // it was told to whoever waits, and will be again
		}
		jobs = append(jobs, job)
	}
	if err := c.mark(jobs...); err != nil {
		return err
	}
	if a.journal.unsynced() {
		if err := c.commit(); err != nil {
			for _, f := range due {
				f.retry()
			}
			return err
		}
	}
	for _, job := range jobs {
		job.file.synced(job)
	}
	synced := a.journal.syncedSeq()
	for _, f := range due {
		f.reclaim(synced)
	}
	a.emptyTrash(synced)
	if failed != nil {
		return failed
	}
	return c.compact()
}

// compact makes the journal short when most of it is not needed.
func (c *committer) compact() error {
	a := c.area
	if !a.journal.wasteful() {
		return nil
	}
	c.run.Lock()
	defer c.run.Unlock()
	// The new segment does not name files that were unlinked, so that has to be durable before.
	if err := a.disk.SyncDir(a.dataDir); err != nil {
		return diskError("sync", backend.ObjectID{}, err)
	}
	return diskError("compact the journal", backend.ObjectID{}, a.journal.compact())
}
