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
	return s.pageLocked(b, in, after, s.pageSizeLocked(in.MaxKeys)), nil
}

// pageSizeLocked returns how many entries a page has for whom asks for at most `asked`.
func (s *Store) pageSizeLocked(asked int32) int {
	limit := int32(defaultPage)
	if s.settings.PageSize > 0 {
		limit = s.settings.PageSize
	}
	if asked > 0 {
		limit = min(limit, asked)
	}
	return int(limit)
}

// pageLocked collects one page of what comes after the key or prefix `after`.
func (s *Store) pageLocked(b *bucket, in backend.ListInput, after string, limit int) backend.Page {
	var page backend.Page
	last := after
	from := in.Prefix
	if after != "" {
		from = max(from, after+"\x00")
	}
	if skip := commonPrefix(in.Prefix, in.Delimiter, after); skip != "" && after >= in.Prefix {
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
		if prefix := commonPrefix(in.Prefix, in.Delimiter, key); prefix != "" {
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
func commonPrefix(prefix, delimiter, key string) string {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return ""
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(prefix)+i+len(delimiter)]
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
