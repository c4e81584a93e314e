package s3

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// allVersions lists to the end, and checks what every page must be.
func allVersions(t *testing.T, store *Store, in backend.ListVersionsInput) (versions []backend.Version, prefixes []string) {
	t.Helper()
	for pages := 0; ; pages++ {
		if pages > 200 {
			t.Fatalf("no end: %d versions, at %q %q", len(versions), in.KeyMarker, in.VersionMarker)
		}
		page, err := store.ListVersions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if in.MaxKeys > 0 && len(page.Versions)+len(page.Prefixes) > int(in.MaxKeys) {
			t.Fatalf("%d entries in a page of %d", len(page.Versions)+len(page.Prefixes), in.MaxKeys)
		}
		versions, prefixes = append(versions, page.Versions...), append(prefixes, page.Prefixes...)
		if !page.More {
			return versions, prefixes
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// brief makes versions easy to compare.
func brief(versions []backend.Version) []string {
	var out []string
	for _, v := range versions {
		s := v.Key + " " + v.VersionID
		if v.DeleteMarker {
			s += " marker"
		}
		if v.Latest {
			s += " latest"
		}
		out = append(out, s)
	}
	return out
}

// versionsBucket fills a bucket with versions and returns what a listing must give.
func versionsBucket(t *testing.T, store *Store, bucket string) []string {
	t.Helper()
	put := func(key, content string) string {
		obj, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: key, Body: strings.NewReader(content), Size: int64(len(content))})
		if err != nil {
			t.Fatal(err)
		}
		return obj.VersionID
	}
	put("old", "before versions")
	put("photos.zip", "before versions")
	put("suspended", "before versions")
	if err := store.SetBucketVersioning(t.Context(), bucket, "Enabled"); err != nil {
		t.Fatal(err)
	}
	const odd = "d/k +%é&\u00a0~*"
	var want []string
	var ids []string
	for i := range 3 {
		ids = append(ids, put(odd, fmt.Sprint(i)))
	}
	marker, err := store.remove(t.Context(), backend.DeleteInput{Bucket: bucket, Key: odd})
	if err != nil || marker == "" {
		t.Fatalf("marker %q, %v", marker, err)
	}
	want = append(want, odd+" "+marker+" marker latest")
	for _, id := range slices.Backward(ids) {
		want = append(want, odd+" "+id)
	}
	want = append(want, "d/z "+put("d/z", "x")+" latest")
	one := put("old", "one")
	marker, err = store.remove(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "old"})
	if err != nil {
		t.Fatal(err)
	}
	two := put("old", "two")
	want = append(want, "old "+two+" latest", "old "+marker+" marker", "old "+one, "old null", "photos.zip null latest")
	want = append(want, "photos/ "+dirID(put("photos/", ""))+" latest")
	want = append(want, "photos/1 "+put("photos/1", "x")+" latest")
	id := put("suspended", "x")
	if err := store.SetBucketVersioning(t.Context(), bucket, "Suspended"); err != nil {
		t.Fatal(err)
	}
	put("suspended", "null again")
	if err := store.SetBucketVersioning(t.Context(), bucket, "Enabled"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "suspended null latest", "suspended "+id)
	return want
}

// dirID is the version id of "dir/", which VersityGW keeps no versions of.
func dirID(id string) string {
	if id == "" {
		return backend.NullVersion
	}
	return id
}

// purge removes all versions of a bucket, page by page.
func purge(t *testing.T, store *Store, bucket string, bypass bool) {
	t.Helper()
	in := backend.ListVersionsInput{Bucket: bucket, MaxKeys: 2}
	for {
		page, err := store.ListVersions(context.WithoutCancel(t.Context()), in)
		if err != nil {
			t.Fatal(err)
		}
		var ids []backend.VersionID
		for _, v := range page.Versions {
			ids = append(ids, backend.VersionID{Key: v.Key, VersionID: v.VersionID})
		}
		if len(ids) > 0 {
			results, err := store.DeleteVersions(context.WithoutCancel(t.Context()), bucket, ids, bypass)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil {
					t.Errorf("%s: %v", r.Key, r.Err)
				}
			}
		}
		if !page.More {
			return
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// TestVersionsOnServers: every version and marker is listed once and in order, whatever the size
// of the pages; a page goes on where the last one ended though that was removed.
func TestVersionsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if !vendors[srv.name].listing {
			_, err := store.ListVersions(t.Context(), backend.ListVersionsInput{Bucket: bucket})
			if !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("a store without versions: %v", err)
			}
			return
		}
		want := versionsBucket(t, store, bucket)
		for _, size := range []int32{0, 1, 2, 3, 7} {
			versions, _ := allVersions(t, store, backend.ListVersionsInput{Bucket: bucket, MaxKeys: size})
			if diff := cmp.Diff(want, brief(versions)); diff != "" {
				t.Errorf("pages of %d: (-want +got)\n%s", size, diff)
			}
			for _, v := range versions {
				if v.LastModified.IsZero() || v.Bucket != bucket || v.DeleteMarker != (v.ETag == "") || v.HasMetadata {
					t.Errorf("%+v", v)
				}
			}
			versions, prefixes := allVersions(t, store, backend.ListVersionsInput{Bucket: bucket, Delimiter: "/", MaxKeys: size})
			wantTop := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(s, "/") })
			if diff := cmp.Diff(wantTop, brief(versions)); diff != "" || !slices.Equal(prefixes, []string{"d/", "photos/"}) {
				t.Errorf("pages of %d with a delimiter: %q (-want +got)\n%s", size, prefixes, diff)
			}
			versions, _ = allVersions(t, store, backend.ListVersionsInput{Bucket: bucket, Prefix: "photos/", Delimiter: "/", MaxKeys: size})
			wantDir := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return !strings.HasPrefix(s, "photos/") })
			if diff := cmp.Diff(wantDir, brief(versions)); diff != "" {
				t.Errorf("pages of %d below a prefix: (-want +got)\n%s", size, diff)
			}
		}
		page, err := store.ListVersions(t.Context(), backend.ListVersionsInput{Bucket: bucket, KeyMarker: "old"})
		if err != nil || len(page.Versions) == 0 || !strings.HasPrefix(page.Versions[0].Key, "photos") {
			t.Errorf("behind all versions of a key: %q, %v", brief(page.Versions), err)
		}
		for _, in := range []string{"null", want[1][strings.LastIndexByte(want[1], ' ')+1:]} {
			body, err := store.Get(t.Context(), backend.ObjectID{Bucket: bucket, Key: want[1][:strings.LastIndexByte(want[1], ' ')]}, backend.GetOptions{VersionID: in})
			if (in == "null") != backend.IsKind(err, backend.KindNotExist) {
				t.Errorf("version %s: %v", in, err)
			}
			if err == nil {
				body.Close()
			}
		}
		purge(t, store, bucket, false)
		if versions, _ := allVersions(t, store, backend.ListVersionsInput{Bucket: bucket}); len(versions) > 0 {
			t.Errorf("left: %q", brief(versions))
		}
	})
}

// TestVersionsBehindPurgedOnServers: a page goes on behind a key that was removed for good, with
// nothing left out.
func TestVersionsBehindPurgedOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if !vendors[srv.name].listing {
			t.Skip("a store without versions")
		}
		enableVersions(t, store, bucket)
		for _, key := range []string{"a/photos.zip", "a/photos/", "a/photos/1", "a/z", "photos.zip", "photos/", "z"} {
			putBytes(t, store, bucket, key, nil)
		}
		var got []string
		in := backend.ListVersionsInput{Bucket: bucket, MaxKeys: 1}
		for more := true; more; {
			page, err := store.ListVersions(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Versions {
				got = append(got, v.Key)
				if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: v.Key, VersionID: v.VersionID}); err != nil {
					t.Fatal(err)
				}
			}
			more, in.KeyMarker, in.VersionMarker = page.More, page.NextKey, page.NextVersion
		}
		if want := []string{"a/photos.zip", "a/photos/", "a/photos/1", "a/z", "photos.zip", "photos/", "z"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		purge(t, store, bucket, false)
	})
}

// TestManyVersionsOnServers: a key with more versions than a page.
func TestManyVersionsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if !vendors[srv.name].listing {
			t.Skip("a store without versions")
		}
		enableVersions(t, store, bucket)
		many, page := 110, int32(70)
		if os.Getenv("OBJMOUNT_SOAK") != "" {
			many, page = 1100, 700 // and pages as the server makes them
		}
		for i := range many {
			if i%2 == 1 {
				if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "many"}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if _, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: "many", Body: strings.NewReader("x"), Size: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: "other", Body: strings.NewReader("x"), Size: 1}); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int32{0, page, page / 7} {
			versions, _ := allVersions(t, store, backend.ListVersionsInput{Bucket: bucket, MaxKeys: size})
			seen := make(map[string]bool)
			for i, v := range versions[:min(len(versions), many)] {
				if seen[v.VersionID] || v.Key != "many" || v.Latest != (i == 0) || v.DeleteMarker != (i%2 == 0) {
					t.Fatalf("pages of %d: %d: %+v", size, i, v)
				}
				seen[v.VersionID] = true
			}
			if len(versions) != many+1 || versions[many].Key != "other" {
				t.Errorf("pages of %d: %d versions", size, len(versions))
			}
		}
		purge1000(t, store, bucket)
	})
}

// purge1000 empties a bucket with as few requests as there are.
func purge1000(t *testing.T, store *Store, bucket string) {
	t.Helper()
	versions, _ := allVersions(t, store, backend.ListVersionsInput{Bucket: bucket})
	for batch := range slices.Chunk(versions, 1000) {
		var ids []backend.VersionID
		for _, v := range batch {
			ids = append(ids, backend.VersionID{Key: v.Key, VersionID: v.VersionID})
		}
		if _, err := store.DeleteVersions(t.Context(), bucket, ids, false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVersionIDsOnServers: what an id means that nothing has, or that is a delete marker's.
func TestVersionIDsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		known := vendors[srv.name]
		if !known.listing {
			t.Skip("a store without versions")
		}
		ctx, id := t.Context(), backend.ObjectID{Bucket: bucket, Key: "k"}
		if _, err := store.Put(ctx, backend.PutInput{Bucket: bucket, Key: "k", Body: strings.NewReader("null"), Size: 4}); err != nil {
			t.Fatal(err)
		}
		obj, err := store.Head(ctx, id, backend.GetOptions{VersionID: backend.NullVersion})
		if err != nil || obj.Size != 4 || obj.VersionID != "" {
			t.Errorf("null where there never were versions: %+v, %v", obj, err)
		}
		withoutVersions(t, store, id)
		enableVersions(t, store, bucket)
		marker, err := store.remove(ctx, backend.DeleteInput{Bucket: bucket, Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		out, err := store.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: ptr("other"), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{"", marker, *out.VersionId, "nonsense"} {
			for what, err := range map[string]error{
				"Head": errOf(store.Head(ctx, id, backend.GetOptions{VersionID: version})),
				"Get":  errOf(store.Get(ctx, id, backend.GetOptions{VersionID: version})),
				"Tags": func() error {
					if !known.tags {
						return &backend.Error{Kind: backend.KindNotExist}
					}
					return errOf(store.Tags(ctx, id, version))
				}(),
				"PutTags": func() error {
					if !known.tags {
						return &backend.Error{Kind: backend.KindNotExist}
					}
					return store.PutTags(ctx, id, version, map[string]string{"a": "b"})
				}(),
			} {
				if !backend.IsKind(err, backend.KindNotExist) {
					t.Errorf("%s of %q: %v", what, version, err)
				}
			}
		}
		results, err := store.DeleteVersions(ctx, bucket, []backend.VersionID{{Key: "k", VersionID: *out.VersionId}, {Key: "k", VersionID: "nonsense"},
			{Key: "none", VersionID: marker}, {Key: "k", VersionID: marker}}, false)
		if err != nil || len(results) != 4 {
			t.Fatalf("%+v, %v", results, err)
		}
		for i, r := range results {
			if r.Err != nil || r.Key != []string{"k", "k", "none", "k"}[i] {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if obj, err := store.Head(ctx, id, backend.GetOptions{}); err != nil || obj.Size != 4 {
			t.Errorf("without its marker: %+v, %v", obj, err)
		}
		if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: "nonsense"}); err != nil {
			t.Error(err)
		}
		purge(t, store, bucket, false)
	})
}

// withoutVersions: in a bucket that never kept versions an object is its own "null", and no other id
// is anything.
func withoutVersions(t *testing.T, store *Store, id backend.ObjectID) {
	t.Helper()
	ctx, null := t.Context(), backend.NullVersion
	copied, err := store.Copy(ctx, backend.CopyInput{Bucket: id.Bucket, Key: "copy", Size: 4, Source: backend.Source{Bucket: id.Bucket, Key: id.Key, VersionID: null}})
	if err != nil {
		t.Errorf("a copy of null: %v", err)
	}
	if vendors[vendorVersityGW] == store.vendor.Load() {
		const other = "01KABCDEFGHJKMNPQRSTVWXYZ0"
		if err := store.Delete(ctx, backend.DeleteInput{Bucket: id.Bucket, Key: id.Key, VersionID: other}); err != nil {
			t.Error(err)
		}
		if _, err := store.DeleteVersions(ctx, id.Bucket, []backend.VersionID{{Key: id.Key, VersionID: other}}, false); err != nil {
			t.Error(err)
		}
	}
	if tags, err := store.Tags(ctx, id, null); err != nil || len(tags) != 0 {
		t.Errorf("tags of null: %v, %v", tags, err)
	}
	if err := store.PutTags(ctx, id, null, map[string]string{"a": "b"}); err != nil {
		t.Errorf("tags of null: %v", err)
	}
	if err := store.PutTags(ctx, id, null, nil); err != nil {
		t.Errorf("tags of null: %v", err)
	}
	if err := store.Delete(ctx, backend.DeleteInput{Bucket: id.Bucket, Key: "copy", VersionID: null}); err != nil {
		t.Error(err)
	}
	if _, err := store.Head(ctx, copied.ID(), backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("null was removed: %v", err)
	}
}

func ptr(s string) *string { return &s }
