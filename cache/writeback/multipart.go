package writeback

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// unknownStamp is that of an upload which an earlier process began.
var unknownStamp stamp

// multipart uploads the parts of a plan that the store does not have, and completes the upload.
func (a *attempt) multipart(plan Plan, up *openUpload) (backend.Object, error) {
	if up == nil || up.id == "" {
		id, err := a.q.create(a.j.file, a.j.target, a.props, a.j.snap.Generation)
		if err != nil {
			return backend.Object{}, err
		}
		up = &openUpload{id: id, target: a.j.target, stamp: stampOf(a.j.snap.Generation, a.props)}
	}
	ctx, stop := context.WithCancel(a.q.ctx)
	defer stop()
	if !a.q.setAbandon(a.j, stop) {
		return backend.Object{}, canceledError(a.j.target)
	}
	if err := a.send(ctx, up, plan.Parts); err != nil {
		return backend.Object{}, a.partError(up, err)
	}
	obj, completed, err := a.complete(up, plan)
	switch {
	case err == nil && !completed:
		a.q.discard(a.j.file, up.upload()) // the object was there already, or the answer was lost
		return a.settled(obj, unknownStamp)
	case err == nil:
		a.q.counts.multiparts.Add(1)
		a.q.mu.Lock()
		delete(a.q.uploads, up.id)
		a.q.mu.Unlock()
		return a.settled(obj, up.stamp)
	case backend.IsKind(err, backend.KindNotExist) && a.bound:
		return obj, a.lostParts()
	case backend.IsKind(err, backend.KindNotExist):
		a.q.forget(a.j.file, up.id)
		return obj, errAgain
	case backend.IsKind(err, backend.KindInvalid) && (len(up.done) > 0 || lostPart(err)) && !a.bound:
		a.q.discard(a.j.file, up.upload()) // parts that are not listed, or lost ones: with fresh parts once more
		return obj, errAgain
	default:
		return obj, err
	}
}

// lostPart reports whether the store says that it does not have a part that it has confirmed.
func lostPart(err error) bool {
	e, ok := errors.AsType[*backend.Error](err)
	return ok && e.Code == "InvalidPart"
}

// complete makes the object of the parts. completed is whether the store said so; else the object was
// found there.
func (a *attempt) complete(up *openUpload, plan Plan) (obj backend.Object, completed bool, err error) {
	in := backend.CompleteInput{Bucket: a.j.target.Bucket, Key: a.j.target.Key, UploadID: up.id, Size: plan.Size}
	for _, p := range plan.Parts {
		in.Parts = append(in.Parts, backend.Part{Number: p.Number, ETag: p.ETag, Size: p.Len})
	}
	guarded := a.enforced(a.caps.CompleteIfNoneMatch, a.caps.CompleteIfMatch)
	obj, err = a.publish(guarded, func(ctx context.Context, cond backend.Condition) (backend.Object, error) {
		in.Condition = cond
		obj, err := a.q.cfg.Store.CompleteUpload(ctx, in)
		completed = err == nil
		return obj, err
	})
	return obj, completed, err
}

// settled ends an attempt whose content is stored as obj. An upload that was begun with other
// properties than the object is to have is followed by a copy onto itself.
func (a *attempt) settled(obj backend.Object, made stamp) (backend.Object, error) {
	right := made == stampOf(a.j.snap.Generation, a.props)
	if made.properties == "" {
		if !obj.HasMetadata {
			now, err := a.look(a.q.ctx)
			if err != nil || !now.exists || now.obj.ETag != obj.ETag {
				return obj, nil // stored, and perhaps replaced since: not ours to change
			}
			obj = now.obj
		}
		right = a.hasProperties(obj)
	}
	if right || a.j.stage != nil || a.final(obj) {
		return obj, nil
	}
	if err := a.j.file.ForgetUpload(); err != nil {
		return obj, err
	}
	a.q.counts.restamps.Add(1)
	a.j.stage = remoteOf(obj, a.j.snap.Size)
	return obj, errAgain
}

// final reports whether an object that was just stored is locked from now on: what it was begun with stays.
func (a *attempt) final(obj backend.Object) bool {
	if !a.caps.ObjectLock {
		return false
	}
	now, err := a.look(a.q.ctx)
	if err != nil || !now.exists || now.obj.ETag != obj.ETag || !backend.IsKind(a.q.cfg.MayReplace(a.q.ctx, now.obj), backend.KindLocked) {
		return false
	}
	a.q.cfg.Log.Warn("stored with the properties of the beginning: it is locked from now on", "bucket", a.j.target.Bucket, "key", a.j.target.Key)
	return true
}

// send makes the store have all parts: it sets their ETags.
func (a *attempt) send(ctx context.Context, up *openUpload, parts []Part) error {
	var mu sync.Mutex
	var failed error
	var sending sync.WaitGroup
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil || !backend.Temporary(err) && backend.Temporary(failed) {
			failed = err
		}
	}
	broken := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return failed != nil
	}
	var late []int // parts that a stream has on its way, with the same content or an older one
	for i := range parts {
		f := a.flight[parts[i].Number]
		switch {
		case parts[i].ETag != "" && parts[i].ETag != inFlight: // also if its flight is about to end
			a.j.sent.Add(parts[i].Len)
			a.q.counts.partsReused.Add(1)
			continue
		case f != nil && (parts[i].ETag == inFlight || !f.ended()):
			late = append(late, i)
			continue
		}
		if broken() {
			break
		}
		a.launch(ctx, up, &parts[i], &sending, fail)
	}
	for _, i := range late {
		f := a.flight[parts[i].Number]
		<-f.done
		switch same := parts[i].ETag == inFlight; {
		case same && f.err == nil:
			parts[i].ETag = f.etag
			a.j.sent.Add(parts[i].Len)
		case !broken():
			parts[i].ETag = ""
			a.launch(ctx, up, &parts[i], &sending, fail)
		}
	}
	sending.Wait()
	return failed
}

// launch sends one part when it is its turn.
func (a *attempt) launch(ctx context.Context, up *openUpload, part *Part, sending *sync.WaitGroup, fail func(error)) {
	if err := a.j.share.takePart(ctx); err != nil {
		fail(canceledError(a.j.target))
		return
	}
	sending.Add(1)
	go func() {
		defer sending.Done()
		defer a.j.share.givePart()
		etag, err := a.q.sendPart(ctx, a.j.file, a.caps, up, *part, a.q.reachOf(a.j, part.Number))
		if err != nil {
			fail(err)
			return
		}
		part.ETag = etag
		a.j.sent.Add(part.Len)
		a.j.progress.Store(true)
		a.j.moved.Store(time.Now().UnixNano())
		a.q.mu.Lock()
		a.j.share.tookLocked()
		a.q.mu.Unlock()
	}()
}

// sendPart makes the store have one part, and the journal know it. far may be nil.
func (q *Queue) sendPart(ctx context.Context, f *staging.File, caps backend.Capabilities, up *openUpload, part Part, far *reach) (string, error) {
	var stored backend.Part
	var err error
	if part.Action == CopyPart {
		stored, err = q.copyPart(ctx, caps, up, part)
		if backend.IsKind(err, backend.KindUnsupported) { // of this key, or this source
			part.Action = Merge
		}
	}
	if part.Action != CopyPart {
		stored, err = q.uploadPart(ctx, f, caps, up, part, far)
	}
	if err != nil {
		return "", err
	}
	q.counts.part(part)
	done := staging.DonePart{Number: part.Number, ETag: stored.ETag, Off: part.Off, Len: part.Len, Content: part.Extents}
	return stored.ETag, f.AddPart(done)
}

func (q *Queue) copyPart(ctx context.Context, caps backend.Capabilities, up *openUpload, part Part) (backend.Part, error) {
	src := q.source(part.Source)
	if !caps.CopyPartIfMatch {
		if src.ETag = ""; src.VersionID == "" {
			return backend.Part{}, unguarded(up.target)
		}
	}
	stored, err := q.cfg.Store.CopyPart(ctx, backend.CopyPartInput{
		Bucket: up.target.Bucket, Key: up.target.Key, UploadID: up.id, Number: part.Number,
		Source: src, Range: backend.Range{Off: part.From, Len: part.Len},
	})
	if q.refusedVersion(src, err) {
		return q.copyPart(ctx, caps, up, part)
	}
	if backend.IsKind(err, backend.KindNotExist) { // the source, or the upload
		_, headErr := q.cfg.Store.Head(ctx, objectOf(part.Source), backend.GetOptions{IfMatch: part.Source.ETag, VersionID: src.VersionID})
		if headErr == nil {
			return stored, &goneError{err}
		}
	}
	return stored, err
}

func (q *Queue) uploadPart(ctx context.Context, f *staging.File, caps backend.Capabilities, up *openUpload, part Part, far *reach) (backend.Part, error) {
	body, release, err := q.body(ctx, f, part.Extents)
	if err != nil {
		return backend.Part{}, err
	}
	defer release()
	sum, err := q.checksum(body, caps)
	if err != nil {
		return backend.Part{}, err
	}
	stored, err := q.cfg.Store.UploadPart(ctx, backend.PartInput{
		Bucket: up.target.Bucket, Key: up.target.Key, UploadID: up.id, Number: part.Number, Body: far.follow(body), Size: part.Len, CRC64NVME: sum,
	})
	if cause := why(body, err); cause != err { //nolint:errorlint // another value, not another meaning
		return stored, cause
	}
	if backend.IsKind(err, backend.KindNotExist) {
		err = &goneError{err}
	}
	return stored, err
}

// goneError: the store does not know the upload any more.
type goneError struct{ err error }

func (e *goneError) Error() string { return e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// partError decides what a failed part means for the attempt.
func (a *attempt) partError(up *openUpload, err error) error {
	if _, gone := errors.AsType[*goneError](err); gone {
		if a.bound {
			return a.lostParts()
		}
		a.q.forget(a.j.file, up.id)
		return errAgain
	}
	return a.lostSource(err)
}

// forget drops what is known of an upload that the store does not have.
func (q *Queue) forget(f *staging.File, id string) {
	q.mu.Lock()
	delete(q.uploads, id)
	q.mu.Unlock()
	if err := f.ForgetUpload(); err != nil {
		q.cfg.Log.Warn("journal", "error", err.Error())
	}
}

// setAbandon lets Cancel end the sending of parts. False: the job was cancelled.
func (q *Queue) setAbandon(j *job, stop context.CancelFunc) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.abandon = stop
	return !j.canceled
}
