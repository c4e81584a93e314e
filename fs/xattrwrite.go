package fs

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/xattr"
)

// errStored: what was staged is in the store by now, or what was stored has staged content.
var errStored = errors.New("stored or staged meanwhile")

// changeFileXattr changes an attribute of a file: of what is staged, it travels with the upload; of a stored object,
// by the cheapest request there is.
func (f *FS) changeFileXattr(ctx context.Context, n *node, a xattr.Attribute, decide xattrDecision) error {
	if n.view != noView {
		return syscall.EROFS
	}
	for refused := false; ; {
		n.rlock()
		local := !n.storedLocked()
		n.runlock()
		var err error
		if local {
			beside := f.isAnnotation(ctx, n, a)
			if !beside {
				if err = f.changeStaged(ctx, n, a, decide, refused); errors.Is(err, errPending) {
					refused, err = f.storePending(ctx, n)
				}
			}
			if beside || refusedFor(err, xattr.ErrNoRoom, xattr.ErrUnsupported) && f.objectAnnotations(ctx, n) != nil {
				if err = f.commit(ctx, n, commitOptions{wait: true}); err == nil {
					err = f.changeStored(ctx, n, a, decide)
				}
			}
		} else {
			err = f.changeStored(ctx, n, a, decide)
		}
		if !errors.Is(err, errStored) {
			return err
		}
	}
}

// objectAnnotations are those of the stored object behind staged content that nobody writes: its attributes or bytes are
// on their way, and what cannot travel with them can be set when they are there. nil: there is none, or a program writes.
func (f *FS) objectAnnotations(ctx context.Context, n *node) map[string]int64 {
	n.rlock()
	v, active := n.current, n.active
	n.runlock()
	if v == nil || active > 0 {
		return nil
	}
	all, err := f.annotations(ctx, factKey{ObjectID: v.remoteID()})
	if err != nil {
		return nil
	}
	return all
}

// isAnnotation tells whether the value of an attribute is kept beside the object.
func (f *FS) isAnnotation(ctx context.Context, n *node, a xattr.Attribute) bool {
	if !a.Needs().Has(xattr.NeedAnnotations) {
		return false
	}
	return a.Annotation(&xattr.Facts{Scope: xattr.File, Annotations: f.objectAnnotations(ctx, n)}) != ""
}

func refusedFor(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// changeStaged changes the properties of content that is not stored yet. refused: the store does not take it as it is.
func (f *FS) changeStaged(ctx context.Context, n *node, a xattr.Attribute, decide xattrDecision, refused bool) error {
	if err := f.flushNodeTags(ctx, n); err != nil && !untold(err) { // what was set before must not come after
		return err
	}
	n.lock()
	if n.lost {
		n.unlock()
		return syscall.ESTALE
	}
	if n.storedLocked() {
		n.unlock()
		return errStored
	}
	if !n.doomed && n.made == nil && lockedBy(n.staged) != nil { // what is changed after it has to be changed in the store
		n.unlock()
		if err := f.commit(ctx, n, commitOptions{wait: true}); err != nil {
			return err
		}
		return errStored
	}
	facts := &xattr.Facts{Scope: xattr.File, Capabilities: f.cfg.Capabilities(n.staged.Spec().Target.Bucket), Now: time.Now()}
	facts.Object, facts.Tags = f.stagedObjectLocked(n)
	rules := xattr.Rules{Capabilities: facts.Capabilities, Now: facts.Now, Staged: true}
	change, err := decide(a, facts)
	active := false
	if err == nil && !refused && n.asksStoreLocked(change, rules) {
		err = errPending
	}
	if err == nil {
		active, err = f.stageChangeLocked(n, change, rules)
	}
	n.unlock()
	if err != nil || active {
		return err
	}
	return f.commit(ctx, n, commitOptions{delay: attributeDelay})
}

// stageChangeLocked makes a change part of the properties that a node's content is stored with. active: they travel
// with the commit of a program that writes.
func (f *FS) stageChangeLocked(n *node, change xattrChange, rules xattr.Rules) (active bool, err error) {
	var props backend.Properties // without what is made of the node itself
	if n.props != nil {
		props = n.props.Clone()
	}
	request, err := change(&props, rules)
	if err != nil || request.Change == 0 {
		return true, err
	}
	before := n.props
	n.props = &props
	if err := n.staged.SetProperties(f.propertiesLocked(n)); err != nil {
		n.props = before
		return false, err
	}
	if before != nil && before.Headers.ContentType != props.Headers.ContentType {
		n.guessed = false
	}
	n.written = true
	return n.active > 0, nil
}

// changeStored changes an attribute of an object that is stored.
func (f *FS) changeStored(ctx context.Context, n *node, a xattr.Attribute, decide xattrDecision) error {
	facts, err := f.gather(ctx, n, a.Needs()|xattr.NeedObject|xattr.NeedTags)
	if err != nil {
		return err
	}
	if facts.UploadState != "stored" || !facts.Object.HasMetadata {
		n.rlock()
		defer n.runlock()
		if n.storedLocked() {
			return syscall.ESTALE // nothing is there
		}
		return errStored // no: staged meanwhile
	}
	if err := f.fetchAnnotation(ctx, n, a, facts); err != nil {
		return err
	}
	change, err := decide(a, facts)
	if err != nil {
		return err
	}
	props := backend.PropertiesOf(facts.Object)
	props.Tags, props.Lock = maps.Clone(facts.Tags), facts.Object.Lock
	rules := xattr.Rules{
		Capabilities: facts.Capabilities, Now: facts.Now, Annotations: facts.Annotations,
		CustomerKey: facts.Object.Encryption.Algorithm == backend.CustomerEncryption,
	}
	request, err := change(&props, rules)
	if err != nil || request.Change == 0 {
		return err
	}
	if headersStay(facts.Capabilities) && dropsHeader(facts.Object.Headers, props.Headers) {
		return &xattr.Error{Name: a.Name(), Kind: xattr.ErrUnsupported, Reason: "the store keeps headers that a copy does not name"}
	}
	n.rlock()
	doomed := n.doomed
	n.runlock()
	if doomed && has(request, xattr.ChangeTags) { // for programs that have it open
		request.Change = request.Change&^xattr.ChangeTags | xattr.ChangeProperties
	}
	return f.apply(ctx, n, facts, &props, request, func() error {
		return f.changeProperties(ctx, n, change, rules, asksStore(request))
	})
}

// headersStay tells of stores that do not remove a content header when an object is copied onto itself without it.
// VersityGW 1.8 keeps them, with an empty header as well; it does replace metadata.
func headersStay(caps backend.Capabilities) bool { return caps.Vendor == "versitygw" }

// dropsHeader tells whether a header is gone that was there.
func dropsHeader(before, after backend.Headers) bool {
	was, is := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range was.NumField() {
		if was.Field(i).String() != "" && is.Field(i).String() == "" {
			return true
		}
	}
	return false
}

// has tells whether a request is to make a change.
func has(r xattr.Request, c xattr.Change) bool { return r.Change&c != 0 }

// apply makes the requests of a change of a stored object; rewrite is the copy onto itself.
func (f *FS) apply(ctx context.Context, n *node, facts *xattr.Facts, props *backend.Properties, r xattr.Request, rewrite func() error) error {
	id, store := facts.Object.ID(), f.cfg.Store
	if has(r, xattr.ChangeAnnotation) {
		if err := store.PutAnnotation(ctx, id, "", r.Annotation, r.Value); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeRetention) {
		if err := f.locking(id, store.SetRetention(ctx, id, "", props.Lock.Retention, false)); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeLegalHold) {
		if err := f.locking(id, store.SetLegalHold(ctx, id, "", props.Lock.LegalHold)); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeRestore) {
		if err := f.locking(id, store.Restore(ctx, id, "", r.Days, r.Tier)); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeEncryption) {
		err := store.UpdateEncryption(ctx, id, "", props.Encryption)
		switch {
		case err == nil:
			f.reencrypted(n, id)
		case !backend.IsKind(err, backend.KindUnsupported):
			return err
		default:
			r.Change |= xattr.ChangeProperties
		}
	}
	if has(r, xattr.ChangeTags) {
		if err := f.changeTags(ctx, n, facts.Tags, tagsDiffer(facts.Tags, props.Tags)); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeProperties) {
		if err := rewrite(); err != nil {
			return err
		}
	}
	if has(r, xattr.ChangeNoAnnotation) {
		return store.DeleteAnnotation(ctx, id, "", r.Annotation)
	}
	return nil
}

// locking forgets what was known of an object that a request has changed, or may have.
func (f *FS) locking(id backend.ObjectID, err error) error {
	f.facts.dropHead(id)
	return err
}

// reencrypted forgets what was known of an object: the store may have given it another ETag.
func (f *FS) reencrypted(n *node, id backend.ObjectID) {
	f.facts.dropHead(id)
	f.cfg.Metadata.Invalidate(id.Bucket, prefixOf(id.Key))
	n.lock()
	n.propsAt = time.Time{}
	n.unlock()
}

// tagsDiffer says what makes the one of the other.
func tagsDiffer(before, after map[string]string) map[string]*string {
	change := make(map[string]*string)
	for key, value := range after {
		if old, there := before[key]; !there || old != value {
			change[key] = &value
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			change[key] = nil
		}
	}
	return change
}

// changeProperties rewrites a stored object with other properties, as chmod does: several changes in a row are one
// copy onto itself. ask: at once, and the answer is the store's.
func (f *FS) changeProperties(ctx context.Context, n *node, change xattrChange, rules xattr.Rules, ask bool) error {
	if err := f.mayChange(ctx, n, nil); err != nil {
		return err
	}
	if err := f.lockStaged(ctx, n); err != nil {
		return err
	}
	question := f.askLocked(n)
	active, err := f.stageChangeLocked(n, change, rules)
	if n.props != nil {
		question.set = *n.props
	}
	idle := err != nil && n.staged.State() == staging.StateOpen && !n.written && n.writers == 0 // staged for nothing
	var file *staging.File
	if idle {
		file = f.detachStagedLocked(n)
	}
	n.unlock()
	if file != nil {
		f.removeStaged(file)
	}
	if err != nil || active {
		return err
	}
	if ask {
		return f.settleAsked(ctx, n, question)
	}
	return f.commit(ctx, n, commitOptions{delay: attributeDelay})
}
