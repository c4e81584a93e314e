package writeback

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// openUpload is an unfinished multipart upload that an attempt may go on with.
type openUpload struct {
	id     string
	target backend.ObjectID
	stamp  stamp
	done   []staging.DonePart // stored, or on their way (ETag inFlight)
	fresh  bool               // begun by this process, and no part was sent yet
}

func (u openUpload) upload() backend.Upload {
	return backend.Upload{Bucket: u.target.Bucket, Key: u.target.Key, UploadID: u.id}
}

// stamp is what an upload was begun with: what the object will carry.
type stamp struct {
	generation string
	properties string // "" when it is not known
}

func stampOf(generation string, p backend.Properties) stamp {
	return stamp{generation: generation, properties: fmt.Sprintf("%q", []any{p.Headers, p.Metadata, p.Tags, p.StorageClass, p.Encryption, p.Lock.Retention.Mode, p.Lock.Retention.Until.Unix(), p.Lock.LegalHold})}
}

// inFlight stands for the ETag of a part that a stream still sends.
const inFlight = "\x00in flight"

// keepParts is how many parts, of Config.PartSize, an upload with outdated properties must have
// stored to be kept: it is completed, and the object copied onto itself. Less is sent again.
const keepParts = 4

// findUpload returns the file's unfinished upload if this attempt can use it; others are dropped.
// If that upload turns out to be completed, it returns the object.
func (a *attempt) findUpload() (*openUpload, *backend.Object, error) {
	var flying []*flight // asked before the journal, so that none is missed
	for _, f := range a.flight {
		if !f.ended() {
			flying = append(flying, f)
		}
	}
	up := a.j.file.Upload()
	if up == nil {
		return nil, nil, nil
	}
	if up.UploadID == "" { // a crash came between the intent and the answer
		a.q.lookForLost(up.Target)
		return nil, nil, a.j.file.ForgetUpload()
	}
	a.q.mu.Lock()
	made, mine := a.q.uploads[up.UploadID]
	a.q.mu.Unlock()
	open := &openUpload{id: up.UploadID, target: up.Target, stamp: made, done: up.Parts}
	if !mine {
		open.stamp = stamp{generation: up.Generation}
	}
	for _, f := range flying {
		known := slices.ContainsFunc(up.Parts, func(d staging.DonePart) bool { return d.Number == f.part.Number })
		if f.uploadID == open.id && !known {
			open.done = append(open.done, staging.DonePart{Number: f.part.Number, ETag: inFlight, Off: f.part.Off, Len: f.part.Len, Content: f.part.Extents})
		}
	}
	switch {
	case a.bound: // begun for an earlier generation or with other properties: its object is corrected then
		a.old = a.old || open.stamp.generation != a.j.snap.Generation
	case up.Target != a.j.target || open.stamp.generation != a.j.snap.Generation || !a.worthKeeping(open):
		a.wait()
		a.q.discard(a.j.file, open.upload())
		return nil, nil, nil
	}
	if !mine {
		return a.resume(open)
	}
	open.fresh = len(open.done) == 0 && len(a.flight) == 0
	return open, nil, nil
}

// worthKeeping tells whether to use the parts of an upload although it was begun with other
// properties. Where versions are kept, the first of two objects would stay.
func (a *attempt) worthKeeping(u *openUpload) bool {
	if u.stamp.properties == "" || u.stamp == stampOf(a.j.snap.Generation, a.props) {
		return true
	}
	if a.caps.Versioned || a.caps.ObjectLock || !a.caps.CopySourceIfMatch || a.j.stage != nil {
		return false
	}
	var stored int64
	for _, d := range u.done {
		stored += d.Len
	}
	return stored >= keepParts*a.q.cfg.PartSize
}

// resume goes on with an upload of an earlier process: only parts whose ETag the store confirms
// are used.
func (a *attempt) resume(u *openUpload) (*openUpload, *backend.Object, error) {
	parts, err := a.q.cfg.Store.ListParts(a.q.ctx, u.upload())
	if backend.IsKind(err, backend.KindNotExist) {
		if !a.bound {
			if err := a.j.file.ForgetUpload(); err != nil {
				return nil, nil, err
			}
		}
		now, err := a.look(a.q.ctx) // it may have been completed just before the crash
		switch {
		case err == nil && a.ours(now):
			return nil, &now.obj, nil
		case err == nil && a.bound:
			return nil, nil, a.lostParts()
		}
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	etags := make(map[int32]backend.Part, len(parts))
	for _, p := range parts {
		etags[p.Number] = p
	}
	var done []staging.DonePart
	for _, d := range u.done {
		p, ok := etags[d.Number]
		switch same := ok && p.Size == d.Len; {
		case same && p.ETag == d.ETag, a.bound && !ok: // or: there is nothing else to try
		case same && a.bound: // sent twice: what is given back was written only once
			d.ETag = p.ETag
		default:
			continue
		}
		done = append(done, d)
	}
	u.done, a.old = done, true
	a.q.mu.Lock()
	a.q.uploads[u.id] = u.stamp
	a.q.mu.Unlock()
	return u, nil, nil
}

// create begins a multipart upload. It is not ended by a cancellation: an upload whose id did
// not arrive could not be aborted.
func (q *Queue) create(f *staging.File, target backend.ObjectID, props backend.Properties, generation string) (string, error) {
	if q.ctx.Err() != nil { // the journal may still name an upload that could not be aborted
		return "", canceledError(target)
	}
	if err := f.BeginUpload(target); err != nil {
		return "", err
	}
	id, err := q.cfg.Store.CreateUpload(q.ctx, backend.CreateUploadInput{Bucket: target.Bucket, Key: target.Key, Properties: props})
	if err != nil {
		switch backend.KindOf(err) {
		case backend.KindCanceled:
			return "", err // the intent stays for the next process
		case backend.KindUnknown, backend.KindTransient:
			q.lookForLost(target)
		}
		if forget := f.ForgetUpload(); forget != nil {
			q.cfg.Log.Warn("journal", "error", forget.Error())
		}
		return "", err
	}
	q.mu.Lock()
	q.uploads[id] = stampOf(generation, props)
	q.mu.Unlock()
	return id, f.SetUpload(id)
}

// discard aborts an upload and forgets it. At the end of the queue it is left to the next process.
func (q *Queue) discard(f *staging.File, up backend.Upload) {
	if q.abort(up) {
		q.forget(f, up.UploadID)
	}
}

// Abandon aborts the multipart upload of a file that will not be stored, and forgets it. Nothing of the file
// may run. What Cancel does not abort, because only the upload has some of the content, this does.
func (q *Queue) Abandon(f *staging.File) { q.abandonUpload(f) }

// spareUpload is abandonUpload, but for an upload that has the only copy of some of the content.
func (q *Queue) spareUpload(f *staging.File) {
	if f.Streamed() == 0 {
		q.abandonUpload(f)
	}
}

// abandonUpload discards what upload the file has.
func (q *Queue) abandonUpload(f *staging.File) {
	up := f.Upload()
	switch {
	case up == nil:
	case up.UploadID == "":
		q.lookForLost(up.Target)
		if err := f.ForgetUpload(); err != nil {
			q.cfg.Log.Warn("journal", "error", err.Error())
		}
	default:
		q.discard(f, backend.Upload{Bucket: up.Target.Bucket, Key: up.Target.Key, UploadID: up.UploadID})
	}
}

// abortTimeout bounds the first try of an abort, which somebody waits for.
const abortTimeout = 10 * time.Second

// abort removes an upload and its parts from the store, at least later. False: the queue ends.
func (q *Queue) abort(up backend.Upload) bool {
	ctx, stop := context.WithTimeout(q.ctx, abortTimeout)
	defer stop()
	q.counts.aborts.Add(1)
	err := q.cfg.Store.AbortUpload(ctx, up)
	if err == nil || backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindNoBucket) {
		return true
	}
	if q.ctx.Err() != nil {
		return false
	}
	q.cfg.Log.Warn("an unfinished upload stays for now", "bucket", up.Bucket, "key", up.Key, "upload", up.UploadID, "error", err.Error())
	q.sweepLater(orphan{upload: up, due: time.Now().Add(time.Second)})
	return true
}
