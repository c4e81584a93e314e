package mem

import (
	"cmp"
	"context"
	"net/http"

	"github.com/objmount/objmount/backend"
)

// BucketSettings are what one bucket carries besides its objects. The zero value is a new bucket.
type BucketSettings struct {
	// Versioning is "Enabled", "Suspended", or empty: as Settings.Capabilities.Versioned says.
	Versioning string
	// Lock keeps versions as well when it is enabled. Settings.Capabilities.ObjectLock enables
	// it too.
	Lock       backend.BucketLock
	Encryption backend.Encryption // of new objects that have none of their own
	Public     bool
	Region     string // empty: us-east-1
	Tags       map[string]string
	// Replication is the replication status of new objects; empty: none.
	Replication string
}

// ConfigureBucket changes the settings of a bucket, and makes it first if it is not there.
// change runs under the store's lock and must not call the store.
func (s *Store) ConfigureBucket(name string, change func(*BucketSettings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		b = newBucket(s.nowLocked())
		s.buckets[name] = b
	}
	s.statusLocked(b)
	change(&b.settings)
	s.statusLocked(b)
}

// bucket runs a call about a bucket, under the store's lock.
func (s *Store) bucket(ctx context.Context, op, name string, do func(c call, b *bucket) error) error {
	c := call{op: op, bucket: name}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return c.noBucket()
	}
	return do(c, b)
}

// BucketVersioning implements backend.BucketProperties.
func (s *Store) BucketVersioning(ctx context.Context, bucketName string) (status string, err error) {
	err = s.bucket(ctx, "GetBucketVersioning", bucketName, func(_ call, b *bucket) error {
		status = s.statusLocked(b)
		return nil
	})
	return status, err
}

// SetBucketVersioning implements backend.BucketProperties. A bucket with object lock keeps versions.
func (s *Store) SetBucketVersioning(ctx context.Context, bucketName, status string) error {
	return s.bucket(ctx, "PutBucketVersioning", bucketName, func(c call, b *bucket) error {
		switch {
		case status != versionsOn && status != versionsSuspended:
			return c.invalid("IllegalVersioningConfigurationException", "The Versioning element must be specified")
		case status == versionsSuspended && s.lockLocked(b).Enabled:
			return c.error(backend.KindInvalid, http.StatusConflict, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.settings.Versioning = status
		s.statusLocked(b)
		return nil
	})
}

// BucketRegion implements backend.BucketProperties.
func (s *Store) BucketRegion(ctx context.Context, bucketName string) (region string, err error) {
	err = s.bucket(ctx, "GetBucketLocation", bucketName, func(_ call, b *bucket) error {
		region = cmp.Or(b.settings.Region, "us-east-1")
		return nil
	})
	return region, err
}

// BucketLock implements backend.BucketProperties.
func (s *Store) BucketLock(ctx context.Context, bucketName string) (lock backend.BucketLock, err error) {
	err = s.bucket(ctx, "GetObjectLockConfiguration", bucketName, func(_ call, b *bucket) error {
		lock = s.lockLocked(b)
		return nil
	})
	return lock, err
}

// BucketEncryption implements backend.BucketProperties.
func (s *Store) BucketEncryption(ctx context.Context, bucketName string) (e backend.Encryption, err error) {
	err = s.bucket(ctx, "GetBucketEncryption", bucketName, func(_ call, b *bucket) error {
		e = b.settings.Encryption
		return nil
	})
	return e, err
}

// BucketPublic implements backend.BucketProperties.
func (s *Store) BucketPublic(ctx context.Context, bucketName string) (public bool, err error) {
	err = s.bucket(ctx, "GetBucketPolicyStatus", bucketName, func(_ call, b *bucket) error {
		public = b.settings.Public
		return nil
	})
	return public, err
}

// BucketTags implements backend.BucketProperties.
func (s *Store) BucketTags(ctx context.Context, bucketName string) (tags map[string]string, err error) {
	if !s.config().Capabilities.Tagging { // whether there is such a bucket is not asked
		return nil, call{"GetBucketTagging", bucketName, ""}.unsupported("tags")
	}
	err = s.bucket(ctx, "GetBucketTagging", bucketName, func(_ call, b *bucket) error {
		tags = copyTags(b.settings.Tags)
		return nil
	})
	return tags, err
}

// PutBucketTags implements backend.BucketProperties.
func (s *Store) PutBucketTags(ctx context.Context, bucketName string, tags map[string]string) error {
	return s.bucket(ctx, putBucketTags(tags), bucketName, func(c call, b *bucket) error {
		if !s.settings.Capabilities.Tagging {
			return c.unsupported("tags")
		}
		if err := c.checkTags(tags, maxBucketTags); err != nil {
			return err
		}
		b.settings.Tags = copyTags(tags)
		return nil
	})
}

// BucketUsage implements backend.BucketProperties. Old versions count, as with Ceph.
func (s *Store) BucketUsage(ctx context.Context, bucketName string) (bytes, objects int64, err error) {
	err = s.bucket(ctx, "HeadBucket", bucketName, func(_ call, b *bucket) error {
		for _, versions := range b.keys {
			for _, v := range versions {
				if !v.marker {
					bytes, objects = bytes+v.content.size, objects+1
				}
			}
		}
		return nil
	})
	return bytes, objects, err
}
