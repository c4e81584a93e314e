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

// Get implements backend.Reader. Reading the body fails with KindCanceled when ctx has ended.
func (s *Store) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	c := call{"GetObject", id.Bucket, id.Key}
	v, obj, err := s.open(ctx, c, opt)
	if err != nil {
		return nil, err
	}
	if err := c.checkArchived(v, s.config(), obj.Fetched); err != nil {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	_, v, err := s.versionLocked(c, opt.VersionID)
	if err != nil {
		return nil, backend.Object{}, err
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

// versionLocked finds a version ("": the current one) that is no delete marker.
func (s *Store) versionLocked(c call, id string) (*bucket, *version, error) {
	if c.key == "" {
		return nil, nil, c.noEmptyKey()
	}
	b := s.buckets[c.bucket]
	if b == nil {
		return nil, nil, c.noBucket()
	}
	v := b.find(c.key, id)
	switch {
	case v == nil && id != "":
		return nil, nil, c.error(backend.KindNotExist, http.StatusNotFound, "NoSuchVersion", "The specified version does not exist.")
	case v == nil:
		return nil, nil, c.noKey()
	case v.marker:
		return nil, nil, c.error(backend.KindNotExist, http.StatusMethodNotAllowed, "MethodNotAllowed", "the version is a delete marker")
	}
	return b, v, nil
}

// change replaces a version by a copy that `edit` has changed, unless that fails. edit runs
// under the store's lock and must not change what v refers to.
func (s *Store) change(ctx context.Context, c call, id string, edit func(b *bucket, v *version) error) error {
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, old, err := s.versionLocked(c, id)
	if err != nil {
		return err
	}
	v := *old
	if err := edit(b, &v); err != nil {
		return err
	}
	b.swap(c.key, old, &v)
	return nil
}

// objectLocked describes v as a GET or HEAD does.
func (s *Store) objectLocked(c call, v *version) backend.Object {
	obj := backend.Object{
		Bucket: c.bucket, Key: c.key, ETag: v.etag, VersionID: v.id, Size: v.content.size,
		LastModified: v.modified, StorageClass: v.properties.StorageClass, Headers: v.properties.Headers,
		Metadata: maps.Clone(v.properties.Metadata), HasMetadata: true,
		TagCount: len(v.properties.Tags), Encryption: v.properties.Encryption,
		Fetched: s.nowLocked(), Replication: v.replication,
	}
	obj.Restore = v.restored.header(obj.Fetched)
	if s.lockLocked(s.buckets[c.bucket]).Enabled {
		obj.Lock = v.properties.Lock
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
