package mem

import (
	"context"
	"encoding/base64"
	"maps"
	"strings"

	"github.com/objmount/objmount/backend"
)

// defaultPage is the size of a page when nobody says one, and S3's largest.
const defaultPage = 1000

// List implements backend.Lister.
func (s *Store) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	c := call{"ListObjectsV2", in.Bucket, in.Prefix}
	if err := c.canceled(ctx); err != nil {
		return backend.Page{}, err
	}
	if in.MaxKeys < 0 {
		return backend.Page{}, c.invalid("InvalidArgument", "max-keys is negative")
	}
	after := in.StartAfter
	if in.Token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(in.Token)
		if err != nil || len(raw) == 0 {
			return backend.Page{}, c.invalid("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[in.Bucket]
	if b == nil {
		return backend.Page{}, c.noBucket()
	}
	limit := int32(defaultPage)
	if s.settings.PageSize > 0 {
		limit = s.settings.PageSize
	}
	if in.MaxKeys > 0 {
		limit = min(limit, in.MaxKeys)
	}
	return s.pageLocked(b, in, after, int(limit)), nil
}

// pageLocked collects one page of what comes after the key or prefix `after`.
func (s *Store) pageLocked(b *bucket, in backend.ListInput, after string, limit int) backend.Page {
	var page backend.Page
	last := after
	from := in.Prefix
	if after != "" {
		from = max(from, after+"\x00")
	}
	if skip := commonPrefix(in, after); skip != "" && after >= in.Prefix {
		from = max(from, successor(skip)) // the prefix was shown, or is not after StartAfter
	}
	for count := 0; ; count++ {
		key, v := b.next(from)
		more := v != nil && strings.HasPrefix(key, in.Prefix)
		if count == limit && (more || s.settings.EmptyLastPage) {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
			return page
		}
		if !more {
			return page
		}
		if prefix := commonPrefix(in, key); prefix != "" {
			page.Prefixes = append(page.Prefixes, prefix)
			last, from = prefix, successor(prefix)
			if from == "" {
				return page
			}
			continue
		}
		page.Objects = append(page.Objects, s.entryLocked(in.Bucket, key, v))
		last, from = key, key+"\x00"
	}
}

// entryLocked describes v as a listing does.
func (s *Store) entryLocked(bucket, key string, v *version) backend.Object {
	obj := backend.Object{
		Bucket: bucket, Key: key, ETag: v.etag, Size: v.content.size, LastModified: v.modified,
		StorageClass: v.properties.StorageClass, TagCount: -1,
	}
	if s.settings.ListMetadata {
		obj.Metadata, obj.HasMetadata = maps.Clone(v.properties.Metadata), true
	}
	return obj
}

// commonPrefix returns what a delimiter makes of the key: "" when the key is shown itself.
func commonPrefix(in backend.ListInput, key string) string {
	if in.Delimiter == "" || !strings.HasPrefix(key, in.Prefix) {
		return ""
	}
	i := strings.Index(key[len(in.Prefix):], in.Delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(in.Prefix)+i+len(in.Delimiter)]
}

// successor returns the first string after all that begin with prefix; "" when there is none.
func successor(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}
