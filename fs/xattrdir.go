package fs

import (
	"context"
	"maps"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/xattr"
)

// gatherMarker fetches what is known of a directory's marker.
func (f *FS) gatherMarker(ctx context.Context, dir *node, needs xattr.Need, facts *xattr.Facts) (key factKey, stored bool, err error) {
	key = factKey{ObjectID: f.markerOf(dir)}
	facts.GuessedType = markerType
	if needs&^(xattr.NeedURL|xattr.NeedPublicURL) == 0 {
		return key, false, nil
	}
	known, err := f.factOf(ctx, key, needs.Has(xattr.NeedTags))
	if err != nil || known.absent {
		return key, false, err
	}
	facts.Object = known.obj
	if facts.Scope != xattr.Bucket { // those are the bucket's
		facts.Tags = known.tags
	}
	if facts.Object.Headers.ContentType == "binary/octet-stream" || facts.Object.Headers.ContentType == contenttype.Unknown {
		facts.GuessedType = facts.Object.Headers.ContentType
	}
	return key, true, nil
}

// gatherBucket fetches what is needed of a bucket.
func (f *FS) gatherBucket(ctx context.Context, bucket string, needs xattr.Need, facts *xattr.Facts) error {
	store, b := f.cfg.Store, &facts.Bucket
	return askNeeded(needs, []question{
		{xattr.NeedTags, func() (err error) { facts.Tags, err = store.BucketTags(ctx, bucket); return err }},
		{xattr.NeedVersioning, func() error {
			status, err := store.BucketVersioning(ctx, bucket)
			if err == nil {
				b.Versioning = &status
			}
			return err
		}},
		{xattr.NeedRegion, func() (err error) { b.Region, err = store.BucketRegion(ctx, bucket); return err }},
		{xattr.NeedBucketLock, func() error {
			lock, err := store.BucketLock(ctx, bucket)
			if err == nil {
				b.Lock = &lock
			}
			return err
		}},
		{xattr.NeedEncryption, func() error {
			e, err := store.BucketEncryption(ctx, bucket)
			if err == nil {
				b.Encryption = &e
			}
			return err
		}},
		{xattr.NeedCreated, func() (err error) { b.Created, err = f.createdAt(ctx, bucket); return err }},
		{xattr.NeedPublic, func() error {
			public, err := store.BucketPublic(ctx, bucket)
			if err == nil {
				b.Public = &public
			}
			return err
		}},
		{xattr.NeedUsage, func() error {
			size, count, err := store.BucketUsage(ctx, bucket)
			if err == nil {
				b.Usage = &xattr.Usage{Bytes: size, Objects: count}
			}
			return err
		}},
	})
}

// createdAt finds a bucket in the list of all: nothing else tells when it was made.
func (f *FS) createdAt(ctx context.Context, bucket string) (time.Time, error) {
	all, err := f.cfg.Store.ListBuckets(ctx, bucket)
	for _, b := range all {
		if b.Name == bucket {
			return b.Created, nil
		}
	}
	return time.Time{}, err
}

// changeDirXattr changes an attribute of a directory's marker, or of a bucket, at once.
func (f *FS) changeDirXattr(ctx context.Context, dir *node, a xattr.Attribute, decide xattrDecision) error {
	if dir.view != noView {
		return syscall.EROFS
	}
	for attempt := 0; ; attempt++ {
		if err := f.tryDirXattr(ctx, dir, a, decide); !raced(err) || attempt == 2 {
			return err
		}
	}
}

func (f *FS) tryDirXattr(ctx context.Context, dir *node, a xattr.Attribute, decide xattrDecision) error {
	if err := f.askMarkerNow(ctx, dir); err != nil {
		return err
	}
	facts, err := f.gather(ctx, dir, a.Needs()|xattr.NeedObject|xattr.NeedTags)
	if err != nil {
		return err
	}
	change, err := decide(a, facts)
	if err != nil {
		return err
	}
	props := backend.PropertiesOf(facts.Object)
	if props.Headers.ContentType == "" {
		props.Headers.ContentType = markerType
	}
	props.Tags, props.Lock = maps.Clone(facts.Tags), facts.Object.Lock
	r, err := change(&props, xattr.Rules{Capabilities: facts.Capabilities, Now: facts.Now, Annotations: facts.Annotations})
	if err != nil || r.Change == 0 {
		return err
	}
	bucket := f.tree.locate(dir).bucket
	switch {
	case has(r, xattr.ChangeBucketTags):
		defer f.limits.forget(bucket)
		return f.cfg.Store.PutBucketTags(ctx, bucket, props.Tags)
	case has(r, xattr.ChangeBucketVersioning):
		return f.cfg.Store.SetBucketVersioning(ctx, bucket, r.Versioning)
	}
	return f.changeMarker(ctx, dir, facts, props, r)
}

// changeMarker changes what a directory's marker has; where there is none, it is written.
func (f *FS) changeMarker(ctx context.Context, dir *node, facts *xattr.Facts, props backend.Properties, r xattr.Request) error {
	id := f.markerOf(dir)
	defer f.facts.drop(id)
	const stored = xattr.ChangeProperties | xattr.ChangeTags
	there := facts.Object.HasMetadata
	if !there && r.Change&^stored != 0 {
		if err := f.writeMarkerInTurn(ctx, dir, false); err != nil {
			return err
		}
		there = true
	}
	facts.Object.Bucket, facts.Object.Key = id.Bucket, id.Key
	switch {
	case !there: // one request for all of it
		r.Change = xattr.ChangeProperties
	case has(r, xattr.ChangeTags):
		if err := f.cfg.Store.PutTags(ctx, id, "", props.Tags); err != nil {
			return err
		}
		f.markerTagged(dir, len(props.Tags))
		r.Change &^= xattr.ChangeTags
	}
	if facts.Scope == xattr.Bucket && has(r, xattr.ChangeProperties) { // props.Tags are the bucket's
		dir.rlock()
		marker := dir.keeps.marker
		dir.runlock()
		if err := f.keepTags(ctx, marker, &props); err != nil {
			return err
		}
	}
	return f.apply(ctx, dir, facts, &props, r, func() error { return f.rewriteMarker(ctx, dir, props) })
}

// rewriteMarker stores a directory's marker with other properties.
func (f *FS) rewriteMarker(ctx context.Context, dir *node, props backend.Properties) error {
	props.Lock = backend.ObjectLock{}
	if props.Metadata == nil {
		props.Metadata = make(map[string]string)
	}
	dir.rlock()
	old, state := dir.keeps.marker, dir.keeps
	dir.runlock()
	obj, err := f.storeMarker(ctx, f.markerOf(dir), old, props, true)
	if err != nil {
		return err
	}
	f.marked(dir, obj, props, state)
	return nil
}

// keepTags adds to the properties of a marker that is written again the tags that it has; nil: there is none.
func (f *FS) keepTags(ctx context.Context, marker *backend.Object, props *backend.Properties) error {
	props.Tags = nil
	if marker == nil || marker.TagCount == 0 || !f.cfg.Capabilities(marker.Bucket).Tagging {
		return nil
	}
	tags, err := f.cfg.Store.Tags(ctx, marker.ID(), "")
	if err == nil {
		props.Tags = tags
	}
	if backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	return err
}

// askMarkerNow looks what marker a directory has: what is changed is built upon what the store says now.
func (f *FS) askMarkerNow(ctx context.Context, dir *node) error {
	id := f.markerOf(dir)
	f.facts.drop(id)
	began := time.Now()
	if err := f.askMarker(ctx, dir); err != nil {
		return err
	}
	dir.rlock()
	marker := dir.keeps.marker
	dir.runlock()
	if marker != nil {
		f.facts.told(*marker, began)
	}
	return nil
}

// markerTagged notes how many tags a directory's marker has now, so that who writes it again carries them.
func (f *FS) markerTagged(dir *node, count int) {
	dir.lock()
	defer dir.unlock()
	if old := dir.keeps.marker; old != nil {
		marker := *old
		marker.TagCount = count
		dir.keeps.marker = &marker
	}
}
