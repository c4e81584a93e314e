package backendtest

import (
	"maps"
	"slices"

	"github.com/objmount/objmount/backend"
)

// bucketVersioning: switched on and off, and Capabilities knows it at once.
func bucketVersioning(e *env) {
	e.unversioned()
	for _, status := range []string{"Enabled", "Suspended", "Enabled"} {
		e.setVersioning(status)
		got, err := e.store.BucketVersioning(e.ctx, e.bucket)
		e.ok("BucketVersioning", err)
		if got != status {
			e.Errorf("versioning is %q, want %q", got, status)
		}
		caps, err := e.store.Capabilities(e.ctx, e.bucket, e.prefix, true)
		e.ok("Capabilities", err)
		if caps.Versioned != (status == "Enabled") {
			e.Errorf("%s: Capabilities say Versioned %t", status, caps.Versioned)
		}
	}
	for _, status := range []string{"", "Disabled"} {
		e.wantKind("SetBucketVersioning to "+status, e.store.SetBucketVersioning(e.ctx, e.bucket, status), backend.KindInvalid)
	}
}

func bucketTags(e *env) {
	e.own(e.store.CreateBucket)
	check := func(want map[string]string) {
		e.Helper()
		got, err := e.store.BucketTags(e.ctx, e.bucket)
		e.optional("BucketTags", err)
		if got == nil || !maps.Equal(got, want) {
			e.Errorf("tags %q, want %q", got, want)
		}
	}
	check(map[string]string{})
	for _, tags := range []map[string]string{{"key one": "value +-=._:/@", "two": "2"}, {"key one": ""}, nil, {"again": "x"}, {}} {
		e.optional("PutBucketTags", e.store.PutBucketTags(e.ctx, e.bucket, tags))
		check(tags)
	}
}

// bucketProperties of a new bucket: whatever a store tells, it tells right.
func bucketProperties(e *env) {
	e.own(e.store.CreateBucket)
	for what, err := range map[string]error{
		"BucketRegion": errorOf(e.store.BucketRegion(e.ctx, e.bucket)), "BucketEncryption": errorOf(e.store.BucketEncryption(e.ctx, e.bucket)),
	} {
		if err != nil {
			e.wantKind(what, err, backend.KindUnsupported)
		}
	}
	public, err := e.store.BucketPublic(e.ctx, e.bucket)
	if err != nil {
		e.wantKind("BucketPublic", err, backend.KindUnsupported)
	} else if public {
		e.Error("a new bucket is said to be public")
	}
	lock, err := e.store.BucketLock(e.ctx, e.bucket)
	if err != nil {
		e.wantKind("BucketLock", err, backend.KindUnsupported)
	} else if lock.Enabled != e.caps.ObjectLock || lock.Mode != backend.NoRetention {
		e.Errorf("the lock of a new bucket: %+v", lock)
	}
}

// bucketACL: set by its name, and what it grants is told.
func bucketACL(e *env) {
	e.own(e.store.CreateBucket)
	id := backend.ObjectID{Bucket: e.bucket}
	everybody := func(want ...string) {
		e.Helper()
		acl, err := e.store.ACL(e.ctx, id, "")
		e.optional("ACL", err)
		var got []string
		for _, g := range acl.Grants {
			if g.Grantee == backend.Everybody {
				got = append(got, g.Permission)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			e.Errorf("everybody has %q, want %q: %+v", got, want, acl)
		}
	}
	everybody()
	e.optional("AllowACLs", e.store.AllowACLs(e.ctx, e.bucket))
	e.ok("SetACL", e.store.SetACL(e.ctx, id, "", "public-read"))
	everybody("READ")
	e.ok("SetACL", e.store.SetACL(e.ctx, id, "", "public-read-write"))
	everybody("READ", "WRITE")
	e.wantKind("SetACL to one that there is not", e.store.SetACL(e.ctx, id, "", "most-private"), backend.KindInvalid)
	e.ok("SetACL", e.store.SetACL(e.ctx, id, "", "private"))
	everybody()
}

// objectACL: the same of an object, which stays as it is otherwise.
func objectACL(e *env) {
	e.own(e.store.CreateBucket)
	obj := e.put("a", []byte("x"))
	object := func(want bool) {
		e.Helper()
		acl, err := e.store.ACL(e.ctx, e.id("a"), obj.VersionID)
		e.optional("ACL of an object", err)
		if got := slices.ContainsFunc(acl.Grants, func(g backend.Grant) bool { return g.Grantee == backend.Everybody && g.Permission == "READ" }); got != want {
			e.Errorf("everybody may read the object: %t, want %t: %+v", got, want, acl)
		}
	}
	object(false)
	e.optional("AllowACLs", e.store.AllowACLs(e.ctx, e.bucket))
	e.ok("SetACL of an object", e.store.SetACL(e.ctx, e.id("a"), obj.VersionID, "public-read"))
	object(true)
	if after := e.wantContent("a", []byte("x")); after.ETag != obj.ETag || after.VersionID != obj.VersionID {
		e.Errorf("an ACL changed %+v to %+v", obj, after)
	}
	e.ok("SetACL of an object", e.store.SetACL(e.ctx, e.id("a"), "", "private"))
	object(false)
}

func bucketUsage(e *env) {
	e.own(e.store.CreateBucket)
	_, _, err := e.store.BucketUsage(e.ctx, e.bucket)
	e.optional("BucketUsage", err)
	e.put("a", noise(60, 1000))
	e.put("b", noise(61, 500))
	size, count, err := e.store.BucketUsage(e.ctx, e.bucket)
	e.ok("BucketUsage", err)
	if size < 1500 || count < 2 { // what was removed lately may be counted for a while
		e.Errorf("%d bytes in %d objects, want 1500 in 2", size, count)
	}
}

func propertiesOfNoBucket(e *env) {
	e.bucket = e.beside("objmount-none-")
	for what, err := range map[string]error{
		"BucketVersioning":    errorOf(e.store.BucketVersioning(e.ctx, e.bucket)),
		"SetBucketVersioning": e.store.SetBucketVersioning(e.ctx, e.bucket, "Enabled"),
		"BucketRegion":        errorOf(e.store.BucketRegion(e.ctx, e.bucket)),
		"BucketLock":          errorOf(e.store.BucketLock(e.ctx, e.bucket)),
		"BucketEncryption":    errorOf(e.store.BucketEncryption(e.ctx, e.bucket)),
		"BucketPublic":        errorOf(e.store.BucketPublic(e.ctx, e.bucket)),
		"BucketTags":          errorOf(e.store.BucketTags(e.ctx, e.bucket)),
		"PutBucketTags":       e.store.PutBucketTags(e.ctx, e.bucket, map[string]string{"a": "b"}),
	} {
		if err == nil { // MinIO says so to some of them
			e.Logf("%s of a bucket that is not there is no error", what)
			continue
		}
		e.wantKind(what, err, backend.KindNoBucket, backend.KindUnsupported)
	}
	e.wantKind("HeadBucket after all", e.store.HeadBucket(e.ctx, e.bucket), backend.KindNoBucket)
}

func errorOf[T any](_ T, err error) error { return err }
