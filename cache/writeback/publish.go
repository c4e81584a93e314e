package writeback

import (
	"context"
	"maps"
	"strings"

	"github.com/objmount/objmount/backend"
)

// enforced tells whether the store honours the attempt's condition on the request that has these
// abilities.
func (a *attempt) enforced(ifNoneMatch, ifMatch bool) bool {
	return (!a.cond.IfNoneMatch || ifNoneMatch) && (a.cond.IfMatch == "" || ifMatch)
}

// publish sends the request that makes the object, once. Where the store does not honour the
// condition it looks before and after instead; where objects may be locked, before. An answer that did not come, and a condition that
// failed, are checked by the generation id: the object may be the one that was just made.
func (a *attempt) publish(guarded bool, send func(context.Context, backend.Condition) (backend.Object, error)) (backend.Object, error) {
	ctx := a.q.ctx
	if !a.q.beginPublish(a.j) {
		return backend.Object{}, canceledError(a.j.target)
	}
	cond := a.cond
	mayBeLocked := a.caps.ObjectLock && !cond.IfNoneMatch
	if !guarded {
		a.q.counts.unguarded.Add(1)
	}
	if !guarded || mayBeLocked {
		switch now, err := a.look(ctx); {
		case err != nil:
			return backend.Object{}, err
		case a.ours(now):
			return now.obj, nil
		case !now.meets(cond):
			return backend.Object{}, a.conflict(cond)
		case now.exists && mayBeLocked:
			if err := a.q.cfg.MayReplace(ctx, now.obj); err != nil {
				return backend.Object{}, err
			}
		}
	}
	if !guarded {
		cond = backend.Condition{}
	}
	obj, err := send(ctx, cond)
	switch {
	case err == nil && guarded && obj.ETag != "":
		obj.Bucket, obj.Key, obj.Size = a.j.target.Bucket, a.j.target.Key, a.j.snap.Size
		obj.Metadata, obj.HasMetadata = nil, false // no answer to a write says it
		return obj, nil
	case err == nil:
		return a.verify(ctx)
	case backend.IsKind(err, backend.KindUnknown):
		a.q.troubled(a.j, err)
		return a.resolve(ctx, err)
	case Conflict(err):
		return a.resolve(ctx, err)
	default:
		return obj, err
	}
}

// verify looks at what was stored, where the answer did not say enough.
func (a *attempt) verify(ctx context.Context) (backend.Object, error) {
	now, err := a.look(ctx)
	if err != nil {
		return backend.Object{}, unknown(a.j.target, err)
	}
	if !a.ours(now) && !(a.old && a.sameFile(now)) {
		return backend.Object{}, a.conflict(a.cond)
	}
	return now.obj, nil
}

// resolve finds out whether a request that failed with err was done after all.
func (a *attempt) resolve(ctx context.Context, err error) (backend.Object, error) {
	now, lookErr := a.look(ctx)
	unsure := backend.IsKind(err, backend.KindUnknown)
	switch {
	case lookErr != nil && unsure:
		return backend.Object{}, err
	case lookErr != nil:
		// Whether this is a conflict is not known either.
		return backend.Object{}, unknown(a.j.target, lookErr)
	case a.ours(now):
		return now.obj, nil
	case unsure && now.meets(a.cond):
		return backend.Object{}, &backend.Error{Kind: backend.KindTransient, Op: "Commit", Bucket: a.j.target.Bucket, Key: a.j.target.Key, Err: err}
	case unsure:
		return backend.Object{}, a.conflict(a.cond)
	default:
		return backend.Object{}, err
	}
}

// found is what is stored under the target.
type found struct {
	obj    backend.Object
	exists bool
}

func (a *attempt) look(ctx context.Context) (found, error) {
	a.looked = true
	obj, err := a.q.cfg.Store.Head(ctx, a.j.target, backend.GetOptions{})
	if backend.IsKind(err, backend.KindNotExist) {
		a.j.looked = true
		return found{}, nil
	}
	a.j.looked = err == nil
	obj.Bucket, obj.Key = a.j.target.Bucket, a.j.target.Key
	return found{obj: obj, exists: err == nil}, err
}

// unknown is the error of a commit of which it is not known whether it is stored.
func unknown(id backend.ObjectID, cause error) error {
	return &backend.Error{Kind: backend.KindUnknown, Op: "Commit", Bucket: id.Bucket, Key: id.Key, Err: cause}
}

// sameFile tells whether the object was made of a snapshot of the same file.
func (a *attempt) sameFile(f found) bool {
	return f.exists && strings.HasSuffix(f.obj.Metadata[backend.MetaGeneration], "-"+a.j.file.ID())
}

// ours tells whether the object is the one that this attempt makes. An upload that an earlier process
// began may carry another generation of the file than the journal says.
func (a *attempt) ours(f found) bool {
	if a.old && a.sameFile(f) && !a.cond.IsZero() && !f.meets(a.cond) {
		return true
	}
	return f.exists && f.obj.Metadata[backend.MetaGeneration] == tagOf(a.j.snap.Generation, a.j.file) && f.obj.Size == a.j.snap.Size &&
		(a.j.stage == nil || a.hasProperties(f.obj))
}

func (f found) meets(c backend.Condition) bool {
	return !(c.IfNoneMatch && f.exists) && (c.IfMatch == "" || f.exists && f.obj.ETag == c.IfMatch)
}

// conflict is the error of a condition that does not hold.
func (a *attempt) conflict(c backend.Condition) error {
	kind := backend.KindChanged
	if c.IfNoneMatch {
		kind = backend.KindExist
	}
	return &backend.Error{Kind: kind, Op: "Commit", Bucket: a.j.target.Bucket, Key: a.j.target.Key, Message: "another client wrote it"}
}

// hasProperties tells whether the object of a HEAD has the properties that it is to get, as far as
// a HEAD shows them.
func (a *attempt) hasProperties(obj backend.Object) bool {
	want, have := a.props.Headers, obj.Headers
	if want.ContentType == "" {
		want.ContentType = have.ContentType // stores make one up
	}
	if want != have || !maps.Equal(a.props.Metadata, obj.Metadata) || obj.TagCount >= 0 && obj.TagCount != len(a.props.Tags) && a.caps.Tagging {
		return false
	}
	if a.props.Lock != (backend.ObjectLock{}) && !sameLock(a.props.Lock, obj.Lock) {
		return false // or it is not shown to us: a lock that was promised is set once more
	}
	class := func(s string) string {
		if s == "STANDARD" {
			return ""
		}
		return s
	}
	return !a.caps.Classes || class(a.props.StorageClass) == class(obj.StorageClass)
}

// sameLock compares what travels: whole seconds.
func sameLock(a, b backend.ObjectLock) bool {
	return a.LegalHold == b.LegalHold && a.Retention.Mode == b.Retention.Mode && a.Retention.Until.Unix() == b.Retention.Until.Unix()
}

// beginPublish says that from now on the object may come to be. False: the job was cancelled. One whose object is
// stored without its properties yet goes on: it counts as stored.
func (q *Queue) beginPublish(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.canceled && j.stage == nil {
		return false
	}
	j.publishing = true
	return true
}
