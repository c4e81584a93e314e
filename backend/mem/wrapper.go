package mem

import (
	"context"
	"io"

	"github.com/objmount/objmount/backend"
)

// Call is one request on its way to a store.
type Call struct {
	Op     string // in S3's words: "GetObject", "ListObjectsV2", ...
	Bucket string
	Key    string         // of a listing: its prefix; empty for DeleteObjects and buckets
	Keys   []string       // of DeleteObjects; not to be changed
	Source backend.Source // of CopyObject and UploadPartCopy
	// VersionID is the version that the request names; empty: the current one.
	VersionID string
}

// hook begins a call: it may wait or fail it right away (then the store never sees it).
type hook func(context.Context, Call) (interception, error)

// interception is what happens to one call. Every call of a hook without an error is
// followed by one end.
type interception interface {
	// upload wraps the body of a write.
	upload(io.ReadSeeker) io.ReadSeeker
	// download wraps the body of a GET; it is closed before end only if the GET fails.
	download(*backend.Body) *backend.Body
	// end sees the outcome and returns what the caller gets.
	end(error) error
}

// wrapper is a backend.Store that runs a hook around the calls of another. What is no request
// of its own passes: Capabilities, Presign, PresignPost and ObjectURL.
type wrapper struct {
	store backend.Store
	hook  hook
}

func (w *wrapper) run(ctx context.Context, c Call, do func(interception) error) error {
	i, err := w.hook(ctx, c)
	if err != nil {
		return err
	}
	return i.end(do(i))
}

// value runs a call that returns a value; the zero value goes with an error.
func value[T any](ctx context.Context, w *wrapper, c Call, do func(interception) (T, error)) (T, error) {
	var out T
	err := w.run(ctx, c, func(i interception) (err error) {
		out, err = do(i)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// Head implements backend.Reader.
func (w *wrapper) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	return value(ctx, w, Call{Op: "HeadObject", Bucket: id.Bucket, Key: id.Key, VersionID: opt.VersionID}, func(interception) (backend.Object, error) {
		return w.store.Head(ctx, id, opt)
	})
}

// Get implements backend.Reader.
func (w *wrapper) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	var opened *backend.Body
	body, err := value(ctx, w, Call{Op: "GetObject", Bucket: id.Bucket, Key: id.Key, VersionID: opt.VersionID}, func(i interception) (*backend.Body, error) {
		body, err := w.store.Get(ctx, id, opt)
		if err != nil {
			return nil, err
		}
		opened = i.download(body)
		return opened, nil
	})
	if err != nil && opened != nil {
		opened.Close()
	}
	return body, err
}

// List implements backend.Lister.
func (w *wrapper) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	return value(ctx, w, Call{Op: "ListObjectsV2", Bucket: in.Bucket, Key: in.Prefix}, func(interception) (backend.Page, error) {
		return w.store.List(ctx, in)
	})
}

// Put implements backend.Writer.
func (w *wrapper) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	return value(ctx, w, Call{Op: "PutObject", Bucket: in.Bucket, Key: in.Key}, func(i interception) (backend.Object, error) {
		if in.Body != nil {
			in.Body = i.upload(in.Body)
		}
		return w.store.Put(ctx, in)
	})
}

// Copy implements backend.Writer.
func (w *wrapper) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	return value(ctx, w, Call{Op: "CopyObject", Bucket: in.Bucket, Key: in.Key, Source: in.Source}, func(interception) (backend.Object, error) {
		return w.store.Copy(ctx, in)
	})
}

// Delete implements backend.Writer.
func (w *wrapper) Delete(ctx context.Context, in backend.DeleteInput) error {
	return w.run(ctx, Call{Op: "DeleteObject", Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionID}, func(interception) error {
		return w.store.Delete(ctx, in)
	})
}

// DeleteMany implements backend.Writer.
func (w *wrapper) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	return value(ctx, w, Call{Op: "DeleteObjects", Bucket: bucket, Keys: keys}, func(interception) ([]backend.DeleteResult, error) {
		return w.store.DeleteMany(ctx, bucket, keys)
	})
}

// CreateUpload implements backend.Multipart.
func (w *wrapper) CreateUpload(ctx context.Context, in backend.CreateUploadInput) (string, error) {
	return value(ctx, w, Call{Op: "CreateMultipartUpload", Bucket: in.Bucket, Key: in.Key}, func(interception) (string, error) {
		return w.store.CreateUpload(ctx, in)
	})
}

// UploadPart implements backend.Multipart.
func (w *wrapper) UploadPart(ctx context.Context, in backend.PartInput) (backend.Part, error) {
	return value(ctx, w, Call{Op: "UploadPart", Bucket: in.Bucket, Key: in.Key}, func(i interception) (backend.Part, error) {
		if in.Body != nil {
			in.Body = i.upload(in.Body)
		}
		return w.store.UploadPart(ctx, in)
	})
}

// CopyPart implements backend.Multipart.
func (w *wrapper) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	return value(ctx, w, Call{Op: "UploadPartCopy", Bucket: in.Bucket, Key: in.Key, Source: in.Source}, func(interception) (backend.Part, error) {
		return w.store.CopyPart(ctx, in)
	})
}

// CompleteUpload implements backend.Multipart.
func (w *wrapper) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	return value(ctx, w, Call{Op: "CompleteMultipartUpload", Bucket: in.Bucket, Key: in.Key}, func(interception) (backend.Object, error) {
		return w.store.CompleteUpload(ctx, in)
	})
}

// AbortUpload implements backend.Multipart.
func (w *wrapper) AbortUpload(ctx context.Context, in backend.Upload) error {
	return w.run(ctx, Call{Op: "AbortMultipartUpload", Bucket: in.Bucket, Key: in.Key}, func(interception) error {
		return w.store.AbortUpload(ctx, in)
	})
}

// ListParts implements backend.Multipart.
func (w *wrapper) ListParts(ctx context.Context, in backend.Upload) ([]backend.Part, error) {
	return value(ctx, w, Call{Op: "ListParts", Bucket: in.Bucket, Key: in.Key}, func(interception) ([]backend.Part, error) {
		return w.store.ListParts(ctx, in)
	})
}

// ListUploads implements backend.Multipart.
func (w *wrapper) ListUploads(ctx context.Context, id backend.ObjectID) ([]backend.Upload, error) {
	return value(ctx, w, Call{Op: "ListMultipartUploads", Bucket: id.Bucket, Key: id.Key}, func(interception) ([]backend.Upload, error) {
		return w.store.ListUploads(ctx, id)
	})
}

// ListBuckets implements backend.Buckets.
func (w *wrapper) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	return value(ctx, w, Call{Op: "ListBuckets"}, func(interception) ([]backend.Bucket, error) {
		return w.store.ListBuckets(ctx, prefix)
	})
}

// HeadBucket implements backend.Buckets.
func (w *wrapper) HeadBucket(ctx context.Context, bucket string) error {
	return w.run(ctx, Call{Op: "HeadBucket", Bucket: bucket}, func(interception) error { return w.store.HeadBucket(ctx, bucket) })
}

// CreateBucket implements backend.Buckets.
func (w *wrapper) CreateBucket(ctx context.Context, bucket string) error {
	return w.run(ctx, Call{Op: "CreateBucket", Bucket: bucket}, func(interception) error { return w.store.CreateBucket(ctx, bucket) })
}

// DeleteBucket implements backend.Buckets.
func (w *wrapper) DeleteBucket(ctx context.Context, bucket string) error {
	return w.run(ctx, Call{Op: "DeleteBucket", Bucket: bucket}, func(interception) error { return w.store.DeleteBucket(ctx, bucket) })
}

// Capabilities implements backend.Prober.
func (w *wrapper) Capabilities(ctx context.Context, bucket, prefix string, probe bool) (backend.Capabilities, error) {
	return w.store.Capabilities(ctx, bucket, prefix, probe)
}
