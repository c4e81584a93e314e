package fs

import (
	"context"
	"net/http"
	"strings"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/xattr"
)

const unknownType = "application/octet-stream"

// contentType guesses from the name, else from the first local bytes; a copy has its source's type.
func contentType(file *staging.File, inherited string) string {
	if byName := typeByName(file.Spec().Target.Key); byName != "" {
		return byName
	}
	head := file.Extents(0, 512)
	switch {
	case len(head) > 0 && head[0].Object != nil && inherited != "":
		return inherited
	case len(head) == 0 || !head[0].Local:
		return unknownType
	}
	buf := make([]byte, head[0].Len)
	count, err := file.ReadLocal(head[0], buf, 0)
	if known := file.Spec().Properties.Headers.ContentType; err != nil && known != "" { // streamed: guessed before
		return known
	}
	if err != nil {
		return unknownType
	}
	if isTransportStream(buf[:count]) {
		return transportStream
	}
	return http.DetectContentType(buf[:count])
}

// inheritType asks for the content type of the object that a new file's first bytes were copied from.
func (f *FS) inheritType(ctx context.Context, n *node) {
	n.mu.RLock()
	var source *staging.Remote
	if n.staged != nil && n.untypedLocked() && n.inherited == "" && typeByName(n.staged.Spec().Target.Key) == "" {
		if head := n.staged.Extents(0, 1); len(head) > 0 {
			source = head[0].Object
		}
	}
	n.mu.RUnlock()
	if source == nil {
		return
	}
	obj, err := f.cfg.Store.Head(ctx, backend.ObjectID{Bucket: source.Bucket, Key: source.Key}, backend.GetOptions{IfMatch: source.ETag, VersionID: source.VersionID})
	if err != nil {
		return // the commit itself meets what is wrong
	}
	n.mu.Lock()
	n.inherited = obj.Headers.ContentType
	n.mu.Unlock()
}

// untypedLocked tells whether a file is new, and nobody has given it a content type.
func (n *node) untypedLocked() bool {
	return n.current == nil && (n.props == nil || n.props.Headers.ContentType == "")
}

// typeUnder is the content type that a file gets with a new name: one that had a name which said nothing, and is as
// this mount has made it. So programs work that write a file under a name of their own and rename it. Empty: it keeps what it has.
func (n *node) typeUnder(key string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if !n.guessed {
		return ""
	}
	return typeByName(key)
}

// typed notes the content type that a file was stored with under its new name.
func (n *node) typed(contentType string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.guessed = false; n.props != nil {
		props := n.props.Clone()
		props.Headers.ContentType = contentType
		n.props = &props
	}
}

// plainType makes a list silent about a content type that a file of this name and content would get by itself: where
// the name says nothing, any that the first bytes may have told.
func (f *FS) plainType(facts *xattr.Facts) {
	if facts.GuessedType == "" && guessedTypes[facts.Object.Headers.ContentType] {
		facts.GuessedType = facts.Object.Headers.ContentType
	}
}

// typeByName is the content type that the web expects of a name; empty: the name says nothing. It is the same on
// every machine: package mime reads tables of the system that differ.
func typeByName(key string) string {
	name := strings.ToLower(key[strings.LastIndexByte(key, '/')+1:])
	if final, ok := rsyncName(name); ok {
		name = final
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return ""
	}
	return typesByExtension[name[dot+1:]]
}

// rsyncName returns the final name of a file that rsync(1) writes as .NAME.XXXXXX and renames when it is whole.
func rsyncName(name string) (final string, ok bool) {
	rest, ok := strings.CutPrefix(name, ".")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 || len(rest)-dot-1 != 6 {
		return "", false
	}
	for _, c := range []byte(rest[dot+1:]) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", false
		}
	}
	return rest[:dot], true
}
