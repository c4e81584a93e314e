package backendtest

import (
	"reflect"
	"slices"

	"github.com/objmount/objmount/backend"
)

var bucketCases = []testCase{
	{name: "Lifetime", run: bucketLifetime},
	{name: "Missing", run: bucketMissing},
}

var versionCases = []testCase{
	{name: "OldVersions", needs: "Versioned", run: oldVersions},
	{name: "DeleteMarker", needs: "Versioned", run: deleteMarker},
	{name: "CopyOfAVersion", needs: "Versioned", run: copyOfVersion},
}

var capabilityCases = []testCase{
	{name: "ProbeOnlyAdds", run: probeOnlyAdds},
	{name: "ProbeLeavesNothing", run: probeLeavesNothing},
	{name: "Limits", run: limits},
}

func bucketLifetime(e *env) {
	name := "objmount-conformance-" + random()
	err := e.store.CreateBucket(e.ctx, name)
	if backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindUnsupported) {
		e.Skipf("no permission to make buckets: %v", err)
	}
	e.ok("CreateBucket", err)
	e.wantKind("CreateBucket again", e.store.CreateBucket(e.ctx, name), backend.KindExist)
	e.ok("HeadBucket", e.store.HeadBucket(e.ctx, name))
	buckets, err := e.store.ListBuckets(e.ctx)
	e.ok("ListBuckets", err)
	if !slices.ContainsFunc(buckets, func(b backend.Bucket) bool { return b.Name == name }) {
		e.Errorf("%s is not among %v", name, buckets)
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
	e.wantKind("HeadBucket", e.store.HeadBucket(e.ctx, "objmount-none-"+random()), backend.KindNoBucket)
}

func oldVersions(e *env) {
	first, second := e.put("a", []byte("first")), e.put("a", []byte("second"))
	if first.VersionID == "" || second.VersionID == "" || first.VersionID == second.VersionID {
		e.Fatalf("version ids %q and %q", first.VersionID, second.VersionID)
	}
	data, body := e.get("a", backend.GetOptions{VersionID: first.VersionID})
	e.wantBytes("the first version", data, []byte("first"))
	if body.Object.VersionID != first.VersionID || body.Object.ETag != first.ETag {
		e.Errorf("the first version is %+v", body.Object)
	}
	obj, err := e.store.Head(e.ctx, e.id("a"), backend.GetOptions{VersionID: first.VersionID})
	e.ok("Head of a version", err)
	if obj.ETag != first.ETag || obj.Size != 5 {
		e.Errorf("Head of the first version: %+v", obj)
	}
	remove := func(id string) {
		e.ok("Delete of a version", e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket, Key: e.prefix + "a", VersionID: id}))
	}
	remove(second.VersionID)
	if now := e.wantContent("a", []byte("first")); now.VersionID != first.VersionID {
		e.Errorf("current version %q, want %q", now.VersionID, first.VersionID)
	}
	e.wantKind("Get of a deleted version", e.getErr("a", backend.GetOptions{VersionID: second.VersionID}), backend.KindNotExist)
	remove(first.VersionID)
	e.wantGone("a")
}

func deleteMarker(e *env) {
	stored := e.put("a", []byte("x"))
	e.delete("a")
	e.wantGone("a")
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, nil)
	data, _ := e.get("a", backend.GetOptions{VersionID: stored.VersionID})
	e.wantBytes("the version under the marker", data, []byte("x"))
	e.put("a", []byte("y"))
	e.wantContent("a", []byte("y"))
}

func copyOfVersion(e *env) {
	first := e.put("a", []byte("first"))
	e.put("a", []byte("second"))
	_, err := e.copy("a", "b", func(in *backend.CopyInput) { in.Source.VersionID = first.VersionID })
	e.ok("Copy of a version", err)
	e.wantContent("b", []byte("first"))
	_, err = e.copy("a", "a", func(in *backend.CopyInput) { in.Source.VersionID = first.VersionID })
	e.ok("Copy of a version onto its key", err)
	e.wantContent("a", []byte("first"))
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
