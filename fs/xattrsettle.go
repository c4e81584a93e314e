package fs

import (
	"context"
	"errors"
	"reflect"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/xattr"
)

// Which classes and keys there are only the store knows. So of a stored object such a change is sent at once, on its own, and
// waited for: a refusal is the answer of setxattr, and concerns nothing else.

// errPending: what is staged has to be stored before such a change.
var errPending = errors.New("something else is to be stored before")

// asksStore tells whether only the store can say whether a change is possible.
func asksStore(r xattr.Request) bool { return has(r, xattr.ChangeClass|xattr.ChangeEncryption) }

// asksStoreLocked is asksStore of a change that is not made yet, of an object that is stored and whose other changes are on
// their way. Where a program writes, or nothing is stored, the answer comes with the upload.
func (n *node) asksStoreLocked(change xattrChange, rules xattr.Rules) bool {
	if n.current == nil || n.active > 0 || n.doomed || n.props == nil {
		return false
	}
	props := n.props.Clone()
	r, err := change(&props, rules)
	return err == nil && asksStore(r)
}

// storePending stores what is pending. What the store refuses of it was set before, and perhaps this change mends it.
func (f *FS) storePending(ctx context.Context, n *node) (refused bool, err error) {
	err = f.commit(ctx, n, commitOptions{wait: true})
	if refusedByStore(err) {
		return true, errStored
	}
	if err == nil {
		err = errStored
	}
	return false, err
}

// refusedByStore tells of failures that a repeat does not mend, and after which nothing was changed.
func refusedByStore(err error) bool {
	if err == nil {
		return false
	}
	switch backend.KindOf(err) {
	case backend.KindInvalid, backend.KindUnsupported, backend.KindPermission, backend.KindArchived, backend.KindTooLarge, backend.KindNoSpace:
		return true
	default:
		return false
	}
}

// asked is a change that the store is asked for.
type asked struct {
	file        *staging.File
	before, set backend.Properties // class and encryption
	others      backend.Properties // all that the staged content had without it
	attr        attr
	explicit    bool
	alone       bool // nothing else was staged
}

// askLocked notes how things are before a change.
func (f *FS) askLocked(n *node) *asked {
	q := &asked{
		file: n.staged, others: f.propertiesLocked(n), attr: n.attr, explicit: n.explicit,
		alone: n.staged.State() == staging.StateOpen && !n.written && n.writers == 0,
	}
	if n.props != nil {
		q.before = *n.props
	}
	return q
}

// settleAsked waits for the store's word on a change. What it refuses is taken back; other changes stay.
func (f *FS) settleAsked(ctx context.Context, n *node, q *asked) error {
	err := f.commit(ctx, n, commitOptions{wait: true})
	if !refusedByStore(err) {
		return err
	}
	if undo := f.withdraw(n, q); undo != nil {
		f.log.Warn("a refused attribute could not be taken back", "key", q.file.Spec().Target.Key, "error", undo.Error())
	}
	return err
}

// withdraw takes a change back that the store has refused. If it was all that was staged, nothing is.
func (f *FS) withdraw(n *node, q *asked) error {
	n.lock()
	if n.staged != q.file || n.lost || n.props == nil {
		n.unlock()
		return nil
	}
	props := n.props.Clone()
	if props.Encryption == q.set.Encryption {
		props.Encryption = q.before.Encryption
	}
	if props.StorageClass == q.set.StorageClass {
		props.StorageClass = q.before.StorageClass
	}
	n.props = &props
	if f.onlyAskedLocked(n, q) {
		f.detachStagedLocked(n)
		n.failure = nil
		n.unlock()
		if _, err := f.queue.Cancel(f.ctx, q.file); err != nil {
			f.log.Warn("cancel", "error", err.Error())
		}
		f.removeStaged(q.file)
		return nil
	}
	err := n.staged.SetProperties(f.propertiesLocked(n))
	n.written = true
	active := n.active
	n.unlock()
	if err != nil || active > 0 {
		return err
	}
	return f.commit(f.ctx, n, commitOptions{})
}

// onlyAskedLocked tells whether the staged content of a node is the stored object, with nothing changed.
func (f *FS) onlyAskedLocked(n *node, q *asked) bool {
	file := n.staged
	same := q.alone && file.State() == staging.StateSealed && !file.Dirty() && !n.written && n.writers == 0 && n.holds == 0 &&
		!n.doomed && len(n.after) == 0 && n.current != nil && file.Spec().Target == n.current.remoteID() && n.attr == q.attr
	if !same {
		return false
	}
	explicit := n.explicit
	n.explicit = q.explicit // every commit keeps an old mtime
	if same = reflect.DeepEqual(f.propertiesLocked(n), q.others); !same {
		n.explicit = explicit
	}
	return same
}
