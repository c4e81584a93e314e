package fs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

const (
	intentDeleteAll = "delete-all"
	// intentSpared takes one object out of an intentDeleteAll. It goes together with that.
	intentSpared = "delete-all-but"
)

// deleteAll is the promise to delete the old keys of a renamed directory. Each of them is a promise of its own,
// which can be taken back, but in the journal they are one record; another is added for each that is taken back.
type deleteAll struct {
	intent uint64

	mu     sync.Mutex
	left   map[*deferredDelete]struct{}
	spared []uint64 // intents
}

// spared is the payload of an intentSpared.
type spared struct {
	Of     uint64 `json:"of"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// promiseAll hides objects whose deletes the journal promises in one intent.
func (f *FS) promiseAll(intent uint64, sources []deferredDelete) *deleteAll {
	all := &deleteAll{intent: intent, left: make(map[*deferredDelete]struct{}, len(sources))}
	for i := range sources {
		d := &deferredDelete{Bucket: sources[i].Bucket, Key: sources[i].Key, ETag: sources[i].ETag, all: all}
		if f.promises.has(d.id()) {
			continue
		}
		all.left[d] = struct{}{}
		f.promises.add(d)
	}
	return all
}

// endPromise takes a promise that is done, or taken back, out of the journal.
func (f *FS) endPromise(d *deferredDelete, takenBack bool) error {
	switch {
	case d.all == nil && takenBack: // durable, because the same bytes may be stored there next
		return f.cfg.Staging.RevokeIntent(d.intent)
	case d.all == nil:
		return f.cfg.Staging.DropIntent(d.intent)
	case takenBack:
		if err := f.spare(d, true); err != nil {
			return err
		}
	}
	return f.dropOf(d.all, d)
}

// spare journals that one of the objects is not to be deleted after all.
func (f *FS) spare(d *deferredDelete, sync bool) error {
	id, err := f.addIntent(intentSpared, spared{d.all.intent, d.Bucket, d.Key}, sync)
	if err != nil {
		return err
	}
	d.all.mu.Lock()
	d.all.spared = append(d.all.spared, id)
	d.all.mu.Unlock()
	return nil
}

// dropOf removes one from what is left. With the last one the intent ends.
func (f *FS) dropOf(all *deleteAll, d *deferredDelete) error {
	all.mu.Lock()
	delete(all.left, d)
	over := len(all.left) == 0
	all.mu.Unlock()
	if !over {
		return nil
	}
	err := f.cfg.Staging.DropIntent(all.intent)
	for _, id := range all.spared { // nobody adds to it any more
		if err == nil {
			err = f.cfg.Staging.DropIntent(id)
		}
	}
	return err
}

func (all *deleteAll) rest() []*deferredDelete {
	all.mu.Lock()
	defer all.mu.Unlock()
	rest := make([]*deferredDelete, 0, len(all.left))
	for d := range all.left {
		rest = append(rest, d)
	}
	return rest
}

// deleteLeft carries out what is left; one that fails does not stop the others. again tells whether a repeat may
// help. What the store refuses to delete is given up, and shown again.
func (f *FS) deleteLeft(ctx context.Context, all *deleteAll) (again bool, err error) {
	rest := all.rest()
	if len(rest) == 0 {
		return false, f.dropOf(all, nil)
	}
	var mu sync.Mutex
	var refused error
	var group errgroup.Group
	group.SetLimit(renameParallel)
	for _, d := range rest {
		group.Go(func() error {
			err := f.fulfil(ctx, d)
			if !backend.IsKind(err, backend.KindPermission) && !backend.IsKind(err, backend.KindLocked) {
				return err
			}
			f.giveUp(d)
			mu.Lock()
			defer mu.Unlock()
			refused = err
			return nil
		})
	}
	err = group.Wait()
	return err != nil, errors.Join(err, refused)
}

// giveUp ends a promise that the store does not let us keep.
func (f *FS) giveUp(d *deferredDelete) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	var err error
	if d.all != nil {
		err = f.spare(d, false)
	}
	if err == nil {
		err = f.endPromise(d, false)
	}
	if err != nil {
		f.log.Warn("journal", slog.String("error", err.Error()))
	}
	d.over = true
	f.promises.drop(d)
	f.log.Warn("an object that was to be deleted stays: the store does not let it go", slog.String("bucket", d.Bucket), slog.String("key", d.Key))
	f.cfg.Metadata.Invalidate(d.Bucket, prefixOf(d.Key))
}

// deleteNow deletes in the background, where the end of the caller's request does not leave a delete on
// its way that nobody waits for, and waits for the first attempt. Its error is what the store refuses.
func (f *FS) deleteNow(ctx context.Context, all *deleteAll) error {
	first := make(chan error, 1)
	f.background(func() {
		again, err := f.deleteLeft(f.ctx, all)
		if again {
			first <- nil
			f.log.Warn("deletes after a directory rename are repeated", slog.String("error", err.Error()))
			f.deleteAllLater(all)
			return
		}
		first <- err
	})
	select {
	case err := <-first:
		return err
	case <-ctx.Done():
		return nil
	}
}

// deleteAllLater repeats deletes until they are done or the mount ends.
func (f *FS) deleteAllLater(all *deleteAll) {
	for pause := time.Second; f.pause(pause); pause = min(2*pause, time.Minute) {
		again, err := f.deleteLeft(f.ctx, all)
		if !again {
			return
		}
		f.log.Warn("deletes after a directory rename are repeated", slog.String("error", err.Error()))
	}
}

// recoverDeletes takes up the deletes of an earlier mount, but those that were taken back.
func (f *FS) recoverDeletes(intent staging.Intent) {
	var sources []deferredDelete
	if !f.readIntent(intent, &sources) {
		return
	}
	kept := make(map[backend.ObjectID]bool)
	var ids []uint64
	for _, other := range f.cfg.Staging.Intents() {
		var s spared
		if other.Kind == intentSpared && json.Unmarshal(other.Payload, &s) == nil && s.Of == intent.ID {
			kept[backend.ObjectID{Bucket: s.Bucket, Key: s.Key}] = true
			ids = append(ids, other.ID)
		}
	}
	left := make([]deferredDelete, 0, len(sources))
	for i := range sources {
		if !kept[sources[i].id()] {
			left = append(left, deferredDelete{Bucket: sources[i].Bucket, Key: sources[i].Key, ETag: sources[i].ETag})
		}
	}
	all := f.promiseAll(intent.ID, left)
	all.spared = ids
	f.background(func() {
		if again, err := f.deleteLeft(f.ctx, all); again {
			f.log.Warn("deletes after a directory rename are repeated", slog.String("error", err.Error()))
			f.deleteAllLater(all)
		}
	})
}

// recoverSpared drops what was taken out of a promise that has ended since.
func (f *FS) recoverSpared(intent staging.Intent) {
	var s spared
	if err := json.Unmarshal(intent.Payload, &s); err == nil {
		for _, other := range f.cfg.Staging.Intents() {
			if other.ID == s.Of {
				return
			}
		}
	}
	f.dropIntents(intent.ID)
}
