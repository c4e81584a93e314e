package fs

import (
	"context"
	"mime"
	"net/http"
	"path"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

const unknownType = "application/octet-stream"

// contentType guesses from the name, else from the first local bytes; a copy has its source's type.
func contentType(file *staging.File, inherited string) string {
	if byName := mime.TypeByExtension(path.Ext(file.Spec().Target.Key)); byName != "" {
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
	return http.DetectContentType(buf[:count])
}

// inheritType asks for the content type of the object that a new file's first bytes were copied from.
func (f *FS) inheritType(ctx context.Context, n *node) {
	n.mu.RLock()
	var source *staging.Remote
	if n.staged != nil && n.props == nil && n.inherited == "" && mime.TypeByExtension(path.Ext(n.staged.Spec().Target.Key)) == "" {
		if head := n.staged.Extents(0, 1); len(head) > 0 {
			source = head[0].Object
		}
	}
	n.mu.RUnlock()
	if source == nil {
		return
	}
	obj, err := f.cfg.Store.Head(ctx, backend.ObjectID{Bucket: source.Bucket, Key: source.Key}, backend.GetOptions{IfMatch: source.ETag})
	if err != nil {
		return // the commit itself meets what is wrong
	}
	n.mu.Lock()
	n.inherited = obj.Headers.ContentType
	n.mu.Unlock()
}
