package s3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// CreateUpload implements backend.Multipart. It is repeated only when the store refused it:
// a lost reply leaves an upload that nobody knows, and whoever repeats must be able to find it.
// On Ceph the lock and the tags of what is uploaded in parts are kept here and set after the
// completion: an upload that another process completes gets none.
func (s *Store) CreateUpload(ctx context.Context, in backend.CreateUploadInput) (string, error) {
	c := call{op: "CreateMultipartUpload", bucket: in.Bucket, key: in.Key}
	in.Properties.Encryption = s.encryptionFor(c, in.Properties.Encryption)
	up, err := s.createUpload(ctx, c, in)
	if err != nil {
		return "", err
	}
	if p := in.Properties; s.vendor.Load().forgetsLocks && (p.Lock != (backend.ObjectLock{}) || len(p.Tags) > 0) {
		s.pending.Store(up.id, p.Clone())
	}
	return up.id, nil
}

// begun is an upload that began, and how the store says that it encrypts. MinIO says it only in the
// answers to parts.
type begun struct{ id, algorithm string }

func (s *Store) createUpload(ctx context.Context, c call, in backend.CreateUploadInput) (begun, error) {
	meta, err := s.writable(ctx, &c, in.Properties)
	if err != nil {
		return begun{}, err
	}
	h, e := in.Properties.Headers, in.Properties.Encryption
	out, err := send(ctx, s, c, s.client.CreateMultipartUpload, &awss3.CreateMultipartUploadInput{
		Bucket: &in.Bucket, Key: &in.Key,
		ContentType: some(h.ContentType), CacheControl: some(h.CacheControl), ContentDisposition: some(h.ContentDisposition),
		ContentEncoding: some(h.ContentEncoding), ContentLanguage: some(h.ContentLanguage), WebsiteRedirectLocation: some(h.WebsiteRedirect),
		Metadata: meta, Tagging: encodeTags(in.Properties.Tags), StorageClass: types.StorageClass(in.Properties.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(e.Algorithm), SSEKMSKeyId: some(e.KMSKeyID), BucketKeyEnabled: yes(e.BucketKey),
		ObjectLockMode: types.ObjectLockMode(in.Properties.Lock.Retention.Mode), ObjectLockRetainUntilDate: until(in.Properties.Lock.Retention),
		ObjectLockLegalHoldStatus: holdStatus(in.Properties.Lock.LegalHold, ""),
	})
	if err != nil {
		return begun{}, err
	}
	if id := aws.ToString(out.UploadId); id != "" {
		return begun{id, string(out.ServerSideEncryption)}, nil
	}
	return begun{}, &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: in.Bucket, Key: in.Key, Message: "the store gave no upload id"}
}

// partCall is a request about one part.
func partCall(op, bucket, key, uploadID string) (call, error) {
	c := call{op: op, bucket: bucket, key: key, repeat: repeatHarmless}
	err := named(op, bucket, key)
	if err == nil && uploadID == "" {
		err = &backend.Error{Kind: backend.KindInvalid, Op: op, Bucket: bucket, Key: key, Message: "empty upload id"}
	}
	return c, err
}

// UploadPart implements backend.Multipart.
func (s *Store) UploadPart(ctx context.Context, in backend.PartInput) (backend.Part, error) {
	c, err := partCall("UploadPart", in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return backend.Part{}, err
	}
	answer, err := s.uploadPart(ctx, c, in)
	if err != nil {
		return backend.Part{}, err
	}
	return backend.Part{Number: in.Number, ETag: unquote(answer.Get("Etag")), Size: in.Size}, nil
}

// uploadPart returns the header of the answer.
func (s *Store) uploadPart(ctx context.Context, c call, in backend.PartInput) (http.Header, error) {
	c.payload = newPayload(in.Body, in.Size)
	c.patience = s.patience(in.Size, 32*backend.MiB)
	header := make(http.Header, 8)
	header.Set("Content-Type", octets)
	setHeader(header, checksumHeader, in.CRC64NVME)
	answer, err := s.upload(ctx, c, partQuery(in.Number, in.UploadID), header)
	if err == nil {
		err = s.echoed(c, answer.Get(echoedKey))
	}
	return answer, err
}

// CopyPart implements backend.Multipart.
func (s *Store) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	c, err := partCall("UploadPartCopy", in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return backend.Part{}, err
	}
	if err := named(c.op, in.Source.Bucket, in.Source.Key); err != nil {
		return backend.Part{}, err
	}
	if in.Range.Off < 0 || in.Range.Len <= 0 {
		return backend.Part{}, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: in.Bucket, Key: in.Key, Message: "bad range"}
	}
	in.Source.VersionID = s.idFor(ctx, in.Source.Bucket, in.Source.VersionID)
	if s.vendor.Load().decodesTwice && strings.Contains(in.Source.Key, "%") {
		return backend.Part{}, &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: in.Bucket, Key: in.Key,
			Message: "the store would copy another object for a source key with a percent sign"}
	}
	if v := s.vendor.Load(); v.cutsRanges && in.Source.ETag == "" || v.otherETags && ofParts(in.Source.ETag) {
		return s.copyPartLooking(ctx, in)
	}
	return s.copyPart(ctx, in)
}

func (s *Store) copyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	c, err := partCall("UploadPartCopy", in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return backend.Part{}, err
	}
	c.patience, c.source = s.patience(in.Range.Len, 4*backend.MiB), in.Source
	header := make(http.Header, 8)
	header.Set("X-Amz-Copy-Source", copySource(in.Source))
	header.Set("X-Amz-Copy-Source-Range", rangeHeader(in.Range))
	setHeader(header, "X-Amz-Copy-Source-If-Match", in.Source.ETag)
	var result copyResult
	if _, err := s.copied(ctx, c, partQuery(in.Number, in.UploadID), header, &result); err != nil {
		return backend.Part{}, s.orReplaced(ctx, c, err)
	}
	if result.ETag == "" {
		return backend.Part{}, &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: in.Bucket, Key: in.Key, Message: "the store did not copy"}
	}
	return backend.Part{Number: in.Number, ETag: unquote(result.ETag), Size: in.Range.Len}, nil
}

// orReplaced returns the error of a copy of a range, or KindChanged if the source is another version by now: MinIO looks whether the
// source has that range before it looks at the condition, so one that was replaced by a smaller object is an invalid argument there.
func (s *Store) orReplaced(ctx context.Context, c call, err error) error {
	if c.source.ETag == "" || !backend.IsKind(err, backend.KindInvalid) && !backend.IsKind(err, backend.KindRange) {
		return err
	}
	src := backend.ObjectID{Bucket: c.source.Bucket, Key: c.source.Key}
	_, now := s.Head(ctx, src, backend.GetOptions{IfMatch: c.source.ETag, VersionID: c.source.VersionID})
	if !backend.IsKind(now, backend.KindChanged) && !backend.IsKind(now, backend.KindNotExist) {
		return err
	}
	return &backend.Error{Kind: backend.KindChanged, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
}

// partQuery names a part of an upload.
func partQuery(number int32, uploadID string) string {
	return "partNumber=" + strconv.Itoa(int(number)) + "&uploadId=" + url.QueryEscape(uploadID)
}

// CompleteUpload implements backend.Multipart. It is sent once.
func (s *Store) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	return s.guarded(ctx, "CompleteMultipartUpload", backend.ObjectID{Bucket: in.Bucket, Key: in.Key}, in.Condition,
		func(cond backend.Condition) (backend.Object, error) {
			in.Condition = cond
			return s.completeObject(ctx, in)
		})
}

func (s *Store) completeObject(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	c, err := partCall("CompleteMultipartUpload", in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return backend.Object{}, err
	}
	c.write, c.cond, c.repeat = true, in.Condition, repeatNever
	c.patience = s.patience(in.Size, 32*backend.MiB)
	parts := make([]types.CompletedPart, len(in.Parts))
	for i := range in.Parts {
		parts[i] = types.CompletedPart{PartNumber: &in.Parts[i].Number, ETag: &in.Parts[i].ETag}
	}
	out, err := send(ctx, s, c, s.client.CompleteMultipartUpload, &awss3.CompleteMultipartUploadInput{
		Bucket: &in.Bucket, Key: &in.Key, UploadId: &in.UploadID, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfMatch: some(in.Condition.IfMatch), IfNoneMatch: none(in.Condition),
	})
	if err != nil {
		return backend.Object{}, s.explainCompletion(ctx, in, err)
	}
	obj := backend.Object{
		Bucket: in.Bucket, Key: in.Key, ETag: unquote(aws.ToString(out.ETag)), VersionID: versionID(aws.ToString(out.VersionId)), Size: in.Size,
		CRC64NVME: wholeChecksum(aws.ToString(out.ChecksumCRC64NVME)), TagCount: -1,
	}
	if s.vendor.Load().completeFakes {
		return obj, s.completed(ctx, c, obj)
	}
	if held, ok := s.pending.LoadAndDelete(in.UploadID); ok {
		late, _ := held.(backend.Properties)
		return obj, s.setLate(ctx, obj, late)
	}
	return obj, nil
}

// explainCompletion asks whether an upload is still there when the store answers an unknown one
// with a server error (Ceph: "already in progress").
func (s *Store) explainCompletion(ctx context.Context, in backend.CompleteInput, err error) error {
	var e *backend.Error
	if !s.vendor.Load().unclearCompletion || !errors.As(err, &e) || e.Kind != backend.KindUnknown || e.Status == 0 {
		return err
	}
	if _, listed := s.ListParts(ctx, backend.Upload{Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID}); backend.IsKind(listed, backend.KindNotExist) {
		e.Kind = backend.KindNotExist
	}
	return e
}

// completed looks whether a success was one. The server in question computes the ETag of its
// answer from the request, so the object must have it. If it has not, the upload is gone: it
// never came to be, or (which nobody can tell) it was overwritten at once.
func (s *Store) completed(ctx context.Context, c call, obj backend.Object) error {
	now, err := s.Head(ctx, obj.ID(), backend.GetOptions{})
	e := &backend.Error{Kind: backend.KindNotExist, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	switch {
	case err == nil && now.ETag == obj.ETag:
		return nil
	case err == nil || backend.IsKind(err, backend.KindNotExist):
		e.Message = "the store reports success but does not have the object"
	default:
		e.Kind = backend.KindUnknown
	}
	return e
}

// AbortUpload implements backend.Multipart.
func (s *Store) AbortUpload(ctx context.Context, up backend.Upload) error {
	c, err := partCall("AbortMultipartUpload", up.Bucket, up.Key, up.UploadID)
	if err != nil {
		return err
	}
	s.pending.Delete(up.UploadID)
	_, err = send(ctx, s, c, s.client.AbortMultipartUpload, &awss3.AbortMultipartUploadInput{Bucket: &up.Bucket, Key: &up.Key, UploadId: &up.UploadID})
	if backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	return err
}

// ListParts implements backend.Multipart.
func (s *Store) ListParts(ctx context.Context, up backend.Upload) ([]backend.Part, error) {
	c, err := partCall("ListParts", up.Bucket, up.Key, up.UploadID)
	if err != nil {
		return nil, err
	}
	in := &awss3.ListPartsInput{Bucket: &up.Bucket, Key: &up.Key, UploadId: &up.UploadID}
	var parts []backend.Part
	for {
		out, err := send(ctx, s, c, s.client.ListParts, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.Parts {
			parts = append(parts, backend.Part{Number: aws.ToInt32(p.PartNumber), ETag: unquote(aws.ToString(p.ETag)), Size: aws.ToInt64(p.Size)})
		}
		next := aws.ToString(out.NextPartNumberMarker)
		if !aws.ToBool(out.IsTruncated) || next == "" || next == aws.ToString(in.PartNumberMarker) {
			return parts, nil
		}
		in.PartNumberMarker = &next
	}
}

// ListUploads implements backend.Multipart. The whole key is the prefix: MinIO finds nothing
// under shorter ones, but all without one (v0.0.0-20260212201848).
func (s *Store) ListUploads(ctx context.Context, id backend.ObjectID) ([]backend.Upload, error) {
	c := call{op: "ListMultipartUploads", bucket: id.Bucket, repeat: repeatHarmless}
	if err := namedBucket(c.op, id.Bucket); err != nil {
		return nil, err
	}
	in := &awss3.ListMultipartUploadsInput{Bucket: &id.Bucket, Prefix: some(id.Key)}
	if !xmlSafe(id.Key) || id.Key == "" && s.vendor.Load().name != vendorCeph { // not always: Ceph encodes keys here in a way of its own
		in.EncodingType = types.EncodingTypeUrl
	}
	var uploads []backend.Upload
	for {
		out, err := send(ctx, s, c, s.client.ListMultipartUploads, in)
		if err != nil {
			return nil, err
		}
		name := nameDecoder(out.EncodingType)
		for _, u := range out.Uploads {
			if key, err := name(aws.ToString(u.Key)); err == nil && (key == id.Key || id.Key == "") {
				uploads = append(uploads, backend.Upload{Bucket: id.Bucket, Key: key, UploadID: aws.ToString(u.UploadId), Initiated: aws.ToTime(u.Initiated)})
			}
		}
		nextKey, err := name(aws.ToString(out.NextKeyMarker))
		nextID := aws.ToString(out.NextUploadIdMarker)
		switch {
		case !aws.ToBool(out.IsTruncated) || err == nil && nextKey > id.Key && id.Key != "":
			return uploads, nil
		case err != nil, nextKey == "", nextKey == aws.ToString(in.KeyMarker) && nextID == aws.ToString(in.UploadIdMarker):
			return nil, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: id.Bucket, Key: id.Key,
				Err: errors.Join(errors.New("the store says that there is more, but not where"), err)}
		}
		in.KeyMarker, in.UploadIdMarker = &nextKey, some(nextID)
	}
}
