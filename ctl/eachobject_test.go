package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestRequestsAboutManyObjects answers in the order of the keys, and goes on after what fails.
func TestRequestsAboutManyObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var keys []Text
	for i := range 50 {
		key := fmt.Sprintf("d/%d", 100-i)
		w.put(0, key, key, backend.Properties{Tags: map[string]string{"n": fmt.Sprint(i)}})
		keys = append(keys, Text(key))
	}
	keys = append(keys, "d/none")
	all := Each{Objects: keys}
	for _, test := range []struct {
		verb    string
		request any
		failed  bool
	}{
		{"object/stat", StatRequest{Target: target("d"), Each: all}, true},
		{"object/exists", ExistsRequest{Target: target("d"), Each: all}, false},
		{"tags/get", VersionRequest{Target: target("d"), Each: all}, true},
		{"tags/set", SetTagsRequest{Target: target("d"), Tags: map[string]string{"k": "v"}, Each: all}, true},
		{"tags/delete", DeleteTagsRequest{Target: target(""), Keys: []string{"n"}, Each: all}, true},
		{"object/copy", CopyRequest{Target: target("d"), To: "copies/", Each: all}, true},
		{"object/restore", RestoreObjectRequest{Target: target("d"), Each: all}, true},
	} {
		a := w.run(test.verb, test.request)
		if test.failed {
			a.wants(t, KindPartial, "1 of 51 failed")
		} else if a.err != nil {
			t.Errorf("%s: %v", test.verb, a.err)
		}
		var sum Summary
		if err := json.Unmarshal(a.result, &sum); err != nil || sum.Done+sum.Failed != 51 || len(a.items) != 51 {
			t.Errorf("%s: %d items, %+v, %v", test.verb, len(a.items), sum, err)
			continue
		}
		for i, item := range a.items {
			var one struct {
				Key   Text
				Error *Error
			}
			want := keys[i]
			if test.verb == "object/copy" && i < 50 {
				want = "copies/" + Text(strings.TrimPrefix(string(want), "d/"))
			}
			if err := json.Unmarshal(item, &one); err != nil || one.Key != want || (one.Error != nil) != (test.failed && i == 50) {
				t.Errorf("%s: item %d is %s", test.verb, i, item)
			}
			if one.Error != nil && one.Error.Kind != KindNotFound {
				t.Errorf("%s: %s", test.verb, item)
			}
		}
	}
	if tags, err := w.store.Tags(t.Context(), backend.ObjectID{Bucket: "b", Key: "d/51"}, ""); err != nil || len(tags) != 1 || tags["k"] != "v" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if got := w.content("copies/77"); got != "d/77" {
		t.Errorf("the copy is %q", got)
	}
	w.run("object/stat", StatRequest{Target: target("d"), Each: Each{Objects: []Text{"d/51", "e"}}}).wants(t, KindInvalid, `the key "e" is not below s3://b/d/`)
	w.run("object/stat", StatRequest{Target: target("d/51"), Each: all}).wants(t, KindInvalid, "no directory")
	w.run("object/stat", StatRequest{Target: target("d"), Each: Each{Objects: make([]Text, 1001)}}).wants(t, KindInvalid, "1001 objects; a request takes 1000")
	w.run("object/copy", CopyRequest{Target: target("d"), To: "d/51", Each: all}).wants(t, KindInvalid, "is no directory")
	w.verbs.ReadOnly = true
	w.run("tags/set", SetTagsRequest{Target: target("d"), Tags: map[string]string{"k": "w"}, Each: all}).wants(t, KindPermission, "read-only")
}

func TestRestoreOfArchivedObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.Archive, s.RestoreTime = true, time.Hour })
	w.put(0, "f", "archived", backend.Properties{StorageClass: "GLACIER"})
	w.put(0, "g", "at hand")
	restore := func(r RestoreObjectRequest) (out Restoration) {
		t.Helper()
		a := w.run("object/restore", r)
		if a.err != nil || len(a.items) != 1 || json.Unmarshal(a.items[0], &out) != nil {
			t.Errorf("%+v: %v, %s", r, a.err, a.items)
		}
		return out
	}
	if out := restore(RestoreObjectRequest{Target: target("f")}); out.StorageClass != "GLACIER" || out.Ongoing || out.Restore != "" {
		t.Errorf("before: %+v", out)
	}
	w.run("object/get", GetObjectRequest{Target: target("f")}).wants(t, KindConflict, "restore it first")
	if out := restore(RestoreObjectRequest{Target: Target{Path: "f", DryRun: true}, Days: 3}); out.Ongoing {
		t.Errorf("a dry run: %+v", out)
	}
	w.verbs.ReadOnly = true
	w.run("object/restore", RestoreObjectRequest{Target: target("f"), Days: 3}).wants(t, KindPermission, "read-only")
	w.verbs.ReadOnly = false
	if out := restore(RestoreObjectRequest{Target: target("f"), Days: 3, Tier: "Bulk"}); !out.Ongoing || len(w.tree.changed) != 1 || w.tree.shown != 1 {
		t.Errorf("asked: %+v, told %v", out, w.tree.changed)
	}
	w.at(2)
	if out := restore(RestoreObjectRequest{Target: target("f")}); out.Ongoing || !strings.Contains(out.Restore, "expiry-date") {
		t.Errorf("after: %+v", out)
	}
	if w.content("f") != "archived" {
		t.Error("it cannot be read")
	}
	w.run("object/restore", RestoreObjectRequest{Target: target("g"), Days: 1}).wants(t, KindInvalid, "not allowed")
	w.run("object/restore", RestoreObjectRequest{Target: target("f"), Days: -1}).wants(t, KindInvalid, "1 day or more")
	w.run("object/restore", RestoreObjectRequest{Target: target("f"), Days: 1, Tier: "bulk"}).wants(t, KindInvalid, "none of Standard")
	w.run("object/restore", RestoreObjectRequest{Target: target("f"), Tier: "Bulk"}).wants(t, KindInvalid, "goes with days")
	w.run("object/restore", RestoreObjectRequest{Target: target(""), Days: 1}).wants(t, KindInvalid, "is a directory")
}
