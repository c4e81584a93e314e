package fs

import (
	"context"
	"fmt"
	"syscall"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// What has the name that a rename takes: its uploads are stopped, its bytes kept for programs
// that have it open, and all of it taken back if the rename fails.

// destination is the condition on what has the name now, where the store can check it.
func (f *FS) destination(m move) backend.Condition {
	if m.target != nil {
		m.target.rlock()
		defer m.target.runlock()
		if file := m.target.staged; file != nil {
			return file.Spec().Condition // not stored: what its own commit would have met
		}
		if v := m.target.current; v != nil {
			return backend.Condition{IfMatch: v.remote.ETag}
		}
	}
	return backend.Condition{IfNoneMatch: true}
}

// claimName takes the new name from what has it: an upload to it is stopped, a delete of what was
// there is taken back. It returns the condition for storing there. The target is held. If the
// rename fails after all, leaveTarget undoes it.
func (f *FS) claimName(ctx context.Context, m *move) (backend.Condition, error) {
	if m.target != nil {
		m.target.rlock()
		file := m.target.staged
		m.target.runlock()
		if file != nil {
			if _, err := f.queue.Cancel(ctx, file); err != nil {
				return backend.Condition{}, err
			}
		}
	}
	old, err := f.takeBack(m.place.id())
	if err != nil {
		return backend.Condition{}, err
	}
	if old != nil {
		f.preserveUnlinked(ctx, old)
		m.unlinked = old
		return backend.Condition{IfMatch: old.ETag}, nil
	}
	return f.destination(*m), nil
}

// errOvertaken is ESTALE of a rename whose destination another client has just replaced.
var errOvertaken = fmt.Errorf("the destination was replaced by another client: %w", syscall.ESTALE)

// destinationGone tells whether a copy failed because what it was to replace is another version by now.
func (f *FS) destinationGone(ctx context.Context, m move, condition backend.Condition, cause error) bool {
	if m.target == nil || condition.IfMatch == "" || !backend.IsKind(cause, backend.KindChanged) {
		return false
	}
	now, err := f.cfg.Store.Head(ctx, m.place.id(), backend.GetOptions{})
	if err != nil || now.ETag == condition.IfMatch {
		return false
	}
	f.cfg.Metadata.Stored(now) // the next lookup finds it
	return true
}

// covered is the object that a commit would replace; nil: the name is free in the store.
func covered(spec staging.Spec) *staging.Remote {
	if spec.Condition.IfMatch == "" {
		return nil
	}
	return &staging.Remote{Source: backend.Source{Bucket: spec.Target.Bucket, Key: spec.Target.Key, ETag: spec.Condition.IfMatch}}
}

// leaveTarget undoes what a failed rename did to its destination. If only what follows the rename failed, the
// name is n's already; the kernel, which is told of a failure, then forgets both names.
func (f *FS) leaveTarget(n *node, m move) {
	if f.tree.child(m.to, m.name) == n {
		f.notifyEntry(m.from, m.oldName)
		f.notifyEntry(m.to, m.name)
		return
	}
	if m.unlinked != nil {
		f.promiseAgain(m.unlinked)
	}
	if m.target == nil || f.tree.child(m.to, m.name) != m.target {
		return
	}
	if m.preserved != nil {
		f.removeStaged(m.preserved)
	}
	f.revive(m.target)
}

// promiseAgain repeats a promise that was taken back for nothing.
func (f *FS) promiseAgain(old *deferredDelete) {
	r := old.remote
	if r == nil {
		r = &staging.Remote{Source: backend.Source{Bucket: old.Bucket, Key: old.Key, ETag: old.ETag}}
	}
	d, err := f.promiseDelete(r, nil)
	if err != nil {
		f.log.Warn("journal", "error", err.Error())
		return
	}
	f.fulfilLater(d)
}

// replaceTarget takes the name from what had it.
func (f *FS) replaceTarget(m move) {
	if m.target == nil {
		return
	}
	t := m.target
	t.lock()
	f.unsealLocked(t)
	keep := m.preserved
	if keep != nil && t.staged == nil && t.opens > 0 {
		f.attachLocked(t, keep)
		keep = nil
	}
	t.unlock()
	if keep != nil {
		f.removeStaged(keep)
	}
	f.tree.detach(t)
}
