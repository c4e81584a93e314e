package fs

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Retention and legal holds are respected: what keeps the current version of an object from being deleted keeps
// its name from being taken, too, though S3 itself would put another version or a marker on top. In a bucket with
// object lock a HEAD goes before each change; others pay nothing.
//
// It has to be a HEAD: VersityGW 1.8 leaves the lock out of the answer to a GET, MinIO shows it in both.
//
// Who asks what, and what it costs in a bucket with object lock (where a HEAD shows no lock and the bucket gives one, hiddenLock
// may ask once more):
//
//   - mayChange: open for writing, truncate, chmod and what else rewrites metadata. Nothing where open has just asked, or
//     something is staged already; else a HEAD.
//   - mayChangeAgain: a write after a commit. A HEAD where the bucket, or the commit, locks what is stored; else nothing.
//   - mayTakeNames: unlink and rename, of the file and of what it replaces. A HEAD for each stored object.
//   - mayTakeFree: rename to a free name. A HEAD where the store has no condition for a copy's destination.
//   - mayMove: rename of a directory. A listing of both prefixes, and a HEAD for each object.
//   - mayRemoveMarker: rmdir, and rename of a directory. A HEAD where it has a marker.
//   - mayReplace: what they all ask. Also before a marker is written over, and before a delete is promised of what was not seen.

const (
	// lockParallel is how many objects are asked for their locks at once before a directory moves.
	lockParallel = 64
	// looksFor is how long what a request has seen of an object spares it another HEAD before the delete.
	looksFor = 5 * time.Second
	// rulesFor is how long the retention that a bucket gives to new objects is believed.
	rulesFor = time.Minute
)

// look is what a HEAD told of an object that is about to go. The zero value is none.
type look struct {
	etag string
	at   time.Time
}

func (l look) recent() bool { return time.Since(l.at) < looksFor }

// of tells whether it spares another HEAD before the version with this ETag goes, any if that is empty. What was seen of an
// older one does not: an upload of this mount may have ended since.
func (l look) of(etag string) bool { return l.recent() && (etag == "" || l.etag == etag) }

// looks are those of one request. A nil map is a bucket without object lock.
type looks map[backend.ObjectID]look

// lockRules remembers the retention that buckets give to new objects.
type lockRules struct {
	mu       sync.Mutex
	byBucket map[string]lockRule
}

type lockRule struct {
	backend.BucketLock
	asked time.Time
}

// locks tells whether objects of a bucket may be locked.
func (f *FS) locks(bucket string) bool { return f.cfg.Capabilities(bucket).ObjectLock }

// ruleOf returns the retention that new objects of a bucket get. Who may not ask for it gets none.
func (f *FS) ruleOf(ctx context.Context, bucket string) (backend.BucketLock, error) {
	if !f.locks(bucket) {
		return backend.BucketLock{}, nil
	}
	f.rules.mu.Lock()
	known, ok := f.rules.byBucket[bucket]
	f.rules.mu.Unlock()
	if ok && time.Since(known.asked) < rulesFor {
		return known.BucketLock, nil
	}
	asked := time.Now()
	rule, err := f.cfg.Store.BucketLock(ctx, bucket)
	switch {
	case err == nil:
	case backend.IsKind(err, backend.KindPermission), backend.IsKind(err, backend.KindUnsupported), backend.IsKind(err, backend.KindNotExist):
		rule = backend.BucketLock{}
	default:
		return rule, err
	}
	f.rules.mu.Lock()
	defer f.rules.mu.Unlock()
	if f.rules.byBucket == nil {
		f.rules.byBucket = make(map[string]lockRule)
	}
	f.rules.byBucket[bucket] = lockRule{rule, asked}
	return rule, nil
}

// retains tells whether what is stored in a bucket is locked from then on.
func (f *FS) retains(ctx context.Context, bucket string) bool {
	rule, err := f.ruleOf(ctx, bucket)
	return err == nil && rule.Mode != backend.NoRetention
}

// unlocked returns KindLocked if a lock keeps an object, as a HEAD has shown it, from being replaced or deleted.
func (f *FS) unlocked(ctx context.Context, o backend.Object) error {
	if !f.locks(o.Bucket) {
		return nil
	}
	now := o.Fetched // dates are the store's
	if now.IsZero() {
		now = time.Now()
	}
	if o.Lock == (backend.ObjectLock{}) {
		lock, err := f.hiddenLock(ctx, o, now)
		if err != nil {
			return err
		}
		o.Lock = lock
	}
	switch {
	case o.Lock.LegalHold:
		return lockedError(o, "a legal hold is on it")
	case o.Lock.Active(now):
		return lockedError(o, string(o.Lock.Retention.Mode)+" retention until "+o.Lock.Retention.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

func lockedError(o backend.Object, why string) error {
	return &backend.Error{Kind: backend.KindLocked, Op: "Replace", Bucket: o.Bucket, Key: o.Key, Message: why}
}

// hiddenLock looks for a lock that a HEAD does not show. Amazon shows none to credentials that may not ask for it;
// then an object that is young enough for its bucket's rule counts as retained.
func (f *FS) hiddenLock(ctx context.Context, o backend.Object, now time.Time) (backend.ObjectLock, error) {
	rule, err := f.ruleOf(ctx, o.Bucket)
	if err != nil || rule.Mode == backend.NoRetention {
		return backend.ObjectLock{}, err
	}
	stored := o.LastModified
	if stored.IsZero() {
		stored = now
	}
	byRule := backend.ObjectLock{Retention: backend.Retention{Mode: rule.Mode, Until: stored.AddDate(rule.Years, 0, rule.Days)}}
	if !byRule.Active(now) {
		return backend.ObjectLock{}, nil
	}
	lock, err := f.cfg.Store.Lock(ctx, o.ID(), o.VersionID)
	switch {
	case backend.IsKind(err, backend.KindPermission), backend.IsKind(err, backend.KindUnsupported):
		return byRule, nil
	case backend.IsKind(err, backend.KindNotExist):
		return backend.ObjectLock{}, nil
	}
	return lock, err
}

// mayReplace asks whether what is stored under a key may be replaced or deleted, and returns it. If nothing is there,
// its ETag is empty.
func (f *FS) mayReplace(ctx context.Context, id backend.ObjectID) (backend.Object, error) {
	if !f.locks(id.Bucket) {
		return backend.Object{}, nil
	}
	obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
	if err != nil {
		if backend.IsKind(err, backend.KindNotExist) {
			err = nil
		}
		return backend.Object{}, err
	}
	return obj, f.unlocked(ctx, obj)
}

// mayChange returns KindLocked if the commit of a change of a file would be refused. seen is what open's request told
// of the object, nil: none was made. Content that is staged was asked for when it was staged.
func (f *FS) mayChange(ctx context.Context, n *node, seen *backend.Object) error {
	if n.dir {
		return nil
	}
	n.rlock()
	v, file := n.current, n.staged
	n.runlock()
	switch {
	case file != nil && changed(file):
		return nil
	case v == nil && file != nil:
		return lockedBy(file)
	case v == nil || !f.locks(v.remote.Bucket):
		return nil
	}
	switch {
	case file != nil && file.State() != staging.StateCommitted: // the upload finds out what its predecessor's has become
		return lockedBy(file)
	case file != nil:
		_, err := f.mayReplace(ctx, v.remoteID())
		return err
	case seen == nil:
		obj, err := f.recheck(ctx, n, v, false)
		if err != nil || obj == nil {
			return err
		}
		seen = obj
	}
	return f.unlocked(ctx, *seen)
}

// lockedBy returns KindLocked if an upload under way brings a lock with it: what it stores can then not be changed any more.
func lockedBy(file *staging.File) error {
	spec := file.Spec()
	if lock := spec.Properties.Lock; file.State() == staging.StateSealed && (lock.LegalHold || lock.Active(time.Now())) {
		return lockedError(backend.Object{Bucket: spec.Target.Bucket, Key: spec.Target.Key}, "it is stored with a lock just now")
	}
	return nil
}

// mayChangeAgain is mayChange for a file that was stored by this mount and is open for writing still: where what is stored
// is locked from then on, that was the last change.
func (f *FS) mayChangeAgain(ctx context.Context, n *node) error {
	n.rlock()
	file, v := n.staged, n.current
	again := v != nil && file != nil && !changed(file) && file.State() == staging.StateCommitted && f.locks(v.remote.Bucket)
	locked := again && file.Spec().Properties.Lock.Active(time.Now())
	n.runlock()
	if !again || !locked && !f.retains(ctx, v.remote.Bucket) {
		return nil
	}
	_, err := f.mayReplace(ctx, v.remoteID())
	return err
}

// objectsOf are the objects in the store that go with a node: its own, and the one that its staged content is to replace.
func (f *FS) objectsOf(n *node) []backend.ObjectID {
	n.rlock()
	defer n.runlock()
	var ids []backend.ObjectID
	if n.current != nil {
		ids = append(ids, n.current.remoteID())
	}
	if n.staged != nil {
		if r := covered(n.staged.Spec()); r != nil {
			if id := (backend.ObjectID{Bucket: r.Bucket, Key: r.Key}); len(ids) == 0 || ids[0] != id {
				ids = append(ids, id)
			}
		}
	}
	kept := ids[:0]
	for _, id := range ids {
		if !f.promises.has(id) && f.locks(id.Bucket) { // what is promised was asked for then
			kept = append(kept, id)
		}
	}
	return kept
}

// mayTakeNames asks, before anything is done, whether what is stored under the names of files may be replaced or deleted.
// Nil nodes and directories are nothing.
func (f *FS) mayTakeNames(ctx context.Context, nodes ...*node) (looks, error) {
	var seen looks
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		if n == nil || n.dir {
			continue
		}
		for _, id := range f.objectsOf(n) {
			group.Go(func() error {
				at := time.Now()
				obj, err := f.mayReplace(ctx, id)
				if err != nil {
					return err
				}
				f.learn(n, id, obj, at)
				mu.Lock()
				defer mu.Unlock()
				if seen == nil {
					seen = make(looks)
				}
				seen[id] = look{obj.ETag, at}
				return nil
			})
		}
	}
	err := group.Wait()
	return seen, err
}

// mayTakeFree asks for a name that seems to be free, where no condition keeps a copy from covering what another client has
// stored there since.
func (f *FS) mayTakeFree(ctx context.Context, id backend.ObjectID) error {
	if f.cfg.Capabilities(id.Bucket).CopyDestination || f.promises.has(id) {
		return nil
	}
	_, err := f.mayReplace(ctx, id)
	return err
}

// learn takes over what was told of the object of a node: who changes it need not ask for its properties.
func (f *FS) learn(n *node, id backend.ObjectID, obj backend.Object, asked time.Time) {
	kept := f.showsKept(n)
	n.lock()
	defer n.unlock()
	if v := n.current; n.staged == nil && v != nil && v.remoteID() == id && v.remote.ETag == obj.ETag {
		f.learnLocked(n, obj, asked, kept)
	}
}

// mayMove asks, before a directory is renamed, whether everything below its prefix may go, and what another client may have
// stored below the new one since that was looked at.
func (f *FS) mayMove(ctx context.Context, from, to place) error {
	if err := f.mayGoBelow(ctx, from); err != nil {
		return err
	}
	return f.mayGoBelow(ctx, to)
}

func (f *FS) mayGoBelow(ctx context.Context, at place) error {
	if !f.locks(at.bucket) {
		return nil
	}
	return f.eachObject(ctx, at, lockParallel, func(ctx context.Context, o backend.Object) error {
		_, err := f.mayReplace(ctx, o.ID())
		return err
	})
}

// mayRemoveMarker asks whether the marker of a directory that is about to go may be deleted. Nil is none.
func (f *FS) mayRemoveMarker(ctx context.Context, marker *backend.Object) error {
	if marker == nil {
		return nil
	}
	_, err := f.mayReplace(ctx, marker.ID())
	return err
}
