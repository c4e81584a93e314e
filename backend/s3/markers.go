package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// VersityGW compares conditions with a delete marker as if the deleted object were still
// there: If-None-Match fails, and If-Match with the old ETag succeeds. guarded makes up for
// that around write, which sends the request with the condition it is given.
//
// If-Match costs a HEAD before, in buckets that keep versions; between the two another
// client's DELETE goes unseen (the version it deleted stays). If-None-Match costs requests
// only when it fails; over a marker it becomes If-Match on what the marker has deleted,
// which is as good: nobody else's object passes it.
func (s *Store) guarded(ctx context.Context, op string, id backend.ObjectID, cond backend.Condition,
	write func(backend.Condition) (backend.Object, error)) (backend.Object, error) {
	if cond.IsZero() || !s.vendor.Load().markersMatch {
		return s.overBare(ctx, op, id, cond, write)
	}
	if cond.IfMatch != "" {
		if s.keepsVersions(ctx, id.Bucket) {
			_, err := s.Head(ctx, id, backend.GetOptions{IfMatch: cond.IfMatch})
			if backend.IsKind(err, backend.KindNotExist) {
				return backend.Object{}, &backend.Error{Kind: backend.KindChanged, Op: op, Bucket: id.Bucket, Key: id.Key, Message: "deleted meanwhile"}
			}
		}
		return write(cond)
	}
	obj, err := write(cond)
	if !backend.IsKind(err, backend.KindExist) {
		return obj, err
	}
	deleted := s.deletedETag(ctx, id)
	if deleted == "" {
		return obj, err
	}
	obj, again := write(backend.Condition{IfMatch: deleted})
	if backend.IsKind(again, backend.KindChanged) {
		return obj, err
	}
	return obj, again
}

// deletedETag returns the ETag of the newest version of a key whose current version is a
// delete marker; else "".
func (s *Store) deletedETag(ctx context.Context, id backend.ObjectID) string {
	if _, err := s.Head(ctx, id, backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		return ""
	}
	c := call{op: "ListObjectVersions", bucket: id.Bucket, repeat: repeatHarmless}
	out, err := send(ctx, s, c, s.client.ListObjectVersions, &awss3.ListObjectVersionsInput{Bucket: &id.Bucket, Prefix: &id.Key})
	if err != nil {
		return ""
	}
	marked := false
	for _, m := range out.DeleteMarkers {
		marked = marked || aws.ToString(m.Key) == id.Key && aws.ToBool(m.IsLatest)
	}
	for _, v := range out.Versions { // the newest first
		if marked && aws.ToString(v.Key) == id.Key {
			return unquote(aws.ToString(v.ETag))
		}
	}
	return ""
}

// keepsVersions reports whether a bucket keeps versions; it asks once for each.
func (s *Store) keepsVersions(ctx context.Context, bucket string) bool {
	if known, ok := s.versions.Load(bucket); ok {
		keeps, _ := known.(bool)
		return keeps
	}
	keeps, _ := s.versioned(ctx, bucket)
	return keeps
}
