package backendtest

import (
	"time"

	"github.com/objmount/objmount/backend"
)

var lockCases = []testCase{
	{name: "OfWrites", needs: "ObjectLock", run: lockOfWrites},
	{name: "Retention", needs: "ObjectLock", run: retention},
	{name: "LegalHold", needs: "ObjectLock", run: legalHold},
	{name: "Delete", needs: "ObjectLock", run: deleteLocked},
	{name: "DeleteVersions", needs: "ObjectLock", run: deleteVersionsLocked},
	{name: "WritesOnTop", needs: "ObjectLock", run: writesOnTop},
	{name: "Compliance", needs: "ObjectLock", run: compliance},
	{name: "ByVersion", needs: "ObjectLock", run: lockByVersion},
	{name: "Tags", needs: "ObjectLock", run: tagsOfLocked},
	{name: "Bad", needs: "ObjectLock", run: badLocks},
	{name: "Bucket", needs: "ObjectLock", run: lockBucket},
}

func governance(d time.Duration) backend.ObjectLock {
	return backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: later(d)}}
}

// wantLock checks the lock of a version by every way to read it. VersityGW shows it neither in
// the answer to a GET nor in that to a HEAD with a version id: there it may be left out.
func (e *env) wantLock(what, name, version string, want backend.ObjectLock) {
	e.Helper()
	got, err := e.store.Lock(e.ctx, e.id(name), version)
	e.ok(what+": Lock", err)
	obj, err := e.store.Head(e.ctx, e.id(name), backend.GetOptions{VersionID: version})
	e.ok(what+": Head", err)
	_, body := e.get(name, backend.GetOptions{VersionID: version})
	for by, l := range map[string]backend.ObjectLock{"Lock": got, "Head": obj.Lock, "Get": body.Object.Lock} {
		if l == (backend.ObjectLock{}) && (by == "Get" || by == "Head" && version != "") {
			continue
		}
		if l.LegalHold != want.LegalHold || l.Retention.Mode != want.Retention.Mode || !l.Retention.Until.Equal(want.Retention.Until) {
			e.Errorf("%s: %s says %+v, want %+v", what, by, l, want)
		}
	}
}

func (e *env) putLocked(name string, lock backend.ObjectLock) backend.Object {
	e.Helper()
	in := e.input(name, []byte(name))
	in.Properties.Lock = lock
	return e.putInput(in)
}

func (e *env) retain(what, name string, r backend.Retention, bypass bool) {
	e.Helper()
	e.ok(what, e.store.SetRetention(e.ctx, e.id(name), "", r, bypass))
}

// lockOfWrites: each way to write can lock what it writes, and a copy does not take the lock
// of its source.
func lockOfWrites(e *env) {
	lock := governance(time.Hour)
	held := lock
	held.LegalHold = true
	e.putLocked("put", lock)
	e.putLocked("held", held)
	e.putLocked("hold only", backend.ObjectLock{LegalHold: true})
	up := e.create("upload", backend.Properties{Lock: held, Metadata: map[string]string{"k": "v"}})
	e.complete(completion(up, e.part(up, 1, []byte("upload"))))
	_, err := e.copy("put", "plain copy", nil)
	e.ok("Copy", err)
	_, err = e.copy("put", "locked copy", func(in *backend.CopyInput) { in.Replace = &backend.Properties{Lock: held} })
	e.ok("Copy", err)
	for name, want := range map[string]backend.ObjectLock{
		"put": lock, "held": held, "hold only": {LegalHold: true}, "upload": held, "plain copy": {}, "locked copy": held,
	} {
		e.wantLock(name, name, "", want)
	}
	e.put("put", []byte("again"))
	e.wantLock("overwritten", "put", "", backend.ObjectLock{})
}

// retention under governance: anybody makes it longer, who may bypass it shortens it.
func retention(e *env) {
	e.put("a", []byte("x"))
	before := e.head("a")
	e.wantLock("at first", "a", "", backend.ObjectLock{})
	short, long := governance(time.Hour), governance(2*time.Hour)
	e.retain("set", "a", short.Retention, false)
	e.wantLock("set", "a", "", short)
	e.retain("made longer", "a", long.Retention, false)
	e.wantLock("made longer", "a", "", long)
	e.wantKind("to shorten it", e.store.SetRetention(e.ctx, e.id("a"), "", short.Retention, false), backend.KindLocked)
	e.wantKind("to remove it", e.store.SetRetention(e.ctx, e.id("a"), "", backend.Retention{}, false), backend.KindLocked)
	e.wantLock("after two refusals", "a", "", long)
	e.retain("shortened by bypass", "a", short.Retention, true)
	e.wantLock("shortened by bypass", "a", "", short)
	e.retain("removed by bypass", "a", backend.Retention{}, true)
	// A store may bring it to its end instead.
	if lock, err := e.store.Lock(e.ctx, e.id("a"), ""); err != nil || lock.Active(time.Now().Add(time.Minute)) {
		e.Errorf("removed by bypass: %+v, %v", lock, err)
	}
	after := e.wantContent("a", []byte("x"))
	if after.ETag != before.ETag || after.VersionID != before.VersionID || !after.LastModified.Equal(before.LastModified) {
		e.Errorf("retention changed the object from\n%+v to\n%+v", before, after)
	}
	e.deleteVersion("Delete of what is free again", "a", after.VersionID)
}

func legalHold(e *env) {
	obj := e.put("a", []byte("a"))
	hold := func(on bool) {
		e.Helper()
		e.ok("SetLegalHold", e.store.SetLegalHold(e.ctx, e.id("a"), "", on))
		e.wantLock("held", "a", "", backend.ObjectLock{LegalHold: on})
	}
	hold(true)
	hold(true)
	for _, bypass := range []bool{false, true} {
		e.wantKind("Delete under a legal hold", e.removeVersion(obj, bypass), backend.KindLocked)
	}
	e.wantContent("a", []byte("a"))
	hold(false)
	hold(false)
	e.ok("Delete after the hold", e.removeVersion(obj, false))
	e.wantGone("a")
}

// removeVersion removes the version that a write returned.
func (e *env) removeVersion(obj backend.Object, bypass bool) error {
	return e.store.Delete(e.ctx, backend.DeleteInput{Bucket: obj.Bucket, Key: obj.Key, VersionID: obj.VersionID, BypassGovernance: bypass})
}

func deleteLocked(e *env) {
	obj := e.putLocked("a", governance(time.Hour))
	e.wantKind("Delete under governance", e.removeVersion(obj, false), backend.KindLocked)
	e.wantContent("a", []byte("a"))
	e.ok("Delete with bypass", e.removeVersion(obj, true))
	e.wantGone("a")
	e.wantKind("Get of the version", e.getErr("a", backend.GetOptions{VersionID: obj.VersionID}), backend.KindNotExist)
}

// deleteVersionsLocked: each version has its own outcome. Ceph gives no other reason than that
// access is denied.
func deleteVersionsLocked(e *env) {
	locked, free := e.putLocked("locked", governance(time.Hour)), e.put("free", nil)
	held := e.putLocked("held", backend.ObjectLock{LegalHold: true})
	ids := []backend.VersionID{
		{Key: locked.Key, VersionID: locked.VersionID}, {Key: free.Key, VersionID: free.VersionID}, {Key: held.Key, VersionID: held.VersionID},
	}
	results, err := e.store.DeleteVersions(e.ctx, e.bucket, ids, false)
	e.optional("DeleteVersions", err)
	if len(results) != len(ids) {
		e.Fatalf("%d results for %d versions", len(results), len(ids))
	}
	e.wantKind("governance", results[0].Err, backend.KindLocked, backend.KindPermission)
	e.ok("free", results[1].Err)
	e.wantKind("legal hold", results[2].Err, backend.KindLocked, backend.KindPermission)
	e.wantGone("free")
	results, err = e.store.DeleteVersions(e.ctx, e.bucket, ids, true)
	e.ok("DeleteVersions with bypass", err)
	e.ok("governance with bypass", results[0].Err)
	e.ok("what is gone", results[1].Err)
	e.wantKind("legal hold with bypass", results[2].Err, backend.KindLocked, backend.KindPermission)
	e.wantGone("locked")
	e.wantContent("held", []byte("held"))
}

// writesOnTop: a lock keeps a version, not its key.
func writesOnTop(e *env) {
	lock := governance(time.Hour)
	obj := e.putLocked("a", lock)
	e.put("a", []byte("on top"))
	e.wantContent("a", []byte("on top"))
	e.delete("a")
	e.wantGone("a")
	if e.caps.DeleteMany {
		results, err := e.store.DeleteMany(e.ctx, e.bucket, []string{obj.Key})
		e.ok("DeleteMany", err)
		e.wantResults(results, []string{obj.Key})
	}
	data, _ := e.get("a", backend.GetOptions{VersionID: obj.VersionID})
	e.wantBytes("the locked version", data, []byte("a"))
	e.wantLock("below others", "a", obj.VersionID, lock)
}

// compliance: nobody shortens it. Its object stays for some minutes.
func compliance(e *env) {
	lock := governance(5 * time.Minute)
	lock.Retention.Mode = backend.Compliance
	obj := e.putLocked("a", lock)
	longer := backend.Retention{Mode: backend.Compliance, Until: lock.Retention.Until.Add(time.Minute)}
	for _, bypass := range []bool{false, true} {
		for what, r := range map[string]backend.Retention{
			"to remove it": {}, "to shorten it": {Mode: backend.Compliance, Until: lock.Retention.Until.Add(-time.Minute)},
			"to make it governance": {Mode: backend.Governance, Until: longer.Until},
		} {
			e.wantKind(what, e.store.SetRetention(e.ctx, e.id("a"), "", r, bypass), backend.KindLocked)
		}
		e.wantKind("Delete", e.removeVersion(obj, bypass), backend.KindLocked)
	}
	e.wantLock("after refusals", "a", "", lock)
	e.retain("made longer", "a", longer, false)
	e.wantLock("made longer", "a", "", backend.ObjectLock{Retention: longer})
}

func lockByVersion(e *env) {
	first, second := e.put("a", []byte("first")), e.put("a", []byte("second"))
	lock := governance(time.Hour)
	e.ok("SetRetention", e.store.SetRetention(e.ctx, e.id("a"), first.VersionID, lock.Retention, false))
	e.wantLock("the first", "a", first.VersionID, lock)
	e.wantLock("the second", "a", second.VersionID, backend.ObjectLock{})
	e.ok("SetLegalHold", e.store.SetLegalHold(e.ctx, e.id("a"), second.VersionID, true))
	e.wantLock("the first", "a", first.VersionID, lock)
	e.wantLock("the current", "a", "", backend.ObjectLock{LegalHold: true})
	marker := e.deleteMarked("a")
	e.wantLock("the first, below a marker", "a", first.VersionID, lock)
	_, err := e.store.Lock(e.ctx, e.id("a"), "")
	e.wantKind("Lock of what is deleted", err, backend.KindNotExist)
	e.wantKind("SetLegalHold of what is deleted", e.store.SetLegalHold(e.ctx, e.id("a"), "", true), backend.KindNotExist)
	e.deleteVersion("Delete of a marker on locked versions", "a", marker)
	e.wantContent("a", []byte("second"))
}

// tagsOfLocked: a lock keeps the bytes, not the tags.
func tagsOfLocked(e *env) {
	if !e.caps.Tagging {
		e.Skip("the store does not claim Tagging")
	}
	lock := governance(time.Hour)
	lock.LegalHold = true
	obj := e.putLocked("a", lock)
	e.putTags("locked", "a", "", map[string]string{"a": "b"})
	e.wantTags("locked", "a", obj.VersionID, map[string]string{"a": "b"})
	e.wantLock("with tags", "a", "", lock)
}

// badLocks are refused before anything is changed.
func badLocks(e *env) {
	e.put("a", []byte("a"))
	past := backend.Retention{Mode: backend.Governance, Until: later(-time.Hour)}
	e.wantKind("SetRetention with a date that has passed", e.store.SetRetention(e.ctx, e.id("a"), "", past, false), backend.KindInvalid)
	in := e.input("b", []byte("b"))
	in.Properties.Lock.Retention = past
	_, err := e.store.Put(e.ctx, in)
	e.wantKind("Put with a date that has passed", err, backend.KindInvalid)
	e.wantGone("b")
	unknown := backend.Retention{Mode: "OTHER", Until: later(time.Hour)}
	e.wantKind("SetRetention with an unknown mode", e.store.SetRetention(e.ctx, e.id("a"), "", unknown, false), backend.KindInvalid)
	e.wantLock("after refusals", "a", "", backend.ObjectLock{})
	_, err = e.store.Lock(e.ctx, e.id("none"), "")
	e.wantKind("Lock of nothing", err, backend.KindNotExist)
}

// lockBucket: a bucket with object lock keeps versions, and says both.
func lockBucket(e *env) {
	lock, err := e.store.BucketLock(e.ctx, e.bucket)
	e.ok("BucketLock", err)
	if !lock.Enabled || !e.caps.Versioned {
		e.Errorf("%+v, versioned: %t", lock, e.caps.Versioned)
	}
	status, err := e.store.BucketVersioning(e.ctx, e.bucket)
	if err != nil || status != "Enabled" {
		e.Errorf("versioning is %q, %v", status, err)
	}
	if err := e.store.SetBucketVersioning(e.ctx, e.bucket, "Suspended"); err == nil {
		e.Error("the versions of a bucket with object lock were suspended")
	}
}
