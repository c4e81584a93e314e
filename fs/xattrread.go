package fs

import (
	"context"
	"fmt"
	"maps"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/xattr"
)

// presignedFor is how long user.s3.url works.
const presignedFor = time.Hour

// readXattr returns the value of an attribute, or ENODATA.
func (f *FS) readXattr(ctx context.Context, n *node, a xattr.Attribute) ([]byte, error) {
	needs := a.Needs()
	if needs == 0 {
		return nil, syscall.ENODATA
	}
	facts, err := f.gather(ctx, n, needs)
	if err != nil {
		return nil, err
	}
	if err := f.fetchAnnotation(ctx, n, a, facts); err != nil {
		return nil, err
	}
	value, there := a.Value(facts)
	if !there {
		return nil, syscall.ENODATA
	}
	return value, nil
}

// listXattrs returns the names that are worth copying. What the store refuses to tell is not listed.
func (f *FS) listXattrs(ctx context.Context, n *node) ([]string, error) {
	if f.aboveBuckets(n) || n.dir && f.isPart(n) || n.dir && n.view != noView {
		return nil, nil
	}
	facts, err := f.gather(ctx, n, xattr.ListNeeds(f.scopeOf(n)))
	if err != nil {
		return nil, err
	}
	if facts.Scope != xattr.Bucket && facts.Object.Lock.Retention.Active(facts.Now) {
		if rule, err := f.ruleOf(ctx, f.tree.locate(n).bucket); err == nil { // else it is listed
			facts.Bucket.Lock = &rule
		}
	}
	return xattr.List(facts), nil
}

// gather fetches what is needed to tell attributes of a node.
func (f *FS) gather(ctx context.Context, n *node, needs xattr.Need) (*xattr.Facts, error) {
	at := f.tree.locate(n)
	facts := &xattr.Facts{Scope: f.scopeOf(n), Now: time.Now()}
	if at.bucket == "" || n.dir && (f.isPart(n) || n.view != noView) {
		return facts, nil
	}
	facts.Capabilities = f.cfg.Capabilities(at.bucket)
	if facts.Scope == xattr.Bucket {
		facts.Object.Bucket = at.bucket
		if err := f.gatherBucket(ctx, at.bucket, needs, facts); err != nil {
			return nil, err
		}
		needs &^= xattr.NeedTags
	}
	key, stored, err := f.gatherObject(ctx, n, needs, facts)
	if err != nil || !stored {
		return facts, err
	}
	return facts, f.gatherMore(ctx, key, needs, facts)
}

// gatherObject fetches the HEAD and the tags, or takes what is staged. stored is false where there is no object to ask
// about.
func (f *FS) gatherObject(ctx context.Context, n *node, needs xattr.Need, facts *xattr.Facts) (key factKey, stored bool, err error) {
	if n.dir {
		return f.gatherMarker(ctx, n, needs, facts)
	}
	facts.GuessedType = contenttype.ByName(f.tree.locate(n).key)
	n.rlock()
	marker := n.marker
	n.runlock()
	if marker != nil { // the listing has told all there is
		facts.Object, facts.DeleteMarker = *marker, true
		return key, false, nil
	}
	if src, ok := n.pinned(); ok {
		key = factKey{backend.ObjectID{Bucket: src.Bucket, Key: src.Key}, src.VersionID}
		known, err := f.factOf(ctx, key, needs.Has(xattr.NeedTags))
		if err != nil || known.absent {
			return key, false, err
		}
		facts.Object, facts.Tags, facts.UploadState = known.obj, known.tags, "stored"
		n.datePrecisely(&facts.Object)
		f.plainType(facts)
		return key, true, nil
	}
	n.rlock()
	// The name of a doomed file has another object by now, or none.
	lost, local, v := n.lost, !n.storedLocked() || n.doomed && n.staged != nil, n.current
	if local && !lost {
		facts.Object, facts.Tags = f.stagedObjectLocked(n)
	}
	n.runlock()
	switch {
	case lost:
		facts.UploadState = "conflict"
		if needs == xattr.NeedUpload {
			return key, false, nil
		}
		return key, false, syscall.ESTALE
	case local:
		if needs.Has(xattr.NeedUpload) {
			facts.UploadState = f.uploadState(n)
		}
		f.plainType(facts)
		if v != nil && needs.Has(xattr.NeedAnnotations) { // no write of the object changes those
			if facts.Annotations, err = f.annotations(ctx, factKey{ObjectID: v.remoteID()}); err != nil && untold(err) {
				err = nil
			}
		}
		return key, false, err
	case v == nil:
		return key, false, nil
	}
	facts.UploadState = "stored"
	key = factKey{ObjectID: v.remoteID()}
	if needs&(xattr.NeedObject|xattr.NeedTags|xattr.NeedAnnotations) == 0 {
		return key, true, nil
	}
	known, err := f.currentFact(ctx, n, v, needs.Has(xattr.NeedTags))
	if err != nil {
		return key, false, err
	}
	facts.Object, facts.Tags = known.obj, known.tags
	n.datePrecisely(&facts.Object)
	f.plainType(facts)
	return key, true, nil
}

// datePrecisely gives an object, as a HEAD has told it, the date of the listing that a node was made from: HTTP has whole
// seconds, listings of some stores milliseconds.
func (n *node) datePrecisely(o *backend.Object) {
	n.rlock()
	defer n.runlock()
	if n.current == nil {
		return
	}
	if listed := n.current.modified; listed.Truncate(time.Second).Equal(o.LastModified) {
		o.LastModified = listed
	}
}

// currentFact is factOf the object that a node pins. Where another one is current, ESTALE makes the kernel look the
// name up again.
func (f *FS) currentFact(ctx context.Context, n *node, v *version, tags bool) (fact, error) {
	id := v.remoteID()
	key := factKey{ObjectID: id}
	if !f.fresh(f.facts.get(key).at) {
		if dir, component := f.componentOf(n); dir != nil && component != "" {
			f.factsAhead(dir, component)
		}
	}
	known, err := f.factOf(ctx, key, tags)
	if err == nil && (known.absent || known.obj.ETag != v.remote.ETag) && n.knownAfter(known.at) {
		f.facts.drop(id) // the listing is newer
		known, err = f.factOf(ctx, key, tags)
	}
	switch {
	case err != nil:
		return known, err
	case known.absent || known.obj.ETag != v.remote.ETag:
		return known, f.outdated(n, v, known)
	}
	if tags {
		known.tags = f.tags.over(id, known.tags)
	}
	n.lock()
	if n.current != nil && n.current.remote.ETag == known.obj.ETag && n.staged == nil && known.at.After(n.propsAt) && known.at.After(n.unfolded) {
		props := backend.PropertiesOf(known.obj)
		if known.tagsAt.Before(known.at) || !tags {
			props.Tags = nil
		} else {
			props.Tags = maps.Clone(known.tags)
		}
		n.props, n.propsAt, n.tagCount = &props, known.at, known.obj.TagCount
	}
	n.unlock()
	return known, nil
}

// knownAfter tells whether what a node shows was learnt after a time.
func (n *node) knownAfter(at time.Time) bool {
	n.rlock()
	defer n.runlock()
	return n.checked.After(at)
}

// outdated deals with the news that the version of a node is not the current one.
func (f *FS) outdated(n *node, v *version, known fact) error {
	n.rlock()
	changedSince, doomed := !n.current.is(v) || n.staged != nil, n.doomed
	n.runlock()
	switch {
	case changedSince, doomed: // stored by this mount meanwhile, or unlinked: nobody looks this name up any more
		f.facts.drop(v.remoteID())
	case known.absent:
		f.forgetVersion(n, v.remoteID())
	default:
		f.cfg.Metadata.Stored(known.obj)
		f.tree.detach(n)
	}
	return syscall.ESTALE
}

// storedLocked tells whether what a node shows is in the store.
func (n *node) storedLocked() bool {
	return n.staged == nil || n.staged.State() == staging.StateCommitted && !n.staged.Dirty() && !n.written
}

// stagedObjectLocked is what a HEAD will tell of content that is not stored yet.
func (f *FS) stagedObjectLocked(n *node) (backend.Object, map[string]string) {
	props := f.propertiesLocked(n)
	target := n.staged.Spec().Target
	return backend.Object{
		Bucket: target.Bucket, Key: target.Key, Size: n.staged.Size(), Headers: props.Headers, Metadata: props.Metadata, HasMetadata: true,
		StorageClass: props.StorageClass, Encryption: props.Encryption, Lock: props.Lock, TagCount: len(props.Tags),
	}, props.Tags
}

// uploadState says how far content is that is not stored yet.
func (f *FS) uploadState(n *node) string {
	n.rlock()
	file, doomed := n.staged, n.doomed
	n.runlock()
	switch {
	case file == nil:
		return "stored"
	case doomed:
		return "unlinked"
	}
	for _, s := range f.queue.Pending() {
		if s.ID != file.ID() {
			continue
		}
		switch s.State {
		case "waiting":
			return "queued"
		case "uploading", "streaming":
			percent := int64(100)
			if s.Bytes > 0 {
				percent = min(100, s.Done*100/s.Bytes)
			}
			return fmt.Sprintf("uploading %d%%", percent)
		default: // retrying, failed, streamed
			return s.State
		}
	}
	return "staged"
}

// gatherMore asks for what a HEAD does not tell. What the store does not have, or refuses, is left out.
func (f *FS) gatherMore(ctx context.Context, key factKey, needs xattr.Need, facts *xattr.Facts) error {
	store, id := f.cfg.Store, key.ObjectID
	return askNeeded(needs, []question{
		{xattr.NeedDescription, func() error {
			d, err := store.Describe(ctx, id, key.version)
			if err == nil {
				facts.Description = &d
			}
			return err
		}},
		{xattr.NeedOwner, func() (err error) { facts.Owner, err = store.Owner(ctx, id, key.version); return err }},
		{xattr.NeedVersions, func() (err error) { facts.Versions, err = f.allVersions(ctx, id); return err }},
		{xattr.NeedAnnotations, func() (err error) { facts.Annotations, err = f.annotations(ctx, key); return err }},
		{xattr.NeedURL, func() error {
			p, err := store.Presign(ctx, backend.PresignInput{Method: "GET", Object: id, VersionID: key.version, Expires: presignedFor})
			if err == nil && p.WithKey {
				return &backend.Error{Kind: backend.KindUnsupported, Op: "Presign", Bucket: id.Bucket, Key: id.Key, Message: "a URL alone does not open it"}
			}
			facts.URL = p.URL
			return err
		}},
		{xattr.NeedPublicURL, func() error {
			if f.cfg.PublicURL != nil {
				if facts.PublicURL = f.cfg.PublicURL(id); facts.PublicURL != "" {
					return nil
				}
			}
			u, err := store.ObjectURL(ctx, id)
			if err == nil {
				facts.PublicURL = u.String()
			}
			return err
		}},
	})
}

// question is a request whose answer an attribute needs.
type question struct {
	need xattr.Need
	do   func() error
}

// askNeeded asks those of the questions that are needed. What the store does not tell is left out.
func askNeeded(needs xattr.Need, questions []question) error {
	for _, q := range questions {
		if !needs.Has(q.need) {
			continue
		}
		if err := q.do(); err != nil && !untold(err) {
			return err
		}
	}
	return nil
}

// untold tells whether a store does not have an answer, or not for these credentials.
func untold(err error) bool {
	switch backend.KindOf(err) {
	case backend.KindUnsupported, backend.KindPermission, backend.KindNotExist, backend.KindInvalid:
		return true
	default:
		return false
	}
}

// maxVersions is how many versions user.s3.versions lists.
const maxVersions = 1000

// allVersions lists the versions of exactly one key, the newest first.
func (f *FS) allVersions(ctx context.Context, id backend.ObjectID) ([]backend.Version, error) {
	var all []backend.Version
	in := backend.ListVersionsInput{Bucket: id.Bucket, Prefix: id.Key}
	for {
		page, err := f.cfg.Store.ListVersions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			if v.Key != id.Key { // a key that begins with this one comes after it
				return all, nil
			}
			if all = append(all, v); len(all) == maxVersions {
				return all, nil
			}
		}
		if !page.More {
			return all, nil
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// annotations lists those of an object; nil where the store has none. A store that has said so is not asked again.
func (f *FS) annotations(ctx context.Context, key factKey) (map[string]int64, error) {
	if _, known := f.unannotated.Load(key.Bucket); known {
		return nil, nil
	}
	all, err := f.cfg.Store.Annotations(ctx, key.ObjectID, key.version)
	switch {
	case backend.IsKind(err, backend.KindUnsupported):
		f.unannotated.Store(key.Bucket, struct{}{})
		return nil, nil
	case err == nil && all == nil:
		all = map[string]int64{}
	}
	return all, err
}

// fetchAnnotation gets the value of an attribute that is kept beside the object.
func (f *FS) fetchAnnotation(ctx context.Context, n *node, a xattr.Attribute, facts *xattr.Facts) error {
	name := a.Annotation(facts)
	if name == "" {
		return nil
	}
	version := ""
	if src, ok := n.pinned(); ok {
		version = src.VersionID
	}
	value, err := f.cfg.Store.Annotation(ctx, facts.Object.ID(), version, name)
	if backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	facts.AnnotationValues = map[string][]byte{name: value}
	return err
}
