package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
)

// What commitOnce says of content that is not in the store although its wait has ended.
var (
	errAgain = errors.New("the upload was stopped, and goes on under another name")
	errIdle  = errors.New("no upload of sealed content is queued") // a rename is about to queue it
)

const (
	idlePause    = 20 * time.Millisecond // the longest between two looks at what is to be queued
	idlePatience = 5 * time.Second       // then it is queued by who waits: nobody else does
)

// commit publishes a node's staged content, see commitOnce. A rename, of the file or of a directory above,
// stops uploads and queues them again: they are waited for under the new name.
func (f *FS) commit(ctx context.Context, n *node, o commitOptions) error {
	var idle time.Time // since when
	for pause := time.Millisecond; ; pause = min(2*pause, idlePause) {
		err := f.commitOnce(ctx, n, o)
		switch {
		case errors.Is(err, errAgain):
			idle, o.wait, o.reseal = time.Time{}, true, false
		case errors.Is(err, errIdle):
			if idle.IsZero() {
				idle = time.Now()
			}
			o.reseal = time.Since(idle) > idlePatience
		default:
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return &backend.Error{Kind: backend.KindCanceled, Op: "Commit", Err: context.Cause(ctx)}
		}
	}
}

// await waits for content that was sealed before.
func (f *FS) await(ctx context.Context, n *node, file *staging.File, o commitOptions) error {
	if o.fsync {
		if err := file.Sync(); err != nil {
			return err
		}
	}
	if !o.wait || file.State() == staging.StateCommitted {
		return nil
	}
	err := f.queue.Wait(ctx, file)
	if err == nil && file.State() == staging.StateSealed {
		return f.unstored(n, file, errIdle)
	}
	return f.commitError(ctx, n, file, err)
}

// commitError is what close or fsync report. The failure is told once.
func (f *FS) commitError(ctx context.Context, n *node, file *staging.File, err error) error {
	if backend.IsKind(err, backend.KindCanceled) && ctx.Err() == nil && f.ctx.Err() == nil {
		// Not our wait was ended, but the upload: the file was unlinked, or gets another name.
		return f.unstored(n, file, errAgain)
	}
	if err == nil || backend.IsKind(err, backend.KindCanceled) {
		return err
	}
	n.lock()
	n.failure = nil
	n.unlock()
	return told(err)
}

// unstored returns next for content that is yet to be stored. Of content that is stored, or that its
// node has lost, there is nothing to wait for.
func (f *FS) unstored(n *node, file *staging.File, next error) error {
	n.lock()
	defer n.unlock()
	if n.staged == file && !n.doomed && file.State() != staging.StateCommitted {
		return next
	}
	return n.tellLocked()
}

// tellLocked returns the failure that is still to be told, once.
func (n *node) tellLocked() error {
	err := n.failure
	n.failure = nil
	return told(err)
}

// told is how programs hear of a failed upload. A conflict is ESTALE, whatever the store said: also when an object
// that had to be new is there (O_EXCL across mounts is decided at commit), and when the one to change is gone.
func told(err error) error {
	if writeback.Conflict(err) {
		return syscall.ESTALE
	}
	return err
}
