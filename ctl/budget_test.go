package ctl

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestRequestsOfVerbs pins what verbs cost: nothing per file but what has to be.
func TestRequestsOfVerbs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 0 })
	const files = 100
	for i := range files {
		key := fmt.Sprint("d/", i)
		w.put(0, key, "old")
		if i%2 == 0 {
			w.put(2, key, "new")
		}
	}
	w.put(0, "tagged", "old", backend.Properties{Tags: map[string]string{"k": "v"}})
	w.put(2, "tagged", "new")
	w.remove(2, "d/1")
	w.at(3)
	when, none := hour(1), 0
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	for _, test := range []struct {
		name, verb string
		request    any
		want       map[string]int
	}{
		{"list", "versions/list", ListVersionsRequest{Target: target("d")}, map[string]int{"ListObjectVersions": 1}},
		{"diff of a tree", "versions/diff", DiffRequest{Target: target("d"), From: Selector{At: &when}}, map[string]int{"ListObjectVersions": 1}},
		{"undelete a tree", "versions/undelete", UndeleteRequest{Target: target("d"), Recursive: true},
			map[string]int{"ListObjectVersions": 1, "DeleteObjects": 1}},
		{"restore with tags", "versions/restore", RestoreRequest{Target: target("tagged")},
			map[string]int{"ListObjectVersions": 1, "GetBucketVersioning": 1, "HeadObject": 1, "GetObjectTagging": 1, "CopyObject": 1}},
		{"restore a tree", "versions/restore", RestoreRequest{Target: target("d"), At: &when, Recursive: true},
			map[string]int{"ListObjectVersions": 1, "GetBucketVersioning": 1, "HeadObject": files / 2, "CopyObject": files / 2}},
		{"restore it again", "versions/restore", RestoreRequest{Target: target("d"), At: &when, Recursive: true}, // to see that it is the same
			map[string]int{"ListObjectVersions": 1, "GetBucketVersioning": 1, "HeadObject": files}},
		{"purge a tree", "versions/purge", PurgeRequest{Target: target("d"), Keep: &none, Recursive: true},
			map[string]int{"ListObjectVersions": 1, "DeleteObjects": 1}},
	} {
		counter.Reset()
		a := w.run(test.verb, test.request)
		if diff := cmp.Diff(test.want, counter.Requests()); diff != "" || a.err != nil {
			t.Errorf("%s: %v\n%s", test.name, a.err, diff)
		}
	}
}
