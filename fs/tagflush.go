package fs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// flushTags sends the changes of an object's tags now and waits for the answer: nil when there are none. While
// another request holds the object, it waits for that.
func (f *FS) flushTags(ctx context.Context, id backend.ObjectID) error {
	return f.flushTagsOf(ctx, id, false)
}

// flushTagsOf is flushTags; holding: the caller holds the object itself.
func (f *FS) flushTagsOf(ctx context.Context, id backend.ObjectID, holding bool) error {
	for {
		f.tags.mu.Lock()
		if f.tags.held[id] > 0 && !holding {
			f.tags.mu.Unlock()
			if err := f.tags.awaitFree(ctx, id); err != nil {
				return err
			}
			continue
		}
		var fl *tagFlight
		c := f.tags.byID[id]
		if c != nil {
			fl = f.launchTagsLocked(c)
		}
		f.tags.mu.Unlock()
		if fl == nil {
			return nil
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return &backend.Error{Kind: backend.KindCanceled, Op: "PutObjectTagging", Bucket: id.Bucket, Key: id.Key, Err: context.Cause(ctx)}
		}
		if fl.err != nil {
			return fl.err
		}
	}
}

// flushNodeTags is flushTags of the object behind a node.
func (f *FS) flushNodeTags(ctx context.Context, n *node) error {
	n.rlock()
	v := n.current
	n.runlock()
	if v == nil {
		return nil
	}
	return f.flushTags(ctx, v.remoteID())
}

// flushTagsBelow sends all changes of objects whose keys begin with a prefix; bucket "" means all there are. It tries
// them all and returns their failures; if some are still to be sent, one of those.
func (f *FS) flushTagsBelow(ctx context.Context, bucket, prefix string) error {
	f.tags.mu.Lock()
	var ids []backend.ObjectID
	for id := range f.tags.byID {
		if bucket == "" || id.Bucket == bucket && strings.HasPrefix(id.Key, prefix) {
			ids = append(ids, id)
		}
	}
	f.tags.mu.Unlock()
	failures := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(tagsParallel)
	for i, id := range ids {
		group.Go(func() error {
			failures[i] = f.flushTags(ctx, id)
			return nil
		})
	}
	_ = group.Wait() // see failures
	if i := slices.IndexFunc(failures, unsent); i >= 0 {
		return failures[i]
	}
	return errors.Join(failures...)
}

// unsent tells of a failure after which a change is still to be sent.
func unsent(err error) bool {
	return backend.Temporary(err) || backend.IsKind(err, backend.KindCanceled)
}

// stillTheSame makes sure, by a HEAD, that a change which could not be sent for a while is not made to another object than
// it was meant for. One that is sent in time needs none.
func (f *FS) stillTheSame(c *tagChange) error {
	f.tags.mu.Lock()
	n, etag, late := c.node, c.etag, c.node == nil || c.tries > 0
	f.tags.mu.Unlock()
	if !late {
		return nil
	}
	if n != nil {
		n.rlock()
		if n.current != nil && n.current.remoteID() == c.id {
			etag = n.current.remote.ETag
		}
		n.runlock()
	}
	if etag == "" {
		return nil
	}
	obj, err := f.cfg.Store.Head(f.ctx, c.id, backend.GetOptions{})
	if err == nil && obj.ETag != etag {
		err = &backend.Error{Kind: backend.KindChanged, Op: "PutObjectTagging", Bucket: c.id.Bucket, Key: c.id.Key,
			Message: "another client has replaced the object meanwhile"}
	}
	return err
}

// awaitFree waits while an object is held.
func (t *tagging) awaitFree(ctx context.Context, id backend.ObjectID) error {
	for {
		t.mu.Lock()
		if t.held[id] == 0 {
			t.mu.Unlock()
			return nil
		}
		if t.freed == nil {
			t.freed = make(chan struct{})
		}
		freed := t.freed
		t.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return &backend.Error{Kind: backend.KindCanceled, Op: "PutObjectTagging", Bucket: id.Bucket, Key: id.Key, Err: context.Cause(ctx)}
		}
	}
}

// holdTags stops the changes of objects' tags while these are deleted, replaced or given another key: none is under
// way when it returns, and none begins before release. With send, what is pending is sent first, so that a copy has
// it; a refusal of the store is no error then, it is told elsewhere. release says whether the objects are gone:
// what was to be changed of them is forgotten then.
func (f *FS) holdTags(ctx context.Context, send bool, ids ...backend.ObjectID) (release func(gone bool), err error) {
	t := &f.tags
	t.mu.Lock()
	if t.held == nil {
		t.held = make(map[backend.ObjectID]int)
	}
	for _, id := range ids {
		t.held[id]++
	}
	t.mu.Unlock()
	var once sync.Once
	release = func(gone bool) { once.Do(func() { f.releaseTags(gone, ids) }) }
	for _, id := range ids {
		if send {
			err = f.flushTagsOf(ctx, id, true)
		} else {
			err = f.landTags(ctx, id)
		}
		if unsent(err) {
			release(false)
			return nil, err
		}
	}
	return release, nil
}

// landTags waits for the request under way.
func (f *FS) landTags(ctx context.Context, id backend.ObjectID) error {
	f.tags.mu.Lock()
	c := f.tags.byID[id]
	if c == nil || c.flight == nil {
		f.tags.mu.Unlock()
		return nil
	}
	fl := c.flight
	f.tags.mu.Unlock()
	select {
	case <-fl.done:
		return nil
	case <-ctx.Done():
		return &backend.Error{Kind: backend.KindCanceled, Op: "PutObjectTagging", Bucket: id.Bucket, Key: id.Key, Err: context.Cause(ctx)}
	}
}

func (f *FS) releaseTags(gone bool, ids []backend.ObjectID) {
	t := &f.tags
	var over []*tagChange
	t.mu.Lock()
	for _, id := range ids {
		if t.held[id]--; t.held[id] == 0 {
			delete(t.held, id)
		}
		switch c := t.byID[id]; {
		case c == nil:
		case gone && c.flight == nil:
			t.removeLocked(c)
			over = append(over, c)
		default:
			f.armTagsLocked(c, attributeDelay)
		}
	}
	if t.freed != nil {
		close(t.freed)
		t.freed = nil
	}
	t.mu.Unlock()
	f.endTags(over)
	if gone {
		for _, id := range ids {
			f.facts.drop(id)
		}
	}
}

// carriedTags ends changes that an upload had with it.
func (f *FS) carriedTags(id backend.ObjectID, tags map[string]string) {
	t := &f.tags
	t.mu.Lock()
	c := t.byID[id]
	if c == nil || c.flight != nil || !carries(tags, c.change) {
		t.mu.Unlock()
		return
	}
	t.removeLocked(c)
	t.mu.Unlock()
	f.endTags([]*tagChange{c})
}

// carries tells whether tags are what a change makes of them.
func carries(tags map[string]string, change map[string]*string) bool {
	for key, value := range change {
		now, there := tags[key]
		if there != (value != nil) || there && now != *value {
			return false
		}
	}
	return true
}

func (f *FS) endTags(over []*tagChange) {
	for _, c := range over {
		f.dropIntents(c.intents...)
		if c.node != nil {
			f.tree.unpin(c.node)
		}
	}
}

// stopTags ends the timers: what is not sent stays in the journal.
func (f *FS) stopTags() {
	f.tags.mu.Lock()
	defer f.tags.mu.Unlock()
	for _, c := range f.tags.byID {
		if c.timer != nil {
			c.timer.Stop()
			c.timer = nil
		}
	}
}

// renameWithTags is renameFile. What tags of it were to be changed is sent before, so that the copy has it; what
// was to be changed of an object that it replaces is forgotten.
func (f *FS) renameWithTags(ctx context.Context, n *node, m move) error {
	ids := []backend.ObjectID{m.place.id()}
	n.rlock()
	if n.current != nil && n.current.remoteID() != ids[0] {
		ids = append(ids, n.current.remoteID())
	}
	n.runlock()
	release, err := f.holdTags(ctx, true, ids...)
	if err != nil {
		return err
	}
	err = f.renameFile(ctx, n, m)
	release(err == nil)
	return err
}

// holdNodeTags is holdTags of the object of a file that is about to be deleted. Where versions are kept, what is left
// of it gets its tags before.
func (f *FS) holdNodeTags(ctx context.Context, n *node) (release func(gone bool), err error) {
	n.rlock()
	v := n.current
	n.runlock()
	if v == nil {
		return func(bool) {}, nil
	}
	return f.holdTags(ctx, f.cfg.Capabilities(v.remote.Bucket).Versioned, v.remoteID())
}
