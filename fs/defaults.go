package fs

import (
	"errors"
	"reflect"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/xattr"
)

// What the configuration gives to new objects (Config.Defaults) becomes part of a file's properties when it is made, so that a
// program sees it as attributes, and may change or remove it. An object that exists is never given anything.

// givenTo returns what a new object gets; zero: nothing. A file gets all of it; what has no content of its own (symbolic links,
// fifos, devices) no headers; the marker of a directory its encryption alone, because it is written again with each
// change of the directory's attributes, and has to go with the directory.
func (f *FS) givenTo(id backend.ObjectID, mode uint32) backend.Properties {
	if f.cfg.Defaults == nil {
		return backend.Properties{}
	}
	props := f.cfg.Defaults(id).Clone()
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		return backend.Properties{Encryption: props.Encryption}
	default:
		props.Headers = backend.Headers{}
	}
	return props
}

// give makes what the configuration gives to a new file part of its properties. KindUnsupported where the store or the bucket
// would not keep it: it is refused before anything is written.
func (f *FS) give(n *node, id backend.ObjectID) error {
	props := f.givenTo(id, n.attr.mode)
	if reflect.DeepEqual(props, backend.Properties{}) {
		return nil
	}
	if err := f.canHave(id, props); err != nil {
		return err
	}
	given := props.Clone()
	n.props, n.given = &props, &given
	return nil
}

// canHave asks, of memory alone, whether a new object can have properties: by the rules that setfattr has.
func (f *FS) canHave(id backend.ObjectID, props backend.Properties) error {
	now := time.Now()
	facts := &xattr.Facts{Capabilities: f.cfg.Capabilities(id.Bucket), Now: now, Tags: props.Tags, Object: backend.Object{
		Bucket: id.Bucket, Key: id.Key, Headers: props.Headers, Metadata: props.Metadata, HasMetadata: true, TagCount: len(props.Tags),
		StorageClass: props.StorageClass, Encryption: props.Encryption, Lock: props.Lock,
	}}
	rules := xattr.Rules{Capabilities: facts.Capabilities, Now: now, Staged: true}
	var made backend.Properties
	names := xattr.List(facts)
	if props.Encryption != (backend.Encryption{}) { // not worth copying, so not listed
		names = append(names, xattr.Prefix+"encryption")
	}
	for _, name := range names {
		a, err := xattr.Parse(name, xattr.File)
		if err != nil {
			return err
		}
		value, there := a.Value(facts)
		if !there {
			continue
		}
		if _, err := a.Set(&made, value, rules); err != nil {
			kind := backend.KindInvalid
			if errors.Is(err, xattr.ErrUnsupported) {
				kind = backend.KindUnsupported
			}
			return &backend.Error{Kind: kind, Op: "Create", Bucket: id.Bucket, Key: id.Key, Err: err,
				Message: "the configuration gives new objects here what they cannot have: " + err.Error()}
		}
	}
	return nil
}

// locksNew tells whether what is made under a key is locked from when it is stored.
func (f *FS) locksNew(r *request, id backend.ObjectID, mode uint32) bool {
	return f.givenTo(id, mode).Lock != (backend.ObjectLock{}) || f.retains(r, id.Bucket)
}

// dateLocked lets a retention that the configuration gives begin when the file first goes to the store, once; again only
// if that took longer than the retention.
func (f *FS) dateLocked(n *node) {
	if n.given == nil || n.current != nil || n.staged == nil {
		return
	}
	is := n.props.Lock.Retention
	if is.Mode == backend.NoRetention || is != n.given.Lock.Retention || n.dated && is.Active(time.Now()) {
		return
	}
	now := f.givenTo(n.staged.Spec().Target, n.attr.mode).Lock.Retention
	if now.Mode == backend.NoRetention { // not any more; the file was made when it was
		return
	}
	props, given := n.props.Clone(), n.given.Clone()
	props.Lock.Retention, given.Lock.Retention = now, now
	n.props, n.given, n.dated = &props, &given, true
}

// giveAgainLocked follows a rename of a file that was never stored: it is made under its new name, and what it was given under
// the old one, and nobody has changed, is replaced.
func (f *FS) giveAgainLocked(n *node) {
	if f.cfg.Defaults == nil || n.current != nil || n.staged == nil {
		return
	}
	var own, was backend.Properties
	if n.props != nil {
		own = n.props.Clone()
	}
	if n.given != nil {
		was = *n.given
	}
	now := f.givenTo(n.staged.Spec().Target, n.attr.mode)
	if reflect.DeepEqual(was, now) {
		return
	}
	regiven(&own, was, now)
	n.props, n.given, n.dated = &own, &now, false
}

// regiven replaces in own what is still as was by what is now.
func regiven(own *backend.Properties, was, now backend.Properties) {
	headers, before, after := reflect.ValueOf(&own.Headers).Elem(), reflect.ValueOf(was.Headers), reflect.ValueOf(now.Headers)
	for i := range headers.NumField() {
		if headers.Field(i).String() == before.Field(i).String() {
			headers.Field(i).Set(after.Field(i))
		}
	}
	own.Metadata = regivenMap(own.Metadata, was.Metadata, now.Metadata)
	own.Tags = regivenMap(own.Tags, was.Tags, now.Tags)
	if own.StorageClass == was.StorageClass {
		own.StorageClass = now.StorageClass
	}
	if own.Encryption == was.Encryption {
		own.Encryption = now.Encryption
	}
	if own.Lock.Retention == was.Lock.Retention {
		own.Lock.Retention = now.Lock.Retention
	}
	if own.Lock.LegalHold == was.Lock.LegalHold {
		own.Lock.LegalHold = now.Lock.LegalHold
	}
}

func regivenMap(own, was, now map[string]string) map[string]string {
	out := make(map[string]string)
	for key, value := range own {
		if before, given := was[key]; !given || before != value {
			out[key] = value
		}
	}
	for key, value := range now {
		_, set := out[key]
		_, given := was[key]
		if _, has := own[key]; !set && (has || !given) { // what was given and removed stays away
			out[key] = value
		}
	}
	return out
}
