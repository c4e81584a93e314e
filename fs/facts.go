package fs

import (
	"container/list"
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/names"
)

const (
	// maxFacts is how many objects are remembered for extended attributes.
	maxFacts = 20_000
	// factsParallel is how many objects are asked for at once, ahead of a scan.
	factsParallel = 64
	// nearby is how far apart in a listing two files may be to count as one after the other.
	nearby = 8
)

// fact is what the store said of one object: the answer to a HEAD or GET, and its tags.
type fact struct {
	obj    backend.Object
	absent bool              // there is no such object
	at     time.Time         // when the request for obj began; zero: not asked
	tags   map[string]string // shared, never changed
	tagsAt time.Time         // zero: not asked
}

// facts are the answers that extended attributes are made of. Tags and metadata change without a new
// ETag, so they are believed for the time that attributes may be old, and no longer: they are kept in
// memory and not with the listings. What this mount changes itself is forgotten or corrected at once,
// also where the answer to an earlier question is still on its way.
type facts struct {
	mu      sync.Mutex
	entries map[factKey]*list.Element // of *factEntry
	lru     list.List
	flights map[factQuestion]*factFlight
	slots   chan struct{} // of the requests that go ahead
}

type factEntry struct {
	key factKey
	fact
}

// factKey names the current version of an object, or with an id one version for good.
type factKey struct {
	backend.ObjectID
	version string
}

// factQuestion is a HEAD, or a request for tags.
type factQuestion struct {
	factKey
	tags bool
}

// factFlight is a request under way. fact and err are set when done is closed.
type factFlight struct {
	began time.Time
	done  chan struct{}
	fact  fact
	err   error
	stale bool // this mount changed the object since; guarded by facts.mu
}

func newFacts() *facts {
	return &facts{
		entries: make(map[factKey]*list.Element), flights: make(map[factQuestion]*factFlight),
		slots: make(chan struct{}, factsParallel),
	}
}

// get returns what is remembered of an object, however old.
func (t *facts) get(key factKey) fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key]
	if e == nil {
		return fact{}
	}
	t.lru.MoveToFront(e)
	return e.Value.(*factEntry).fact
}

func (t *facts) entryLocked(key factKey) *factEntry {
	if e := t.entries[key]; e != nil {
		t.lru.MoveToFront(e)
		return e.Value.(*factEntry)
	}
	e := &factEntry{key: key}
	t.entries[key] = t.lru.PushFront(e)
	for len(t.entries) > maxFacts {
		last := t.lru.Back()
		t.lru.Remove(last)
		delete(t.entries, last.Value.(*factEntry).key)
	}
	return e
}

// told takes over the answer to a HEAD or GET of a current version that began at a time. Tags that are known from
// later stay.
func (t *facts) told(obj backend.Object, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.toldLocked(factKey{ObjectID: obj.ID()}, obj, false, began)
}

func (t *facts) toldLocked(key factKey, obj backend.Object, absent bool, began time.Time) {
	e := t.entryLocked(key)
	if e.at.After(began) {
		return
	}
	if !e.at.IsZero() && e.obj.ETag != obj.ETag || e.tagsAt.Before(began) && obj.TagCount >= 0 && obj.TagCount != len(e.tags) {
		e.tags, e.tagsAt = nil, time.Time{}
	}
	if !e.tagsAt.IsZero() {
		obj.TagCount = len(e.tags)
	}
	if obj.TagCount == 0 && e.tagsAt.Before(began) { // the HEAD has told it
		e.tags, e.tagsAt = nil, began
	}
	e.obj, e.absent, e.at = obj, absent, began
}

func (t *facts) taggedLocked(key factKey, tags map[string]string, began time.Time) {
	if e := t.entryLocked(key); !e.tagsAt.After(began) {
		e.tags, e.tagsAt = tags, began
		e.obj.TagCount = len(tags)
	}
}

// retagged takes over tags that this mount has stored: what was asked before is not believed.
func (t *facts) retagged(id backend.ObjectID, tags map[string]string) {
	key := factKey{ObjectID: id}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staleLocked(factQuestion{key, true})
	t.taggedLocked(key, maps.Clone(tags), time.Now())
}

// drop forgets an object that this mount changes.
func (t *facts) drop(id backend.ObjectID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := factKey{ObjectID: id}
	t.staleLocked(factQuestion{key, false})
	t.staleLocked(factQuestion{key, true})
	if e := t.entries[key]; e != nil {
		t.lru.Remove(e)
		delete(t.entries, key)
	}
}

// dropHead forgets an object but for its tags.
func (t *facts) dropHead(id backend.ObjectID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := factKey{ObjectID: id}
	t.staleLocked(factQuestion{key, false})
	if e := t.entries[key]; e != nil {
		e.Value.(*factEntry).at = time.Time{}
	}
}

// clear forgets everything: many objects get other keys.
func (t *facts) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for q := range t.flights {
		t.staleLocked(q)
	}
	clear(t.entries)
	t.lru.Init()
}

func (t *facts) staleLocked(q factQuestion) {
	if fl := t.flights[q]; fl != nil {
		fl.stale = true
		delete(t.flights, q)
	}
}

// begin returns the request under way for a question, or registers one that the caller makes.
func (t *facts) begin(q factQuestion) (fl *factFlight, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fl := t.flights[q]; fl != nil {
		return fl, false
	}
	fl = &factFlight{began: time.Now(), done: make(chan struct{})}
	t.flights[q] = fl
	return fl, true
}

// end takes over the answer, unless the object was changed here meanwhile; also is called with an object that is taken
// over, before any later change of this mount can be.
func (t *facts) end(q factQuestion, fl *factFlight, also func(backend.Object)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flights[q] == fl {
		delete(t.flights, q)
	}
	switch {
	case fl.err != nil || fl.stale:
	case q.tags:
		t.taggedLocked(q.factKey, fl.fact.tags, fl.began)
	default:
		if t.toldLocked(q.factKey, fl.fact.obj, fl.fact.absent, fl.began); !fl.fact.absent {
			also(fl.fact.obj)
		}
	}
	close(fl.done)
}

// fresh tells whether an answer may still be shown.
func (f *FS) fresh(at time.Time) bool {
	return !at.IsZero() && (f.cfg.Consistency == Immutable || time.Since(at) < f.ttl())
}

// ask answers a question from memory, or by a request that all who ask at the time share. An object that is not
// there is no error.
func (f *FS) ask(ctx context.Context, q factQuestion) (fact, error) {
	for {
		known := f.facts.get(q.factKey)
		if !q.tags && f.fresh(known.at) || q.tags && f.fresh(known.tagsAt) {
			return known, nil
		}
		fl, mine := f.facts.begin(q)
		if mine {
			f.answer(ctx, q, fl)
			return fl.fact, fl.err
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return fact{}, &backend.Error{Kind: backend.KindCanceled, Op: "wait", Err: context.Cause(ctx)}
		}
		if !backend.IsKind(fl.err, backend.KindCanceled) { // else it was the other one who was ended
			return fl.fact, fl.err
		}
	}
}

// answer makes the request of a flight.
func (f *FS) answer(ctx context.Context, q factQuestion, fl *factFlight) {
	defer func() {
		f.facts.end(q, fl, func(obj backend.Object) {
			if q.version == "" {
				f.cfg.Metadata.Remember(obj)
			}
		})
	}()
	fl.fact.at, fl.fact.tagsAt = fl.began, fl.began
	if q.tags {
		fl.fact.tags, fl.err = f.cfg.Store.Tags(ctx, q.ObjectID, q.version)
		if fl.fact.tags == nil {
			fl.fact.tags = map[string]string{}
		}
		return
	}
	fl.fact.obj, fl.err = f.cfg.Store.Head(ctx, q.ObjectID, backend.GetOptions{VersionID: q.version})
	fl.fact.tagsAt = time.Time{}
	switch {
	case fl.err == nil:
		fl.fact.obj.Bucket, fl.fact.obj.Key = q.Bucket, q.Key
	case backend.IsKind(fl.err, backend.KindNotExist):
		fl.fact = fact{obj: backend.Object{Bucket: q.Bucket, Key: q.Key}, absent: true, at: fl.began}
		fl.err = nil
	}
}

// factOf returns what is known of an object, and its tags if they are wanted: one HEAD, and one request for
// tags unless the HEAD says that there are none.
func (f *FS) factOf(ctx context.Context, key factKey, tags bool) (fact, error) {
	known, err := f.ask(ctx, factQuestion{key, false})
	if err != nil || !tags || known.absent {
		return known, err
	}
	if !f.cfg.Capabilities(key.Bucket).Tagging || known.obj.TagCount == 0 {
		known.tags = nil
		return known, nil
	}
	labels, err := f.ask(ctx, factQuestion{key, true})
	if backend.IsKind(err, backend.KindNotExist) { // deleted between the two
		return fact{obj: known.obj, absent: true}, nil
	}
	known.tags, known.tagsAt = labels.tags, labels.tagsAt
	return known, err
}

// factsAhead asks, in the background, for the files that follow one in a listing, when the one that was looked
// at before it was its neighbour: somebody goes through the directory.
func (f *FS) factsAhead(dir *node, component string) {
	if dir == nil || f.ttl() < time.Second {
		return
	}
	at := f.tree.locate(dir)
	dir.lock()
	next := dir.following.next(func(other string) bool { return other == component })
	dir.unlock()
	if len(next) == 0 {
		return
	}
	f.background(func() {
		var group errgroup.Group
		group.SetLimit(factsParallel)
		for _, name := range next {
			group.Go(func() error {
				f.askAheadOf(factKey{ObjectID: backend.ObjectID{Bucket: at.bucket, Key: at.key + name}})
				return nil
			})
		}
		_ = group.Wait() // no answer is an error here
	})
}

func (f *FS) askAheadOf(key factKey) {
	select {
	case f.facts.slots <- struct{}{}:
		defer func() { <-f.facts.slots }()
	case <-f.closing:
		return
	}
	if _, err := f.factOf(f.ctx, key, true); err != nil {
		f.log.Debug("asking ahead", "key", key.Key, "error", err.Error())
	}
}

// noteFollowing notes an entry that a listing shows.
func (f *FS) noteFollowing(d *dirHandle, e *dirEntry) {
	if e == nil || e.local != nil || e.view != noView || e.kind == names.Part || !e.dir && e.entry.Object == nil {
		return
	}
	name := e.entry.Name
	if e.dir {
		name += "/"
	}
	d.node.lock()
	d.node.following.note(name)
	d.node.unlock()
}

// next returns what to fetch ahead when an entry is looked at: those that follow it, if it follows the one that was
// looked at before.
func (a *noted[T]) next(looked func(T) bool) []T {
	for i := range a.all {
		if !looked(a.all[i]) {
			continue
		}
		near := a.seen && i <= nearby
		a.seen = true
		a.all = a.all[i+1:]
		if !near {
			return nil
		}
		a.step = max(firstStep, a.step)
		ahead := append([]T(nil), a.all[:min(a.step, len(a.all))]...)
		a.all = a.all[len(ahead):]
		a.step *= 4
		return ahead
	}
	return nil
}
