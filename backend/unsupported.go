package backend

import (
	"context"
	"io"
	"net/url"
)

// Unsupported answers KindUnsupported to every role that a store may lack. A store that has
// some of them embeds it and overrides those.
type Unsupported struct{}

func unsupported(op string, id ObjectID) error {
	return &Error{Kind: KindUnsupported, Op: op, Bucket: id.Bucket, Key: id.Key}
}

// PutTags implements Tagger.
func (Unsupported) PutTags(_ context.Context, id ObjectID, _ string, _ map[string]string) error {
	return unsupported("PutObjectTagging", id)
}

// Lock implements Locker.
func (Unsupported) Lock(_ context.Context, id ObjectID, _ string) (ObjectLock, error) {
	return ObjectLock{}, unsupported("GetObjectRetention", id)
}

// SetRetention implements Locker.
func (Unsupported) SetRetention(_ context.Context, id ObjectID, _ string, _ Retention, _ bool) error {
	return unsupported("PutObjectRetention", id)
}

// SetLegalHold implements Locker.
func (Unsupported) SetLegalHold(_ context.Context, id ObjectID, _ string, _ bool) error {
	return unsupported("PutObjectLegalHold", id)
}

// ListVersions implements Versioner.
func (Unsupported) ListVersions(_ context.Context, in ListVersionsInput) (VersionPage, error) {
	return VersionPage{}, unsupported("ListObjectVersions", ObjectID{Bucket: in.Bucket})
}

// DeleteVersions implements Versioner.
func (Unsupported) DeleteVersions(_ context.Context, bucket string, _ []VersionID, _ bool) ([]DeleteResult, error) {
	return nil, unsupported("DeleteObjects", ObjectID{Bucket: bucket})
}

// Describe implements Describer.
func (Unsupported) Describe(_ context.Context, id ObjectID, _ string) (Description, error) {
	return Description{}, unsupported("GetObjectAttributes", id)
}

// Owner implements Describer.
func (Unsupported) Owner(_ context.Context, id ObjectID, _ string) (string, error) {
	return "", unsupported("GetObjectAcl", id)
}

// Restore implements Restorer.
func (Unsupported) Restore(_ context.Context, id ObjectID, _ string, _ int, _ string) error {
	return unsupported("RestoreObject", id)
}

// UpdateEncryption implements Encrypter.
func (Unsupported) UpdateEncryption(_ context.Context, id ObjectID, _ string, _ Encryption) error {
	return unsupported("UpdateObjectEncryption", id)
}

// Annotations implements Annotator.
func (Unsupported) Annotations(_ context.Context, id ObjectID, _ string) (map[string]int64, error) {
	return nil, unsupported("ListObjectAnnotations", id)
}

// Annotation implements Annotator.
func (Unsupported) Annotation(_ context.Context, id ObjectID, _, _ string) ([]byte, error) {
	return nil, unsupported("GetObjectAnnotation", id)
}

// PutAnnotation implements Annotator.
func (Unsupported) PutAnnotation(_ context.Context, id ObjectID, _, _ string, _ []byte) error {
	return unsupported("PutObjectAnnotation", id)
}

// DeleteAnnotation implements Annotator.
func (Unsupported) DeleteAnnotation(_ context.Context, id ObjectID, _, _ string) error {
	return unsupported("DeleteObjectAnnotation", id)
}

// Presign implements Presigner.
func (Unsupported) Presign(_ context.Context, in PresignInput) (Presigned, error) {
	return Presigned{}, unsupported("Presign", in.Object)
}

// PresignPost implements Presigner.
func (Unsupported) PresignPost(_ context.Context, in PostInput) (Presigned, error) {
	return Presigned{}, unsupported("PresignPost", in.Object)
}

// ObjectURL implements Presigner.
func (Unsupported) ObjectURL(_ context.Context, id ObjectID) (*url.URL, error) {
	return nil, unsupported("ObjectURL", id)
}

// Select implements Selector.
func (Unsupported) Select(_ context.Context, in SelectInput, _ io.Writer) (SelectStats, error) {
	return SelectStats{}, unsupported("SelectObjectContent", in.Object)
}

// BucketVersioning implements BucketProperties.
func (Unsupported) BucketVersioning(_ context.Context, bucket string) (string, error) {
	return "", unsupported("GetBucketVersioning", ObjectID{Bucket: bucket})
}

// SetBucketVersioning implements BucketProperties.
func (Unsupported) SetBucketVersioning(_ context.Context, bucket, _ string) error {
	return unsupported("PutBucketVersioning", ObjectID{Bucket: bucket})
}

// BucketRegion implements BucketProperties.
func (Unsupported) BucketRegion(_ context.Context, bucket string) (string, error) {
	return "", unsupported("GetBucketLocation", ObjectID{Bucket: bucket})
}

// BucketLock implements BucketProperties.
func (Unsupported) BucketLock(_ context.Context, bucket string) (BucketLock, error) {
	return BucketLock{}, unsupported("GetObjectLockConfiguration", ObjectID{Bucket: bucket})
}

// BucketEncryption implements BucketProperties.
func (Unsupported) BucketEncryption(_ context.Context, bucket string) (Encryption, error) {
	return Encryption{}, unsupported("GetBucketEncryption", ObjectID{Bucket: bucket})
}

// BucketPublic implements BucketProperties.
func (Unsupported) BucketPublic(_ context.Context, bucket string) (bool, error) {
	return false, unsupported("GetBucketPolicyStatus", ObjectID{Bucket: bucket})
}

// BucketTags implements BucketProperties.
func (Unsupported) BucketTags(_ context.Context, bucket string) (map[string]string, error) {
	return nil, unsupported("GetBucketTagging", ObjectID{Bucket: bucket})
}

// PutBucketTags implements BucketProperties.
func (Unsupported) PutBucketTags(_ context.Context, bucket string, _ map[string]string) error {
	return unsupported("PutBucketTagging", ObjectID{Bucket: bucket})
}

// BucketUsage implements BucketProperties.
func (Unsupported) BucketUsage(_ context.Context, bucket string) (bytes, objects int64, err error) {
	return 0, 0, unsupported("HeadBucket", ObjectID{Bucket: bucket})
}

// GetBucketDoc implements BucketDocs.
func (Unsupported) GetBucketDoc(_ context.Context, bucket string, doc BucketDoc) ([]byte, error) {
	return nil, unsupported("get the "+doc.String()+" document", ObjectID{Bucket: bucket})
}

// PutBucketDoc implements BucketDocs.
func (Unsupported) PutBucketDoc(_ context.Context, bucket string, doc BucketDoc, _ []byte) error {
	return unsupported("put the "+doc.String()+" document", ObjectID{Bucket: bucket})
}

// DeleteBucketDoc implements BucketDocs.
func (Unsupported) DeleteBucketDoc(_ context.Context, bucket string, doc BucketDoc) error {
	return unsupported("delete the "+doc.String()+" document", ObjectID{Bucket: bucket})
}

// MakeBucket implements BucketMaker.
func (Unsupported) MakeBucket(_ context.Context, in MakeBucketInput) error {
	return unsupported("CreateBucket", ObjectID{Bucket: in.Name})
}

// ACL implements AccessControl.
func (Unsupported) ACL(_ context.Context, id ObjectID, _ string) (ACL, error) {
	return ACL{}, unsupported("GetObjectAcl", id)
}

// SetACL implements AccessControl.
func (Unsupported) SetACL(_ context.Context, id ObjectID, _, _ string) error {
	return unsupported("PutObjectAcl", id)
}

// AllowACLs implements AccessControl.
func (Unsupported) AllowACLs(_ context.Context, bucket string) error {
	return unsupported("PutBucketOwnershipControls", ObjectID{Bucket: bucket})
}
