package s3

import (
	"context"
	"net/http"
	"strings"

	"github.com/objmount/objmount/backend"
)

// What MinIO does otherwise with encrypted objects: two things with conditions, one with copies.

const (
	sealedPrefix = "20000f00" // of what MinIO's encryption makes of 16 bytes, in hexadecimal digits
	sealedLength = 96
	md5OfNothing = "d41d8cd98f00b204e9800998ecf8427e"
)

// opened returns the ETag that listings and GETs tell of an object whose HEAD told another: of an
// encrypted object whose key ends in a slash MinIO's HEAD tells the ETag as it is kept, encrypted. Of
// SSE-C and SSE-KMS its end is the one that is shown; of SSE-S3 that is the MD5, here of nothing,
// which directories hold. It returns what it got where this does not help.
func opened(key, etag, algorithm string, size int64) string {
	switch {
	case len(etag) != sealedLength || !strings.HasPrefix(etag, sealedPrefix) || !strings.HasSuffix(key, "/"):
		return etag
	case algorithm != "AES256":
		return etag[sealedLength-len(md5OfNothing):]
	case size == 0:
		return md5OfNothing
	}
	return etag
}

// orSealed makes a request with a condition on an ETag. MinIO compares the one that a key which ends
// in a slash is kept with, so when the condition fails there, a HEAD tells whether it is that, and the
// request is made again with the ETag that the store wants.
func orSealed[T any](ctx context.Context, s *Store, id backend.ObjectID, version, etag string, request func(etag string) (T, error)) (T, error) {
	out, err := request(etag)
	if etag == "" || !strings.HasSuffix(id.Key, "/") || !s.vendor.Load().sealsDirs || !backend.IsKind(err, backend.KindChanged) {
		return out, err
	}
	told, failed := s.head(ctx, id, backend.GetOptions{VersionID: version}, "")
	if failed != nil {
		return out, err
	}
	kept := unquote(told.header.Get("Etag"))
	if kept == etag || opened(id.Key, kept, told.header.Get(encryptionHeader), told.length) != etag {
		return out, err
	}
	return request(kept)
}

// overBare makes a write with a condition on an object that may not have the key of its place. MinIO
// refuses such a write with status 400, because it looks for the ETag by the key: then the object is
// encrypted by a copy onto itself first, whose condition it understands. The store has its bytes in
// between as before, with another ETag.
func (s *Store) overBare(ctx context.Context, op string, id backend.ObjectID, cond backend.Condition,
	write func(backend.Condition) (backend.Object, error)) (backend.Object, error) {
	obj, err := write(cond)
	if cond.IsZero() || s.keyOf(id.Bucket, id.Key) == nil || statusOf(err) != http.StatusBadRequest {
		return obj, err
	}
	there, failed := s.Head(ctx, id, backend.GetOptions{IfMatch: cond.IfMatch})
	switch {
	case failed == nil && there.Encryption.Algorithm == backend.CustomerEncryption:
		return obj, err // it is about something else
	case failed == nil && cond.IfNoneMatch:
		return obj, &backend.Error{Kind: backend.KindExist, Op: op, Bucket: id.Bucket, Key: id.Key}
	case backend.IsKind(failed, backend.KindChanged) || backend.IsKind(failed, backend.KindNotExist) && cond.IfMatch != "":
		return obj, &backend.Error{Kind: backend.KindChanged, Op: op, Bucket: id.Bucket, Key: id.Key, Err: failed}
	case failed != nil:
		return obj, err
	}
	copied, failed := s.Copy(ctx, backend.CopyInput{Bucket: id.Bucket, Key: id.Key, Size: there.Size,
		Source: backend.Source{Bucket: id.Bucket, Key: id.Key, ETag: cond.IfMatch}})
	if backend.IsKind(failed, backend.KindChanged) {
		return obj, failed
	}
	if failed != nil {
		return obj, err
	}
	return write(backend.Condition{IfMatch: copied.ETag})
}

// copyOntoItself copies an object that has the key of its place onto itself, which MinIO cannot: in a
// bucket that keeps versions the new version is read with other bytes, or not at all. As an upload of one part that is copied it is right, and costs two requests more.
// done is false for an object that CopyObject copies as it should: one that is empty, or has no key.
// Whether the bucket keeps versions is not asked: that may change at any time, and an object from
// before tells no version.
func (s *Store) copyOntoItself(ctx context.Context, in backend.CopyInput) (copied backend.Object, done bool, err error) {
	id := backend.ObjectID{Bucket: in.Bucket, Key: in.Key}
	told, err := orSealed(ctx, s, id, "", in.Source.ETag, func(etag string) (headAnswer, error) {
		return s.head(ctx, id, backend.GetOptions{IfMatch: etag}, "")
	})
	if err != nil {
		return backend.Object{}, false, err
	}
	obj := objectOf(id, s.vendor.Load(), told.header, told.length)
	if obj.Encryption.Algorithm != backend.CustomerEncryption || obj.Size == 0 {
		return backend.Object{}, false, nil
	}
	create := backend.CreateUploadInput{Bucket: in.Bucket, Key: in.Key, Properties: backend.Properties{Headers: obj.Headers, Metadata: obj.Metadata}}
	if in.Replace != nil {
		create.Properties = *in.Replace
	} else if obj.TagCount > 0 {
		if create.Properties.Tags, err = s.Tags(ctx, id, ""); err != nil {
			return backend.Object{}, false, err
		}
	}
	up := backend.Upload{Bucket: in.Bucket, Key: in.Key}
	if up.UploadID, err = s.CreateUpload(ctx, create); err != nil {
		return backend.Object{}, false, err
	}
	in.Source.ETag = obj.ETag
	part, err := s.CopyPart(ctx, backend.CopyPartInput{Bucket: in.Bucket, Key: in.Key, UploadID: up.UploadID, Number: 1, Source: in.Source, Range: backend.Range{Len: obj.Size}})
	if err == nil {
		if in.Condition.IsZero() {
			in.Condition.IfMatch = obj.ETag
		}
		copied, err = s.CompleteUpload(ctx, backend.CompleteInput{Bucket: in.Bucket, Key: in.Key, UploadID: up.UploadID, Parts: []backend.Part{part}, Size: obj.Size, Condition: in.Condition})
	}
	if err != nil && !backend.IsKind(err, backend.KindUnknown) { // else it may be there
		_ = s.AbortUpload(context.WithoutCancel(ctx), up)
	}
	return copied, true, err
}
