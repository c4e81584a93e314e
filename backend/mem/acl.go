package mem

import (
	"cmp"
	"context"
	"slices"

	"github.com/objmount/objmount/backend"
)

// cannedGrants are what an ACL with a name grants beside what the owner may (S3 user guide, "Canned ACL").
var cannedGrants = map[string][]backend.Grant{
	"private":            nil,
	"public-read":        {{Grantee: backend.Everybody, Permission: "READ"}},
	"public-read-write":  {{Grantee: backend.Everybody, Permission: "READ"}, {Grantee: backend.Everybody, Permission: "WRITE"}},
	"authenticated-read": {{Grantee: backend.EveryUser, Permission: "READ"}},
}

// acl runs a call about an ACL, under the store's lock: do gets what the ACL of the bucket, or of the version, is called.
func (s *Store) acl(ctx context.Context, op string, id backend.ObjectID, versionID string, do func(c call, b *bucket, canned *string) error) error {
	if id.Key == "" {
		return s.bucket(ctx, op+"BucketAcl", id.Bucket, func(c call, b *bucket) error { return do(c, b, &b.acl) })
	}
	c := call{op + "ObjectAcl", id.Bucket, id.Key}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, v, err := s.versionLocked(c, versionID)
	if err != nil {
		return err
	}
	return do(c, b, &v.acl)
}

// ACL implements backend.AccessControl.
func (s *Store) ACL(ctx context.Context, id backend.ObjectID, versionID string) (acl backend.ACL, err error) {
	err = s.acl(ctx, "Get", id, versionID, func(_ call, _ *bucket, canned *string) error {
		acl.Owner = cmp.Or(s.settings.Owner, "owner")
		acl.Grants = append([]backend.Grant{{Grantee: acl.Owner, Permission: "FULL_CONTROL"}}, cannedGrants[*canned]...)
		return nil
	})
	return acl, err
}

// SetACL implements backend.AccessControl. As with Amazon, a bucket has no ACLs before AllowACLs.
func (s *Store) SetACL(ctx context.Context, id backend.ObjectID, versionID, canned string) error {
	return s.acl(ctx, "Put", id, versionID, func(c call, b *bucket, now *string) error {
		switch {
		case !slices.Contains(backend.CannedACLs(), canned):
			return c.invalid("InvalidArgument", "There is no such canned ACL.")
		case !b.acls:
			return c.unsupported("ACLs: the bucket does not allow them")
		}
		*now = canned
		return nil
	})
}

// AllowACLs implements backend.AccessControl.
func (s *Store) AllowACLs(ctx context.Context, name string) error {
	return s.bucket(ctx, "PutBucketOwnershipControls", name, func(_ call, b *bucket) error {
		b.acls = true
		return nil
	})
}
