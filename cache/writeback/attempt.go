package writeback

import (
	"context"
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
}

// restarts is how often one attempt begins again at once, because an upload or an object that it
// wanted to use was gone.
const restarts = 3

// attempt stores the job's snapshot, or says why not.
func (q *Queue) attempt(j *job) (backend.Object, error) {
	flights, landed := q.landStream(j.file)
	defer landed()
	for try := 0; ; try++ {
		a := q.newAttempt(j, flights)
		obj, err := a.store()
		if err == errAgain {
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
	a.props = withGeneration(spec.Properties, j.snap.Generation)
	q.mu.Lock()
	if b := j.before; b != nil && a.cond == b.expected {
		a.cond = backend.Condition{IfMatch: b.etag}
	}
	j.expected, j.publishing = a.cond, false
	q.mu.Unlock()
	switch {
	case j.stage != nil:
		a.cond = backend.Condition{IfMatch: j.stage.ETag}
		a.exts = []staging.Extent{{Len: j.snap.Size, Object: j.stage}}
	case j.localOnly:
		a.exts = withoutObjects(exts)
	}
	return a
}

// withGeneration returns the properties of an upload. Only the metadata is copied.
func withGeneration(p backend.Properties, generation string) backend.Properties {
	meta := make(map[string]string, len(p.Metadata)+1)
	maps.Copy(meta, p.Metadata)
	meta[backend.MetaGeneration] = generation
	p.Metadata = meta
	return p
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

func (a *attempt) store() (backend.Object, error) {
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
	opt := Options{PartSize: a.q.cfg.PartSize, Target: a.j.target, Condition: a.cond}
	if up != nil {
		opt.Done = up.done
	}
	plan, err := PlanUpload(a.j.snap.Size, a.exts, a.caps.Limits, a.caps, opt)
	if err != nil || up == nil || plan.reuses() {
		return plan, err
	}
	a.wait()
	a.q.discard(a.j.file, up.upload())
	*up = openUpload{}
	opt.Done = nil
	return PlanUpload(a.j.snap.Size, a.exts, a.caps.Limits, a.caps, opt)
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
		Bucket: a.j.target.Bucket, Key: a.j.target.Key, Body: body, Size: plan.Size, CRC64NVME: sum, Properties: a.props,
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
	src := plan.Source.Source
	self := objectOf(plan.Source) == a.j.target && src.VersionID == ""
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
		return a.q.cfg.Store.Copy(ctx, in)
	})
	if err == nil {
		a.q.counts.copies.Add(1)
		a.q.counts.bytesCopied.Add(plan.Size)
		return obj, nil
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
