package backendtest

import (
	"slices"

	"github.com/objmount/objmount/backend"
)

var versionCases = []testCase{
	{name: "OldVersions", needs: "Versioned", run: oldVersions},
	{name: "DeleteMarker", needs: "Versioned", run: deleteMarker},
	{name: "CopyOfAVersion", needs: "Versioned", run: copyOfVersion},
	{name: "MarkerByID", needs: "Versioned", run: markerByID},
	{name: "MarkerRemoved", needs: "Versioned", run: markerRemoved},
	{name: "LatestRemoved", needs: "Versioned", run: latestRemoved},
	{name: "DeleteVersions", needs: "Versioned", run: deleteVersions},
	{name: "EachWriteIsOne", needs: "Versioned", run: eachWriteIsAVersion},
	{name: "NullVersion", run: nullVersion},
	{name: "Suspended", run: suspended},
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

// wantLatest checks which version is there without an id; "": none.
func (e *env) wantLatest(what, name, version string) {
	e.Helper()
	if version == "" {
		e.wantGone(name)
		return
	}
	if obj := e.head(name); obj.VersionID != version {
		e.Errorf("%s: the current version is %q, want %q", what, obj.VersionID, version)
	}
}

func (e *env) deleteVersion(what, name, version string) {
	e.Helper()
	e.ok(what, e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket, Key: e.prefix + name, VersionID: version}))
}

// markerByID: a delete marker is no object, by whatever name.
func markerByID(e *env) {
	stored := e.put("a", []byte("x"))
	marker := e.deleteMarked("a")
	opt := backend.GetOptions{VersionID: marker}
	_, err := e.store.Head(e.ctx, e.id("a"), opt)
	e.wantKind("Head of a marker", err, backend.KindNotExist)
	e.wantKind("Get of a marker", e.getErr("a", opt), backend.KindNotExist)
	other := e.put("b", []byte("y"))
	e.wantKind("Get of another key's version", e.getErr("a", backend.GetOptions{VersionID: other.VersionID}), backend.KindNotExist)
	e.wantKind("Get of what cannot be an id", e.getErr("a", backend.GetOptions{VersionID: "no such version"}), backend.KindNotExist)
	data, _ := e.get("a", backend.GetOptions{VersionID: stored.VersionID})
	e.wantBytes("the version under the marker", data, []byte("x"))
}

// markerRemoved: without its marker, an object is back.
func markerRemoved(e *env) {
	stored := e.put("a", []byte("x"))
	one := e.deleteMarked("a")
	two := e.deleteMarked("a")
	if one != two { // MinIO adds none to a marker
		e.deleteVersion("Delete of a marker", "a", two)
		e.wantGone("a")
	}
	e.deleteVersion("Delete of the other", "a", one)
	if obj := e.wantContent("a", []byte("x")); obj.VersionID != stored.VersionID {
		e.Errorf("the version %q is back, want %q", obj.VersionID, stored.VersionID)
	}
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, []string{"a"})
	e.deleteVersion("Delete again of what is gone", "a", two)
	e.wantLatest("after that", "a", stored.VersionID)
}

// latestRemoved: the version before takes its place, a marker too.
func latestRemoved(e *env) {
	one, two := e.put("a", []byte("1")), e.put("a", []byte("22"))
	e.deleteMarked("a")
	four := e.put("a", []byte("4444"))
	e.deleteVersion("Delete of an old version", "a", two.VersionID)
	e.wantLatest("an old version removed", "a", four.VersionID)
	e.deleteVersion("Delete of the latest", "a", four.VersionID)
	e.wantLatest("the latest removed, above a marker", "a", "")
	list, _ := e.versions(backend.ListVersionsInput{}, nil)
	if len(list) != 2 || list[1] != "a "+one.VersionID+" 1" {
		e.Errorf("left: %q", list)
	}
}

func (e *env) wantVersionResults(results []backend.DeleteResult, ids []backend.VersionID) {
	e.Helper()
	var keys []string
	for _, id := range ids {
		keys = append(keys, id.Key)
	}
	e.wantResults(results, keys)
}

func deleteVersions(e *env) {
	one, two := e.put("a", []byte("1")), e.put("a", []byte("22"))
	marker := e.deleteMarked("a")
	gone := e.put("b", nil)
	e.deleteVersion("Delete", "b", gone.VersionID)
	kept := e.put("kept", nil)
	e.put("kept", nil)
	key := e.prefix + "a"
	ids := []backend.VersionID{
		{Key: key, VersionID: one.VersionID}, {Key: key, VersionID: marker}, {Key: e.prefix + "b", VersionID: gone.VersionID},
		{Key: e.prefix + "kept", VersionID: e.head("kept").VersionID},
	}
	results, err := e.store.DeleteVersions(e.ctx, e.bucket, ids, false)
	e.optional("DeleteVersions", err)
	e.wantVersionResults(results, ids)
	list, _ := e.versions(backend.ListVersionsInput{}, nil)
	e.wantNames("left", list, []string{"a " + two.VersionID + " 2 latest", "kept " + kept.VersionID + " 0 latest"})
	e.wantContent("a", []byte("22"))
}

// eachWriteIsAVersion: every way to write adds one version, whose id the answer tells, or a HEAD.
// Only VersityGW gives the version that is there new properties when it is copied onto itself.
func eachWriteIsAVersion(e *env) {
	put := e.put("a", []byte("x"))
	copied, err := e.copy("a", "a", func(in *backend.CopyInput) {
		in.Replace = &backend.Properties{Metadata: map[string]string{"k": "v"}}
	})
	e.ok("Copy", err)
	if copied.VersionID == "" { // Ceph does not tell it
		copied.VersionID = e.head("a").VersionID
	}
	up := e.create("a", backend.Properties{})
	completed := e.complete(completion(up, e.part(up, 1, []byte("parts"))))
	if completed.VersionID == "" { // Swift does not tell it
		completed.VersionID = e.head("a").VersionID
	}
	list, _ := e.versions(backend.ListVersionsInput{}, nil)
	want := []string{"a " + completed.VersionID + " 5 latest", "a " + copied.VersionID + " 1", "a " + put.VersionID + " 1"}
	if copied.VersionID == put.VersionID {
		e.Log("a copy onto itself changes the version that it copies")
		e.wantNames("versions", list, want[:2])
		return
	}
	e.wantNames("versions", list, want)
	old, err := e.store.Head(e.ctx, e.id("a"), backend.GetOptions{VersionID: put.VersionID})
	e.ok("Head", err)
	e.wantMetadata("the first version", old, map[string]string{})
}

// nullVersion: what was there before the bucket kept versions stays, under one name.
func nullVersion(e *env) {
	e.unversioned()
	e.put("a", []byte("before"))
	e.put("b", []byte("before"))
	e.setVersioning("Enabled")
	if obj := e.wantContent("a", []byte("before")); obj.VersionID != "" {
		e.Errorf("a null version says the id %q", obj.VersionID)
	}
	newer := e.put("a", []byte("newer"))
	if newer.VersionID == "" || newer.VersionID == backend.NullVersion {
		e.Fatalf("version id %q", newer.VersionID)
	}
	want := []string{"a " + newer.VersionID + " 5 latest", "a null 6", "b null 6 latest"}
	for _, size := range []int32{0, 1} {
		list, _ := e.versions(backend.ListVersionsInput{MaxKeys: size}, nil)
		e.wantNames("versions", list, want)
	}
	data, _ := e.get("a", backend.GetOptions{VersionID: backend.NullVersion})
	e.wantBytes("the null version", data, []byte("before"))
	_, err := e.copy("a", "a", func(in *backend.CopyInput) { in.Source.VersionID = backend.NullVersion })
	e.ok("Copy of the null version", err)
	e.wantContent("a", []byte("before"))
	e.deleteVersion("Delete of the null version", "a", backend.NullVersion)
	e.wantKind("Get of the null version", e.getErr("a", backend.GetOptions{VersionID: backend.NullVersion}), backend.KindNotExist)
	marker := e.deleteMarked("b")
	list, _ := e.versions(backend.ListVersionsInput{Prefix: "b"}, nil)
	e.wantNames("a marker on the null version", list, []string{"b " + marker + " marker latest", "b null 6"})
}

// suspended: old versions stay, and the null version is overwritten.
func suspended(e *env) {
	e.unversioned()
	e.setVersioning("Enabled")
	kept, other := e.put("a", []byte("kept")), e.put("b", []byte("other"))
	e.setVersioning("Suspended")
	if status, err := e.store.BucketVersioning(e.ctx, e.bucket); err != nil || status != "Suspended" {
		e.Errorf("versioning is %q, %v", status, err)
	}
	e.put("a", []byte("1"))
	if obj := e.put("a", []byte("22")); obj.VersionID != "" {
		e.Errorf("a null version says the id %q", obj.VersionID)
	}
	list, _ := e.versions(backend.ListVersionsInput{Prefix: "a"}, nil)
	e.wantNames("overwritten twice", list, []string{"a null 2 latest", "a " + kept.VersionID + " 4"})
	e.delete("a")
	e.delete("b")
	e.wantGone("a")
	list, _ = e.versions(backend.ListVersionsInput{}, nil)
	e.wantNames("deleted", list, []string{
		"a null marker latest", "a " + kept.VersionID + " 4", "b null marker latest", "b " + other.VersionID + " 5",
	})
	e.deleteVersion("Delete of the null marker", "a", backend.NullVersion)
	e.wantContent("a", []byte("kept"))
	e.setVersioning("Enabled")
	again := e.put("b", []byte("again"))
	list, _ = e.versions(backend.ListVersionsInput{Prefix: "b"}, nil)
	if len(list) == 3 { // of one second, a store may not know which was the null version
		slices.Sort(list[1:])
	}
	want := []string{"b null marker", "b " + other.VersionID + " 5"}
	slices.Sort(want)
	e.wantNames("kept again", list, append([]string{"b " + again.VersionID + " 5 latest"}, want...))
}
