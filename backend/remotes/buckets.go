package remotes

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// HeadBucket implements backend.Buckets.
func (s *Store) HeadBucket(ctx context.Context, bucket string) error {
	m, err := s.find("HeadBucket", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.HeadBucket(ctx, bucket))
}

// CreateBucket implements backend.Buckets: in the remote that the name begins with.
func (s *Store) CreateBucket(ctx context.Context, bucket string) error {
	m, err := s.find("CreateBucket", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.CreateBucket(ctx, bucket))
}

// MakeBucket implements backend.BucketMaker: in the remote that the name begins with.
func (s *Store) MakeBucket(ctx context.Context, in backend.MakeBucketInput) error {
	m, err := s.find("CreateBucket", &in.Name, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.MakeBucket(ctx, in))
}

// DeleteBucket implements backend.Buckets.
func (s *Store) DeleteBucket(ctx context.Context, bucket string) error {
	m, err := s.find("DeleteBucket", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.DeleteBucket(ctx, bucket))
}

// Capabilities implements backend.Prober: those of the remote.
func (s *Store) Capabilities(ctx context.Context, bucket, prefix string, probe bool) (backend.Capabilities, error) {
	m, err := s.find("Capabilities", &bucket, "")
	if err != nil {
		return backend.Capabilities{}, err
	}
	caps, err := m.Store.Capabilities(ctx, bucket, prefix, probe)
	return caps, m.failed(err)
}

// BucketVersioning implements backend.BucketProperties.
func (s *Store) BucketVersioning(ctx context.Context, bucket string) (string, error) {
	m, err := s.find("GetBucketVersioning", &bucket, "")
	if err != nil {
		return "", err
	}
	status, err := m.Store.BucketVersioning(ctx, bucket)
	return status, m.failed(err)
}

// SetBucketVersioning implements backend.BucketProperties.
func (s *Store) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	m, err := s.find("PutBucketVersioning", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.SetBucketVersioning(ctx, bucket, status))
}

// BucketRegion implements backend.BucketProperties.
func (s *Store) BucketRegion(ctx context.Context, bucket string) (string, error) {
	m, err := s.find("GetBucketLocation", &bucket, "")
	if err != nil {
		return "", err
	}
	region, err := m.Store.BucketRegion(ctx, bucket)
	return region, m.failed(err)
}

// BucketLock implements backend.BucketProperties.
func (s *Store) BucketLock(ctx context.Context, bucket string) (backend.BucketLock, error) {
	m, err := s.find("GetObjectLockConfiguration", &bucket, "")
	if err != nil {
		return backend.BucketLock{}, err
	}
	lock, err := m.Store.BucketLock(ctx, bucket)
	return lock, m.failed(err)
}

// BucketEncryption implements backend.BucketProperties.
func (s *Store) BucketEncryption(ctx context.Context, bucket string) (backend.Encryption, error) {
	m, err := s.find("GetBucketEncryption", &bucket, "")
	if err != nil {
		return backend.Encryption{}, err
	}
	e, err := m.Store.BucketEncryption(ctx, bucket)
	return e, m.failed(err)
}

// BucketPublic implements backend.BucketProperties.
func (s *Store) BucketPublic(ctx context.Context, bucket string) (bool, error) {
	m, err := s.find("GetBucketPolicyStatus", &bucket, "")
	if err != nil {
		return false, err
	}
	public, err := m.Store.BucketPublic(ctx, bucket)
	return public, m.failed(err)
}

// BucketTags implements backend.BucketProperties.
func (s *Store) BucketTags(ctx context.Context, bucket string) (map[string]string, error) {
	m, err := s.find("GetBucketTagging", &bucket, "")
	if err != nil {
		return nil, err
	}
	tags, err := m.Store.BucketTags(ctx, bucket)
	return tags, m.failed(err)
}

// PutBucketTags implements backend.BucketProperties.
func (s *Store) PutBucketTags(ctx context.Context, bucket string, tags map[string]string) error {
	m, err := s.find("PutBucketTagging", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.PutBucketTags(ctx, bucket, tags))
}

// BucketUsage implements backend.BucketProperties.
func (s *Store) BucketUsage(ctx context.Context, bucket string) (bytes, objects int64, err error) {
	m, err := s.find("HeadBucket", &bucket, "")
	if err != nil {
		return 0, 0, err
	}
	bytes, objects, err = m.Store.BucketUsage(ctx, bucket)
	return bytes, objects, m.failed(err)
}

// GetBucketDoc implements backend.BucketDocs.
func (s *Store) GetBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) ([]byte, error) {
	m, err := s.find("get the "+doc.String()+" document", &bucket, "")
	if err != nil {
		return nil, err
	}
	text, err := m.Store.GetBucketDoc(ctx, bucket, doc)
	return text, m.failed(err)
}

// PutBucketDoc implements backend.BucketDocs.
func (s *Store) PutBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc, text []byte) error {
	m, err := s.find("put the "+doc.String()+" document", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.PutBucketDoc(ctx, bucket, doc, text))
}

// DeleteBucketDoc implements backend.BucketDocs.
func (s *Store) DeleteBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) error {
	m, err := s.find("delete the "+doc.String()+" document", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.DeleteBucketDoc(ctx, bucket, doc))
}
