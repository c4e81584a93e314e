package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// none is the If-None-Match that no object passes.
func none(c backend.Condition) *string {
	if c.IfNoneMatch {
		return aws.String("*")
	}
	return nil
}

// patience returns how long to wait for an answer to something that a slow store does with
// size bytes at perSecond.
func (s *Store) patience(size, perSecond int64) time.Duration {
	return s.first + time.Duration(max(size, 0)/perSecond)*time.Second
}

// once is the policy for writes: those with a condition are sent once.
func once(c backend.Condition) repeat {
	if c.IsZero() {
		return repeatHarmless
	}
	return repeatNever
}

// Put implements backend.Writer.
func (s *Store) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	id := backend.ObjectID{Bucket: in.Bucket, Key: in.Key}
	return s.guarded(ctx, "PutObject", id, in.Condition, func(cond backend.Condition) (backend.Object, error) {
		return orSealed(ctx, s, id, "", cond.IfMatch, func(etag string) (backend.Object, error) {
			in.Condition = backend.Condition{IfMatch: etag, IfNoneMatch: cond.IfNoneMatch}
			return s.putObject(ctx, in)
		})
	})
}

func (s *Store) putObject(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	c := call{
		op: "PutObject", bucket: in.Bucket, key: in.Key, write: true, cond: in.Condition, repeat: once(in.Condition),
		patience: s.patience(in.Size, 32*backend.MiB), payload: newPayload(in.Body, in.Size),
	}
	in.Properties.Encryption = s.encryptionFor(c, in.Properties.Encryption)
	meta, err := s.writable(ctx, &c, in.Properties)
	if err != nil {
		return backend.Object{}, err
	}
	known, locked := s.vendor.Load(), in.Properties.Lock != (backend.ObjectLock{})
	if in.CRC64NVME == "" && (in.Size > 0 && known.cutsShort || locked && known.checksums) { // Amazon takes no lock without one
		in.CRC64NVME = c.payload.checksum(ctx)
	}
	header := make(http.Header, 16)
	header.Set("Content-Type", octets)
	setProperties(header, in.Properties, meta)
	setCondition(header, in.Condition)
	setHeader(header, checksumHeader, in.CRC64NVME)
	answer, err := s.upload(ctx, c, "", header)
	if err == nil {
		err = s.echoed(c, answer.Get(echoedKey))
	}
	if err != nil {
		return backend.Object{}, err
	}
	return backend.Object{
		Bucket: in.Bucket, Key: in.Key, ETag: unquote(answer.Get("Etag")), VersionID: versionID(answer.Get("X-Amz-Version-Id")), Size: in.Size,
		CRC64NVME: wholeChecksum(answer.Get(checksumHeader)), TagCount: -1,
	}, nil
}

const checksumHeader = "X-Amz-Checksum-Crc64nvme"

// writable checks the names and properties of a write, and that it will be encrypted as it shall be,
// and returns its metadata, encoded.
func (s *Store) writable(ctx context.Context, c *call, p backend.Properties) (map[string]string, error) {
	if err := writableName(c.op, c.bucket, c.key); err != nil {
		return nil, err
	}
	if p.Lock != (backend.ObjectLock{}) && !s.vendor.Load().objectLock {
		return nil, lacking(*c)
	}
	meta, err := encodeMetadata(p.Metadata)
	known, total := s.vendor.Load(), 0
	for key, value := range meta {
		if known.dashes && strings.Contains(key, "_") {
			err = fmt.Errorf("metadata key %q: the store would change it", key)
		}
		if total += len(key) + len(value); known.metaValue > 0 && (len(value) > known.metaValue || int64(total) > known.caps.Limits.MaxMeta) {
			return nil, &backend.Error{Kind: backend.KindTooLarge, Op: c.op, Bucket: c.bucket, Key: c.key,
				Message: fmt.Sprintf("the store takes at most %d bytes of metadata, %d in one value", known.caps.Limits.MaxMeta, known.metaValue)}
		}
	}
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	if p.Headers.Expires != "" && c.op == "CreateMultipartUpload" {
		c.options = append(c.options, header("Expires", p.Headers.Expires)) // the SDK's takes no other text than a time
	}
	return meta, s.encrypts(ctx, *c, p.Encryption)
}

func yes(b bool) *bool {
	if b {
		return &b
	}
	return nil
}

// Copy implements backend.Writer. It is sent once: a repeat of a copy onto itself would meet
// its own success.
func (s *Store) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if err := named("CopyObject", in.Source.Bucket, in.Source.Key); err != nil {
		return backend.Object{}, err
	}
	in.Source.VersionID = s.idFor(ctx, in.Source.Bucket, in.Source.VersionID)
	if s.vendor.Load().otherETags && ofParts(in.Source.ETag) {
		return s.copyLooking(ctx, in)
	}
	if s.vendor.Load().spoilsKeys && in.Source.VersionID == "" && in.Source.Bucket == in.Bucket && in.Source.Key == in.Key && s.keyOf(in.Bucket, in.Key) != nil {
		if obj, done, err := s.copyOntoItself(ctx, in); done || err != nil {
			return obj, err
		}
	}
	if in.Replace != nil || !s.vendor.Load().copyForgets {
		return s.copyUnlocked(ctx, in)
	}
	// The copy would lose a header. Then all properties are named instead, but for what a
	// plain copy does not keep either.
	source, err := s.Head(ctx, backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key},
		backend.GetOptions{IfMatch: in.Source.ETag, VersionID: in.Source.VersionID})
	if err != nil {
		return backend.Object{}, err
	}
	if source.Headers.Expires != "" {
		in.Source.ETag, in.Replace = source.ETag, &backend.Properties{Headers: source.Headers, Metadata: source.Metadata}
	}
	return s.copyObject(ctx, in, true)
}

func (s *Store) copyObject(ctx context.Context, in backend.CopyInput, keepTags bool) (backend.Object, error) {
	c := call{
		op: "CopyObject", bucket: in.Bucket, key: in.Key, write: true, cond: in.Condition, repeat: repeatNever,
		patience: s.patience(in.Size, 4*backend.MiB), source: in.Source,
	}
	header, err := s.copyHeader(ctx, &c, in)
	if err != nil {
		return backend.Object{}, err
	}
	if keepTags {
		header.Del(tagsHeader)
		header.Del(tagsHeader + "-Directive")
	}
	var result copyResult
	answer, err := orSealed(ctx, s, backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key}, in.Source.VersionID, in.Source.ETag, func(etag string) (http.Header, error) {
		setHeader(header, "X-Amz-Copy-Source-If-Match", etag)
		return s.copied(ctx, c, "", header, &result)
	})
	if err != nil {
		return backend.Object{}, s.explainCopy(ctx, in, err)
	}
	obj := backend.Object{
		Bucket: in.Bucket, Key: in.Key, VersionID: versionID(answer.Get("X-Amz-Version-Id")), Size: in.Size, TagCount: -1,
		ETag: unquote(result.ETag), LastModified: result.modified(), CRC64NVME: wholeChecksum(result.CRC64NVME),
	}
	if in.Replace != nil && s.vendor.Load().copyForgetsTags {
		return obj, s.setLate(ctx, obj, *in.Replace)
	}
	return obj, nil
}

// copyHeader is the header of a copy.
func (s *Store) copyHeader(ctx context.Context, c *call, in backend.CopyInput) (http.Header, error) {
	header := make(http.Header, 16)
	header.Set("X-Amz-Copy-Source", copySource(in.Source))
	setHeader(header, "X-Amz-Copy-Source-If-Match", in.Source.ETag)
	setCondition(header, in.Condition)
	header.Set("X-Amz-Metadata-Directive", "COPY")
	var p backend.Properties
	if in.Replace != nil {
		p = *in.Replace
	}
	p.Encryption = s.encryptionFor(*c, p.Encryption)
	meta, err := s.writable(ctx, c, p)
	if err != nil || in.Replace == nil {
		return header, err
	}
	header.Set("X-Amz-Metadata-Directive", "REPLACE")
	setProperties(header, p, meta)
	if s.vendor.Load().tags || len(p.Tags) > 0 {
		header.Set(tagsHeader+"-Directive", "REPLACE")
	}
	return header, nil
}

// explainCopy finds out which end of a copy has failed its condition: the answer (412, or
// 404) does not say.
func (s *Store) explainCopy(ctx context.Context, in backend.CopyInput, err error) error {
	var e *backend.Error
	if in.Condition.IsZero() || !errors.As(err, &e) || e.Kind != backend.KindChanged && e.Kind != backend.KindNotExist {
		return err
	}
	_, head := s.Head(ctx, backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key},
		backend.GetOptions{IfMatch: in.Source.ETag, VersionID: in.Source.VersionID})
	switch {
	case head == nil && in.Condition.IfNoneMatch:
		e.Kind = backend.KindExist
	case head == nil:
		e.Kind = backend.KindChanged
	case backend.IsKind(head, backend.KindNotExist), backend.IsKind(head, backend.KindChanged):
		e.Kind = backend.KindOf(head)
	}
	return e
}

// Delete implements backend.Writer.
func (s *Store) Delete(ctx context.Context, in backend.DeleteInput) error {
	_, err := s.remove(ctx, in)
	return err
}

// remove also returns the version id of a delete marker that was made.
func (s *Store) remove(ctx context.Context, in backend.DeleteInput) (string, error) {
	cond := backend.Condition{IfMatch: in.IfMatch}
	c := call{op: "DeleteObject", bucket: in.Bucket, key: in.Key, write: true, cond: cond, repeat: once(cond)}
	if err := named(c.op, in.Bucket, in.Key); err != nil {
		return "", err
	}
	if s.possible(c, in.VersionID) != nil || s.ignoresID(ctx, in.Bucket, in.VersionID) {
		return "", nil
	}
	header := make(http.Header, 8)
	setHeader(header, "If-Match", in.IfMatch)
	if in.BypassGovernance {
		if !s.vendor.Load().objectLock {
			return "", lacking(c)
		}
		header.Set(bypassHeader, "true")
	}
	resp, err := s.direct(ctx, c, http.MethodDelete, versionQuery(in.VersionID), header)
	switch {
	case err == nil:
		_ = resp.Body.Close()
		return versionID(resp.Header.Get("X-Amz-Version-Id")), nil
	case in.IfMatch == "" && backend.IsKind(err, backend.KindNotExist):
		return "", nil
	}
	return "", err
}

// DeleteMany implements backend.Writer. Keys that XML cannot carry are removed one by one.
func (s *Store) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	c := call{
		op: "DeleteObjects", bucket: bucket, write: true, repeat: repeatHarmless,
		patience: s.patience(int64(len(keys)), 20),
	}
	if err := namedBucket(c.op, bucket); err != nil {
		return nil, err
	}
	if s.vendor.Load().md5 {
		c.options = append(c.options, contentMD5)
	}
	in := &awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
	results := make([]backend.DeleteResult, len(keys))
	failed := make(map[string]error)
	for i, key := range keys {
		results[i].Key = key
		switch {
		case key == "":
			return nil, named(c.op, bucket, key)
		case xmlSafe(key):
			in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &keys[i]})
		default:
			failed[key] = s.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: key})
		}
	}
	batch := cmp.Or(s.vendor.Load().deleteBatch, len(keys))
	for objects := range slices.Chunk(in.Delete.Objects, max(batch, 1)) {
		in.Delete.Objects = objects
		out, err := send(ctx, s, c, s.client.DeleteObjects, in)
		if err != nil {
			return nil, err
		}
		for _, e := range out.Errors {
			key := aws.ToString(e.Key)
			one := decodeItem(call{op: c.op, bucket: bucket, key: key, write: true}, aws.ToString(e.Code), aws.ToString(e.Message))
			if one.Kind != backend.KindNotExist {
				failed[key] = one
			}
		}
	}
	for i := range results {
		results[i].Err = failed[results[i].Key]
	}
	return results, nil
}

// xmlSafe reports whether XML 1.0 has all characters of s, and parsers keep them.
func xmlSafe(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0xfffd || r == 0xfffe || r == 0xffff
	})
}
