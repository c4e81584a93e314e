package remotes

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// Tags implements backend.Tagger.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	m, err := s.find("GetObjectTagging", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	tags, err := m.Store.Tags(ctx, id, version)
	return tags, m.failed(err)
}

// PutTags implements backend.Tagger.
func (s *Store) PutTags(ctx context.Context, id backend.ObjectID, version string, tags map[string]string) error {
	m, err := s.find("PutObjectTagging", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.PutTags(ctx, id, version, tags))
}

// Lock implements backend.Locker.
func (s *Store) Lock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	m, err := s.find("GetObjectRetention", &id.Bucket, id.Key)
	if err != nil {
		return backend.ObjectLock{}, err
	}
	lock, err := m.Store.Lock(ctx, id, version)
	return lock, m.failed(err)
}

// SetRetention implements backend.Locker.
func (s *Store) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, bypass bool) error {
	m, err := s.find("PutObjectRetention", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.SetRetention(ctx, id, version, r, bypass))
}

// SetLegalHold implements backend.Locker.
func (s *Store) SetLegalHold(ctx context.Context, id backend.ObjectID, version string, on bool) error {
	m, err := s.find("PutObjectLegalHold", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.SetLegalHold(ctx, id, version, on))
}

// Describe implements backend.Describer.
func (s *Store) Describe(ctx context.Context, id backend.ObjectID, version string) (backend.Description, error) {
	m, err := s.find("GetObjectAttributes", &id.Bucket, id.Key)
	if err != nil {
		return backend.Description{}, err
	}
	d, err := m.Store.Describe(ctx, id, version)
	return d, m.failed(err)
}

// Owner implements backend.Describer.
func (s *Store) Owner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	m, err := s.find("GetObjectAcl", &id.Bucket, id.Key)
	if err != nil {
		return "", err
	}
	owner, err := m.Store.Owner(ctx, id, version)
	return owner, m.failed(err)
}

// Restore implements backend.Restorer.
func (s *Store) Restore(ctx context.Context, id backend.ObjectID, version string, days int, tier string) error {
	m, err := s.find("RestoreObject", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.Restore(ctx, id, version, days, tier))
}

// UpdateEncryption implements backend.Encrypter.
func (s *Store) UpdateEncryption(ctx context.Context, id backend.ObjectID, version string, e backend.Encryption) error {
	m, err := s.find("UpdateObjectEncryption", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.UpdateEncryption(ctx, id, version, e))
}

// Annotations implements backend.Annotator.
func (s *Store) Annotations(ctx context.Context, id backend.ObjectID, version string) (map[string]int64, error) {
	m, err := s.find("ListObjectAnnotations", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	sizes, err := m.Store.Annotations(ctx, id, version)
	return sizes, m.failed(err)
}

// Annotation implements backend.Annotator.
func (s *Store) Annotation(ctx context.Context, id backend.ObjectID, version, name string) ([]byte, error) {
	m, err := s.find("GetObjectAnnotation", &id.Bucket, id.Key)
	if err != nil {
		return nil, err
	}
	value, err := m.Store.Annotation(ctx, id, version, name)
	return value, m.failed(err)
}

// PutAnnotation implements backend.Annotator.
func (s *Store) PutAnnotation(ctx context.Context, id backend.ObjectID, version, name string, value []byte) error {
	m, err := s.find("PutObjectAnnotation", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.PutAnnotation(ctx, id, version, name, value))
}

// DeleteAnnotation implements backend.Annotator.
func (s *Store) DeleteAnnotation(ctx context.Context, id backend.ObjectID, version, name string) error {
	m, err := s.find("DeleteObjectAnnotation", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.DeleteAnnotation(ctx, id, version, name))
}
