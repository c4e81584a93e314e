package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// SetACLRequest gives a bucket, or a version of a file, an ACL by its name.
type SetACLRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	ACL       string `json:"acl"`                  // private, public-read, public-read-write or authenticated-read
	Allow     bool   `json:"allow,omitempty"`      // let the bucket have ACLs where it has none
	Unblock   bool   `json:"unblock,omitempty"`    // lift what of the public access block is in the way
}

// ACL is who may do what with a bucket, or a version of a file, beside what the policy says.
type ACL struct {
	Bucket    string  `json:"bucket"`
	Key       Text    `json:"key"` // empty: of the bucket
	VersionID string  `json:"version_id,omitempty"`
	ACL       string  `json:"acl,omitempty"` // its name, where it has one
	Owner     string  `json:"owner,omitempty"`
	Grants    []Grant `json:"grants"`
}

// Grant is one of an ACL.
type Grant struct {
	Grantee    string `json:"grantee"` // everybody, users, log-delivery, or the id of an account
	Name       string `json:"name,omitempty"`
	Permission string `json:"permission"`
}

// checkACL refuses a name that not every store with ACLs knows.
func checkACL(name string) error {
	if !slices.Contains(backend.CannedACLs(), name) {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("acl is %q; want one of %s", name, strings.Join(backend.CannedACLs(), ", "))}
	}
	return nil
}

// aclPlace is what an ACL is of: a bucket has no key.
func (c *call) aclPlace(p Place, version string) (backend.ObjectID, error) {
	if p.Kind == Directory && p.Key == "" {
		if version != "" {
			return p.id(), &Error{Kind: KindInvalid, Message: "a bucket has no versions"}
		}
		return p.id(), nil
	}
	if p.Kind == Directory {
		return p.id(), &Error{Kind: KindInvalid, Message: p.String() + " is a directory; name a file, or a bucket"}
	}
	return p.id(), nil
}

// withoutACLs says what a store does not have.
func (c *call) withoutACLs(id backend.ObjectID, err error) error {
	if !backend.IsKind(err, backend.KindUnsupported) {
		return err
	}
	of := map[bool]string{true: "buckets", false: "objects"}[id.Key == ""]
	return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have ACLs of %s", c.Endpoint, of)}
}

func getACL(ctx context.Context, c *call, p Place, r VersionRequest) error {
	id, err := c.aclPlace(p, r.VersionID)
	if err != nil {
		return err
	}
	acl, err := c.Store.ACL(ctx, id, r.VersionID)
	if err != nil {
		return c.withoutACLs(id, err)
	}
	return c.item(shownACL(id, r.VersionID, acl))
}

func shownACL(id backend.ObjectID, version string, acl backend.ACL) ACL {
	out := ACL{Bucket: id.Bucket, Key: Text(id.Key), VersionID: version, Owner: acl.Owner, Grants: []Grant{}}
	var others []string
	for _, g := range acl.Grants {
		out.Grants = append(out.Grants, Grant{g.Grantee, g.Name, g.Permission})
		if g.Grantee != acl.Owner || g.Permission != "FULL_CONTROL" {
			others = append(others, g.Grantee+" "+g.Permission)
		}
	}
	slices.Sort(others)
	out.ACL = map[string]string{
		"": "private", backend.Everybody + " READ": "public-read", backend.EveryUser + " READ": "authenticated-read",
		backend.Everybody + " READ," + backend.Everybody + " WRITE": "public-read-write",
	}[strings.Join(others, ",")]
	return out
}

func setACL(ctx context.Context, c *call, p Place, r SetACLRequest) error {
	id, err := c.aclPlace(p, r.VersionID)
	if err != nil {
		return err
	}
	if err := checkACL(r.ACL); err != nil {
		return err
	}
	now, err := c.Store.ACL(ctx, id, r.VersionID)
	if err != nil {
		return c.withoutACLs(id, err)
	}
	if r.DryRun {
		out := shownACL(id, r.VersionID, backend.ACL{Owner: now.Owner})
		out.ACL = r.ACL
		return c.item(out)
	}
	if err := c.giveACL(ctx, id, r); err != nil {
		return err
	}
	c.Tree.Changed(id.Bucket, id.Key)
	if now, err = c.Store.ACL(ctx, id, r.VersionID); err != nil {
		return err
	}
	return c.item(shownACL(id, r.VersionID, now))
}

// giveACL sets an ACL, after what it needs was done.
func (c *call) giveACL(ctx context.Context, id backend.ObjectID, r SetACLRequest) error {
	if r.ACL == "public-read" || r.ACL == "public-read-write" || r.ACL == "authenticated-read" {
		if err := c.unblock(ctx, id.Bucket, byACL, r.Unblock, false); err != nil {
			return err
		}
	}
	if r.Allow {
		if err := c.Store.AllowACLs(ctx, id.Bucket); err != nil {
			return err
		}
	}
	err := c.Store.SetACL(ctx, id, r.VersionID, r.ACL)
	if backend.IsKind(err, backend.KindUnsupported) {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf(
			"the bucket %s has no ACLs, as is usual: what is in it belongs to its owner; objmount ctl acl set --allow-acls lets it have some", id.Bucket)}
	}
	return err
}
