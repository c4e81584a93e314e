package fs

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/names"
)

// aheadParallel is how many markers are asked for at once.
const aheadParallel = 64

// markerAnswers are what the store said about directory markers before somebody needed it: when one of
// many directories that were listed is looked at, those that follow are asked for too.
type markerAnswers struct {
	mu   sync.Mutex
	byID map[backend.ObjectID]*markerAnswer
}

// markerAnswer is one HEAD; obj and err are set when done is closed.
type markerAnswer struct {
	began time.Time
	done  chan struct{}
	obj   backend.Object
	err   error
}

// begin registers requests that are about to be made, and forgets old answers that nobody took.
func (m *markerAnswers) begin(ids []backend.ObjectID) []*markerAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, a := range m.byID {
		if time.Since(a.began) > markerFor {
			delete(m.byID, id)
		}
	}
	if m.byID == nil {
		m.byID = make(map[backend.ObjectID]*markerAnswer)
	}
	answers := make([]*markerAnswer, len(ids))
	for i, id := range ids {
		answers[i] = &markerAnswer{began: time.Now(), done: make(chan struct{})}
		m.byID[id] = answers[i]
	}
	return answers
}

// know registers an answer that is known without a request.
func (m *markerAnswers) know(obj backend.Object) {
	a := m.begin([]backend.ObjectID{obj.ID()})[0]
	a.obj = obj
	close(a.done)
}

// take returns an answer, once; nil: there is none that is recent.
func (m *markerAnswers) take(id backend.ObjectID) *markerAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.byID[id]
	delete(m.byID, id)
	if a == nil || time.Since(a.began) > markerFor {
		return nil
	}
	return a
}

// drop forgets an answer: this mount changes the marker.
func (m *markerAnswers) drop(id backend.ObjectID) { m.take(id) }

// clear forgets all answers: this mount changes many markers.
func (m *markerAnswers) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.byID)
}

// headMarker asks for a directory's marker, or takes the answer that came ahead.
func (f *FS) headMarker(ctx context.Context, dir *node) (backend.Object, error) {
	id := f.markerOf(dir)
	f.askAhead(dir)
	if a := f.markers.take(id); a != nil {
		select {
		case <-a.done:
		case <-ctx.Done():
			return backend.Object{}, ctx.Err()
		}
		if a.err == nil || backend.IsKind(a.err, backend.KindNotExist) {
			return a.obj, a.err
		}
	}
	obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
	if err == nil {
		f.cfg.Metadata.Remember(obj)
	}
	return obj, err
}

// askAhead asks, in the background, for the markers of the directories beside one that are noted.
func (f *FS) askAhead(dir *node) {
	parent := f.parentOf(dir)
	if parent == nil {
		return
	}
	this, at := f.markerOf(dir), f.tree.locate(parent)
	marker := func(component string) backend.ObjectID {
		return backend.ObjectID{Bucket: at.bucket, Key: at.key + component + "/"}
	}
	if f.isBucketList(parent) {
		marker = func(name string) backend.ObjectID {
			return backend.ObjectID{Bucket: bucketNamed(parent, name), Key: names.DirObject}
		}
	}
	parent.lock()
	next := parent.unasked.take(func(component string) bool { return marker(component) == this })
	parent.unlock()
	if len(next) < 2 {
		return
	}
	ids := make([]backend.ObjectID, len(next))
	for i, component := range next {
		ids[i] = marker(component)
	}
	answers := f.markers.begin(ids)
	f.background(func() {
		var group errgroup.Group
		group.SetLimit(aheadParallel)
		for i, a := range answers {
			group.Go(func() error {
				defer close(a.done)
				select {
				case <-f.closing:
					a.err = context.Canceled
					return nil
				default:
				}
				if a.obj, a.err = f.cfg.Store.Head(f.ctx, ids[i], backend.GetOptions{}); a.err == nil {
					f.cfg.Metadata.Remember(a.obj)
				}
				return nil
			})
		}
		_ = group.Wait() // no answer is an error here
	})
}
