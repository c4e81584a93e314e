package writeback

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// attempt is one try to store the snapshot of a job.
type attempt struct {
	q      *Queue
	j      *job
	caps   backend.Capabilities
	exts   []staging.Extent
	props  backend.Properties // with the generation id
	cond   backend.Condition
	flight map[int32]*flight // parts that a stream still sends
	looked bool              // at what is stored under the target, after a conflict
	old    bool              // goes on with an upload of an earlier process, or of an earlier generation
	bound  bool              // to the file's upload: only that has all of the content
}

// restarts is how often one attempt begins again at once, because an upload or an object that it
// wanted to use was gone.
const restarts = 3

// attempt stores the job's snapshot, or says why not.
func (q *Queue) attempt(j *job) (backend.Object, error) {
	if err := q.cfg.BeforeCommit(q.ctx, j.file); err != nil {
		return backend.Object{}, err
	}
	flights, landed := q.landStream(j.file)
	defer landed()
	for try := 0; ; try++ {
		a := q.newAttempt(j, flights)
		obj, err := a.store()
		if Conflict(err) && !a.looked {
			obj, err = a.recognise(err)
		}
		if j.stage != nil && err != nil && !errors.Is(err, errAgain) && !Final(err) && !q.temporary(j, err) {
			// The store does not copy the object onto itself: all of it goes up again.
			j.base, j.stage, err = j.stage, nil, errAgain
		}
		if errors.Is(err, errAgain) {
			if try < restarts {
				continue
			}
			err = &backend.Error{Kind: backend.KindTransient, Op: "Commit", Bucket: j.target.Bucket, Key: j.target.Key, Message: "the multipart upload was lost repeatedly"}
		}
		return obj, err
	}
}

// errAgain: what the attempt was built on is gone; a new one can do without.
var errAgain = fmt.Errorf("begin again")

func (q *Queue) newAttempt(j *job, flights map[int32]*flight) *attempt {
	exts, spec := j.snap.Current()
	a := &attempt{q: q, j: j, caps: q.cfg.Capabilities(j.target.Bucket), exts: exts, cond: spec.Condition, flight: flights}
	a.props = tagged(spec.Properties, tagOf(j.snap.Generation, j.file))
	q.mu.Lock()
	if b := j.before; b != nil && a.cond == b.expected {
		a.cond = backend.Condition{IfMatch: b.etag}
	}
	j.expected, j.publishing = a.cond, false
	q.mu.Unlock()
	j.looked = false
	j.sent.Store(0)
	switch {
	case j.stage != nil:
		a.cond = backend.Condition{IfMatch: j.stage.ETag}
		a.exts = []staging.Extent{{Len: j.snap.Size, Object: j.stage}}
	case j.base != nil:
		a.exts, a.cond = onBase(exts, j.target, a.cond.IfMatch, j.base), backend.Condition{IfMatch: j.base.ETag}
	}
	if j.localOnly {
		a.exts = withoutObjects(a.exts)
	}
	a.bound = onlyUploaded(a.exts)
	return a
}

// tagOf is what an upload carries as its generation id: of the content, and of the file.
func tagOf(generation string, f *staging.File) string { return generation + "-" + f.ID() }

// tagged returns the properties of an upload. Only the metadata is copied.
func tagged(p backend.Properties, tag string) backend.Properties {
	meta := make(map[string]string, len(p.Metadata)+1)
	maps.Copy(meta, p.Metadata)
	meta[backend.MetaGeneration] = tag
	p.Metadata = meta
	return p
}

// onBase makes what refers to the old object of the target refer to the one that an earlier snapshot
// of the file made of it: what both have unchanged is at the same place. Streamed ranges never change.
func onBase(exts []staging.Extent, target backend.ObjectID, old string, base *staging.Remote) []staging.Extent {
	out := make([]staging.Extent, len(exts))
	for i, e := range exts {
		if r := e.Object; r != nil && objectOf(r) == target && r.ETag == old && e.ObjectOff == e.Off && e.End() <= base.Size {
			e.Object = base
		} else if e.Streamed && e.End() <= base.Size {
			e = staging.Extent{Off: e.Off, Len: e.Len, Object: base, ObjectOff: e.Off}
		}
		out[i] = e
	}
	return out
}

// withoutObjects forgets which objects have the bytes of local extents.
func withoutObjects(exts []staging.Extent) []staging.Extent {
	out := make([]staging.Extent, len(exts))
	for i, e := range exts {
		if e.Local {
			e.Object, e.ObjectOff = nil, 0
		}
		out[i] = e
	}
	return out
}

// recognise looks whether a conflict with what the content refers to is one with itself: the object
// was made in an earlier attempt, before a crash, and what it was made of is gone.
func (a *attempt) recognise(conflict error) (backend.Object, error) {
	now, err := a.look(a.q.ctx)
	switch {
	case err != nil:
		return backend.Object{}, unknown(a.j.target, err)
	case !a.ours(now):
		return backend.Object{}, conflict
	}
	a.wait()
	a.q.abandonUpload(a.j.file)
	return a.settled(now.obj, unknownStamp)
}

// afterCrash looks at what is stored before a snapshot of an earlier process is uploaded: that
// process may have stored it, or an older snapshot of the file, without knowing. It returns errAgain
// when the attempt is to begin on the latter, and nil when there is nothing of ours.
func (a *attempt) afterCrash() (*backend.Object, error) {
	now, err := a.look(a.q.ctx)
	switch {
	case err != nil:
		return nil, err
	case a.ours(now):
		a.q.abandonUpload(a.j.file)
		return &now.obj, nil
	case a.sameFile(now) && !now.meets(a.cond):
		a.j.base = remoteOf(now.obj, now.obj.Size)
		return nil, errAgain
	}
	return nil, nil
}

// store uploads the content in the way that moves the fewest bytes.
func (a *attempt) store() (backend.Object, error) {
	if a.j.recovered && a.j.base == nil && a.j.stage == nil {
		if stored, err := a.afterCrash(); err != nil {
			return backend.Object{}, err
		} else if stored != nil {
			return a.settled(*stored, unknownStamp)
		}
	}
	up, stored, err := a.findUpload()
	if err != nil {
		return backend.Object{}, err
	}
	if stored != nil {
		return a.settled(*stored, unknownStamp)
	}
	plan, err := a.plan(up)
	if err != nil {
		return backend.Object{}, err
	}
	switch plan.Kind {
	case KindPut:
		return a.put(plan)
	case KindCopy:
		return a.copy(plan)
	default:
		return a.multipart(plan, up)
	}
}

// plan decides what to send. An upload of which nothing can be used is dropped.
func (a *attempt) plan(up *openUpload) (Plan, error) {
	opt := Options{PartSize: a.q.cfg.PartSize, Target: a.j.target, Condition: a.cond, NoCopy: a.j.noCopy}
	if up != nil {
		opt.Done = up.done
	}
	plan, err := PlanUpload(a.j.snap.Size, a.exts, a.caps.Limits, a.caps, opt)
	if err == nil && !plan.possible() {
		return plan, a.lostParts()
	}
	if err != nil || up == nil || plan.reuses() || plan.Kind == KindMultipart && up.fresh {
		return plan, err
	}
	a.wait()
	a.q.discard(a.j.file, up.upload())
	*up = openUpload{}
	opt.Done = nil
	return PlanUpload(a.j.snap.Size, a.exts, a.caps.Limits, a.caps, opt)
}

// lostParts is the error of content whose only copy was in an upload that is gone, or may be. What is known
// of it is kept.
func (a *attempt) lostParts() error {
	return &backend.Error{Kind: backend.KindCorrupt, Op: "Commit", Bucket: a.j.target.Bucket, Key: a.j.target.Key,
		Message: "the store does not have the parts any more that were given back here to make room"}
}

func (p Plan) reuses() bool {
	for _, part := range p.Parts {
		if part.ETag != "" {
			return true
		}
	}
	return false
}

// put sends everything in one request.
func (a *attempt) put(plan Plan) (backend.Object, error) {
	body, release, err := a.q.body(a.q.ctx, a.j.file, plan.Extents)
	if err != nil {
		return backend.Object{}, err
	}
	defer release()
	sum, err := a.q.checksum(body, a.caps)
	if err != nil {
		return backend.Object{}, err
	}
	in := backend.PutInput{
		Bucket: a.j.target.Bucket, Key: a.j.target.Key, Body: a.q.reachOf(a.j, 0).follow(body), Size: plan.Size, CRC64NVME: sum, Properties: a.props,
	}
	guarded := a.enforced(a.caps.PutIfNoneMatch, a.caps.PutIfMatch)
	obj, err := a.publish(guarded, func(ctx context.Context, cond backend.Condition) (backend.Object, error) {
		in.Condition = cond
		obj, err := a.q.cfg.Store.Put(ctx, in)
		return obj, why(body, err)
	})
	if err == nil {
		a.q.counts.puts.Add(1)
		a.q.counts.bytesSent.Add(plan.Size)
	}
	return obj, err
}

// copy makes the object of another one, or of itself with other properties.
func (a *attempt) copy(plan Plan) (backend.Object, error) {
	src := a.q.source(plan.Source)
	self := objectOf(plan.Source) == a.j.target && (src.VersionID == "" || src.ETag == a.cond.IfMatch)
	if self { // it has to be current
		src.VersionID = ""
	}
	if !a.caps.CopySourceIfMatch {
		src.ETag = ""
	}
	in := backend.CopyInput{Bucket: a.j.target.Bucket, Key: a.j.target.Key, Source: src, Size: plan.Size, Replace: &a.props}
	guarded := a.enforced(a.caps.CopyDestination, a.caps.CopyDestination)
	// Onto itself, the condition on the source is the one on the destination.
	bySource := self && !guarded && src.ETag != "" && src.ETag == a.cond.IfMatch
	obj, err := a.publish(guarded || bySource, func(ctx context.Context, cond backend.Condition) (backend.Object, error) {
		if !bySource {
			in.Condition = cond
		}
		if !self && src.VersionID == "" && src.ETag == "" && plan.Source.VersionID != "" {
			return backend.Object{}, unguarded(a.j.target)
		}
		return a.q.cfg.Store.Copy(ctx, in)
	})
	if err == nil {
		a.q.counts.copies.Add(1)
		a.q.counts.bytesCopied.Add(plan.Size)
		return obj, nil
	}
	if a.q.refusedVersion(src, err) {
		return obj, errAgain
	}
	if backend.IsKind(err, backend.KindUnsupported) && a.j.stage == nil && !a.j.noCopy {
		a.j.noCopy = true // of this key: by parts, or fetched and sent
		return obj, errAgain
	}
	return obj, a.lostSource(err)
}

// lostSource makes errAgain of a conflict if the content can do without other objects.
func (a *attempt) lostSource(err error) error {
	if !Conflict(err) || a.j.localOnly || a.j.stage != nil {
		return err
	}
	used := false
	for _, e := range a.exts {
		if e.Object != nil && !e.Local {
			return err
		}
		used = used || e.Object != nil
	}
	if !used {
		return err
	}
	a.j.localOnly = true
	return errAgain
}

// remoteOf is an object as extents refer to it.
func remoteOf(obj backend.Object, size int64) *staging.Remote {
	return &staging.Remote{Source: backend.Source{Bucket: obj.Bucket, Key: obj.Key, ETag: obj.ETag, VersionID: obj.VersionID}, Size: size}
}
