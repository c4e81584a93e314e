package fs

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// noticing is the store as FS uses it: what changes a key, or whether a bucket keeps versions, is forgotten
// when the change returns. Uploads do not pass here: see FS.committed.
type noticing struct {
	backend.Store
	versions *versionLists
}

// Put implements backend.Writer.
func (s noticing) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	defer s.versions.changed(backend.ObjectID{Bucket: in.Bucket, Key: in.Key})
	return s.Store.Put(ctx, in)
}

// Copy implements backend.Writer.
func (s noticing) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	defer s.versions.changed(backend.ObjectID{Bucket: in.Bucket, Key: in.Key})
	return s.Store.Copy(ctx, in)
}

// CompleteUpload implements backend.Multipart.
func (s noticing) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	defer s.versions.changed(backend.ObjectID{Bucket: in.Bucket, Key: in.Key})
	return s.Store.CompleteUpload(ctx, in)
}

// Delete implements backend.Writer.
func (s noticing) Delete(ctx context.Context, in backend.DeleteInput) error {
	defer s.versions.changed(backend.ObjectID{Bucket: in.Bucket, Key: in.Key})
	return s.Store.Delete(ctx, in)
}

// DeleteMany implements backend.Writer.
func (s noticing) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	defer func() {
		for _, key := range keys {
			s.versions.changed(backend.ObjectID{Bucket: bucket, Key: key})
		}
	}()
	return s.Store.DeleteMany(ctx, bucket, keys)
}

// DeleteVersions implements backend.Versioner.
func (s noticing) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypass bool) ([]backend.DeleteResult, error) {
	defer func() {
		for _, id := range ids {
			s.versions.changed(backend.ObjectID{Bucket: bucket, Key: id.Key})
		}
	}()
	return s.Store.DeleteVersions(ctx, bucket, ids, bypass)
}

// SetBucketVersioning implements backend.BucketProperties.
func (s noticing) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	defer s.versions.bucketChanged(bucket)
	return s.Store.SetBucketVersioning(ctx, bucket, status)
}

// DeleteBucket implements backend.Buckets.
func (s noticing) DeleteBucket(ctx context.Context, bucket string) error {
	defer s.versions.bucketChanged(bucket)
	return s.Store.DeleteBucket(ctx, bucket)
}
