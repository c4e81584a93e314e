package fs

import (
	"bytes"
	"context"
	"strconv"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
)

// writeMarker puts a directory's marker; with attributes, those of the directory and the day before
// now as the time from which on they are kept. What the marker has else stays, its bytes too.
func (f *FS) writeMarker(ctx context.Context, dir *node, withAttributes bool) error {
	return f.inTurn(ctx, dir, func() error { return f.writeMarkerInTurn(ctx, dir, withAttributes) })
}

// inTurn calls fn when nobody else changes the marker of a directory.
func (f *FS) inTurn(ctx context.Context, dir *node, fn func() error) error {
	leave, err := f.enter(ctx, dir)
	if err != nil {
		return err
	}
	defer leave()
	done, err := f.turns.claim(ctx, dir)
	if err != nil {
		return err
	}
	defer done()
	return fn()
}

// writeMarkerInTurn is writeMarker for who has claimed the directory's turn: the ETag of a marker without bytes is always
// the same, so no condition keeps one change of it from undoing another.
func (f *FS) writeMarkerInTurn(ctx context.Context, dir *node, withAttributes bool) (err error) {
	for attempt := range 3 {
		// A store may not know a marker by the ETag that it told: the last attempt is without condition.
		if err = f.tryMarker(ctx, dir, withAttributes, attempt < 2); !raced(err) {
			return err
		}
		dir.lock()
		dir.keeps.asked = false
		dir.unlock()
		if !withAttributes { // there is one now
			return nil
		}
	}
	return err
}

// raced tells whether another client was faster.
func raced(err error) bool {
	return backend.IsKind(err, backend.KindExist) || backend.IsKind(err, backend.KindChanged)
}

func (f *FS) tryMarker(ctx context.Context, dir *node, withAttributes, conditional bool) error {
	dir.rlock()
	asked := dir.keeps.asked
	dir.runlock()
	if withAttributes && !asked {
		if err := f.askMarker(ctx, dir); err != nil {
			return err
		}
	}
	props := f.givenTo(f.markerOf(dir), syscall.S_IFDIR)
	if f.canHave(f.markerOf(dir), props) != nil { // the call that needs the marker is about another thing
		props = backend.Properties{}
	}
	props.Headers.ContentType = markerType
	dir.rlock()
	if dir.props != nil {
		props = dir.props.Clone()
	}
	if props.Metadata == nil {
		props.Metadata = make(map[string]string)
	}
	old, since := dir.keeps.marker, time.Now().Add(-24*time.Hour)
	if dir.keeps.kept { // what was kept before stays so
		since = dir.keeps.since
	}
	if withAttributes {
		dir.attr.encode(props.Metadata)
		if !since.IsZero() {
			props.Metadata[metaSince] = strconv.FormatInt(since.Unix(), 10)
		}
	}
	dir.runlock()
	if err := f.keepTags(ctx, old, &props); err != nil {
		return err
	}
	obj, err := f.storeMarker(ctx, f.markerOf(dir), old, props, conditional)
	if err != nil {
		return err
	}
	f.marked(dir, obj, props, keepState{kept: withAttributes || f.cfg.Posix == PosixOn, since: since})
	return nil
}

// askMarker looks what marker a directory has.
func (f *FS) askMarker(ctx context.Context, dir *node) error {
	obj, err := f.cfg.Store.Head(ctx, f.markerOf(dir), backend.GetOptions{})
	dir.lock()
	defer dir.unlock()
	if err == nil {
		props := backend.PropertiesOf(obj)
		dir.props, dir.keeps.marker, dir.keeps.exists, dir.keeps.asked = &props, &obj, true, true
		return nil
	}
	if !backend.IsKind(err, backend.KindNotExist) && !backend.IsKind(err, backend.KindPermission) {
		return err
	}
	dir.keeps.marker, dir.keeps.asked = nil, true
	return nil
}

// storeMarker stores a marker in the place of what is known to be there. The bytes that another program
// has put into one stay: it is copied onto itself.
func (f *FS) storeMarker(ctx context.Context, id backend.ObjectID, old *backend.Object, props backend.Properties, conditional bool) (backend.Object, error) {
	f.markers.drop(id)
	defer f.facts.drop(id)
	promised, err := f.takeBack(id)
	if err != nil {
		return backend.Object{}, err
	}
	if promised != nil { // a renamed directory left it: it is replaced
		old = &backend.Object{Bucket: promised.Bucket, Key: promised.Key, ETag: promised.ETag}
	}
	obj, err := f.putMarker(ctx, id, old, props, conditional)
	if err != nil && promised != nil {
		f.promiseAgain(promised)
	}
	return obj, err
}

func (f *FS) putMarker(ctx context.Context, id backend.ObjectID, old *backend.Object, props backend.Properties, conditional bool) (backend.Object, error) {
	caps := f.cfg.Capabilities(id.Bucket)
	if old != nil || !conditional || !caps.PutIfNoneMatch { // it may replace one
		if _, err := f.mayReplace(ctx, id); err != nil {
			return backend.Object{}, err
		}
	}
	if old != nil && old.Size > 0 {
		in := backend.CopyInput{
			Bucket: id.Bucket, Key: id.Key, Size: old.Size, Replace: &props,
			Source: backend.Source{Bucket: id.Bucket, Key: id.Key, ETag: old.ETag},
		}
		obj, err := f.cfg.Store.Copy(ctx, in)
		obj.Size = old.Size
		return named(obj, id), err
	}
	in := backend.PutInput{Bucket: id.Bucket, Key: id.Key, Body: bytes.NewReader(nil), Properties: props}
	plain := in
	switch {
	case !conditional:
	case old == nil:
		in.Condition.IfNoneMatch = caps.PutIfNoneMatch
	case caps.PutIfMatch:
		in.Condition.IfMatch = old.ETag
	}
	obj, err := f.cfg.Store.Put(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) { // a lost reply: the same bytes once more change nothing
		obj, err = f.cfg.Store.Put(ctx, plain)
	}
	return named(obj, id), err
}

func named(o backend.Object, id backend.ObjectID) backend.Object {
	o.Bucket, o.Key = id.Bucket, id.Key
	return o
}

// marked takes over that a directory's marker was stored.
func (f *FS) marked(dir *node, obj backend.Object, props backend.Properties, s keepState) {
	tell(&obj, props)
	dir.lock()
	dir.props = &props
	dir.unlock()
	if dir.id != rootID && dir.bucket() == "" {
		f.cfg.Metadata.Stored(obj)
	}
	s.exists, s.asked, s.marker = true, true, &obj
	f.setKeeping(dir, s)
}

// tell makes obj what a HEAD of an object with these properties answers. Markers need that: without bytes all of them have one ETag, by
// which what was known of the one before would be taken for this one's.
func tell(obj *backend.Object, props backend.Properties) {
	obj.Metadata, obj.HasMetadata, obj.TagCount = props.Metadata, true, len(props.Tags)
	obj.Headers = props.Headers
	if props.StorageClass != "" {
		obj.StorageClass = props.StorageClass
	}
	if props.Encryption != (backend.Encryption{}) {
		obj.Encryption = props.Encryption
	}
}

// clearContent removes the bytes of a directory's marker: the marker stays, without them. Programs that
// have them open keep them.
func (f *FS) clearContent(ctx context.Context, dir, n *node) error {
	preserved, err := f.preserve(ctx, n)
	if err != nil {
		return err
	}
	f.hold(n)
	defer f.letGo(n)
	if err := f.storeEmpty(ctx, dir, n); err != nil {
		if preserved != nil {
			f.removeStaged(preserved)
		}
		f.revive(n)
		return err
	}
	f.replaceTarget(move{target: n, preserved: preserved})
	return nil
}

// storeEmpty puts a marker without bytes in the place of one whose bytes are this file.
func (f *FS) storeEmpty(ctx context.Context, dir, n *node) error {
	n.rlock()
	file := n.staged
	n.runlock()
	if file != nil {
		if _, err := f.queue.Cancel(ctx, file); err != nil {
			return err
		}
	}
	if err := f.commitReferences(ctx, n, f.markerOf(dir)); err != nil {
		return err
	}
	done, err := f.turns.claim(ctx, dir)
	if err != nil {
		return err
	}
	defer done()
	if err := f.askMarker(ctx, dir); err != nil {
		return err
	}
	n.rlock()
	v := n.current
	n.runlock()
	dir.rlock()
	old, state, props := dir.keeps.marker, dir.keeps, dir.props
	dir.runlock()
	if old == nil || v == nil || old.ETag != v.remote.ETag {
		return syscall.ESTALE
	}
	empty := *old
	empty.Size = 0
	carried := props.Clone()
	if err := f.keepTags(ctx, old, &carried); err != nil {
		return err
	}
	obj, err := f.storeMarker(ctx, old.ID(), &empty, carried, true)
	if err != nil {
		return err
	}
	f.cfg.Blocks.Drop(obj.Bucket, obj.Key)
	f.marked(dir, obj, carried, state)
	return nil
}
