package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// aboutACL makes the call for an ACL of a bucket, or of an object. MinIO answers for every bucket that its owner, whom it does not
// name, may do everything, and takes x-amz-acl without doing anything with it: it is not asked.
func (s *Store) aboutACL(op string, id backend.ObjectID, write bool) (call, error) {
	known := s.vendor.Load()
	if id.Key == "" {
		return about(known.bucketACLs, call{op: op + "BucketAcl", bucket: id.Bucket, write: write, repeat: repeatHarmless})
	}
	c := call{op: op + "ObjectAcl", bucket: id.Bucket, key: id.Key, write: write, repeat: repeatHarmless, deleted: true}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return c, err
	}
	if !known.acls {
		return c, lacking(c)
	}
	return c, nil
}

// ACL implements backend.AccessControl.
func (s *Store) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	c, err := s.aboutACL("Get", id, false)
	if err != nil {
		return backend.ACL{}, err
	}
	if id.Key == "" {
		out, err := send(ctx, s, c, s.client.GetBucketAcl, &awss3.GetBucketAclInput{Bucket: &id.Bucket})
		if err != nil {
			return backend.ACL{}, err
		}
		acl := aclOf(out.Owner, out.Grants)
		acl.Reaches = s.vendor.Load().aclsReach
		return acl, nil
	}
	out, err := send(ctx, s, c, s.client.GetObjectAcl, &awss3.GetObjectAclInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
	if err != nil {
		return backend.ACL{}, err
	}
	return aclOf(out.Owner, out.Grants), nil
}

// groups are the ends of the URIs of Amazon's groups. VersityGW gives a group an id instead.
var groups = map[string]string{"/AllUsers": backend.Everybody, "/AuthenticatedUsers": backend.EveryUser, "/LogDelivery": backend.LogDelivery}

func aclOf(owner *types.Owner, grants []types.Grant) backend.ACL {
	var acl backend.ACL
	if owner != nil {
		acl.Owner = aws.ToString(owner.ID)
	}
	for _, g := range grants {
		if g.Grantee == nil {
			continue
		}
		grant := backend.Grant{Grantee: aws.ToString(g.Grantee.ID), Name: aws.ToString(g.Grantee.DisplayName), Permission: string(g.Permission)}
		if uri := aws.ToString(g.Grantee.URI); uri != "" {
			grant.Grantee = uri
			if i := strings.LastIndexByte(uri, '/'); i >= 0 && groups[uri[i:]] != "" {
				grant.Grantee = groups[uri[i:]]
			}
		} else if g.Grantee.Type == types.TypeGroup && grant.Grantee == "all-users" {
			grant.Grantee = backend.Everybody
		}
		acl.Grants = append(acl.Grants, grant)
	}
	return acl
}

// SetACL implements backend.AccessControl.
func (s *Store) SetACL(ctx context.Context, id backend.ObjectID, version, canned string) error {
	c, err := s.aboutACL("Put", id, true)
	if err != nil {
		return err
	}
	if canned == "" {
		return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "an ACL has a name, such as private"}
	}
	if id.Key == "" {
		_, err = send(ctx, s, c, s.client.PutBucketAcl, &awss3.PutBucketAclInput{Bucket: &id.Bucket, ACL: types.BucketCannedACL(canned)})
	} else {
		_, err = send(ctx, s, c, s.client.PutObjectAcl, &awss3.PutObjectAclInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), ACL: types.ObjectCannedACL(canned)})
	}
	if codeOf(err) == "AccessControlListNotSupported" {
		return &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: id.Bucket, Key: id.Key, Code: "AccessControlListNotSupported", Message: "the bucket has no ACLs", Err: err}
	}
	return err
}

// AllowACLs implements backend.AccessControl. New objects belong to the owner of the bucket when they are uploaded so.
func (s *Store) AllowACLs(ctx context.Context, bucket string) error {
	known := s.vendor.Load()
	c, err := about(known.bucketACLs, call{op: "PutBucketOwnershipControls", bucket: bucket, write: true, repeat: repeatHarmless})
	if err != nil || !known.ownership { // there buckets always have ACLs
		return err
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.PutBucketOwnershipControls, &awss3.PutBucketOwnershipControlsInput{
		Bucket:            &bucket,
		OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerPreferred}}},
	})
	return err
}
