package s3

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

func TestACLsAreRead(t *testing.T) {
	t.Parallel()
	const answer = `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>me</ID></Owner><AccessControlList>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>me</ID><DisplayName>anna</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AuthenticatedUsers</URI></Grantee><Permission>WRITE</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee><Permission>WRITE</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><ID>all-users</ID></Grantee><Permission>WRITE</Permission></Grant>
</AccessControlList></AccessControlPolicy>`
	want := backend.ACL{Owner: "me", Grants: []backend.Grant{
		{Grantee: "me", Name: "anna", Permission: "FULL_CONTROL"}, {Grantee: backend.Everybody, Permission: "READ"}, {Grantee: backend.EveryUser, Permission: "WRITE"},
		{Grantee: backend.LogDelivery, Permission: "WRITE"}, {Grantee: backend.Everybody, Permission: "WRITE"},
	}}
	store, _ := asAmazon(t, says(answer))
	for _, id := range []backend.ObjectID{{Bucket: "bucket"}, aKey} {
		got, err := store.ACL(t.Context(), id, "")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v: %v\n%s", id, err, diff)
		}
	}
	gateway, f := asAmazon(t, says(answer))
	gateway.vendor.Store(vendors[vendorVersityGW])
	if got, err := gateway.ACL(t.Context(), backend.ObjectID{Bucket: "bucket"}, ""); err != nil || !got.Reaches {
		t.Errorf("VersityGW: %+v, %v", got, err)
	}
	if err := gateway.SetACL(t.Context(), aKey, "", "public-read"); !backend.IsKind(err, backend.KindUnsupported) || len(f.requests()) != 1 {
		t.Errorf("an object's ACL: %v", err)
	}
	ceph, f := asAmazon(t, says(""))
	ceph.vendor.Store(vendors[vendorCeph])
	if err := ceph.AllowACLs(t.Context(), "bucket"); err != nil || len(f.requests()) != 0 {
		t.Errorf("ACLs are always allowed there: %v, %d requests", err, len(f.requests()))
	}
}
