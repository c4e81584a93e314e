package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// Limits of annotations (S3 API, "PutObjectAnnotation"); values are UTF-8 and not empty.
const (
	maxAnnotation     = 1 << 20 // bytes of a value
	maxAnnotationName = 512     // bytes
)

// annotation makes a call about one annotation. Only Amazon has them; all others would take the
// request for one about the object, so none is sent to them.
func (s *Store) annotation(op string, id backend.ObjectID, name string, write bool) (call, error) {
	c, err := sub(s.vendor.Load().annotates, call{op: op, bucket: id.Bucket, key: id.Key, write: write, repeat: repeatHarmless})
	if err != nil {
		return c, err
	}
	e := &backend.Error{Kind: backend.KindInvalid, Op: op, Bucket: id.Bucket, Key: id.Key}
	switch lower := strings.ToLower(name); {
	case len(name) > maxAnnotationName:
		e.Kind, e.Message = backend.KindNameTooLong, "the name of an annotation has at most 512 bytes"
	case name == "" || !utf8.ValidString(name) || strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "s3"):
		e.Message = "the name of an annotation is UTF-8 and does not begin with aws or s3"
	default:
		return c, nil
	}
	return c, e
}

// Annotations implements backend.Annotator.
func (s *Store) Annotations(ctx context.Context, id backend.ObjectID, version string) (map[string]int64, error) {
	c, err := sub(s.vendor.Load().annotates, call{op: "ListObjectAnnotations", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless})
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64)
	in := &awss3.ListObjectAnnotationsInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)}
	for {
		out, err := send(ctx, s, c, s.client.ListObjectAnnotations, in)
		if err != nil {
			return nil, err
		}
		for _, a := range out.Annotations {
			sizes[aws.ToString(a.AnnotationName)] = aws.ToInt64(a.Size)
		}
		next := aws.ToString(out.NextContinuationToken)
		if next == "" || next == aws.ToString(in.ContinuationToken) {
			return sizes, nil
		}
		in.ContinuationToken = &next
	}
}

// Annotation implements backend.Annotator.
func (s *Store) Annotation(ctx context.Context, id backend.ObjectID, version, name string) ([]byte, error) {
	c, err := s.annotation("GetObjectAnnotation", id, name, false)
	if err != nil {
		return nil, err
	}
	out, err := send(ctx, s, c, s.client.GetObjectAnnotation, &awss3.GetObjectAnnotationInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), AnnotationName: &name,
	})
	if err != nil {
		return nil, err
	}
	defer out.AnnotationPayload.Close()
	value, err := io.ReadAll(io.LimitReader(out.AnnotationPayload, maxAnnotation+1))
	e := &backend.Error{Kind: backend.KindTransient, Op: c.op, Bucket: id.Bucket, Key: id.Key, Err: err}
	switch {
	case ctx.Err() != nil:
		e.Kind, e.Err = backend.KindCanceled, ctx.Err()
	case err != nil:
	case len(value) > maxAnnotation:
		e.Kind, e.Err = backend.KindTooLarge, errors.New("the value is longer than annotations are")
	default:
		if sum := aws.ToString(out.ChecksumCRC64NVME); sum != "" && sum != checksumOf(value) {
			e.Kind, e.Err = backend.KindCorrupt, errors.New("the value does not match its checksum")
			break
		}
		return value, nil
	}
	return nil, e
}

func checksumOf(value []byte) string {
	h := NewCRC64NVME()
	h.Write(value) // never fails
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// PutAnnotation implements backend.Annotator.
func (s *Store) PutAnnotation(ctx context.Context, id backend.ObjectID, version, name string, value []byte) error {
	c, err := s.annotation("PutObjectAnnotation", id, name, true)
	if err != nil {
		return err
	}
	switch {
	case len(value) > maxAnnotation:
		return &backend.Error{Kind: backend.KindTooLarge, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "an annotation has at most 1 MiB"}
	case len(value) == 0 || !utf8.Valid(value):
		return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "an annotation is UTF-8 and not empty"}
	}
	sum := checksumOf(value)
	_, err = send(ctx, s, c, s.client.PutObjectAnnotation, &awss3.PutObjectAnnotationInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), AnnotationName: &name,
		AnnotationPayload: bytes.NewReader(value), ChecksumCRC64NVME: &sum,
	})
	return err
}

// DeleteAnnotation implements backend.Annotator.
func (s *Store) DeleteAnnotation(ctx context.Context, id backend.ObjectID, version, name string) error {
	c, err := s.annotation("DeleteObjectAnnotation", id, name, true)
	if err != nil {
		return err
	}
	_, err = send(ctx, s, c, s.client.DeleteObjectAnnotation, &awss3.DeleteObjectAnnotationInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), AnnotationName: &name,
	})
	return err
}
