package fs

import (
	"context"
	"syscall"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

const (
	intentRenameDir = "rename-dir"
	// renameParallel is how many copies or deletes of one directory rename run at once.
	renameParallel = 16
)

// dirMove is a rename of a directory in progress, as the journal keeps it.
type dirMove struct {
	Bucket   string `json:"bucket"`
	From     string `json:"from"` // prefix with its slash
	ToBucket string `json:"to_bucket"`
	To       string `json:"to"`
}

// renameDir copies every key below a directory, then deletes the old ones. One runs at a time: enterRename
// has claimed its turn.
func (f *FS) renameDir(ctx context.Context, n *node, m move) error {
	for up := m.to; up != nil; up = f.parentOf(up) {
		if up == n {
			return syscall.EINVAL
		}
	}
	if m.target != nil {
		marker, err := f.emptyDir(ctx, m.target)
		if err == nil { // the copy of our own marker takes its place
			err = f.mayRemoveMarker(ctx, marker)
		}
		if err != nil {
			return err
		}
	}
	if r, ok := ctx.(*request); !ok || !r.turn { // it was no directory when its turn was to be claimed
		return syscall.ESTALE
	}
	at := f.tree.locate(n)
	from, oldName := f.nameOf(n)
	d := dirMove{Bucket: at.bucket, From: at.key, ToBucket: m.place.bucket, To: m.place.key + "/"}
	if err := f.moving.begin(ctx, f.tree, n, at); err != nil {
		return err
	}
	defer f.moving.end()
	waiting, err := f.pauseBelow(ctx, n, at)
	if err != nil {
		return err
	}
	if err := f.flushTagsBelow(ctx, d.Bucket, d.From); unsent(err) {
		f.moving.end() // the copies would be without them
		f.resume(waiting)
		return err
	}
	intent, err := f.addIntent(intentRenameDir, d, true)
	if err != nil {
		f.moving.end()
		f.resume(waiting)
		return err
	}
	copies, err := f.copyTree(ctx, d)
	if err != nil {
		before := ""
		if m.target != nil {
			before = d.To
		}
		f.undoCopies(copies, before)
		f.moving.end()
		f.resume(waiting)
		f.dropIntents(intent)
		return err
	}
	if m.target != nil {
		f.tree.detach(m.target)
	}
	f.tree.move(n, m.to, m.name, m.component+"/")
	f.followCopies(n, d, copies)
	sources := f.promiseSources(intent, copies)
	f.markers.clear()
	f.facts.clear()
	f.cfg.Metadata.PrefixRemoved(d.Bucket, d.From)
	f.cfg.Metadata.PrefixAdded(d.ToBucket, d.To)
	f.cfg.Metadata.Invalidate(d.ToBucket, d.To)
	f.moving.end()
	f.resume(waiting)
	err = f.deleteNow(ctx, sources)
	if err == nil {
		f.cfg.Metadata.PrefixRemoved(d.Bucket, d.From) // who listed it meanwhile has seen them
		return nil
	}
	f.notifyEntry(from, oldName) // both names exist now; the kernel is told of a failure
	f.notifyEntry(m.to, m.name)
	return err
}

// promiseSources promises the deletes of what a directory rename has copied. From here on the journal promises
// only them: a copy that was made is never made again over newer content.
func (f *FS) promiseSources(renaming uint64, copies []copied) *deleteAll {
	sources := make([]deferredDelete, len(copies))
	for i, c := range copies {
		sources[i] = deferredDelete{Bucket: c.from.Bucket, Key: c.from.Key, ETag: c.from.ETag}
	}
	intent, err := f.addIntent(intentDeleteAll, sources, true)
	if err == nil {
		err = f.cfg.Staging.DropIntent(renaming)
	} else {
		intent = renaming // ends with the deletes
	}
	if err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	return f.promiseAll(intent, sources)
}

// nameOf returns the directory of a node, and its name there.
func (f *FS) nameOf(n *node) (dir *node, name string) {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.parent, n.name
}

// componentOf returns the directory of a node, and what its key has beyond that of the directory.
func (f *FS) componentOf(n *node) (dir *node, component string) {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.parent, n.suffix()
}

func (f *FS) parentOf(n *node) *node {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.parent
}

// pauseBelow stops the uploads of everything below a directory, and of files that refer to objects
// there. It returns their nodes.
func (f *FS) pauseBelow(ctx context.Context, dir *node, at place) ([]*node, error) {
	var waiting []*node
	for _, n := range f.staged.all() {
		below := f.tree.isBelow(n, dir)
		n.rlock()
		file := n.staged
		concerned := file != nil && !n.doomed && (below || n.refersBelowLocked(at.bucket, at.key))
		n.runlock()
		if !concerned {
			continue
		}
		waiting = append(waiting, n)
		err := f.stopStream(ctx, n, file, below)
		if err != nil {
			f.moving.end()
			f.resume(waiting)
			return nil, err
		}
	}
	return waiting, nil
}

// stopStream stops the uploads of a file. Its key cannot change if one has the only copy of some content. No
// more is given back while the directory moves: see growing.
func (f *FS) stopStream(ctx context.Context, n *node, file *staging.File, below bool) error {
	for range 2 { // some may have been given back until it was stopped
		n.rlock()
		streamed := below && file.Streamed() > 0
		n.runlock()
		if streamed {
			return syscall.EBUSY
		}
		if _, err := f.queue.Cancel(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// resume queues again what pauseBelow stopped, where it was finished.
func (f *FS) resume(waiting []*node) {
	for _, n := range waiting {
		if err := f.requeue(n); err != nil {
			f.log.Warn("upload", "error", err.Error())
		}
	}
}

// requeue hands content to write-back again whose upload was stopped. Content that a program still writes
// is left to its close.
func (f *FS) requeue(n *node) error {
	n.lock()
	file := n.staged
	sealed := file != nil && !n.doomed && file.State() == staging.StateSealed && !file.Dirty()
	var err error
	if sealed {
		err = f.resealLocked(n, file)
	}
	due := sealed || file != nil && n.writers == 0
	n.unlock()
	if err == nil && due {
		err = f.commit(f.ctx, n, commitOptions{})
	}
	return err
}

// followCopies moves the pinned versions, staged content and cached blocks of nodes below a
// renamed directory to the new keys, and with them what any staged content refers to.
func (f *FS) followCopies(dir *node, d dirMove, copies []copied) {
	byKey := make(map[string]copied, len(copies))
	for _, c := range copies {
		byKey[c.from.Key] = c
	}
	moved := func(r *staging.Remote) (copied, bool) {
		c, ok := byKey[r.Key]
		return c, ok && r.Bucket == d.Bucket && r.ETag == c.from.ETag
	}
	f.tree.below(dir, func(n *node) {
		n.lock()
		defer n.unlock()
		if n.dir || n.current == nil || n.view != noView {
			return
		}
		if c, ok := moved(n.current.remote); ok {
			v := newVersion(c.to)
			f.cfg.Blocks.Move(n.current.blocks(), v.blocks())
			f.rebaseLocked(n, n.current.remote, v.remote)
			n.current = v
		}
	})
	for _, n := range f.staged.all() {
		n.lock()
		if n.staged != nil {
			for _, e := range n.staged.Extents(0, n.staged.Size()) {
				if e.Object == nil {
					continue
				}
				if c, ok := moved(e.Object); ok {
					f.rebaseLocked(n, e.Object, newVersion(c.to).remote)
				}
			}
		}
		n.unlock()
		if f.tree.isBelow(n, dir) {
			f.retarget(n, d, byKey)
		}
	}
}

func (f *FS) rebaseLocked(n *node, old, now *staging.Remote) {
	if n.staged == nil {
		return
	}
	if err := n.staged.Rebase(old, now); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
}

// retarget gives staged content below a renamed directory its new key. What it was to replace was copied
// there, too; or there is an object that was unlinked while it is open.
func (f *FS) retarget(n *node, d dirMove, byKey map[string]copied) {
	target := backend.ObjectID{Bucket: d.ToBucket, Key: f.tree.locate(n).key}
	n.rlock()
	concerned := n.staged != nil && !n.doomed && n.staged.Spec().Target != target // else staged after its version had moved
	n.runlock()
	if !concerned {
		return
	}
	unlinked, err := f.takeBack(target)
	if err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	f.preserveUnlinked(f.ctx, unlinked)
	n.lock()
	defer n.unlock()
	if n.staged == nil {
		return
	}
	condition := backend.Condition{IfNoneMatch: true}
	if c, ok := byKey[n.staged.Spec().Target.Key]; ok {
		condition = backend.Condition{IfMatch: c.to.ETag}
	} else if unlinked != nil {
		condition = backend.Condition{IfMatch: unlinked.ETag}
	}
	if err := n.staged.SetTarget(target, condition); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	f.giveAgainLocked(n)
}
