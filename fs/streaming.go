package fs

import (
	"context"
	"errors"
	"reflect"
	"syscall"
	"time"

	"github.com/objmount/objmount/cache/staging"
)

// describe gives a file that begins to go up while it is still written the properties that its commit will
// have, as far as they are known by now: a multipart upload has them from its beginning, and others later
// cost a copy of the object onto itself. One that the bucket does not take does not go up: the error says why. Write-back calls it
// without locks.
func (f *FS) describe(file *staging.File) error {
	n := f.staged.node(file)
	if n == nil {
		return nil
	}
	if err := f.checkLimits(f.ctx, n, false); err != nil {
		return err
	}
	n.lock()
	defer n.unlock()
	if n.staged != file || n.doomed || !changed(file) {
		return nil
	}
	f.dateLocked(n)
	props := f.propertiesLocked(n)
	if reflect.DeepEqual(props, file.Spec().Properties) {
		return nil
	}
	if err := file.SetProperties(props); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	return nil
}

// spaceWait is how long a writer waits for room in staging, without any of its own file being sent meanwhile,
// before it gets ENOSPC.
const spaceWait = 30 * time.Second

// roomWait is a writer's wait for room.
type roomWait struct {
	until time.Time
	sent  int64 // bytes of the file that the store had when it was extended
}

// makeRoom lets go of bytes of a file that the store has, and waits until there may be room for more. It
// returns false when it has waited long enough.
func (f *FS) makeRoom(ctx context.Context, n *node, file *staging.File, w *roomWait) bool {
	const (
		look  = time.Second      // then parts that failed are sent again
		pause = time.Millisecond // there is room, but not on the disk
	)
	enough := int64(4 << 20) // so that not every write has to wait
	if limit := file.Limit(); limit > 0 {
		enough = min(enough, limit/8)
	}
	if w.until.IsZero() {
		w.until = time.Now().Add(spaceWait)
	}
	n.lock() // readers look at the map and read under it
	err := file.DropStored()
	var sent int64
	if n.staged == file {
		err = errors.Join(err, f.outgrownLocked(n))
	}
	if n.staged == file && f.moving.stopsLocked(f.tree, n) == nil { // else its key is about to change
		sent = f.queue.MakeRoom(file)
	}
	n.unlock()
	if err != nil {
		f.log.Warn("staging", "error", err.Error())
	}
	if sent > w.sent {
		w.sent, w.until = sent, time.Now().Add(spaceWait)
	}
	if ctx.Err() != nil || time.Now().After(w.until) {
		return false
	}
	began := time.Now()
	wait, stop := context.WithTimeout(ctx, look)
	defer stop()
	if err := f.cfg.Staging.WaitSpace(wait, enough); err != nil && wait.Err() == nil || time.Since(began) < pause {
		time.Sleep(10 * pause)
	}
	return true
}

// growing sends parts of a file that is being written, unless a rename of a directory above it is under way: its
// key is about to change.
func (f *FS) growing(n *node, file *staging.File) {
	n.rlock()
	defer n.runlock()
	if n.staged == file && f.moving.stopsLocked(f.tree, n) == nil {
		f.queue.Grown(file)
	}
}

// awaitStreams waits until no upload under way has the only copy of some content of a node, or of one below it:
// its key cannot change before. EBUSY when a program still writes it.
func (f *FS) awaitStreams(ctx context.Context, n *node) error {
	if n.dir {
		for _, s := range f.staged.all() {
			if f.tree.isBelow(s, n) {
				if err := f.awaitStreams(ctx, s); err != nil {
					return err
				}
			}
		}
		return nil
	}
	n.rlock()
	streamed := n.staged != nil && !n.doomed && n.staged.Streamed() > 0
	open := streamed && changed(n.staged)
	n.runlock()
	switch {
	case !streamed:
		return nil
	case open:
		return syscall.EBUSY
	}
	return f.commit(ctx, n, commitOptions{wait: true})
}

// removeStreamed ends a file that is of no use any more and whose upload has some of its content.
func (f *FS) removeStreamed(file *staging.File) {
	f.background(func() {
		f.queue.Abandon(file)
		if err := file.Remove(); err != nil {
			f.log.Warn("staging", "error", err.Error())
		}
	})
}
