package writeback

import (
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// source is what a copy or a fetch names an object by: its version id too, unless it is known that the credentials may
// not read by it, which is a permission of its own (s3:GetObjectVersion). The ETag says the same as long as the
// version is current.
func (q *Queue) source(r *staging.Remote) backend.Source {
	src := r.Source
	if _, refused := q.nameless.Load(src.Bucket); refused {
		src.VersionID = ""
	}
	return src
}

// refusedVersion reports whether a request failed only because it named a version, and notes it: it is to be
// sent again without.
func (q *Queue) refusedVersion(src backend.Source, err error) bool {
	if src.VersionID == "" || !backend.IsKind(err, backend.KindPermission) {
		return false
	}
	q.nameless.Store(src.Bucket, struct{}{})
	return true
}

// unguarded is the answer of a copy that nothing ties to the version that is meant.
func unguarded(id backend.ObjectID) error {
	return &backend.Error{Kind: backend.KindUnsupported, Op: "CopyObject", Bucket: id.Bucket, Key: id.Key, Message: "no condition on the source"}
}
