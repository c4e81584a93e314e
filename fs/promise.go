package fs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// deferredDelete is a promised DeleteObject: the name is gone here, the object goes when its last
// reader has closed it, or when what replaces it is stored under another key. The journal keeps the
// promise until it is done.
type deferredDelete struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	ETag   string `json:"etag"`
	// File is the staged file whose commit comes first; empty: none does.
	File string `json:"file,omitempty"`
	// Made: what uploads of File made of the object goes, too, whatever its ETag.
	Made bool `json:"made,omitempty"`

	intent uint64
	remote *staging.Remote // nil after a restart
	node   *node           // that was unlinked while it is open; nil: none
	all    *deleteAll      // that has the intent; nil: there is one for this alone
	seen   look            // before it was promised

	mu   sync.Mutex // held while it is carried out
	over bool       // done, or taken back; guarded by mu
}

const intentDelete = "delete"

func (d *deferredDelete) id() backend.ObjectID {
	return backend.ObjectID{Bucket: d.Bucket, Key: d.Key}
}

// promises are the deletes that are still to be done, at most one per object. A listing still shows
// these objects; the mount does not.
type promises struct {
	mu    sync.Mutex
	byKey map[backend.ObjectID]*deferredDelete
}

func (p *promises) add(d *deferredDelete) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey == nil {
		p.byKey = make(map[backend.ObjectID]*deferredDelete)
	}
	p.byKey[d.id()] = d
}

// has tells whether an object's name is gone here.
func (p *promises) has(id backend.ObjectID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byKey[id] != nil
}

// gone returns a test for what a listing that is about to begin may still show though its name is gone here:
// what is promised now, and what is promised when the test is called.
func (p *promises) gone() func(id backend.ObjectID) bool {
	p.mu.Lock()
	before := maps.Clone(p.byKey)
	p.mu.Unlock()
	return func(id backend.ObjectID) bool { return before[id] != nil || p.has(id) }
}

func (p *promises) get(id backend.ObjectID) *deferredDelete {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byKey[id]
}

func (p *promises) drop(d *deferredDelete) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[d.id()] == d {
		delete(p.byKey, d.id())
	}
}

// promiseDelete journals a delete and hides the name until it is done. n is the node that is unlinked
// while it is open, or nil.
func (f *FS) promiseDelete(r *staging.Remote, n *node) (*deferredDelete, error) {
	return f.journalPromise(&deferredDelete{Bucket: r.Bucket, Key: r.Key, ETag: r.ETag, remote: r, node: n})
}

// promiseAfter is promiseDelete of what must stay until a staged file is stored under another name: if it
// never is, the object is the only copy.
func (f *FS) promiseAfter(r *staging.Remote, file *staging.File) (*deferredDelete, error) {
	return f.journalPromise(&deferredDelete{Bucket: r.Bucket, Key: r.Key, ETag: r.ETag, remote: r, File: file.ID()})
}

func (f *FS) journalPromise(d *deferredDelete) (*deferredDelete, error) {
	var err error
	if d.intent, err = f.addIntent(intentDelete, d, false); err != nil {
		return nil, err
	}
	f.promises.add(d)
	return d, nil
}

// takeBack ends a promise without deleting, because the key gets a new object of ours: nil when there was
// none, or when it was carried out meanwhile.
func (f *FS) takeBack(id backend.ObjectID) (*deferredDelete, error) {
	d := f.promises.get(id)
	if d == nil {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return nil, nil
	}
	if err := f.endPromise(d, true); err != nil {
		return nil, err
	}
	d.over = true
	f.promises.drop(d)
	return d, nil
}

// fulfil carries out a promised delete. An object that is another one by now stays.
func (f *FS) fulfil(ctx context.Context, d *deferredDelete) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return nil
	}
	etag, err := d.ETag, error(nil)
	if d.Made {
		var made string
		if made, err = f.madeBy(ctx, d.id(), d.File); made != "" {
			etag = made
		}
	}
	if err == nil && (etag != "" || !d.Made) {
		err = f.deleteObject(ctx, d.id(), etag, d.seen)
	}
	switch {
	case err == nil, backend.IsKind(err, backend.KindNotExist):
		f.facts.drop(d.id())
		f.cfg.Metadata.Removed(d.Bucket, d.Key)
	case backend.IsKind(err, backend.KindChanged):
		f.log.Info("promised delete dropped: another client wrote the object", slog.String("key", d.Key))
		f.cfg.Metadata.Invalidate(d.Bucket, prefixOf(d.Key))
	default:
		return err
	}
	d.over = true
	f.promises.drop(d)
	return f.endPromise(d, false)
}

// fulfilLater carries out a promise in the background and repeats it with growing pauses; the end of
// the mount leaves it to the next one.
func (f *FS) fulfilLater(d *deferredDelete) {
	f.errand(func() { f.fulfilAgain(d, 200*time.Millisecond) })
}

// fulfilAgain is one attempt of fulfilLater; pause comes before the next.
func (f *FS) fulfilAgain(d *deferredDelete, pause time.Duration) {
	err := f.fulfil(f.ctx, d)
	switch {
	case err == nil, errors.Is(f.ctx.Err(), context.Canceled):
		return
	case backend.IsKind(err, backend.KindLocked): // since it was promised
		f.giveUp(d)
		return
	}
	f.log.Warn("promised delete failed and is repeated", slog.String("key", d.Key), slog.String("error", err.Error()))
	if !backend.Temporary(err) {
		return
	}
	if f.pause(pause) { // and then behind the others
		f.errand(func() { f.fulfilAgain(d, min(2*pause, time.Minute)) })
	}
}

// pause waits, and returns false when the mount ends.
func (f *FS) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.closing:
		return false
	}
}

// deleteAfter deletes an object whose content was stored under another key.
func (f *FS) deleteAfter(d *deferredDelete) {
	if err := f.fulfil(f.ctx, d); err != nil {
		f.fulfilLater(d)
	}
}
