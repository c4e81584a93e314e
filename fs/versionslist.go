package fs

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	// keptVersions is how many versions of one key are remembered, and rememberedVersions of all keys.
	keptVersions       = 10_000
	rememberedVersions = 100_000
	// versioningFor is how long it is remembered whether a bucket keeps versions.
	versioningFor = time.Minute
)

// keyVersions is what a listing told about one key. Immutable once it is remembered.
type keyVersions struct {
	id    backend.ObjectID
	asked time.Time
	all   []backend.Version         // newest first
	next  backend.ListVersionsInput // what comes after all of them
	more  bool                      // there may be some
	below answer                    // whether keys begin with this one and a slash
}

// answer is yes, no, or not known.
type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// versionLists remembers the versions of keys for the metadata's time to live, and which buckets keep
// versions. Its lock is a leaf.
type versionLists struct {
	mu      sync.Mutex
	byKey   map[backend.ObjectID]*keyVersions
	count   int // of versions
	asking  map[*keyVersions]bool
	buckets map[string]versioning
}

type versioning struct {
	keeps bool
	asked time.Time
}

// fresh returns what is known of a key and not older than ttl; nil: nothing.
func (l *versionLists) fresh(id backend.ObjectID, ttl time.Duration) *keyVersions {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.byKey[id]; k != nil && time.Since(k.asked) < ttl {
		return k
	}
	return nil
}

// begin registers a listing that is about to be asked for.
func (l *versionLists) begin(k *keyVersions) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking == nil {
		l.asking = make(map[*keyVersions]bool)
	}
	l.asking[k] = true
}

// end remembers a listing, unless this mount has changed the key since it was begun, or it failed.
func (l *versionLists) end(k *keyVersions, ok bool, ttl time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	current := l.asking[k]
	delete(l.asking, k)
	if !current || !ok || len(k.all) > rememberedVersions {
		return
	}
	l.dropLocked(k.id)
	if l.count+len(k.all) > rememberedVersions {
		for id, other := range l.byKey {
			if time.Since(other.asked) >= ttl || l.count+len(k.all) > rememberedVersions {
				l.dropLocked(id)
			}
		}
	}
	if l.byKey == nil {
		l.byKey = make(map[backend.ObjectID]*keyVersions)
	}
	l.byKey[k.id] = k
	l.count += len(k.all) + 1
}

func (l *versionLists) dropLocked(id backend.ObjectID) {
	if k := l.byKey[id]; k != nil {
		delete(l.byKey, id)
		l.count -= len(k.all) + 1
	}
}

// changed forgets a key that this mount has just written or deleted.
func (l *versionLists) changed(id backend.ObjectID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropLocked(id)
	for k := range l.asking {
		if k.id == id {
			l.asking[k] = false
		}
	}
}

func (l *versionLists) bucketChanged(bucket string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.buckets, bucket)
}

// keepsVersions tells whether a bucket keeps versions, or has kept some: that cannot be undone, only
// suspended. Who may not ask sees what is known of the bucket's abilities.
func (f *FS) keepsVersions(ctx context.Context, bucket string) (bool, error) {
	l := &f.versions
	l.mu.Lock()
	known, ok := l.buckets[bucket]
	l.mu.Unlock()
	if ok && time.Since(known.asked) < versioningFor {
		return known.keeps, nil
	}
	asked := time.Now()
	status, err := f.cfg.Store.BucketVersioning(ctx, bucket)
	keeps := status != ""
	switch {
	case err == nil:
	case backend.IsKind(err, backend.KindUnsupported):
	case backend.IsKind(err, backend.KindPermission):
		keeps = f.cfg.Capabilities(bucket).Versioned
	case ok: // the store does not answer
		return known.keeps, nil
	default:
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = make(map[string]versioning)
	}
	l.buckets[bucket] = versioning{keeps, asked}
	return keeps, nil
}

// versionsOf returns the versions of a key, at most keptVersions of them: one request per page, none when they
// were listed within the time to live.
func (f *FS) versionsOf(ctx context.Context, id backend.ObjectID) (*keyVersions, error) {
	if k := f.versions.fresh(id, f.ttl()); k != nil {
		return k, nil
	}
	k := &keyVersions{id: id, asked: time.Now(), more: true}
	k.next = backend.ListVersionsInput{Bucket: id.Bucket, Prefix: id.Key, Delimiter: "/"}
	f.versions.begin(k)
	err := f.listKey(ctx, k)
	f.versions.end(k, err == nil, f.ttl())
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (f *FS) listKey(ctx context.Context, k *keyVersions) error {
	for k.more && len(k.all) < keptVersions {
		page, err := f.versionPage(ctx, k.next)
		if err != nil {
			return err
		}
		k.take(page)
	}
	return nil
}

// versionPage is one request. A page that leads to itself is an error: it would be read for ever.
func (f *FS) versionPage(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	page, err := f.cfg.Store.ListVersions(ctx, in)
	if err == nil && page.More && page.NextKey == in.KeyMarker && page.NextVersion == in.VersionMarker {
		err = &backend.Error{Kind: backend.KindOther, Op: "ListObjectVersions", Bucket: in.Bucket, Key: in.Prefix,
			Message: "the page after " + strconv.Quote(in.KeyMarker) + " is the same page"}
	}
	return page, err
}

// take adds a page. The key itself comes before all others that begin with it.
func (k *keyVersions) take(page backend.VersionPage) {
	last := ""
	for _, v := range page.Versions {
		if v.Key == k.id.Key {
			k.all = append(k.all, v)
		}
		last = max(last, v.Key)
	}
	for _, p := range page.Prefixes {
		last = max(last, p)
	}
	sub := k.id.Key + "/"
	switch {
	case slices.Contains(page.Prefixes, sub):
		k.below = yes
	case !page.More || last > sub:
		k.below = no
	}
	k.more = page.More && last <= k.id.Key
	k.next.KeyMarker, k.next.VersionMarker = page.NextKey, page.NextVersion
}

// rest is a list that goes on where this one was cut.
func (k *keyVersions) rest() *keyVersions {
	return &keyVersions{id: k.id, asked: k.asked, next: k.next, more: k.more}
}

// nextVersion takes the next version out of a list that nobody else has, asking for more where there are
// some; io.EOF after the last.
func (f *FS) nextVersion(ctx context.Context, id backend.ObjectID, k *keyVersions) (backend.Version, error) {
	for len(k.all) == 0 {
		if !k.more {
			return backend.Version{}, io.EOF
		}
		page, err := f.versionPage(ctx, k.next)
		if err != nil {
			return backend.Version{}, err
		}
		k.take(page)
	}
	v := k.all[0]
	k.all = k.all[1:]
	return v, nil
}

// versionsBelow tells whether there are versions below a key and a slash: one request where the list of the
// key did not reach that far.
func (f *FS) versionsBelow(ctx context.Context, id backend.ObjectID, k *keyVersions) (bool, error) {
	if k.below != unknown {
		return k.below == yes, nil
	}
	page, err := f.cfg.Store.ListVersions(ctx, backend.ListVersionsInput{Bucket: id.Bucket, Prefix: id.Key + "/", MaxKeys: 1})
	if err != nil {
		return false, err
	}
	return len(page.Versions)+len(page.Prefixes) > 0, nil
}

// endIsNotExist makes the end of a listing that was searched what a lookup answers.
func endIsNotExist(err error, at place) error {
	if errors.Is(err, io.EOF) {
		return notExist(at)
	}
	return err
}
