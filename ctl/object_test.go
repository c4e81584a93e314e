package ctl

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// items are all items of an answer.
func items[T any](t *testing.T, a answer) []T {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	out := make([]T, len(a.items))
	for i, text := range a.items {
		if err := json.Unmarshal(text, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// everything are properties of all kinds.
func everything() backend.Properties {
	return backend.Properties{
		Headers:  backend.Headers{ContentType: "text/plain", CacheControl: "no-store", ContentLanguage: "nb"},
		Metadata: map[string]string{"owner": "Kari", backend.MetaGeneration: "1"},
		Tags:     map[string]string{"a": "1", "b": ""}, StorageClass: "STANDARD_IA",
		Encryption: backend.Encryption{Algorithm: "AES256"},
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	props := everything()
	props.Lock = backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: hour(9000)}, LegalHold: true}
	old := w.put(0, "d/f", "content", props)
	w.put(1, "d/f", "new")
	w.put(2, "d/", "")
	got := item[Object](t, w.run("object/stat", StatRequest{Target: target("d/f"), VersionID: old}))
	if len(got.Checksums) == 0 || got.ETag == "" {
		t.Errorf("no checksum or ETag: %+v", got)
	}
	got.ETag, got.Checksums, got.ChecksumType = "", nil, ""
	want := Object{
		Bucket: "b", Key: "d/f", VersionID: old, Size: 7, LastModified: hour(0), StorageClass: "STANDARD_IA",
		ContentType: "text/plain", CacheControl: "no-store", ContentLanguage: "nb", Metadata: map[string]string{"owner": "Kari"},
		TagCount: 2, Tags: map[string]string{"a": "1", "b": ""}, Encryption: "AES256",
		Mode: "GOVERNANCE", Until: hour(9000), LegalHold: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := item[Object](t, w.run("object/stat", StatRequest{Target: target("d/f")})); got.Size != 3 || got.VersionID == "" || got.VersionID == old || got.Mode != "" {
		t.Errorf("the current one: %+v", got)
	}
	if got := item[Object](t, w.run("object/stat", StatRequest{Target: target("d/")})); got.Key != "d/" || !got.LastModified.Equal(hour(2)) {
		t.Errorf("a directory's object: %+v", got)
	}
	if w.tree.settled != 3 {
		t.Errorf("settled %d times", w.tree.settled)
	}
	w.run("object/stat", StatRequest{Target: target("")}).wants(t, KindInvalid, "is a bucket")
	w.run("object/stat", StatRequest{Target: target("e/")}).wants(t, KindInvalid, "without an object of its own")
	w.run("object/stat", StatRequest{Target: target("g")}).wants(t, KindNotFound, "nothing is or was")
	w.remove(3, "d/f")
	w.run("object/stat", StatRequest{Target: target("d/f")}).wants(t, KindNotFound, "not found")
	if got := item[Object](t, w.run("object/stat", StatRequest{Target: target("d/f"), VersionID: old})); got.Size != 7 {
		t.Errorf("of a deleted file: %+v", got)
	}
}

func TestExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "d/f", "content")
	w.remove(1, "d/f")
	w.put(2, "d/g", "")
	for _, test := range []struct {
		path, version string
		want          Existence
	}{
		{"d/g", "", Existence{Key: "d/g", Exists: true}},
		{"d/f", "", Existence{Key: "d/f"}},
		{"d/f", old, Existence{Key: "d/f", Exists: true}},
		{"d/f", "none", Existence{Key: "d/f"}},
		{"d", "", Existence{Key: "d/", Exists: true, Directory: true}},
		{"d/", "", Existence{Key: "d/", Exists: true, Directory: true}},
		{"e/", "", Existence{Key: "e/", Directory: true}},
		{"", "", Existence{Exists: true, Directory: true}},
	} {
		test.want.Bucket, test.want.VersionID = "b", test.version
		if got := item[Existence](t, w.run("object/exists", ExistsRequest{Target: target(test.path), VersionID: test.version})); got != test.want {
			t.Errorf("%q %q: %+v", test.path, test.version, got)
		}
	}
	w.run("object/exists", ExistsRequest{Target: target("d/"), VersionID: old}).wants(t, KindInvalid, "is a directory")
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	w.run("object/exists", ExistsRequest{Target: target("d/g")}).wants(t, KindUnreachable, "HeadObject")
}

// TestObjectVerbsCost pins requests besides those that find the place.
func TestObjectVerbsCost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "plain", "content")
	w.put(0, "tagged", "content", backend.Properties{Tags: map[string]string{"a": "1"}})
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	for _, test := range []struct {
		verb    string
		request any
		want    map[string]int
	}{
		{"object/stat", StatRequest{Target: target("plain")}, map[string]int{"HeadObject": 1, "GetObjectAttributes": 1, "GetObjectLockConfiguration": 1}},
		{"object/stat", StatRequest{Target: target("tagged")}, map[string]int{"HeadObject": 1, "GetObjectTagging": 1, "GetObjectAttributes": 1, "GetObjectLockConfiguration": 1}},
		{"object/exists", ExistsRequest{Target: target("plain")}, map[string]int{"HeadObject": 1}},
		{"object/copy", CopyRequest{Target: target("plain"), To: "copy"}, map[string]int{"HeadObject": 1, "GetBucketTagging": 1, "CopyObject": 1}},
		{"object/get", GetObjectRequest{Target: target("plain")}, map[string]int{"GetObject": 1}},
		{"object/delete", DeleteObjectsRequest{Target: target("plain")}, map[string]int{"HeadObject": 1, "DeleteObjects": 1}},
	} {
		counter.Reset()
		if a := w.run(test.verb, test.request); a.err != nil || !cmp.Equal(counter.Requests(), test.want) {
			t.Errorf("%s: %v\n%s", test.verb, a.err, cmp.Diff(test.want, counter.Requests()))
		}
	}
}
