package mem

import (
	"context"
	"maps"
	"testing"

	"github.com/objmount/objmount/backend"
)

func TestACLs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := New(testBucket)
	obj, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	f := Faulty(s)
	c := Counting(f)
	id, of := obj.ID(), backend.ObjectID{Bucket: testBucket}
	wantKind(t, s.SetACL(ctx, of, "", "public-read"), backend.KindUnsupported)
	for _, step := range []struct {
		op string
		do func() error
	}{
		{"PutBucketOwnershipControls", func() error { return c.AllowACLs(ctx, testBucket) }},
		{"PutBucketAcl", func() error { return c.SetACL(ctx, of, "", "authenticated-read") }},
		{"PutObjectAcl", func() error { return c.SetACL(ctx, id, obj.VersionID, "public-read") }},
		{"GetBucketAcl", func() error { _, err := c.ACL(ctx, of, ""); return err }},
		{"GetObjectAcl", func() error { _, err := c.ACL(ctx, id, obj.VersionID); return err }},
	} {
		c.Reset()
		rule := f.Add(Rule{Op: step.op, Times: 1, Do: []Action{Fail(backend.KindNoSpace)}})
		wantKind(t, step.do(), backend.KindNoSpace)
		rule.Remove()
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.op, err)
		}
		if got := c.Requests(); !maps.Equal(got, map[string]int{step.op: 2}) {
			t.Errorf("%s: %v", step.op, got)
		}
	}
	for id, want := range map[backend.ObjectID]backend.Grant{of: {Grantee: backend.EveryUser, Permission: "READ"}, id: {Grantee: backend.Everybody, Permission: "READ"}} {
		if acl, err := c.ACL(ctx, id, ""); err != nil || len(acl.Grants) != 2 || acl.Grants[0].Grantee != acl.Owner || acl.Grants[1] != want {
			t.Errorf("%v: %+v, %v", id, acl, err)
		}
	}
	wantKind(t, s.SetACL(ctx, of, "", "nonsense"), backend.KindInvalid)
	wantKind(t, s.SetACL(ctx, backend.ObjectID{Bucket: testBucket, Key: "none"}, "", "private"), backend.KindNotExist)
}
