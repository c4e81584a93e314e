package fs

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

const (
	intentRenameDir = "rename-dir"
	intentDeleteAll = "delete-all"
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

// renameDir copies every key below a directory, then deletes the old ones. One runs at a time.
func (f *FS) renameDir(ctx context.Context, n *node, m move) error {
	for up := m.to; up != nil; up = f.parentOf(up) {
		if up == n {
			return syscall.EINVAL
		}
	}
	if m.target != nil {
		marker, err := f.emptyDir(ctx, m.target)
		if err != nil {
			return err
		}
		_ = marker // the copy of our own marker, or the one that is there, serves
	}
	f.renames.Lock()
	defer f.renames.Unlock()
	at := f.tree.locate(n)
	d := dirMove{Bucket: at.bucket, From: at.key, ToBucket: m.place.bucket, To: m.place.key + "/"}
	f.moving.begin(n)
	defer f.moving.end()
	waiting, err := f.pauseBelow(ctx, n)
	if err != nil {
		return err
	}
	intent, err := f.addIntent(intentRenameDir, d)
	if err != nil {
		f.moving.end()
		f.resume(waiting)
		return err
	}
	copies, err := f.copyTree(ctx, d, nil)
	if err != nil {
		f.undoCopies(copies)
		f.moving.end()
		f.resume(waiting)
		if dropErr := f.cfg.Staging.DropIntent(intent); dropErr != nil {
			f.log.Warn("journal", "error", dropErr.Error())
		}
		return err
	}
	if m.target != nil {
		f.tree.detach(m.target)
	}
	f.tree.move(n, m.to, m.name, m.component+"/")
	f.followCopies(n, d, copies)
	f.cfg.Metadata.PrefixRemoved(d.Bucket, d.From)
	f.cfg.Metadata.PrefixAdded(d.ToBucket, d.To)
	f.cfg.Metadata.Invalidate(d.ToBucket, d.To)
	f.moving.end()
	f.resume(waiting)
	f.dropSources(ctx, intent, copies)
	return nil
}

// addIntent journals a promise durably.
func (f *FS) addIntent(kind string, what any) (uint64, error) {
	payload, err := json.Marshal(what)
	if err != nil {
		return 0, err
	}
	return f.cfg.Staging.AddIntent(kind, payload, true)
}

// dropSources deletes what a directory rename has copied. From here on the journal promises only the
// deletes: a copy that was made is never made again over newer content. What fails is repeated in the background.
func (f *FS) dropSources(ctx context.Context, renaming uint64, copies []copied) {
	sources := make([]deferredDelete, len(copies))
	for i, c := range copies {
		sources[i] = deferredDelete{Bucket: c.from.Bucket, Key: c.from.Key, ETag: c.from.ETag}
	}
	intent, err := f.addIntent(intentDeleteAll, sources)
	if err == nil {
		err = f.cfg.Staging.DropIntent(renaming)
	}
	if err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	if err := f.deleteAll(ctx, sources); err == nil {
		if err := f.cfg.Staging.DropIntent(intent); err != nil {
			f.log.Warn("journal", "error", err.Error())
		}
		return
	}
	f.background(func() { f.deleteAllLater(intent, sources) })
}

// deleteAllLater repeats deletes until they are done or the mount ends.
func (f *FS) deleteAllLater(intent uint64, sources []deferredDelete) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := f.deleteAll(f.ctx, sources)
		if err == nil {
			if err := f.cfg.Staging.DropIntent(intent); err != nil {
				f.log.Warn("journal", "error", err.Error())
			}
			return
		}
		f.log.Warn("deletes after a directory rename are repeated", "error", err.Error())
		if !f.pause(pause) {
			return
		}
	}
}

func (f *FS) parentOf(n *node) *node {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.parent
}

// pauseBelow stops the uploads of everything below a directory and returns their nodes.
func (f *FS) pauseBelow(ctx context.Context, dir *node) ([]*node, error) {
	var nodes []*node
	f.tree.below(dir, func(n *node) { nodes = append(nodes, n) })
	var waiting []*node
	for _, n := range nodes {
		n.mu.RLock()
		file := n.staged
		n.mu.RUnlock()
		if file == nil {
			continue
		}
		if _, err := f.queue.Cancel(ctx, file); err != nil {
			f.moving.end()
			f.resume(waiting)
			return nil, err
		}
		waiting = append(waiting, n)
	}
	return waiting, nil
}

// resume queues again what pauseBelow stopped, where it was finished.
func (f *FS) resume(waiting []*node) {
	for _, n := range waiting {
		n.mu.Lock()
		file := n.staged
		due := file != nil && file.State() == staging.StateSealed && n.writers == 0
		if due {
			if err := f.resealLocked(n, file); err != nil {
				f.log.Warn("journal", "error", err.Error())
			}
		}
		n.mu.Unlock()
		if due {
			if err := f.commit(f.ctx, n, commitOptions{}); err != nil {
				f.log.Warn("upload", "error", err.Error())
			}
		}
	}
}

// followCopies moves the pinned versions, staged content and cached blocks of nodes below a
// renamed directory to the new keys.
func (f *FS) followCopies(dir *node, d dirMove, copies []copied) {
	byKey := make(map[string]copied, len(copies))
	for _, c := range copies {
		byKey[c.from.Key] = c
	}
	f.tree.below(dir, func(n *node) {
		if n.dir {
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if old := n.current; old != nil {
			if c, ok := byKey[old.remote.Key]; ok && d.Bucket == old.remote.Bucket && c.from.ETag == old.remote.ETag {
				v := newVersion(c.to)
				if n.staged != nil {
					if err := n.staged.Rebase(old.remote, v.remote); err != nil {
						f.log.Warn("journal", "error", err.Error())
					}
				}
				f.cfg.Blocks.Move(old.blocks(), v.blocks())
				n.current = v
			}
		}
		if n.staged == nil {
			return
		}
		condition := backend.Condition{IfNoneMatch: true}
		if c, ok := byKey[n.staged.Spec().Target.Key]; ok {
			condition = backend.Condition{IfMatch: c.to.ETag}
		}
		target := backend.ObjectID{Bucket: d.ToBucket, Key: f.tree.locate(n).key}
		if err := n.staged.SetTarget(target, condition); err != nil {
			f.log.Warn("journal", "error", err.Error())
		}
	})
}

// deleteAll deletes objects, each on the condition that it is the version named; one that fails does not
// stop the others.
func (f *FS) deleteAll(ctx context.Context, sources []deferredDelete) error {
	var group errgroup.Group
	group.SetLimit(renameParallel)
	for i := range sources {
		group.Go(func() error {
			err := f.deleteObject(ctx, sources[i].id(), sources[i].ETag)
			if backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindChanged) {
				return nil // gone, or written by another client since: theirs stays
			}
			return err
		})
	}
	return group.Wait()
}

// resumeRename finishes a directory rename that a crash cut short.
func (f *FS) resumeRename(ctx context.Context, intent uint64, payload []byte) error {
	var d dirMove
	if err := json.Unmarshal(payload, &d); err != nil {
		return err
	}
	there, err := f.keysBelow(ctx, d.ToBucket, d.To)
	if err != nil {
		return err
	}
	copies, err := f.copyTree(ctx, d, func(key string) bool { return there[d.To+strings.TrimPrefix(key, d.From)] })
	if err != nil {
		return err
	}
	f.cfg.Metadata.PrefixRemoved(d.Bucket, d.From)
	f.cfg.Metadata.PrefixAdded(d.ToBucket, d.To)
	f.dropSources(ctx, intent, copies)
	return nil
}

// keysBelow lists what a rename had copied before it was cut short: it is not copied again.
func (f *FS) keysBelow(ctx context.Context, bucket, prefix string) (map[string]bool, error) {
	keys := make(map[string]bool)
	in := backend.ListInput{Bucket: bucket, Prefix: prefix}
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			keys[o.Key] = true
		}
		if page.Next == "" {
			return keys, nil
		}
		in.Token = page.Next
	}
}
