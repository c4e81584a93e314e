package ctl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestListObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{"a", "d/", "d/1", "d/2", "d/e/3", "d/e/4", "d/f/5", "d2", "z"} {
		w.put(0, key, key, backend.Properties{Metadata: map[string]string{"key": strings.ReplaceAll(key, "/", "-")}})
	}
	w.put(1, "d/1", "newer")
	w.remove(2, "d/2")
	w.put(3, "d/2", "again")
	for _, test := range []struct {
		path string
		r    ListObjectsRequest
		want string
	}{
		{"", ListObjectsRequest{}, "a d/* d2 z"},
		{"d", ListObjectsRequest{}, "d/ d/1 d/2 d/e/* d/f/*"},
		{"d", ListObjectsRequest{Recursive: true}, "d/ d/1 d/2 d/e/3 d/e/4 d/f/5"},
		{"d", ListObjectsRequest{Recursive: true, StartAfter: "d/2"}, "d/e/3 d/e/4 d/f/5"},
		{"d", ListObjectsRequest{Recursive: true, MaxKeys: 4}, "d/ d/1 d/2 d/e/3"},
		{"d", ListObjectsRequest{MaxKeys: 4}, "d/ d/1 d/2 d/e/*"},
		{"", ListObjectsRequest{Prefix: "d", Recursive: true}, "d/ d/1 d/2 d/e/3 d/e/4 d/f/5 d2"},
		{"d", ListObjectsRequest{Prefix: "e/4"}, "d/e/4"},
		{"d2", ListObjectsRequest{}, "d2"},
		{"d/1", ListObjectsRequest{Versions: true}, "d/1! d/1"},
		{"d", ListObjectsRequest{Versions: true}, "d/! d/1! d/1 d/2! d/2- d/2 d/e/* d/f/*"},
		{"d", ListObjectsRequest{Versions: true, StartAfter: "d/1", MaxKeys: 2}, "d/2! d/2-"},
		{"none/", ListObjectsRequest{}, ""},
	} {
		for _, test.r.Metadata = range []bool{false, true} {
			test.r.Target = target(test.path)
			var got []string
			for _, o := range items[Object](t, w.run("object/list", test.r)) {
				name := string(o.Key)
				for mark, on := range map[string]bool{"*": o.Prefix, "!": o.Latest, "-": o.DeleteMarker} {
					if on {
						name += mark
					}
				}
				got = append(got, name)
				full := o.Metadata["key"] == strings.ReplaceAll(string(o.Key), "/", "-") || o.Size == 5
				if real := !o.Prefix && !o.DeleteMarker; real && full != test.r.Metadata && o.Size != 5 {
					t.Errorf("%q %+v: %+v", test.path, test.r, o)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%q %+v: %q, want %q", test.path, test.r, strings.Join(got, " "), test.want)
			}
		}
	}
	w.run("object/list", ListObjectsRequest{Target: target("a"), Prefix: "x"}).wants(t, KindInvalid, "is a file")
	w.run("object/list", ListObjectsRequest{Target: target("d"), MaxKeys: -1}).wants(t, KindInvalid, "negative")
}

// TestListObjectsCosts pins requests: a page each, and with Metadata one for each object.
func TestListObjectsCosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 0 })
	const files = 1500
	var want []string
	for i := range files {
		w.put(0, fmt.Sprintf("d/%04d", i), "x")
		want = append(want, fmt.Sprintf("d/%04d", i))
	}
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	for _, metadata := range []bool{false, true} {
		counter.Reset()
		var got []string
		for _, o := range items[Object](t, w.run("object/list", ListObjectsRequest{Target: target("d"), Metadata: metadata})) {
			got = append(got, string(o.Key))
		}
		requests := map[string]int{"ListObjectsV2": 2}
		if metadata {
			requests["HeadObject"] = files
		}
		if diff := cmp.Diff(requests, counter.Requests()); diff != "" || !slices.Equal(got, want) {
			t.Errorf("%d objects\n%s", len(got), diff)
		}
	}
}
