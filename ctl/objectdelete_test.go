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

// deleted are "ok key" or "kept key" of the items.
func deleted(t *testing.T, a answer) string {
	t.Helper()
	err := a.err
	a.err = nil
	var out []string
	for _, d := range items[Deleted](t, a) {
		word := "ok"
		if !d.OK {
			word = d.Action
			if err == nil || d.Error == "" {
				t.Errorf("%+v, but %v", d, err)
			}
		}
		out = append(out, word+" "+string(d.Key))
	}
	return strings.Join(out, ", ")
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	for _, many := range []bool{true, false} {
		t.Run(fmt.Sprint("many=", many), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.store.Configure(func(s *mem.Settings) { s.Capabilities.DeleteMany = many })
			for _, key := range []string{"a", "b", "d/", "d/1", "d/2", "d/3", "d/e/4", "d5"} {
				w.put(0, key, key)
			}
			a := w.run("object/delete", DeleteObjectsRequest{Target: target("a")})
			if got := deleted(t, a); got != "ok a" || a.err != nil || string(a.result) != `{"done":1,"bytes":1}` || w.content("a") != "(not found)" {
				t.Errorf("%s, %v, %s", got, a.err, a.result)
			}
			before := w.count()
			a = w.run("object/delete", DeleteObjectsRequest{Target: Target{Path: "d", DryRun: true}, Recursive: true})
			if got := deleted(t, a); got != "ok d/, ok d/1, ok d/2, ok d/3, ok d/e/4" || a.err != nil || w.count() != before {
				t.Errorf("dry run: %s, %v", got, a.err)
			}
			a = w.run("object/delete", DeleteObjectsRequest{Target: target("d/"), Keys: []Text{"d/2", "d/none", "d/e/4"}})
			if got := deleted(t, a); got != "ok d/2, ok d/none, ok d/e/4" || a.err != nil {
				t.Errorf("keys: %s, %v", got, a.err)
			}
			w.is(map[string]string{"b": "b", "d/": "d/", "d/1": "d/1", "d/3": "d/3", "d5": "d5"})
			for _, test := range []struct {
				r    DeleteObjectsRequest
				kind Kind
				text string
			}{
				{DeleteObjectsRequest{Target: target("d")}, KindInvalid, "--recursive"},
				{DeleteObjectsRequest{Target: target("a")}, KindNotFound, "nothing is at s3://b/a"},
				{DeleteObjectsRequest{Target: target("d/"), Keys: []Text{"d/1", "b"}}, KindInvalid, `"b" is not below`},
				{DeleteObjectsRequest{Target: target("b"), Keys: []Text{"b"}}, KindInvalid, "no directory"},
				{DeleteObjectsRequest{Target: target("d/"), Keys: []Text{"d/1"}, Recursive: true}, KindInvalid, "one of them"},
				{DeleteObjectsRequest{Target: target("d/"), VersionID: "x"}, KindInvalid, "is a directory"},
				{DeleteObjectsRequest{Target: target("b"), VersionID: "x"}, KindNotFound, "no version x"},
				{DeleteObjectsRequest{Target: target("d/"), Keys: make([]Text, 1001)}, KindInvalid, "takes 1000"},
			} {
				w.run("object/delete", test.r).wants(t, test.kind, test.text)
			}
			w.is(map[string]string{"b": "b", "d/": "d/", "d/1": "d/1", "d/3": "d/3", "d5": "d5"})
			w.tree.changed = nil
			if got := deleted(t, w.run("object/delete", DeleteObjectsRequest{Target: target("d"), Recursive: true})); got != "ok d/, ok d/1, ok d/3" {
				t.Error(got)
			}
			w.is(map[string]string{"b": "b", "d5": "d5"})
			if diff := cmp.Diff([]string{"d/", "d/1", "d/3"}, w.tree.changed); diff != "" || w.tree.shown != 3 {
				t.Errorf("the mount was told:\n%s", diff)
			}
		})
	}
}

func TestDeleteVersionOfObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "f", "old")
	w.put(1, "f", "new")
	if got := item[Deleted](t, w.run("object/delete", DeleteObjectsRequest{Target: target("f"), VersionID: old})); !got.OK || got.VersionID != old || got.Action != "purged" {
		t.Errorf("%+v", got)
	}
	if w.is(map[string]string{"f": "new"}); w.count() != 1 {
		t.Errorf("%d versions", w.count())
	}
}

func TestDeleteLeavesWhatIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	lock := func(mode backend.RetentionMode, until int, hold bool) backend.Properties {
		return backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: mode, Until: hour(until)}, LegalHold: hold}}
	}
	compliance := w.put(0, "d/compliance", "x", lock(backend.Compliance, 9000, false))
	w.put(0, "d/free", "x")
	w.put(0, "d/governance", "x", lock(backend.Governance, 9000, false))
	w.put(0, "d/hold", "x", backend.Properties{Lock: backend.ObjectLock{LegalHold: true}})
	w.put(0, "d/over", "x", lock(backend.Governance, 1, false))
	w.at(2)
	r := DeleteObjectsRequest{Target: target("d"), Recursive: true}
	a := w.run("object/delete", r)
	a.wants(t, KindPartial, "3 of 5 could not be done")
	if got := deleted(t, a); got != "kept d/compliance, ok d/free, kept d/governance, kept d/hold, ok d/over" {
		t.Error(got)
	}
	r.Bypass = true
	a = w.run("object/delete", r)
	a.wants(t, KindPartial, "2 of 3 could not be done")
	if got := deleted(t, a); got != "kept d/compliance, ok d/governance, kept d/hold" {
		t.Error(got)
	}
	w.run("object/delete", DeleteObjectsRequest{Target: target("d/hold")}).wants(t, KindPartial, "1 of 1 could not be done")
	w.run("object/delete", DeleteObjectsRequest{Target: target("d/compliance"), VersionID: compliance, Bypass: true}).wants(t, KindPartial, "1 of 1")
	w.is(map[string]string{"d/compliance": "x", "d/hold": "x"})
}

func TestDeleteObjectsCosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 0 })
	var keys []Text
	for i := range 1000 {
		keys = append(keys, Text(fmt.Sprint("d/", i)))
		w.put(0, string(keys[i]), "x")
	}
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	a := w.run("object/delete", DeleteObjectsRequest{Target: target("d/"), Keys: slices.Clone(keys[:500])})
	if diff := cmp.Diff(map[string]int{"DeleteObjects": 1}, counter.Requests()); diff != "" || a.err != nil {
		t.Errorf("%v\n%s", a.err, diff)
	}
	counter.Reset()
	a = w.run("object/delete", DeleteObjectsRequest{Target: target("d"), Recursive: true})
	if diff := cmp.Diff(map[string]int{"DeleteObjects": 1, "ListObjectsV2": 1}, counter.Requests()); diff != "" || a.err != nil || string(a.result) != `{"done":500,"bytes":500}` {
		t.Errorf("%v %s\n%s", a.err, a.result, diff)
	}
}
