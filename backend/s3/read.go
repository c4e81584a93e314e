package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Head implements backend.Reader.
func (s *Store) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	known := s.vendor.Load()
	told, err := orSealed(ctx, s, id, opt.VersionID, opt.IfMatch, func(etag string) (headAnswer, error) {
		opt.IfMatch = etag
		return s.head(ctx, id, opt, "")
	})
	if err != nil {
		return backend.Object{}, err
	}
	obj := objectOf(id, known, told.header, told.length)
	s.addLock(ctx, &obj, opt.VersionID)
	return obj, nil
}

// headAnswer is the answer to a HEAD.
type headAnswer struct {
	header http.Header
	length int64 // 0 when it is not said
	part   bool  // of a part of the object
}

// head makes a HEAD of an object; query is added to it.
func (s *Store) head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions, query string) (headAnswer, error) {
	c := call{op: "HeadObject", bucket: id.Bucket, key: id.Key, version: opt.VersionID, repeat: repeatHarmless}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return headAnswer{}, err
	}
	if err := s.possible(c, opt.VersionID); err != nil {
		return headAnswer{}, err
	}
	header := readHeader(opt)
	if s.vendor.Load().checksums {
		header.Set(checksumMode, "ENABLED")
	}
	opt.VersionID = s.idFor(ctx, id.Bucket, opt.VersionID)
	resp, err := s.direct(ctx, c, http.MethodHead, joined(versionQuery(opt.VersionID), query), header)
	if err != nil {
		return headAnswer{}, s.explainHead(ctx, id, opt, err)
	}
	_ = resp.Body.Close() // there is none
	s.noteEncryption(resp.Header)
	return headAnswer{resp.Header, max(resp.ContentLength, 0), resp.StatusCode == http.StatusPartialContent}, nil
}

// joined joins two queries, each of which may be empty.
func joined(a, b string) string {
	if a != "" && b != "" {
		return a + "&" + b
	}
	return a + b
}

// explainHead asks again, by a GET, why a version is refused: a HEAD cannot tell an id that
// nothing can have from credentials that have expired.
func (s *Store) explainHead(ctx context.Context, id backend.ObjectID, opt backend.GetOptions, err error) error {
	var e *backend.Error
	if opt.VersionID == "" || !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Kind == backend.KindNotExist {
		return err
	}
	body, got := s.get(ctx, id, backend.GetOptions{VersionID: opt.VersionID, Range: &backend.Range{Len: 1}})
	if got == nil {
		body.Close()
	}
	var said *backend.Error
	if errors.As(got, &said) && said.Status == e.Status {
		e.Kind, e.Code, e.Message = said.Kind, said.Code, said.Message
	}
	return e
}

// checksumMode asks for the checksum of the object.
const checksumMode = "X-Amz-Checksum-Mode"

// readHeader has the conditions of a GET or HEAD.
func readHeader(opt backend.GetOptions) http.Header {
	header := make(http.Header, 8)
	setHeader(header, "If-Match", opt.IfMatch)
	setHeader(header, "If-None-Match", opt.IfNoneMatch)
	return header
}

// possible is an error for a version id that the store could not have given, and fails over.
func (s *Store) possible(c call, version string) error {
	if version == "" || version == backend.NullVersion || !s.vendor.Load().timeIDs {
		return nil
	}
	if _, err := strconv.ParseFloat(version, 64); err == nil {
		return nil
	}
	return &backend.Error{Kind: backend.KindNotExist, Op: c.op, Bucket: c.bucket, Key: c.key, Message: "no id of a version"}
}

func versionQuery(id string) string {
	if id == "" {
		return ""
	}
	return "versionId=" + url.QueryEscape(id)
}

// Get implements backend.Reader.
func (s *Store) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	if s.vendor.Load().mixesReads {
		return s.getUnmixed(ctx, id, opt)
	}
	return orSealed(ctx, s, id, opt.VersionID, opt.IfMatch, func(etag string) (*backend.Body, error) {
		opt.IfMatch = etag
		return s.get(ctx, id, opt)
	})
}

func (s *Store) get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	c := call{op: "GetObject", bucket: id.Bucket, key: id.Key, version: opt.VersionID, repeat: repeatHarmless}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return nil, err
	}
	if err := s.possible(c, opt.VersionID); err != nil {
		return nil, err
	}
	header := readHeader(opt)
	known := s.vendor.Load()
	switch {
	case opt.Range == nil && known.checksums:
		header.Set(checksumMode, "ENABLED")
	case opt.Range != nil && (opt.Range.Off < 0 || opt.Range.Len == 0):
		return nil, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "bad range"}
	case opt.Range != nil:
		header.Set("Range", rangeHeader(*opt.Range))
	}
	resp, err := s.direct(ctx, c, http.MethodGet, versionQuery(s.idFor(ctx, id.Bucket, opt.VersionID)), header)
	if err != nil {
		return nil, err
	}
	s.noteEncryption(resp.Header)
	obj := objectOf(id, known, resp.Header, max(resp.ContentLength, 0))
	s.addLock(ctx, &obj, "")
	held, err := answeredRange(opt.Range, resp, &obj)
	if err != nil {
		resp.Body.Close()
		return nil, &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: id.Bucket, Key: id.Key, Err: err}
	}
	b := &body{ReadCloser: resp.Body, ctx: ctx, id: id, left: held.Len}
	return &backend.Body{ReadCloser: b, Object: obj, Range: held}, nil
}

// getUnmixed is Get where the ETag (and with it If-Match) may be of the version before the
// one that the bytes are of: VersityGW looks at the one, then opens the other. Everything else
// of its answer is of the bytes. Only an object as young as that can be concerned; for those
// a HEAD afterwards tells whether the ETag still stands.
func (s *Store) getUnmixed(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	const young, tries = 2 * time.Second, 20
	for range tries {
		body, err := s.get(ctx, id, opt)
		if err != nil || body.Object.Fetched.Sub(body.Object.LastModified) > young {
			return body, err
		}
		now, err := s.Head(ctx, id, backend.GetOptions{VersionID: opt.VersionID})
		if err == nil && now.ETag == body.Object.ETag {
			return body, nil
		}
		body.Close()
		if err != nil && !backend.IsKind(err, backend.KindNotExist) {
			return nil, err
		}
	}
	return nil, &backend.Error{Kind: backend.KindTransient, Op: "GetObject", Bucket: id.Bucket, Key: id.Key, Message: "the object is overwritten all the time"}
}

// objectOf reads the header of the answer to a GET or HEAD; size is that of a whole object.
func objectOf(id backend.ObjectID, known *vendor, h http.Header, size int64) backend.Object {
	modified, _ := http.ParseTime(h.Get("Last-Modified"))
	obj := backend.Object{
		Bucket: id.Bucket, Key: id.Key,
		ETag: unquote(h.Get("Etag")), VersionID: versionID(h.Get("X-Amz-Version-Id")), Size: size,
		LastModified: modified, StorageClass: storageClass(h.Get("X-Amz-Storage-Class")),
		Headers: backend.Headers{
			ContentType: h.Get("Content-Type"), CacheControl: h.Get("Cache-Control"),
			ContentDisposition: h.Get("Content-Disposition"), ContentEncoding: h.Get("Content-Encoding"),
			ContentLanguage: h.Get("Content-Language"), Expires: h.Get("Expires"),
			WebsiteRedirect: h.Get("X-Amz-Website-Redirect-Location"),
		},
		HasMetadata: true,
		TagCount:    known.tagCount(h.Get("X-Amz-Tagging-Count")),
		Encryption: backend.Encryption{
			Algorithm: h.Get(encryptionHeader), KMSKeyID: h.Get(encryptionHeader + "-Aws-Kms-Key-Id"),
			BucketKey: h.Get(encryptionHeader+"-Bucket-Key-Enabled") == "true",
		},
		CRC64NVME:   wholeChecksum(h.Get("X-Amz-Checksum-Crc64nvme")),
		Lock:        lockOf(h),
		Restore:     h.Get("X-Amz-Restore"),
		Replication: h.Get("X-Amz-Replication-Status"),
		Fetched:     fetchedAt(h),
	}
	if h.Get(customerHeader+"Algorithm") != "" {
		obj.Encryption.Algorithm = backend.CustomerEncryption
	}
	if known.sealsDirs {
		obj.ETag = opened(id.Key, obj.ETag, obj.Encryption.Algorithm, size)
	}
	obj.Metadata = make(map[string]string)
	for name, values := range h {
		if key, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok && len(values) > 0 {
			obj.Metadata[strings.ToLower(key)] = decodeMetadata(values[0])
		}
	}
	return obj
}

// answeredRange says what the body holds and corrects the object's size and checksum.
func answeredRange(asked *backend.Range, resp *http.Response, obj *backend.Object) (backend.Range, error) {
	answered := resp.Header.Get("Content-Range")
	if answered == "" {
		if resp.ContentLength < 0 {
			return backend.Range{}, errors.New("the store does not say how long the answer is")
		}
		if asked == nil || asked.Off == 0 && (asked.Len < 0 || asked.Len >= obj.Size) && obj.Size > 0 {
			return backend.Range{Len: obj.Size}, nil
		}
		return backend.Range{}, errors.New("the store ignores Range")
	}
	held, size, err := parseContentRange(answered)
	if err != nil {
		return backend.Range{}, err
	}
	if asked != nil && (held.Off != asked.Off || asked.Len > 0 && held.Len > asked.Len) {
		return backend.Range{}, fmt.Errorf("the store answered %s for %s", answered, rangeHeader(*asked))
	}
	obj.Size = size
	if held.Len != size {
		obj.CRC64NVME = "" // some send that of the whole, some that of the range
	}
	return held, nil
}

// body is an open GET.
type body struct {
	io.ReadCloser
	ctx  context.Context
	id   backend.ObjectID
	left int64
}

// Read implements io.Reader. A body that ends early fails with io.ErrUnexpectedEOF, wrapped
// in an Error of KindTransient: the rest may be asked for again.
func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil { // also when all has arrived
		return 0, &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Bucket: b.id.Bucket, Key: b.id.Key, Err: err}
	}
	if b.left == 0 {
		p = p[:min(len(p), 1)] // the connection is free when the end was seen
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), errors.New("the answer is longer than announced")
	}
	b.left -= int64(n)
	switch {
	case err == nil, errors.Is(err, io.EOF) && b.left == 0:
		return n, err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	kind := backend.KindTransient
	if b.ctx.Err() != nil {
		kind, err = backend.KindCanceled, b.ctx.Err()
	}
	return n, &backend.Error{Kind: kind, Op: "GetObject", Bucket: b.id.Bucket, Key: b.id.Key, Err: err}
}

// versionID drops the id of objects from before a bucket kept versions: it names whatever
// has it, not one content.
func versionID(id string) string {
	if id == backend.NullVersion {
		return ""
	}
	return id
}

func storageClass(class string) string {
	if class == "STANDARD" {
		return ""
	}
	return class
}

// tagCount is -1 where a missing number does not mean that there are no tags.
func (v *vendor) tagCount(header string) int {
	if n, err := strconv.Atoi(header); err == nil {
		return n
	}
	if v.tags {
		return 0
	}
	return -1
}
