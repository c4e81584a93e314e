package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"pgregory.net/rapid"
)

// allVersions pages through a listing; seen is called with each page, unless it is nil.
func allVersions(t testing.TB, s backend.Store, in backend.ListVersionsInput, seen func(backend.VersionPage)) (versions, prefixes []string) {
	t.Helper()
	in.Bucket = testBucket
	for pages := 0; ; pages++ {
		page, err := s.ListVersions(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			versions = append(versions, fmt.Sprintf("%s %s latest=%t marker=%t", v.Key, v.VersionID, v.Latest, v.DeleteMarker))
		}
		prefixes = append(prefixes, page.Prefixes...)
		if in.MaxKeys > 0 && len(page.Versions)+len(page.Prefixes) > int(in.MaxKeys) {
			t.Fatalf("a page of %d", len(page.Versions)+len(page.Prefixes))
		}
		if seen != nil {
			seen(page)
		}
		if !page.More {
			return versions, prefixes
		}
		if pages > 1000 {
			t.Fatal("no end")
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

func versionsOf(t testing.TB, s backend.Store, prefix string) []string {
	t.Helper()
	versions, _ := allVersions(t, s, backend.ListVersionsInput{Prefix: prefix}, nil)
	return versions
}

// history is what a bucket should hold: by key, oldest first, "id marker=...".
type history map[string][]string

// step does one random write on the store and in the history.
func (h history) step(t *rapid.T, s *Store, status *string) {
	ctx := context.Background()
	key := rapid.SampledFrom([]string{"a", "a/b", "a/c", "ab", "b/", "b/a/x"}).Draw(t, "key")
	var err error
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		*status = rapid.SampledFrom([]string{"Enabled", "Suspended"}).Draw(t, "status")
		err = s.SetBucketVersioning(ctx, testBucket, *status)
	case 1:
		err = s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: key})
		switch *status {
		case "Enabled":
			list := s.buckets[testBucket].keys[key]
			h[key] = append(h[key], list[len(list)-1].id+" marker=true")
		case "Suspended":
			h[key] = append(h.without(key, "null"), "null marker=true")
		default:
			h[key] = h.without(key, "null")
		}
	case 2:
		if len(h[key]) > 0 {
			id, _, _ := strings.Cut(rapid.SampledFrom(h[key]).Draw(t, "victim"), " ")
			err = s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: key, VersionID: id})
			h[key] = h.without(key, id)
		}
	default:
		var obj backend.Object
		obj, err = s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: key})
		if obj.VersionID == "" {
			obj.VersionID = "null"
			h[key] = h.without(key, "null")
		}
		h[key] = append(h[key], obj.VersionID+" marker=false")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h history) without(key, id string) []string {
	return slices.DeleteFunc(h[key], func(entry string) bool { return strings.HasPrefix(entry, id+" ") })
}

// list returns what a listing of all pages should show.
func (h history) list(in backend.ListVersionsInput) (versions, prefixes []string) {
	for _, key := range slices.Sorted(maps.Keys(h)) {
		p := commonPrefix(in.Prefix, in.Delimiter, key)
		switch {
		case !strings.HasPrefix(key, in.Prefix) || len(h[key]) == 0:
		case p != "":
			prefixes = append(prefixes, p)
		default:
			for i, entry := range slices.Backward(h[key]) {
				id, marker, _ := strings.Cut(entry, " ")
				versions = append(versions, fmt.Sprintf("%s %s latest=%t %s", key, id, i == len(h[key])-1, marker))
			}
		}
	}
	return versions, slices.Compact(prefixes)
}

// TestVersionListingsAgainstAModel does random writes while the bucket's versioning changes,
// and compares every way to list with a plain history.
func TestVersionListingsAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, h, status := New(testBucket), history{}, ""
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			h.step(rt, s, &status)
		}
		in := backend.ListVersionsInput{
			Prefix:    rapid.SampledFrom([]string{"", "a", "a/", "b"}).Draw(rt, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(rt, "delimiter"),
			MaxKeys:   int32(rapid.IntRange(0, 3).Draw(rt, "page")),
		}
		s.Configure(func(cfg *Settings) { cfg.EmptyLastPage = rapid.Bool().Draw(rt, "empty") })
		got, prefixes := allVersions(t, s, in, nil)
		if want, wantPrefixes := h.list(in); !slices.Equal(got, want) || !slices.Equal(prefixes, wantPrefixes) {
			rt.Fatalf("%+v:\n%q %q, want\n%q %q", in, got, prefixes, want, wantPrefixes)
		}
		if in.Delimiter != "" {
			return
		}
		// Removing each page before the next leaves nothing and misses nothing.
		again, _ := allVersions(t, s, in, func(page backend.VersionPage) {
			for _, v := range page.Versions {
				if err := s.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: v.Key, VersionID: v.VersionID}); err != nil {
					rt.Fatal(err)
				}
			}
		})
		if !slices.EqualFunc(again, got, sameVersion) {
			rt.Fatalf("while removing: %q, want %q", again, got)
		}
	})
}

// sameVersion compares two entries but for what is the latest.
func sameVersion(a, b string) bool {
	a, _, _ = strings.Cut(a, " latest")
	b, _, _ = strings.Cut(b, " latest")
	return a == b
}

func TestVersionListingsStartWhereTold(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	for _, key := range []string{"a", "b", "d/x", "d/y", "e"} {
		put(t, s, key, nil)
	}
	for want, in := range map[string]backend.ListVersionsInput{
		"b d/x d/y e": {KeyMarker: "a"},
		"d/x d/y e":   {KeyMarker: "c"},
		"e":           {KeyMarker: "d/", Delimiter: "/"},
		"d/ e":        {KeyMarker: "b", Delimiter: "/"},
		"d/y":         {KeyMarker: "d/x", Prefix: "d/"},
		"":            {KeyMarker: "e"},
	} {
		versions, got := allVersions(t, s, in, nil)
		for _, entry := range versions {
			key, _, _ := strings.Cut(entry, " ")
			got = append(got, key)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %q", in, got, want)
		}
	}
	for _, in := range []backend.ListVersionsInput{
		{Bucket: testBucket, VersionMarker: "null"}, {Bucket: testBucket, KeyMarker: "a", VersionMarker: "other"}, {Bucket: testBucket, MaxKeys: -1},
	} {
		_, err := s.ListVersions(ctx, in)
		wantKind(t, err, backend.KindInvalid)
	}
}

// TestSuspendedVersions: the null version is overwritten, the others stay.
func TestSuspendedVersions(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	put(t, s, "a", []byte("before"))
	s.ConfigureBucket(testBucket, func(b *BucketSettings) { b.Versioning = "Enabled" })
	kept := put(t, s, "a", []byte("kept"))
	if err := s.SetBucketVersioning(ctx, testBucket, "Suspended"); err != nil {
		t.Fatal(err)
	}
	if caps, err := s.Capabilities(ctx, testBucket, "", false); err != nil || caps.Versioned {
		t.Errorf("%+v, %v", caps, err)
	}
	if obj := put(t, s, "a", []byte("null")); obj.VersionID != "" {
		t.Errorf("%+v", obj)
	}
	if got, want := versionsOf(t, s, ""), []string{"a null latest=true marker=false", "a " + kept.VersionID + " latest=false marker=false"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "never there"}); err != nil {
		t.Fatal(err)
	}
	if got, want := versionsOf(t, s, "n"), []string{"never there null latest=true marker=true"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a", VersionID: backend.NullVersion}); err != nil {
		t.Fatal(err)
	}
	if data, obj := get(t, s, "a", backend.GetOptions{}); string(data) != "kept" || obj.VersionID != kept.VersionID {
		t.Errorf("%q, %+v", data, obj)
	}
	if status, err := s.BucketVersioning(ctx, testBucket); err != nil || status != "Suspended" {
		t.Errorf("%q, %v", status, err)
	}
	if status, err := New("new").BucketVersioning(ctx, "new"); err != nil || status != "" {
		t.Errorf("%q, %v", status, err)
	}
}
