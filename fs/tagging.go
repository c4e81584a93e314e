package fs

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
)

// Changes of the tags of stored objects. They need no copy of the object, only one PutObjectTagging, which
// replaces all tags: so changes are collected for attributeDelay, laid over the tags that the object has then,
// and sent together. Until they are sent the journal has them. Content that is staged meanwhile takes them along
// (fullProperties), because its commit replaces the object and its tags.

const intentTags = "tags"

// tagIntent is one change, as the journal keeps it. A nil value removes the tag.
type tagIntent struct {
	Bucket string             `json:"bucket"`
	Key    string             `json:"key"`
	Change map[string]*string `json:"change"`
	ETag   string             `json:"etag,omitempty"` // of the object that it is meant for
}

const (
	// tagsKnown is how old an answer about tags may be to be built upon without asking again.
	tagsKnown = time.Second
	// tagsParallel is how many objects get their tags at once when the mount ends.
	tagsParallel = 16
	// maxTagFailures is how many changes that were refused are listed.
	maxTagFailures = 100
	// maxObjectTags is how many tags an object may have (S3 user guide, "Categorizing your objects using tags").
	maxObjectTags = 10
)

// tagging are the changes that are not sent yet, by object.
type tagging struct {
	mu     sync.Mutex
	byID   map[backend.ObjectID]*tagChange
	held   map[backend.ObjectID]int // objects that are about to go, or to get another key
	freed  chan struct{}            // closed when a hold ends; nil: nobody waits
	failed []KeptFile               // the last that were refused
}

// tagChange is what is to be changed of one object.
type tagChange struct {
	id      backend.ObjectID
	node    *node  // pinned; nil after a restart
	etag    string // of the object that the last change was meant for
	change  map[string]*string
	intents []uint64
	flight  *tagFlight // under way; nil: none
	timer   *time.Timer
	since   time.Time
	due     time.Time
	tries   int
	lastErr error
}

// tagFlight is a request under way. err is set when done is closed.
type tagFlight struct {
	change  map[string]*string
	intents []uint64
	done    chan struct{}
	err     error
}

// overlay lays changes over tags; the result is the caller's.
func overlay(tags map[string]string, changes ...map[string]*string) map[string]string {
	out := make(map[string]string, len(tags))
	maps.Copy(out, tags)
	for _, change := range changes {
		for key, value := range change {
			if value == nil {
				delete(out, key)
			} else {
				out[key] = *value
			}
		}
	}
	return out
}

// over returns the tags that an object will have. Without a change of this mount it is tags itself.
func (t *tagging) over(id backend.ObjectID, tags map[string]string) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.byID[id]
	switch {
	case c == nil:
		return tags
	case c.flight != nil:
		return overlay(tags, c.flight.change, c.change)
	default:
		return overlay(tags, c.change)
	}
}

// pending tells whether tags of an object are to be changed.
func (t *tagging) pending(id backend.ObjectID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id] != nil
}

// changeTags journals a change of the tags that a node's object has, and sends it within attributeDelay. Of a file that
// was unlinked meanwhile it is errStored: its key may be another file's by then.
func (f *FS) changeTags(ctx context.Context, n *node, tags map[string]string, change map[string]*string) error {
	for {
		n.rlock()
		v := n.current
		n.runlock()
		if v == nil {
			return &backend.Error{Kind: backend.KindNotExist, Op: "PutObjectTagging"}
		}
		id := v.remoteID()
		if err := f.tags.awaitFree(ctx, id); err != nil {
			return err
		}
		what := tagIntent{id.Bucket, id.Key, change, v.remote.ETag}
		intent, err := f.addIntent(intentTags, what, f.cfg.LocalFsync) // then fsync need not wait for it
		if err != nil {
			return err
		}
		n.lock()
		doomed := n.doomed
		if !doomed && n.current.is(v) && f.noteTags(what, n, intent, attributeDelay) {
			if n.props != nil {
				props := n.props.Clone()
				props.Tags = overlay(tags, change) // it may not have them yet
				n.props, n.tagCount = &props, len(props.Tags)
			}
			n.unlock()
			return nil
		}
		n.unlock() // it gets another key just now
		if err := f.cfg.Staging.DropIntent(intent); err != nil {
			return err
		}
		if doomed {
			return errStored
		}
	}
}

// noteTags adds a change to what is to be sent; false: the object is held. n is nil after a restart.
func (f *FS) noteTags(what tagIntent, n *node, intent uint64, delay time.Duration) bool {
	t, id := &f.tags, backend.ObjectID{Bucket: what.Bucket, Key: what.Key}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[id] > 0 {
		return false
	}
	c := t.byID[id]
	if c == nil {
		if t.byID == nil {
			t.byID = make(map[backend.ObjectID]*tagChange)
		}
		c = &tagChange{id: id, change: make(map[string]*string), since: time.Now()}
		t.byID[id] = c
	}
	if c.node == nil && n != nil {
		c.node = n
		f.tree.pin(n)
	}
	c.etag = what.ETag
	maps.Copy(c.change, what.Change)
	c.intents = append(c.intents, intent)
	f.armTagsLocked(c, delay)
	return true
}

// armTagsLocked sends a change later, unless it is due already.
func (f *FS) armTagsLocked(c *tagChange, delay time.Duration) {
	if c.timer != nil {
		return
	}
	c.due = time.Now().Add(delay)
	c.timer = time.AfterFunc(delay, func() {
		f.tags.mu.Lock()
		c.timer = nil
		if f.tags.held[c.id] == 0 {
			f.launchTagsLocked(c)
		}
		f.tags.mu.Unlock()
	})
}

// launchTagsLocked sends what is to be sent of a change, unless that is under way. It returns what to wait for;
// nil: nothing.
func (f *FS) launchTagsLocked(c *tagChange) *tagFlight {
	select {
	case <-f.closing: // the journal has it
		return nil
	default:
	}
	if c.flight != nil || f.tags.byID[c.id] != c {
		return c.flight
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	fl := &tagFlight{change: c.change, intents: c.intents, done: make(chan struct{})}
	c.flight, c.change, c.intents = fl, make(map[string]*string), nil
	f.background(func() { f.sendTags(c, fl) })
	return fl
}

// sendTags makes the requests of a flight.
func (f *FS) sendTags(c *tagChange, fl *tagFlight) {
	err := f.stillTheSame(c)
	var tags map[string]string
	if err == nil {
		tags, err = f.mergeTags(c.id, fl.change)
	}
	if err == nil {
		err = f.cfg.Store.PutTags(f.ctx, c.id, "", tags)
	}
	if err == nil {
		f.facts.retagged(c.id, tags)
	}
	t := &f.tags
	t.mu.Lock()
	fl.err, c.flight, c.lastErr = err, nil, err
	n, over := c.node, false
	switch {
	case backend.Temporary(err) || backend.IsKind(err, backend.KindCanceled):
		for key, value := range c.change { // newer
			fl.change[key] = value
		}
		c.change, c.intents = fl.change, append(fl.intents, c.intents...)
		c.tries++
		if f.ctx.Err() == nil && t.held[c.id] == 0 {
			f.armTagsLocked(c, min(attributeDelay<<min(c.tries, 6), time.Minute))
		}
	default:
		c.tries = 0
		t.failed = slices.DeleteFunc(t.failed, func(k KeptFile) bool { return k.Bucket == c.id.Bucket && k.Key == c.id.Key })
		if err != nil {
			t.failedLocked(c, err)
		}
		if over = len(c.change) == 0; over {
			t.removeLocked(c)
		} else if f.ctx.Err() == nil && t.held[c.id] == 0 { // its time may have come meanwhile
			f.armTagsLocked(c, max(0, time.Until(c.due)))
		}
	}
	left := maps.Clone(c.change)
	t.mu.Unlock()
	switch {
	case backend.Temporary(err) || backend.IsKind(err, backend.KindCanceled):
		f.log.Warn("tags could not be stored; it is tried again", slog.String("bucket", c.id.Bucket), slog.String("key", c.id.Key), slog.String("error", err.Error()))
	case err != nil:
		f.log.Warn("tags are not stored", slog.String("bucket", c.id.Bucket), slog.String("key", c.id.Key), slog.String("error", err.Error()))
		f.tagsRefused(n, c.id, err)
		f.dropIntents(fl.intents...)
	default:
		f.tagsStored(n, c.id, overlay(tags, left))
		f.dropIntents(fl.intents...)
	}
	close(fl.done)
	if over && n != nil {
		f.tree.unpin(n)
	}
}

// mergeTags lays a change over the tags that the object has now.
func (f *FS) mergeTags(id backend.ObjectID, change map[string]*string) (map[string]string, error) {
	known := f.facts.get(factKey{ObjectID: id})
	tags := known.tags
	if known.tagsAt.IsZero() || time.Since(known.tagsAt) >= tagsKnown {
		var err error
		if tags, err = f.cfg.Store.Tags(f.ctx, id, ""); err != nil {
			return nil, err
		}
	}
	tags = overlay(tags, change)
	if len(tags) > maxObjectTags {
		return nil, &backend.Error{Kind: backend.KindInvalid, Op: "PutObjectTagging", Bucket: id.Bucket, Key: id.Key,
			Message: "another client has set tags meanwhile, and an object has at most 10"}
	}
	return tags, nil
}

// tagsStored takes over what an object's tags are now.
func (f *FS) tagsStored(n *node, id backend.ObjectID, tags map[string]string) {
	if n == nil {
		return
	}
	n.lock()
	defer n.unlock()
	if n.current != nil && n.current.remoteID() == id && n.staged == nil && n.props != nil {
		props := n.props.Clone()
		props.Tags = tags
		n.props, n.tagCount = &props, len(tags)
	}
}

// tagsRefused makes the next fsync or close tell that tags are not stored, and forgets what was to be.
func (f *FS) tagsRefused(n *node, id backend.ObjectID, cause error) {
	f.facts.drop(id)
	if n == nil {
		return
	}
	n.lock()
	defer n.unlock()
	n.refused = cause
	if n.current != nil && n.current.remoteID() == id && n.staged == nil {
		n.props = nil
	}
}

func (t *tagging) removeLocked(c *tagChange) {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	delete(t.byID, c.id)
}

func (t *tagging) failedLocked(c *tagChange, err error) {
	kept := KeptFile{Bucket: c.id.Bucket, Key: c.id.Key, State: "tags refused", Reason: err.Error()}
	if t.failed = append(t.failed, kept); len(t.failed) > maxTagFailures {
		t.failed = slices.Delete(t.failed, 0, 1)
	}
}

func (c *tagChange) status() writeback.Status {
	s := writeback.Status{Bucket: c.id.Bucket, Key: c.id.Key, State: "tags", Attempts: c.tries, Since: c.since, NextTry: c.due}
	if c.lastErr != nil {
		s.LastError = c.lastErr.Error()
	}
	return s
}

// status lists the changes that are not sent, and those that were refused.
func (t *tagging) status() (pending []writeback.Status, refused []KeptFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.byID {
		pending = append(pending, c.status())
	}
	return pending, slices.Clone(t.failed)
}

// recoverTags takes up a change that an earlier mount had journalled and not sent.
func (f *FS) recoverTags(intent staging.Intent) {
	var c tagIntent
	if !f.readIntent(intent, &c) {
		return
	}
	f.log.Info("resuming a change of tags", slog.String("bucket", c.Bucket), slog.String("key", c.Key))
	f.noteTags(c, nil, intent.ID, 0)
}
