package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// The states of a bucket's versioning.
const (
	versionsOff       = ""
	versionsOn        = "Enabled"
	versionsSuspended = "Suspended"
)

// statusLocked returns whether a bucket keeps versions, and remembers that it does.
func (s *Store) statusLocked(b *bucket) string {
	switch {
	case s.lockLocked(b).Enabled, b.settings.Versioning == versionsOn,
		b.settings.Versioning == versionsOff && s.settings.Capabilities.Versioned:
		b.versions = true
		return versionsOn
	case b.settings.Versioning == versionsSuspended || b.versions:
		b.versions = true
		return versionsSuspended
	}
	return versionsOff
}

// ListVersions implements backend.Versioner. A page goes on where the last one ended also when
// the version that it ended with is gone.
func (s *Store) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	c := call{"ListObjectVersions", in.Bucket, in.Prefix}
	if err := c.canceled(ctx); err != nil {
		return backend.VersionPage{}, err
	}
	switch {
	case in.MaxKeys < 0:
		return backend.VersionPage{}, c.invalid("InvalidArgument", "max-keys is negative")
	case in.VersionMarker != "" && in.KeyMarker == "":
		return backend.VersionPage{}, c.invalid("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[in.Bucket]
	if b == nil {
		return backend.VersionPage{}, c.noBucket()
	}
	before, err := c.behind(b, in)
	if err != nil {
		return backend.VersionPage{}, err
	}
	return s.versionPageLocked(b, in, before), nil
}

// behind returns the sequence number of the version that VersionMarker names: older ones of
// its key follow. Without one: 0, none follow.
func (c call) behind(b *bucket, in backend.ListVersionsInput) (uint64, error) {
	if in.VersionMarker == "" {
		return 0, nil
	}
	if v := b.find(in.KeyMarker, in.VersionMarker); v != nil {
		return v.sequence, nil
	}
	if in.VersionMarker == backend.NullVersion {
		return b.nulls[in.KeyMarker], nil
	}
	var sequence uint64
	if _, err := fmt.Sscanf(in.VersionMarker, "v%d/", &sequence); err != nil {
		return 0, c.invalid("InvalidArgument", "Invalid version id specified")
	}
	return sequence, nil
}

// versionPageLocked collects one page of what comes after in.KeyMarker, and of that key itself
// the versions whose sequence number is less than before.
func (s *Store) versionPageLocked(b *bucket, in backend.ListVersionsInput, before uint64) backend.VersionPage {
	var page backend.VersionPage
	limit, count := s.pageSizeLocked(in.MaxKeys), 0
	full := func() bool {
		page.More = count == limit
		return page.More
	}
	from := in.Prefix
	if in.KeyMarker != "" {
		from = max(from, in.KeyMarker)
	}
	if shown := commonPrefix(in.Prefix, in.Delimiter, in.KeyMarker); shown != "" && in.KeyMarker >= in.Prefix {
		if from = max(from, successor(shown)); successor(shown) == "" {
			return page
		}
	}
	page.NextKey, page.NextVersion = in.KeyMarker, in.VersionMarker
	for {
		key, list := b.nextVersions(from)
		if list == nil || !strings.HasPrefix(key, in.Prefix) {
			break
		}
		from = key + "\x00"
		if prefix := commonPrefix(in.Prefix, in.Delimiter, key); prefix != "" {
			if full() {
				return page
			}
			page.Prefixes = append(page.Prefixes, prefix)
			page.NextKey, page.NextVersion = prefix, ""
			count++
			if from = successor(prefix); from == "" {
				break
			}
			continue
		}
		for i := len(list) - 1; i >= 0; i-- {
			v := list[i]
			if key == in.KeyMarker && v.sequence >= before {
				continue
			}
			if full() {
				return page
			}
			entry := s.versionEntryLocked(in.Bucket, key, v)
			entry.Latest = i == len(list)-1
			page.Versions = append(page.Versions, entry)
			page.NextKey, page.NextVersion = key, entry.VersionID
			count++
		}
	}
	if s.settings.EmptyLastPage && full() {
		return page
	}
	page.NextKey, page.NextVersion = "", ""
	return page
}

// versionEntryLocked describes v as a listing of versions does.
func (s *Store) versionEntryLocked(bucket, key string, v *version) backend.Version {
	entry := backend.Version{
		Object:       backend.Object{Bucket: bucket, Key: key, LastModified: v.modified, TagCount: -1},
		DeleteMarker: v.marker, Owner: s.settings.Owner,
	}
	if !v.marker {
		entry.Object = s.entryLocked(bucket, key, v)
	}
	if entry.VersionID = v.id; v.id == "" {
		entry.VersionID = backend.NullVersion
	}
	return entry
}

// DeleteVersions implements backend.Versioner.
func (s *Store) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypassGovernance bool) ([]backend.DeleteResult, error) {
	c := call{op: "DeleteObjects", bucket: bucket}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.batchLocked(ctx, c, len(ids))
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(ids, func(id backend.VersionID) bool { return id.Key == "" || id.VersionID == "" }); i >= 0 {
		return nil, c.invalid("MalformedXML", "a version needs a key and an id")
	}
	results := make([]backend.DeleteResult, len(ids))
	for i, id := range ids {
		results[i] = backend.DeleteResult{Key: id.Key, Err: s.deleteLocked(call{c.op, bucket, id.Key}, b, id.VersionID, bypassGovernance)}
	}
	return results, nil
}
