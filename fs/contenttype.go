package fs

import (
	"context"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/xattr"
)

// contentType guesses from the name, else from the first local bytes; a copy has its source's type.
func contentType(file *staging.File, inherited string) string {
	if byName := contenttype.ByName(file.Spec().Target.Key); byName != "" {
		return byName
	}
	head := file.Extents(0, contenttype.HeadSize)
	switch {
	case len(head) > 0 && head[0].Object != nil && inherited != "":
		return inherited
	case len(head) == 0 || !head[0].Local:
		return contenttype.Unknown
	}
	buf := make([]byte, head[0].Len)
	count, err := file.ReadLocal(head[0], buf, 0)
	if known := file.Spec().Properties.Headers.ContentType; err != nil && known != "" { // streamed: guessed before
		return known
	}
	if err != nil {
		return contenttype.Unknown
	}
	return contenttype.ByContent(buf[:count])
}

// inheritType asks for the content type of the object that a new file's first bytes were copied from.
func (f *FS) inheritType(ctx context.Context, n *node) {
	n.rlock()
	var source *staging.Remote
	if n.staged != nil && n.untypedLocked() && n.inherited == "" && contenttype.ByName(n.staged.Spec().Target.Key) == "" {
		if head := n.staged.Extents(0, 1); len(head) > 0 {
			source = head[0].Object
		}
	}
	n.runlock()
	if source == nil {
		return
	}
	obj, err := f.cfg.Store.Head(ctx, backend.ObjectID{Bucket: source.Bucket, Key: source.Key}, backend.GetOptions{IfMatch: source.ETag, VersionID: source.VersionID})
	if err != nil {
		return // the commit itself meets what is wrong
	}
	n.lock()
	n.inherited = obj.Headers.ContentType
	n.unlock()
}

// untypedLocked tells whether a file is new, and nobody has given it a content type.
func (n *node) untypedLocked() bool {
	return n.current == nil && (n.props == nil || n.props.Headers.ContentType == "")
}

// typeUnder is the content type that a file gets with a new name: one that had a name which said nothing, and is as
// this mount has made it. So programs work that write a file under a name of their own and rename it. Empty: it keeps what it has.
func (n *node) typeUnder(key string) string {
	n.rlock()
	defer n.runlock()
	if !n.guessed {
		return ""
	}
	return contenttype.ByName(key)
}

// typed notes the content type that a file was stored with under its new name.
func (n *node) typed(contentType string) {
	n.lock()
	defer n.unlock()
	if n.guessed = false; n.props != nil {
		props := n.props.Clone()
		props.Headers.ContentType = contentType
		n.props = &props
	}
}

// plainType makes a list silent about a content type that a file of this name and content would get by itself: where
// the name says nothing, any that the first bytes may have told.
func (f *FS) plainType(facts *xattr.Facts) {
	if facts.GuessedType == "" && contenttype.Guessed(facts.Object.Headers.ContentType) {
		facts.GuessedType = facts.Object.Headers.ContentType
	}
}
