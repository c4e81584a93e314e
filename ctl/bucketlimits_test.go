package ctl

import (
	"context"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func (w *world) bucketTags(bucket string) map[string]string {
	tags, err := w.store.BucketTags(w.t.Context(), bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	return tags
}

func TestLimitsOfBucketsAreSetAndShown(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	yes, no, ten, none := true, false, int64(10), int64(0)
	limits := BucketLimits{FileSizeLimit: 1 << 20, AllowedMIMETypes: []string{"image/*", "Application/PDF"}}
	create := CreateBucketRequest{Target: target("new"), BucketLimits: limits}
	dry := create
	dry.DryRun = true
	itemOf[Bucket](t, w.run("bucket/create", dry))
	w.run("bucket/show", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket")
	itemOf[Bucket](t, w.run("bucket/create", create))
	kept := map[string]string{backend.FileSizeTag: "1048576", backend.TypesTag: "application/pdf image/"}
	if diff := cmp.Diff(kept, w.bucketTags("new")); diff != "" {
		t.Errorf("tags of the new bucket:\n%s", diff)
	}
	shows := func(size int64, types ...string) {
		t.Helper()
		got := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{target("new")}))
		if diff := cmp.Diff(BucketLimits{size, types}, got.BucketLimits); diff != "" {
			t.Errorf("shown:\n%s", diff)
		}
	}
	shows(1<<20, "application/pdf", "image/*")
	if err := w.store.PutBucketTags(t.Context(), "new", map[string]string{backend.FileSizeTag: "5", backend.TypesTag: "text/csv", "mine": "1"}); err != nil {
		t.Fatal(err)
	}
	shows(5, "text/csv") // whoever sets the tags
	got := itemOf[BucketDetails](t, w.run("bucket/update", UpdateBucketRequest{Target: Target{Path: "new", DryRun: true}, FileSizeLimit: &ten, Versioning: &yes}))
	if got.FileSizeLimit != 10 || got.Versioning != "Enabled" || got.AllowedMIMETypes[0] != "text/csv" {
		t.Errorf("a dry run shows %+v", got)
	}
	shows(5, "text/csv")
	got = itemOf[BucketDetails](t, w.run("bucket/update", UpdateBucketRequest{Target: target("new"), FileSizeLimit: &ten, Versioning: &yes}))
	if got.FileSizeLimit != 10 || got.Versioning != "Enabled" {
		t.Errorf("an update shows %+v", got)
	}
	shows(10, "text/csv")
	itemOf[BucketDetails](t, w.run("bucket/update", UpdateBucketRequest{Target: target("new"), FileSizeLimit: &none, AllowedMIMETypes: &[]string{}, Versioning: &no}))
	shows(0)
	if diff := cmp.Diff(map[string]string{"mine": "1"}, w.bucketTags("new")); diff != "" {
		t.Errorf("tags without limits:\n%s", diff)
	}
	if status, err := w.store.BucketVersioning(t.Context(), "new"); status != "Suspended" {
		t.Errorf("versioning is %q, %v", status, err)
	}
}

func TestLimitsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	minus := int64(-1)
	for _, a := range []answer{
		w.run("bucket/create", CreateBucketRequest{Target: target("new"), BucketLimits: BucketLimits{FileSizeLimit: -1}}),
		w.run("bucket/update", UpdateBucketRequest{Target: target("b"), FileSizeLimit: &minus}),
	} {
		a.wants(t, KindInvalid, "want a number of bytes")
	}
	w.run("bucket/create", CreateBucketRequest{Target: target("new"), BucketLimits: BucketLimits{AllowedMIMETypes: []string{"pdf"}}}).wants(t, KindInvalid, `"pdf" is no content type`)
	w.run("bucket/update", UpdateBucketRequest{Target: target("b"), AllowedMIMETypes: &[]string{"a b/c"}}).wants(t, KindInvalid, "is no content type")
	w.run("bucket/update", UpdateBucketRequest{Target: target("b")}).wants(t, KindInvalid, "nothing to change")
	w.run("bucket/update", UpdateBucketRequest{Target: target("none"), FileSizeLimit: &minus}).wants(t, KindInvalid, "bytes")
	one := int64(1)
	w.run("bucket/update", UpdateBucketRequest{Target: target("none"), FileSizeLimit: &one}).wants(t, KindNoBucket, "no such bucket")
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.Tagging = false })
	limited := BucketLimits{FileSizeLimit: 1}
	w.run("bucket/create", CreateBucketRequest{Target: target("new"), BucketLimits: limited}).wants(t, KindUnsupported, "kept in tags of the bucket")
	w.run("bucket/show", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket") // was not made
	w.run("bucket/update", UpdateBucketRequest{Target: target("b"), FileSizeLimit: &one}).wants(t, KindUnsupported, "kept in tags of the bucket")
}

// refusing is a store that refuses tags of buckets.
type refusing struct{ Store }

func (refusing) PutBucketTags(context.Context, string, map[string]string) error {
	return &backend.Error{Kind: backend.KindPermission, Op: "PutBucketTagging", Message: "not allowed"}
}

// TestWhatWasDoneToABucketIsTold: also when only the first of several requests succeeds.
func TestWhatWasDoneToABucketIsTold(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	w.verbs.Store = refusing{w.verbs.Store}
	create := CreateBucketRequest{Target: target("new"), Versioning: true, BucketLimits: BucketLimits{FileSizeLimit: 1}}
	w.run("bucket/create", create).wants(t, KindCredentials, "bucket new: done: it was made, versions; not done: limits: ")
	one, yes := int64(1), true
	w.run("bucket/update", UpdateBucketRequest{Target: target("new"), FileSizeLimit: &one, Versioning: &yes}).wants(t, KindCredentials, "not allowed")
}

// TestTagsKeepTheLimits: they are among the tags of a bucket, and only by their names do they go.
func TestTagsKeepTheLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := map[string]string{backend.FileSizeTag: "7", backend.TypesTag: "image/"}
	is := func(others map[string]string) {
		t.Helper()
		want := maps.Clone(limits)
		maps.Copy(want, others)
		if diff := cmp.Diff(want, w.bucketTags("b")); diff != "" {
			t.Errorf("tags:\n%s", diff)
		}
	}
	set := func(tags map[string]string, replace bool) answer {
		return w.run("tags/set", SetTagsRequest{Target: target(""), Tags: tags, Replace: replace})
	}
	itemOf[Tags](t, set(limits, false))
	itemOf[Tags](t, set(map[string]string{"a": "1"}, true))
	is(map[string]string{"a": "1"})
	itemOf[Tags](t, set(map[string]string{"b": "2"}, true))
	is(map[string]string{"b": "2"})
	if got := itemOf[Tags](t, w.run("tags/delete", DeleteTagsRequest{Target: target("")})); got.Removed["b"] != "2" || len(got.Removed) != 1 {
		t.Errorf("deleted %q", got.Removed)
	}
	is(nil)
	set(map[string]string{backend.FileSizeTag: "much"}, false).wants(t, KindInvalid, "want a number of bytes")
	set(map[string]string{backend.TypesTag: "images"}, false).wants(t, KindInvalid, "is no content type")
	itemOf[Tags](t, w.run("tags/delete", DeleteTagsRequest{Target: target(""), Keys: []string{backend.FileSizeTag}}))
	delete(limits, backend.FileSizeTag)
	is(nil)
	w.put(1, "f", "x") // of a file they are tags like any other
	itemOf[Tags](t, w.run("tags/set", SetTagsRequest{Target: target("f"), Tags: map[string]string{backend.FileSizeTag: "much"}}))
	if got := itemOf[Tags](t, w.run("tags/delete", DeleteTagsRequest{Target: target("f")})); len(got.Tags) > 0 {
		t.Errorf("tags of a file: %q", got.Tags)
	}
}
