package past

import (
	"context"
	"net/url"

	"github.com/objmount/objmount/backend"
)

// Tags implements backend.Tagger: the tags that the version has now. They are not versioned.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	return value(ctx, s, "GetObjectTagging", id, version, func(version string) (map[string]string, error) {
		return s.store.Tags(ctx, id, version)
	})
}

// Lock implements backend.Locker: what keeps the version from being deleted now.
func (s *Store) Lock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	return value(ctx, s, "GetObjectRetention", id, version, func(version string) (backend.ObjectLock, error) {
		return s.store.Lock(ctx, id, version)
	})
}

// Describe implements backend.Describer.
func (s *Store) Describe(ctx context.Context, id backend.ObjectID, version string) (backend.Description, error) {
	return value(ctx, s, "GetObjectAttributes", id, version, func(version string) (backend.Description, error) {
		return s.store.Describe(ctx, id, version)
	})
}

// Owner implements backend.Describer.
func (s *Store) Owner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	return value(ctx, s, "GetObjectAcl", id, version, func(version string) (string, error) { return s.store.Owner(ctx, id, version) })
}

// ACL implements backend.AccessControl: that which the version, or the bucket, has now.
func (s *Store) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	if id.Key == "" {
		return s.store.ACL(ctx, id, "")
	}
	return value(ctx, s, "GetObjectAcl", id, version, func(version string) (backend.ACL, error) { return s.store.ACL(ctx, id, version) })
}

// Annotations implements backend.Annotator.
func (s *Store) Annotations(ctx context.Context, id backend.ObjectID, version string) (map[string]int64, error) {
	return value(ctx, s, "ListObjectAnnotations", id, version, func(version string) (map[string]int64, error) {
		return s.store.Annotations(ctx, id, version)
	})
}

// Annotation implements backend.Annotator.
func (s *Store) Annotation(ctx context.Context, id backend.ObjectID, version, name string) ([]byte, error) {
	return value(ctx, s, "GetObjectAnnotation", id, version, func(version string) ([]byte, error) {
		return s.store.Annotation(ctx, id, version, name)
	})
}

// Presign implements backend.Presigner: for reading the version of the time, nothing else.
func (s *Store) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	if in.Method != "GET" && in.Method != "HEAD" {
		return s.Unsupported.Presign(ctx, in)
	}
	return value(ctx, s, "Presign", in.Object, in.VersionID, func(version string) (backend.Presigned, error) {
		in.VersionID = version
		return s.store.Presign(ctx, in)
	})
}

// ObjectURL implements backend.Presigner, with the version in the query.
func (s *Store) ObjectURL(ctx context.Context, id backend.ObjectID) (*url.URL, error) {
	return value(ctx, s, "ObjectURL", id, "", func(version string) (*url.URL, error) {
		u, err := s.store.ObjectURL(ctx, id)
		if err != nil {
			return nil, err
		}
		query := u.Query()
		query.Set("versionId", version)
		u.RawQuery = query.Encode()
		return u, nil
	})
}

// The properties of a bucket are those of today: buckets have no versions. BucketVersioning is
// KindUnsupported, as what it stands for: versions are not seen in the past.

// BucketRegion implements backend.BucketProperties.
func (s *Store) BucketRegion(ctx context.Context, bucket string) (string, error) {
	return s.store.BucketRegion(ctx, bucket)
}

// BucketLock implements backend.BucketProperties.
func (s *Store) BucketLock(ctx context.Context, bucket string) (backend.BucketLock, error) {
	return s.store.BucketLock(ctx, bucket)
}

// BucketEncryption implements backend.BucketProperties.
func (s *Store) BucketEncryption(ctx context.Context, bucket string) (backend.Encryption, error) {
	return s.store.BucketEncryption(ctx, bucket)
}

// BucketPublic implements backend.BucketProperties.
func (s *Store) BucketPublic(ctx context.Context, bucket string) (bool, error) {
	return s.store.BucketPublic(ctx, bucket)
}

// BucketTags implements backend.BucketProperties.
func (s *Store) BucketTags(ctx context.Context, bucket string) (map[string]string, error) {
	return s.store.BucketTags(ctx, bucket)
}
