package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// allBuckets is a tree of every bucket of a store.
type allBuckets struct{ *fakeTree }

func (allBuckets) Locate(_ context.Context, path string) (Place, error) {
	bucket, key, _ := strings.Cut(path, "/")
	return Place{bucket, key, Directory}, nil
}

func newWorldOfBuckets(t *testing.T) *world {
	w := newWorld(t)
	w.verbs.Tree = allBuckets{w.tree}
	return w
}

func TestBucketsAreMadeShownAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	w.run("bucket/create", CreateBucketRequest{Target: target("b")}).wants(t, KindConflict, "exists already")
	w.run("bucket/create", CreateBucketRequest{}).wants(t, KindInvalid, "name a bucket")
	w.run("bucket/create", CreateBucketRequest{Target: target("b/c")}).wants(t, KindInvalid, "the bucket is s3://b")
	w.run("bucket/create", CreateBucketRequest{Target: target("B_")}).wants(t, KindInvalid, "not valid")
	dry := CreateBucketRequest{Target: Target{Path: "new", DryRun: true}}
	itemOf[Bucket](t, w.run("bucket/create", dry))
	w.run("bucket/show", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket")
	if b := itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("new"), Region: "eu-west-1", ObjectLock: true})); b.Name != "new" {
		t.Errorf("made %+v", b)
	}
	w.run("bucket/create", dry).wants(t, KindConflict, "exists already")
	itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("versioned"), Versioning: true}))
	no := false
	zero := int64(0)
	got := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{target("new")}))
	want := BucketDetails{
		Bucket: Bucket{Name: "new", Created: epoch}, Region: "eu-west-1", Versioning: "Enabled", ObjectLock: &BucketLock{}, Public: &no, Bytes: &zero, Objects: &zero,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shown:\n%s", diff)
	}
	if b := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{target("versioned")})); b.Versioning != "Enabled" || b.ObjectLock != nil {
		t.Errorf("versioned: %+v", b)
	}
	if a := w.run("bucket/list", BucketRequest{}); a.err != nil || len(a.items) != 3 {
		t.Errorf("listed %s, %v", a.items, a.err)
	}
	w.put(1, "f", "x")
	for _, dry := range []bool{true, false} {
		w.run("bucket/delete", BucketRequest{Target{Path: "b", DryRun: dry}}).wants(t, KindConflict, "the bucket b is not empty")
	}
	w.tree.unsent = 1
	w.run("bucket/delete", BucketRequest{target("new")}).wants(t, KindBusy, "1 file is still to be stored")
	w.tree.unsent = 0
	for _, dry := range []bool{true, false} {
		if b := itemOf[Bucket](t, w.run("bucket/delete", BucketRequest{Target{Path: "new", DryRun: dry}})); b.Name != "new" {
			t.Errorf("deleted %+v", b)
		}
	}
	w.run("bucket/delete", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket")
	w.verbs.Tree = w.tree
	w.run("bucket/delete", BucketRequest{}).wants(t, KindBusy, "is what is mounted here")
	w.verbs.ReadOnly = true
	w.run("bucket/delete", BucketRequest{}).wants(t, KindPermission, "read-only")
}

func TestVersioningIsSwitched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	is := func(want string) {
		t.Helper()
		if v := itemOf[Versioning](t, w.run("versioning/get", BucketRequest{})); v != (Versioning{"b", want}) {
			t.Errorf("%+v, want %s", v, want)
		}
	}
	is("Enabled")
	itemOf[Versioning](t, w.run("versioning/set", VersioningRequest{Target: Target{DryRun: true}, Status: "Suspended"}))
	is("Enabled")
	itemOf[Versioning](t, w.run("versioning/set", VersioningRequest{Status: "Suspended"}))
	is("Suspended")
	w.run("versioning/set", VersioningRequest{Status: "Disabled"}).wants(t, KindInvalid, "Enabled or Suspended")
}

// TestBucketIsEmptied: in a bucket that keeps versions, with and without those.
func TestBucketIsEmptied(t *testing.T) {
	t.Parallel()
	sumOf := func(a answer) (sum Summary) {
		t.Helper()
		if err := json.Unmarshal(a.result, &sum); err != nil {
			t.Fatal(a.err, err)
		}
		return sum
	}
	w := newWorld(t)
	for i := range 7 {
		w.put(i, fmt.Sprintf("d/%d", i%5), "four")
	}
	if sum := sumOf(w.run("bucket/empty", EmptyRequest{Target: Target{DryRun: true}})); sum != (Summary{Done: 5, Bytes: 20, DryRun: true}) {
		t.Errorf("dry run: %+v", sum)
	}
	if n := w.count(); n != 7 {
		t.Errorf("%d versions are left after a dry run", n)
	}
	a := w.run("bucket/empty", EmptyRequest{})
	if sum := sumOf(a); sum != (Summary{Done: 5, Bytes: 20}) || len(a.notes) != 1 || !strings.Contains(a.notes[0], "still there as old versions") {
		t.Errorf("%+v, notes %q", sum, a.notes)
	}
	w.is(map[string]string{})
	if len(w.tree.changed) != 5 || w.tree.settled != 1 || w.tree.shown != 5 {
		t.Errorf("told of %q, settled %d, shown %d", w.tree.changed, w.tree.settled, w.tree.shown)
	}
	lock := backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: hour(1000)}}
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	kept := w.put(8, "kept", "x", backend.Properties{Lock: lock})
	a = w.run("bucket/empty", EmptyRequest{Versions: true})
	a.wants(t, KindPartial, "1 of 13 could not be removed")
	if d := a.done(t, map[string]string{kept: "locked"}); len(d) != 1 || d[0] != "kept kept locked" {
		t.Errorf("kept: %q", d)
	}
	if sum := sumOf(a); sum.Done != 12 || sum.Failed != 1 {
		t.Errorf("%+v", sum)
	}
	if a := w.run("bucket/empty", EmptyRequest{Versions: true, Bypass: true}); a.err != nil || w.count() != 0 {
		t.Errorf("bypass: %v, %d versions left", a.err, w.count())
	}
	w.put(9, "dir/f", "x")
	w.run("bucket/empty", EmptyRequest{Target: target("dir/")}).wants(t, KindInvalid, "is no bucket")
	w.is(map[string]string{"dir/f": "x"})
}

// TestEmptyingIsBatched: one request for each page.
func TestEmptyingIsBatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 1000 })
	for i := range 2500 {
		w.put(0, fmt.Sprintf("%04d", i), "")
	}
	count := mem.Counting(w.store)
	w.verbs.Store = count
	if a := w.run("bucket/empty", EmptyRequest{}); a.err != nil {
		t.Fatal(a.err)
	}
	if n := count.Requests()["DeleteObjects"]; n != 3 {
		t.Errorf("%d DeleteObjects, want 3", n)
	}
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.DeleteMany = false })
	for i := range 3 {
		w.put(1, fmt.Sprint(i), "")
	}
	if a := w.run("bucket/empty", EmptyRequest{}); a.err != nil || len(w.contents()) > 0 {
		t.Errorf("without DeleteObjects: %v, %v", a.err, w.contents())
	}
	if n := count.Requests()["DeleteObjects"]; n != 3 {
		t.Errorf("%d DeleteObjects on a store without", n)
	}
}
