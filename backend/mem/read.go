package mem

import (
	"context"
	"maps"
	"net/http"

	"github.com/objmount/objmount/backend"
)

// Head implements backend.Reader.
func (s *Store) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	_, obj, err := s.open(ctx, call{"HeadObject", id.Bucket, id.Key}, opt)
	return obj, err
}

// Tags implements backend.Tagger.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	v, _, err := s.open(ctx, call{"GetObjectTagging", id.Bucket, id.Key}, backend.GetOptions{})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(v.properties.Tags))
	maps.Copy(tags, v.properties.Tags)
	return tags, nil
}

// Get implements backend.Reader. Reading the body fails with KindCanceled when ctx has ended.
func (s *Store) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	c := call{"GetObject", id.Bucket, id.Key}
	v, obj, err := s.open(ctx, c, opt)
	if err != nil {
		return nil, err
	}
	got := backend.Range{Len: v.content.size}
	if r := opt.Range; r != nil {
		switch {
		case r.Off < 0 || r.Len == 0:
			return nil, c.invalid("InvalidArgument", "bad range")
		case r.Off >= v.content.size:
			return nil, c.error(backend.KindRange, http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
		}
		got = backend.Range{Off: r.Off, Len: v.content.size - r.Off}
		if r.Len > 0 {
			got.Len = min(got.Len, r.Len)
		}
		obj.CRC64NVME = "" // S3 leaves it out of an answer that is not the whole
	}
	body := &reader{ctx: ctx, rest: v.content.slice(got.Off, got.Len).segments, fail: c.cancel}
	return &backend.Body{ReadCloser: body, Object: obj, Range: got}, nil
}

// open finds an object and checks the conditions of a read.
func (s *Store) open(ctx context.Context, c call, opt backend.GetOptions) (*version, backend.Object, error) {
	if err := c.canceled(ctx); err != nil {
		return nil, backend.Object{}, err
	}
	if c.key == "" {
		return nil, backend.Object{}, c.noEmptyKey()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[c.bucket]
	if b == nil {
		return nil, backend.Object{}, c.noBucket()
	}
	v := b.find(c.key, opt.VersionID)
	if v == nil {
		return nil, backend.Object{}, c.noKey()
	}
	if v.marker {
		return nil, backend.Object{}, c.error(backend.KindUnsupported, http.StatusMethodNotAllowed, "MethodNotAllowed", "the version is a delete marker")
	}
	if opt.IfMatch != "" {
		if s.settings.Capabilities.GetIfMatch {
			if opt.IfMatch != v.etag {
				return nil, backend.Object{}, c.failedCondition(backend.KindChanged)
			}
		} else if s.settings.RefuseConditions {
			return nil, backend.Object{}, c.unsupported("If-Match")
		}
	}
	if opt.IfNoneMatch != "" && opt.IfNoneMatch == v.etag {
		return nil, backend.Object{}, c.error(backend.KindNotModified, http.StatusNotModified, "NotModified", "Not Modified")
	}
	return v, s.objectLocked(c, v), nil
}

// objectLocked describes v as a GET or HEAD does.
func (s *Store) objectLocked(c call, v *version) backend.Object {
	obj := backend.Object{
		Bucket: c.bucket, Key: c.key, ETag: v.etag, VersionID: v.id, Size: v.content.size,
		LastModified: v.modified, StorageClass: v.properties.StorageClass, Headers: v.properties.Headers,
		Metadata: maps.Clone(v.properties.Metadata), HasMetadata: true,
		TagCount: len(v.properties.Tags), Encryption: v.properties.Encryption,
		Fetched: s.nowLocked(),
	}
	if obj.Metadata == nil {
		obj.Metadata = map[string]string{}
	}
	if !s.settings.Capabilities.Tagging {
		obj.TagCount = -1
	}
	if s.settings.Capabilities.ChecksumCRC64 && !v.sums.opaque {
		obj.CRC64NVME = encodeCRC(v.sums.crc64)
	}
	return obj
}
