package mem

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// bucketName is the rule of S3: 3 to 63 of lower-case letters, digits, dots and hyphens.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ListBuckets implements backend.Buckets: in order of names.
func (s *Store) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	if err := (call{op: "ListBuckets"}).canceled(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]backend.Bucket, 0, len(s.buckets))
	for name, b := range s.buckets {
		if strings.HasPrefix(name, prefix) {
			list = append(list, backend.Bucket{Name: name, Created: b.created})
		}
	}
	slices.SortFunc(list, func(a, b backend.Bucket) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// HeadBucket implements backend.Buckets.
func (s *Store) HeadBucket(ctx context.Context, name string) error {
	c := call{op: "HeadBucket", bucket: name}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] == nil {
		return c.noBucket()
	}
	return nil
}

// CreateBucket implements backend.Buckets.
func (s *Store) CreateBucket(ctx context.Context, name string) error {
	return s.MakeBucket(ctx, backend.MakeBucketInput{Name: name})
}

// MakeBucket implements backend.BucketMaker.
func (s *Store) MakeBucket(ctx context.Context, in backend.MakeBucketInput) error {
	name := in.Name
	c := call{op: "CreateBucket", bucket: name}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	if !bucketName.MatchString(name) {
		return c.invalid("InvalidBucketName", "The specified bucket is not valid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return c.error(backend.KindExist, http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	b := newBucket(s.nowLocked())
	b.settings.Region, b.settings.Lock.Enabled = in.Region, in.ObjectLock
	s.statusLocked(b)
	s.buckets[name] = b
	return nil
}

// DeleteBucket implements backend.Buckets. Unfinished uploads do not keep a bucket.
func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	c := call{op: "DeleteBucket", bucket: name}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	switch {
	case b == nil:
		return c.noBucket()
	case len(b.keys) > 0:
		return c.error(backend.KindNotEmpty, http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(s.buckets, name)
	return nil
}
