package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"pgregory.net/rapid"
)

// allVersions pages through a listing; removed is called with each page.
func allVersions(t testing.TB, s backend.Store, in backend.ListVersionsInput, seen func(backend.VersionPage)) (list []string) {
	t.Helper()
	in.Bucket = testBucket
	for pages := 0; ; pages++ {
		page, err := s.ListVersions(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			list = append(list, fmt.Sprintf("%s %s latest=%t marker=%t", v.Key, v.VersionID, v.Latest, v.DeleteMarker))
		}
		for _, p := range page.Prefixes {
			list = append(list, p)
		}
		if in.MaxKeys > 0 && len(page.Versions)+len(page.Prefixes) > int(in.MaxKeys) {
			t.Fatalf("a page of %d", len(page.Versions)+len(page.Prefixes))
		}
		if seen != nil {
			seen(page)
		}
		if !page.More {
			return list
		}
		if pages > 1000 {
			t.Fatal("no end")
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// TestVersionListingsAgainstAModel does random writes while the bucket's versioning changes,
// and compares every way to list with a plain history.
func TestVersionListingsAgainstAModel(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		s, history := New(testBucket), map[string][]string{} // oldest first: "id marker"
		status := ""
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			key := rapid.SampledFrom([]string{"a", "a/b", "a/c", "ab", "b/", "b/a/x"}).Draw(rt, "key")
			kept := history[key]
			forget := func(id string) {
				kept = slices.DeleteFunc(kept, func(entry string) bool { return strings.HasPrefix(entry, id+" ") })
			}
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				status = rapid.SampledFrom([]string{"Enabled", "Suspended"}).Draw(rt, "status")
				if err := s.SetBucketVersioning(ctx, testBucket, status); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: key}); err != nil {
					rt.Fatal(err)
				}
				if status != "Enabled" {
					forget("null")
				}
				if status == "Enabled" {
					list := s.buckets[testBucket].keys[key]
					kept = append(kept, list[len(list)-1].id+" marker=true")
				} else if status == "Suspended" {
					kept = append(kept, "null marker=true")
				}
			case 2:
				if len(kept) > 0 {
					id, _, _ := strings.Cut(rapid.SampledFrom(kept).Draw(rt, "victim"), " ")
					if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: key, VersionID: id}); err != nil {
						rt.Fatal(err)
					}
					forget(id)
				}
			default:
				obj := put(t, s, key, nil)
				if obj.VersionID == "" {
					obj.VersionID = "null"
					forget("null")
				}
				kept = append(kept, obj.VersionID+" marker=false")
			}
			if history[key] = kept; len(kept) == 0 {
				delete(history, key)
			}
		}
		in := backend.ListVersionsInput{
			Prefix:    rapid.SampledFrom([]string{"", "a", "a/", "b"}).Draw(rt, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(rt, "delimiter"),
			MaxKeys:   int32(rapid.IntRange(0, 3).Draw(rt, "page")),
		}
		s.Configure(func(cfg *Settings) { cfg.EmptyLastPage = rapid.Bool().Draw(rt, "empty") })
		var want []string
		for key, kept := range history {
			if !strings.HasPrefix(key, in.Prefix) {
				continue
			}
			if p := commonPrefix(in.Prefix, in.Delimiter, key); p != "" {
				want = append(want, p)
				continue
			}
			for i, entry := range kept {
				id, marker, _ := strings.Cut(entry, " ")
				want = append(want, fmt.Sprintf("%s %s latest=%t %s", key, id, i == len(kept)-1, marker))
			}
		}
		got := allVersions(t, s, in, nil)
		inOrder := slices.Clone(got)
		slices.Sort(want)
		want = slices.Compact(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("%+v:\n%q, want\n%q", in, got, want)
		}
		// Removing each page before the next leaves nothing and misses nothing.
		if in.Delimiter == "" {
			again := allVersions(t, s, in, func(page backend.VersionPage) {
				for _, v := range page.Versions {
					if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: v.Key, VersionID: v.VersionID}); err != nil {
						rt.Fatal(err)
					}
				}
			})
			if !slices.EqualFunc(again, inOrder, sameVersion) {
				rt.Fatalf("while removing: %q, want %q", again, inOrder)
			}
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
		var got []string
		for _, entry := range allVersions(t, s, in, nil) {
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
	if got, want := allVersions(t, s, backend.ListVersionsInput{}, nil), []string{"a null latest=true marker=false", "a " + kept.VersionID + " latest=false marker=false"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "never there"}); err != nil {
		t.Fatal(err)
	}
	if got, want := allVersions(t, s, backend.ListVersionsInput{Prefix: "n"}, nil), []string{"never there null latest=true marker=true"}; !slices.Equal(got, want) {
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
