package past

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// The past cannot be changed. A mount of it refuses changes before they come here.

func refused(op, bucket, key string) error {
	return &backend.Error{Kind: backend.KindUnsupported, Op: op, Bucket: bucket, Key: key, Message: "the past cannot be changed"}
}

// Put implements backend.Writer.
func (*Store) Put(_ context.Context, in backend.PutInput) (backend.Object, error) {
	return backend.Object{}, refused("PutObject", in.Bucket, in.Key)
}

// Copy implements backend.Writer.
func (*Store) Copy(_ context.Context, in backend.CopyInput) (backend.Object, error) {
	return backend.Object{}, refused("CopyObject", in.Bucket, in.Key)
}

// Delete implements backend.Writer.
func (*Store) Delete(_ context.Context, in backend.DeleteInput) error {
	return refused("DeleteObject", in.Bucket, in.Key)
}

// DeleteMany implements backend.Writer.
func (*Store) DeleteMany(_ context.Context, bucket string, _ []string) ([]backend.DeleteResult, error) {
	return nil, refused("DeleteObjects", bucket, "")
}

// CreateUpload implements backend.Multipart.
func (*Store) CreateUpload(_ context.Context, in backend.CreateUploadInput) (string, error) {
	return "", refused("CreateMultipartUpload", in.Bucket, in.Key)
}

// UploadPart implements backend.Multipart.
func (*Store) UploadPart(_ context.Context, in backend.PartInput) (backend.Part, error) {
	return backend.Part{}, refused("UploadPart", in.Bucket, in.Key)
}

// CopyPart implements backend.Multipart.
func (*Store) CopyPart(_ context.Context, in backend.CopyPartInput) (backend.Part, error) {
	return backend.Part{}, refused("UploadPartCopy", in.Bucket, in.Key)
}

// CompleteUpload implements backend.Multipart.
func (*Store) CompleteUpload(_ context.Context, in backend.CompleteInput) (backend.Object, error) {
	return backend.Object{}, refused("CompleteMultipartUpload", in.Bucket, in.Key)
}

// AbortUpload implements backend.Multipart.
func (*Store) AbortUpload(_ context.Context, up backend.Upload) error {
	return refused("AbortMultipartUpload", up.Bucket, up.Key)
}

// ListParts implements backend.Multipart.
func (*Store) ListParts(_ context.Context, up backend.Upload) ([]backend.Part, error) {
	return nil, refused("ListParts", up.Bucket, up.Key)
}

// ListUploads implements backend.Multipart: an upload that is not finished is not of the past.
func (*Store) ListUploads(context.Context, backend.ObjectID) ([]backend.Upload, error) {
	return nil, nil
}

// CreateBucket implements backend.Buckets.
func (*Store) CreateBucket(_ context.Context, bucket string) error {
	return refused("CreateBucket", bucket, "")
}

// DeleteBucket implements backend.Buckets.
func (*Store) DeleteBucket(_ context.Context, bucket string) error {
	return refused("DeleteBucket", bucket, "")
}
