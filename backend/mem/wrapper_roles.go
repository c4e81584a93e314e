package mem

import (
	"context"
	"io"
	"net/url"

	"github.com/objmount/objmount/backend"
)

// ofVersion names a call about one version of an object.
func ofVersion(op string, id backend.ObjectID, version string) Call {
	return Call{Op: op, Bucket: id.Bucket, Key: id.Key, VersionID: version}
}

// Tags implements backend.Tagger.
func (w *wrapper) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	return value(ctx, w, ofVersion("GetObjectTagging", id, version), func(interception) (map[string]string, error) {
		return w.store.Tags(ctx, id, version)
	})
}

// PutTags implements backend.Tagger. Without tags the request is DeleteObjectTagging.
func (w *wrapper) PutTags(ctx context.Context, id backend.ObjectID, version string, tags map[string]string) error {
	return w.run(ctx, ofVersion(putTags(tags), id, version), func(interception) error {
		return w.store.PutTags(ctx, id, version, tags)
	})
}

// Lock implements backend.Locker.
func (w *wrapper) Lock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	return value(ctx, w, ofVersion("GetObjectRetention", id, version), func(interception) (backend.ObjectLock, error) {
		return w.store.Lock(ctx, id, version)
	})
}

// SetRetention implements backend.Locker.
func (w *wrapper) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, bypass bool) error {
	return w.run(ctx, ofVersion("PutObjectRetention", id, version), func(interception) error {
		return w.store.SetRetention(ctx, id, version, r, bypass)
	})
}

// SetLegalHold implements backend.Locker.
func (w *wrapper) SetLegalHold(ctx context.Context, id backend.ObjectID, version string, on bool) error {
	return w.run(ctx, ofVersion("PutObjectLegalHold", id, version), func(interception) error {
		return w.store.SetLegalHold(ctx, id, version, on)
	})
}

// ListVersions implements backend.Versioner.
func (w *wrapper) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	return value(ctx, w, Call{Op: "ListObjectVersions", Bucket: in.Bucket, Key: in.Prefix}, func(interception) (backend.VersionPage, error) {
		return w.store.ListVersions(ctx, in)
	})
}

// DeleteVersions implements backend.Versioner.
func (w *wrapper) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypass bool) ([]backend.DeleteResult, error) {
	return value(ctx, w, Call{Op: "DeleteObjects", Bucket: bucket, Keys: keysOf(ids)}, func(interception) ([]backend.DeleteResult, error) {
		return w.store.DeleteVersions(ctx, bucket, ids, bypass)
	})
}

func keysOf(ids []backend.VersionID) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = id.Key
	}
	return keys
}

// Describe implements backend.Describer.
func (w *wrapper) Describe(ctx context.Context, id backend.ObjectID, version string) (backend.Description, error) {
	return value(ctx, w, ofVersion("GetObjectAttributes", id, version), func(interception) (backend.Description, error) {
		return w.store.Describe(ctx, id, version)
	})
}

// Owner implements backend.Describer.
func (w *wrapper) Owner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	return value(ctx, w, ofVersion("GetObjectAcl", id, version), func(interception) (string, error) {
		return w.store.Owner(ctx, id, version)
	})
}

// Restore implements backend.Restorer.
func (w *wrapper) Restore(ctx context.Context, id backend.ObjectID, version string, days int, tier string) error {
	return w.run(ctx, ofVersion("RestoreObject", id, version), func(interception) error {
		return w.store.Restore(ctx, id, version, days, tier)
	})
}

// UpdateEncryption implements backend.Encrypter.
func (w *wrapper) UpdateEncryption(ctx context.Context, id backend.ObjectID, version string, e backend.Encryption) error {
	return w.run(ctx, ofVersion("UpdateObjectEncryption", id, version), func(interception) error {
		return w.store.UpdateEncryption(ctx, id, version, e)
	})
}

// Annotations implements backend.Annotator.
func (w *wrapper) Annotations(ctx context.Context, id backend.ObjectID, version string) (map[string]int64, error) {
	return value(ctx, w, ofVersion("ListObjectAnnotations", id, version), func(interception) (map[string]int64, error) {
		return w.store.Annotations(ctx, id, version)
	})
}

// Annotation implements backend.Annotator.
func (w *wrapper) Annotation(ctx context.Context, id backend.ObjectID, version, name string) ([]byte, error) {
	return value(ctx, w, ofVersion("GetObjectAnnotation", id, version), func(interception) ([]byte, error) {
		return w.store.Annotation(ctx, id, version, name)
	})
}

// PutAnnotation implements backend.Annotator.
func (w *wrapper) PutAnnotation(ctx context.Context, id backend.ObjectID, version, name string, content []byte) error {
	return w.run(ctx, ofVersion("PutObjectAnnotation", id, version), func(interception) error {
		return w.store.PutAnnotation(ctx, id, version, name, content)
	})
}

// DeleteAnnotation implements backend.Annotator.
func (w *wrapper) DeleteAnnotation(ctx context.Context, id backend.ObjectID, version, name string) error {
	return w.run(ctx, ofVersion("DeleteObjectAnnotation", id, version), func(interception) error {
		return w.store.DeleteAnnotation(ctx, id, version, name)
	})
}

// Presign implements backend.Presigner; it is no request.
func (w *wrapper) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	return w.store.Presign(ctx, in)
}

// PresignPost implements backend.Presigner; it is no request.
func (w *wrapper) PresignPost(ctx context.Context, in backend.PostInput) (backend.Presigned, error) {
	return w.store.PresignPost(ctx, in)
}

// ObjectURL implements backend.Presigner; it is no request.
func (w *wrapper) ObjectURL(ctx context.Context, id backend.ObjectID) (*url.URL, error) {
	return w.store.ObjectURL(ctx, id)
}

// Select implements backend.Selector.
func (w *wrapper) Select(ctx context.Context, in backend.SelectInput, out io.Writer) (backend.SelectStats, error) {
	return value(ctx, w, ofVersion("SelectObjectContent", in.Object, ""), func(interception) (backend.SelectStats, error) {
		return w.store.Select(ctx, in, out)
	})
}

// BucketVersioning implements backend.BucketProperties.
func (w *wrapper) BucketVersioning(ctx context.Context, bucket string) (string, error) {
	return value(ctx, w, Call{Op: "GetBucketVersioning", Bucket: bucket}, func(interception) (string, error) {
		return w.store.BucketVersioning(ctx, bucket)
	})
}

// SetBucketVersioning implements backend.BucketProperties.
func (w *wrapper) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	return w.run(ctx, Call{Op: "PutBucketVersioning", Bucket: bucket}, func(interception) error {
		return w.store.SetBucketVersioning(ctx, bucket, status)
	})
}

// BucketRegion implements backend.BucketProperties.
func (w *wrapper) BucketRegion(ctx context.Context, bucket string) (string, error) {
	return value(ctx, w, Call{Op: "GetBucketLocation", Bucket: bucket}, func(interception) (string, error) {
		return w.store.BucketRegion(ctx, bucket)
	})
}

// BucketLock implements backend.BucketProperties.
func (w *wrapper) BucketLock(ctx context.Context, bucket string) (backend.BucketLock, error) {
	return value(ctx, w, Call{Op: "GetObjectLockConfiguration", Bucket: bucket}, func(interception) (backend.BucketLock, error) {
		return w.store.BucketLock(ctx, bucket)
	})
}

// BucketEncryption implements backend.BucketProperties.
func (w *wrapper) BucketEncryption(ctx context.Context, bucket string) (backend.Encryption, error) {
	return value(ctx, w, Call{Op: "GetBucketEncryption", Bucket: bucket}, func(interception) (backend.Encryption, error) {
		return w.store.BucketEncryption(ctx, bucket)
	})
}

// BucketPublic implements backend.BucketProperties.
func (w *wrapper) BucketPublic(ctx context.Context, bucket string) (bool, error) {
	return value(ctx, w, Call{Op: "GetBucketPolicyStatus", Bucket: bucket}, func(interception) (bool, error) {
		return w.store.BucketPublic(ctx, bucket)
	})
}

// BucketTags implements backend.BucketProperties.
func (w *wrapper) BucketTags(ctx context.Context, bucket string) (map[string]string, error) {
	return value(ctx, w, Call{Op: "GetBucketTagging", Bucket: bucket}, func(interception) (map[string]string, error) {
		return w.store.BucketTags(ctx, bucket)
	})
}

// PutBucketTags implements backend.BucketProperties. Without tags the request is DeleteBucketTagging.
func (w *wrapper) PutBucketTags(ctx context.Context, bucket string, tags map[string]string) error {
	return w.run(ctx, Call{Op: putBucketTags(tags), Bucket: bucket}, func(interception) error {
		return w.store.PutBucketTags(ctx, bucket, tags)
	})
}

// BucketUsage implements backend.BucketProperties: what Ceph tells in the answer to a HeadBucket.
func (w *wrapper) BucketUsage(ctx context.Context, bucket string) (bytes, objects int64, err error) {
	err = w.run(ctx, Call{Op: "HeadBucket", Bucket: bucket}, func(interception) (err error) {
		bytes, objects, err = w.store.BucketUsage(ctx, bucket)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return bytes, objects, nil
}

// GetBucketDoc implements backend.BucketDocs.
func (w *wrapper) GetBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) ([]byte, error) {
	return value(ctx, w, Call{Op: "get " + doc.String(), Bucket: bucket}, func(interception) ([]byte, error) {
		return w.store.GetBucketDoc(ctx, bucket, doc)
	})
}

// PutBucketDoc implements backend.BucketDocs.
func (w *wrapper) PutBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc, text []byte) error {
	return w.run(ctx, Call{Op: "put " + doc.String(), Bucket: bucket}, func(interception) error {
		return w.store.PutBucketDoc(ctx, bucket, doc, text)
	})
}

// DeleteBucketDoc implements backend.BucketDocs.
func (w *wrapper) DeleteBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) error {
	return w.run(ctx, Call{Op: "delete " + doc.String(), Bucket: bucket}, func(interception) error {
		return w.store.DeleteBucketDoc(ctx, bucket, doc)
	})
}

// MakeBucket implements backend.BucketMaker.
func (w *wrapper) MakeBucket(ctx context.Context, in backend.MakeBucketInput) error {
	return w.run(ctx, Call{Op: "CreateBucket", Bucket: in.Name}, func(interception) error {
		return w.store.MakeBucket(ctx, in)
	})
}

// ACL implements backend.AccessControl.
func (w *wrapper) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	return value(ctx, w, ofVersion(aclOp("Get", id), id, version), func(interception) (backend.ACL, error) { return w.store.ACL(ctx, id, version) })
}

// SetACL implements backend.AccessControl.
func (w *wrapper) SetACL(ctx context.Context, id backend.ObjectID, version, canned string) error {
	return w.run(ctx, ofVersion(aclOp("Put", id), id, version), func(interception) error { return w.store.SetACL(ctx, id, version, canned) })
}

func aclOp(verb string, id backend.ObjectID) string {
	if id.Key == "" {
		return verb + "BucketAcl"
	}
	return verb + "ObjectAcl"
}

// AllowACLs implements backend.AccessControl.
func (w *wrapper) AllowACLs(ctx context.Context, bucket string) error {
	return w.run(ctx, Call{Op: "PutBucketOwnershipControls", Bucket: bucket}, func(interception) error { return w.store.AllowACLs(ctx, bucket) })
}
