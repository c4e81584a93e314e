package backendtest

import (
	"reflect"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

var bucketCases = []testCase{
	{name: "Lifetime", run: bucketLifetime},
	{name: "Missing", run: bucketMissing},
	{name: "Versioning", run: bucketVersioning},
	{name: "Tags", needs: "Tagging", run: bucketTags},
	{name: "Properties", run: bucketProperties},
	{name: "ACL", run: bucketACL},
	{name: "ObjectACL", run: objectACL},
	{name: "Usage", run: bucketUsage},
	{name: "PropertiesOfNone", run: propertiesOfNoBucket},
}

var capabilityCases = []testCase{
	{name: "ProbeOnlyAdds", run: probeOnlyAdds},
	{name: "ProbeLeavesNothing", run: probeLeavesNothing},
	{name: "Limits", run: limits},
}

func bucketLifetime(e *env) {
	name := e.beside("objmount-conformance-")
	err := e.store.CreateBucket(e.ctx, name)
	if backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindUnsupported) {
		e.Skipf("no permission to make buckets: %v", err)
	}
	e.ok("CreateBucket", err)
	e.wantKind("CreateBucket again", e.store.CreateBucket(e.ctx, name), backend.KindExist)
	e.ok("HeadBucket", e.store.HeadBucket(e.ctx, name))
	buckets, err := e.store.ListBuckets(e.ctx, "")
	e.ok("ListBuckets", err)
	if !slices.ContainsFunc(buckets, func(b backend.Bucket) bool { return b.Name == name }) {
		e.Errorf("%s is not among %v", name, buckets)
	}
	begin := name[:len(name)-1]
	buckets, err = e.store.ListBuckets(e.ctx, begin)
	e.ok("ListBuckets", err)
	if len(buckets) == 0 || slices.ContainsFunc(buckets, func(b backend.Bucket) bool { return !strings.HasPrefix(b.Name, begin) }) {
		e.Errorf("what begins with %s: %v", begin, buckets)
	}
	e.bucket = name
	stored := e.put("a", []byte("x"))
	e.wantContent("a", []byte("x"))
	e.wantKind("DeleteBucket with an object", e.store.DeleteBucket(e.ctx, name), backend.KindNotEmpty)
	e.ok("Delete", e.store.Delete(e.ctx, backend.DeleteInput{Bucket: name, Key: e.prefix + "a", VersionID: stored.VersionID}))
	e.ok("DeleteBucket", e.store.DeleteBucket(e.ctx, name))
	e.wantKind("HeadBucket", e.store.HeadBucket(e.ctx, name), backend.KindNoBucket)
	e.wantKind("DeleteBucket again", e.store.DeleteBucket(e.ctx, name), backend.KindNoBucket)
}

func bucketMissing(e *env) {
	e.ok("HeadBucket", e.store.HeadBucket(e.ctx, e.bucket))
	e.wantKind("HeadBucket", e.store.HeadBucket(e.ctx, e.beside("objmount-none-")), backend.KindNoBucket)
}

// probeOnlyAdds: what is known without a probe is also true with one.
func probeOnlyAdds(e *env) {
	known, err := e.store.Capabilities(e.ctx, e.bucket, e.prefix, false)
	e.ok("Capabilities", err)
	before, after := reflect.ValueOf(known), reflect.ValueOf(e.caps)
	for i := range before.NumField() {
		if f := before.Field(i); f.Kind() == reflect.Bool && f.Bool() && !after.Field(i).Bool() {
			e.Errorf("%s is said to be there until it is tried", before.Type().Field(i).Name)
		}
	}
}

func probeLeavesNothing(e *env) {
	e.put("before", nil)
	_, err := e.store.Capabilities(e.ctx, e.bucket, e.prefix, true)
	e.ok("Capabilities", err)
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, []string{"before"})
}

func limits(e *env) {
	l := e.caps.Limits
	if l.MinPart < 0 || l.MaxPart < max(l.MinPart, 1) || l.MaxParts < 1 || l.MaxPut < 1 || l.MaxCopy < 1 || l.MaxObject < l.MaxPut || l.MaxMeta < 1 {
		e.Errorf("%+v", l)
	}
	if e.caps.Vendor == "" {
		e.Error("no vendor")
	}
}
