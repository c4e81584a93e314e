package remotes

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// ACL implements backend.AccessControl.
func (s *Store) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	m, err := s.find("GetObjectAcl", &id.Bucket, id.Key)
	if err != nil {
		return backend.ACL{}, err
	}
	acl, err := m.Store.ACL(ctx, id, version)
	return acl, m.failed(err)
}

// SetACL implements backend.AccessControl.
func (s *Store) SetACL(ctx context.Context, id backend.ObjectID, version, canned string) error {
	m, err := s.find("PutObjectAcl", &id.Bucket, id.Key)
	if err != nil {
		return err
	}
	return m.failed(m.Store.SetACL(ctx, id, version, canned))
}

// AllowACLs implements backend.AccessControl.
func (s *Store) AllowACLs(ctx context.Context, bucket string) error {
	m, err := s.find("PutBucketOwnershipControls", &bucket, "")
	if err != nil {
		return err
	}
	return m.failed(m.Store.AllowACLs(ctx, bucket))
}
