package fs

import (
	"slices"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// promiseOldName makes what is stored under the old name of a staged file go after its commit: the
// object that it was, and the object that it was about to replace.
func (f *FS) promiseOldName(n *node, file *staging.File, was *version, before staging.Spec, now backend.ObjectID) error {
	n.lock()
	defer n.unlock()
	n.after = slices.DeleteFunc(n.after, func(d *deferredDelete) bool { return d.id() == now })
	old := covered(before) // what is stored under another name than before is promised already
	if v := n.current; v != nil && !v.is(was) && v.remoteID() == before.Target {
		old = v.remote // it was stored meanwhile
	}
	if old == nil || before.Target == now || f.promises.has(before.Target) {
		return nil
	}
	if n.staged != file || file.State() == staging.StateCommitted { // stored under the new name already
		promise, err := f.promiseDelete(old, nil)
		if err == nil {
			f.fulfilLater(promise)
		}
		return err
	}
	promise, err := f.promiseAfter(old, file)
	if err != nil {
		return err
	}
	n.after = append(n.after, promise)
	return nil
}
