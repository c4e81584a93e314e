package metadata

import (
	"context"
	"strings"

	"github.com/objmount/objmount/backend"
)

// flight is a request that several callers wait for.
type flight struct {
	done chan struct{}
	err  error // valid after done
	item *item // the answer of a lookup; valid after done
}

// wait returns the flight's error, or KindCanceled when ctx ends first; the request goes on.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return canceled(ctx)
	}
}

func canceled(ctx context.Context) error {
	return &backend.Error{Kind: backend.KindCanceled, Op: "ListObjectsV2", Err: context.Cause(ctx)}
}

// flyLocked runs a request in a goroutine of its own. run returns what must be done under
// the lock with its outcome.
func (c *Cache) flyLocked(f *flight, run func(context.Context) (settleLocked func())) *flight {
	f.done = make(chan struct{})
	if c.closed {
		c.settleClosedLocked(f)
		return f
	}
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		settleLocked := run(c.ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		settleLocked()
		close(f.done)
	}()
	return f
}

func (c *Cache) settleClosedLocked(f *flight) {
	f.err = &backend.Error{Kind: backend.KindCanceled, Op: "ListObjectsV2", Message: "the mount ends"}
	close(f.done)
}

// The own changes.
const (
	opStored        = iota // object is now the object key
	opRemoved              // there is no object key
	opPrefixAdded          // there is a directory key; what it holds is not known
	opPrefixCreated        // there is a directory key with nothing in it but perhaps a marker
	opPrefixRemoved        // there is no directory key
	opInvalidated          // the directory key may be anything
)

type change struct {
	stamp
	op     int
	key    string // of an object; or the prefix of a directory
	object *backend.Object
}

// forgets reports whether the change leaves nothing known about a directory.
func (ch *change) forgets(prefix string) bool {
	switch ch.op {
	case opPrefixAdded, opPrefixCreated, opPrefixRemoved:
		return strings.HasPrefix(prefix, ch.key)
	case opInvalidated:
		return prefix == ch.key
	default:
		return false
	}
}

// watch collects the own changes of a prefix while a request is under way that does not
// know of them.
type watch struct {
	dirID
	changes []*change
}

func (c *Cache) watchLocked(bucket, prefix string) *watch {
	w := &watch{dirID: dirID{bucket, prefix}}
	c.watches[w] = struct{}{}
	return w
}

// unwatchLocked ends a watch.
func (c *Cache) unwatchLocked(w *watch) []*change {
	delete(c.watches, w)
	return w.changes
}

// note adds a change that concerns the watch.
func (w *watch) note(bucket string, ch *change) {
	if bucket == w.bucket && (strings.HasPrefix(ch.key, w.prefix) || strings.HasPrefix(w.prefix, ch.key)) {
		w.changes = append(w.changes, ch)
	}
}
