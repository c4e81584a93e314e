package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// item is the only item of an answer.
func item[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if a.err != nil || len(a.items) != 1 {
		t.Fatalf("%v, %q", a.err, a.items)
	}
	if err := json.Unmarshal(a.items[0], &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRetentionAndLegalHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "f", "old")
	w.put(1, "f", "new")
	w.run("retention/show", VersionRequest{Target: target("f")}).wants(t, KindUnsupported, "bucket b has no object lock")
	w.run("retention/set", RetentionRequest{Target: target("f"), Mode: "GOVERNANCE", Until: hour(100)}).wants(t, KindUnsupported, "no object lock")
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	w.verbs.Capabilities = func(context.Context, string) (backend.Capabilities, error) { // of a time before
		return backend.Capabilities{}, nil
	}

	none := Lock{Bucket: "b", Key: "f"}
	if got := item[Lock](t, w.run("retention/show", VersionRequest{Target: target("f")})); got != none {
		t.Errorf("%+v", got)
	}
	dry := RetentionRequest{Target: Target{Path: "f", DryRun: true}, Mode: "COMPLIANCE", Until: hour(100)}
	if got := item[Lock](t, w.run("retention/set", dry)); got != none {
		t.Errorf("a dry run set %+v", got)
	}
	want := Lock{Bucket: "b", Key: "f", VersionID: old, Mode: "GOVERNANCE", Until: hour(100)}
	r := RetentionRequest{Target: target("f"), VersionID: old, Mode: "GOVERNANCE", Until: hour(100).Add(300 * time.Millisecond)}
	if got := item[Lock](t, w.run("retention/set", r)); got != want {
		t.Errorf("set: %+v", got)
	}
	if got := item[Lock](t, w.run("retention/show", VersionRequest{Target: target("f")})); got != none {
		t.Errorf("the current version got it: %+v", got)
	}
	want.LegalHold = true
	if got := item[Lock](t, w.run("legal-hold/set", LegalHoldRequest{Target: target("f"), VersionID: old, On: true})); got != want {
		t.Errorf("hold: %+v", got)
	}
	r.Until = hour(50)
	w.run("retention/set", r).wants(t, KindLocked, "locked by retention")
	w.run("retention/clear", RetentionRequest{Target: target("f"), VersionID: old}).wants(t, KindLocked, "locked by retention")
	want = Lock{Bucket: "b", Key: "f", VersionID: old, LegalHold: true}
	if got := item[Lock](t, w.run("retention/clear", RetentionRequest{Target: target("f"), VersionID: old, Bypass: true})); got != want {
		t.Errorf("cleared: %+v", got)
	}
	w.verbs.Store = keepsRetention{w.store}
	r.Mode, r.Until = "GOVERNANCE", hour(100)
	item[Lock](t, w.run("retention/set", r))
	w.run("retention/clear", RetentionRequest{Target: target("f"), VersionID: old, Bypass: true}).wants(t, KindLocked, "the store has kept the retention of s3://b/f (GOVERNANCE until ")
	if diff := cmp.Diff([]string{"f", "f", "f", "f", "f"}, w.tree.changed); diff != "" {
		t.Errorf("the mount was told:\n%s", diff)
	}
	r.Until = hour(1)
	w.run("retention/set", r).wants(t, KindInvalid, "not in the future")
	w.run("retention/set", RetentionRequest{Target: target("f"), Mode: "never"}).wants(t, KindInvalid, "neither GOVERNANCE nor COMPLIANCE")
	w.run("legal-hold/set", LegalHoldRequest{Target: target("")}).wants(t, KindInvalid, "is a directory; name a file")
}

// keepsRetention is a store that says yes to the end of a retention, and keeps it.
type keepsRetention struct{ Store }

func (s keepsRetention) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, bypass bool) error {
	if r.Mode == backend.NoRetention {
		return nil
	}
	return s.Store.SetRetention(ctx, id, version, r, bypass)
}

func TestTagsOfVersionsAndBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "f", "old", backend.Properties{Tags: map[string]string{"a": "1", "b": "2"}})
	w.put(1, "f", "new")
	get := func(version string) map[string]string {
		t.Helper()
		tags, err := w.store.Tags(t.Context(), backend.ObjectID{Bucket: "b", Key: "f"}, version)
		if err != nil {
			t.Fatal(err)
		}
		return tags
	}
	for _, test := range []struct {
		verb    string
		request any
		want    map[string]string // of the version, then
	}{
		{"tags/get", VersionRequest{Target: target("f"), VersionID: old}, map[string]string{"a": "1", "b": "2"}},
		{"tags/set", SetTagsRequest{Target: target("f"), VersionID: old, Tags: map[string]string{"b": "", "c": "3"}}, map[string]string{"a": "1", "b": "", "c": "3"}},
		{"tags/delete", DeleteTagsRequest{Target: target("f"), VersionID: old, Keys: []string{"a", "none"}}, map[string]string{"b": "", "c": "3"}},
		{"tags/set", SetTagsRequest{Target: target("f"), VersionID: old, Tags: map[string]string{"d": "4"}, Replace: true}, map[string]string{"d": "4"}},
		{"tags/delete", DeleteTagsRequest{Target: target("f"), VersionID: old}, map[string]string{}},
	} {
		got := item[Tags](t, w.run(test.verb, test.request))
		if !maps.Equal(got.Tags, test.want) || got.VersionID != old || !maps.Equal(get(old), test.want) || len(get("")) > 0 {
			t.Errorf("%s %+v: answered %+v, stored %v, of the current version %v", test.verb, test.request, got, get(old), get(""))
		}
	}
	dryRunOfTags(t, w)
	dry := SetTagsRequest{Target: Target{Path: "f", DryRun: true}, Tags: map[string]string{"x": "y"}}
	if got := item[Tags](t, w.run("tags/set", dry)); got.Tags["x"] != "y" || len(get("")) > 0 {
		t.Errorf("dry run: %+v, stored %v", got, get(""))
	}
	if got := item[Tags](t, w.run("tags/set", SetTagsRequest{Target: target(""), Tags: map[string]string{"of": "bucket"}})); got.Key != "" {
		t.Errorf("%+v", got)
	}
	if tags, err := w.store.BucketTags(t.Context(), "b"); err != nil || tags["of"] != "bucket" {
		t.Errorf("the bucket has %v, %v", tags, err)
	}
}

func TestTagsThatNoStoreTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = ""
	}
	for text, tags := range map[string]map[string]string{
		"would be 11 tags": many, "has 0 characters": {"": "x"}, "has 129 characters": {strings.Repeat("ä", 129): "x"}, "has 257 characters": {"k": strings.Repeat("ä", 257)},
	} {
		w.run("tags/set", SetTagsRequest{Target: target("f"), Tags: tags}).wants(t, KindInvalid, text)
	}
	if len(w.tree.changed) > 0 {
		t.Errorf("something was changed: %q", w.tree.changed)
	}
	w.run("tags/get", VersionRequest{Target: target(""), VersionID: "x"}).wants(t, KindInvalid, "a bucket has no versions")
	w.verbs.Capabilities = func(context.Context, string) (backend.Capabilities, error) { return backend.Capabilities{}, nil }
	w.run("tags/set", SetTagsRequest{Target: target("f"), Tags: map[string]string{"a": "b"}}).wants(t, KindUnsupported, "not known to have tags")
}

// dryRunOfTags says which would go, and leaves them.
func dryRunOfTags(t *testing.T, w *world) {
	t.Helper()
	had := map[string]string{"a": "1", "b": "2"}
	w.put(5, "dry", "content", backend.Properties{Tags: had})
	for _, test := range []struct {
		keys           []string
		removed, stays map[string]string
	}{
		{[]string{"a", "none"}, map[string]string{"a": "1"}, map[string]string{"b": "2"}},
		{nil, had, map[string]string{}},
	} {
		got := item[Tags](t, w.run("tags/delete", DeleteTagsRequest{Target: Target{Path: "dry", DryRun: true}, Keys: test.keys}))
		tags, err := w.store.Tags(t.Context(), backend.ObjectID{Bucket: "b", Key: "dry"}, "")
		if !maps.Equal(got.Removed, test.removed) || !maps.Equal(got.Tags, test.stays) || !maps.Equal(tags, had) || err != nil {
			t.Errorf("without %v: answered %+v, stored %v, %v", test.keys, got, tags, err)
		}
	}
}

// selecting is a store that runs queries: it answers with what it was asked.
type selecting struct {
	Store
	asked backend.SelectInput
	err   error
}

func (s *selecting) Select(_ context.Context, in backend.SelectInput, w io.Writer) (backend.SelectStats, error) {
	if s.err != nil {
		return backend.SelectStats{}, s.err
	}
	in.Progress(backend.SelectStats{Processed: 1})
	in.Progress = nil
	s.asked = in
	if _, err := io.WriteString(w, strings.Repeat("row\xff\n", 100_000)); err != nil {
		return backend.SelectStats{}, err
	}
	return backend.SelectStats{Scanned: 3, Processed: 2, Returned: 1}, nil
}

func TestSelectGuessesByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &selecting{Store: w.store}
	w.verbs.Store = s
	for _, test := range []struct {
		key  string
		r    SelectRequest
		want backend.SelectInput
	}{
		{"a.csv", SelectRequest{}, backend.SelectInput{Input: "CSV", Header: "USE", Output: "CSV"}},
		{"a.TSV.gz", SelectRequest{}, backend.SelectInput{Input: "CSV", Delimiter: "\t", Header: "USE", Output: "CSV", Compression: "GZIP"}},
		{"a.json.bz2", SelectRequest{}, backend.SelectInput{Input: "JSON", Output: "JSON", Compression: "BZIP2"}},
		{"a.ndjson", SelectRequest{Output: "csv"}, backend.SelectInput{Input: "JSON", Lines: true, Output: "CSV"}},
		{"a.parquet", SelectRequest{}, backend.SelectInput{Input: "Parquet", Output: "JSON"}},
		{"raw", SelectRequest{Input: "csv", Header: "none", Compression: "none", Output: "json"}, backend.SelectInput{Input: "CSV", Header: "NONE", Output: "JSON"}},
		{"a.csv", SelectRequest{Input: "json", Lines: true}, backend.SelectInput{Input: "JSON", Lines: true, Output: "JSON"}},
	} {
		w.put(0, test.key, "x")
		test.r.Target, test.r.Expression = target(test.key), "SELECT 1"
		test.want.Object, test.want.Expression = backend.ObjectID{Bucket: "b", Key: test.key}, "SELECT 1"
		a := w.run("select", test.r)
		if diff := cmp.Diff(test.want, s.asked); diff != "" || a.err != nil {
			t.Errorf("%s: %v\n%s", test.key, a.err, diff)
		}
		if w.tree.settled == 0 {
			t.Errorf("%s: what was written was not stored first", test.key)
		}
		if a.rows != strings.Repeat("row\xff\n", 100_000) || string(a.result) != `{"scanned":3,"processed":2,"returned":1}` {
			t.Errorf("%s: %d bytes of rows, %s", test.key, len(a.rows), a.result)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &selecting{Store: w.store, err: &backend.Error{Kind: backend.KindUnsupported}}
	w.verbs.Store = s
	for _, key := range []string{"a.csv", "a.json", "a.parquet.gz", "raw"} {
		w.put(0, key, "x")
	}
	for text, r := range map[string]SelectRequest{
		"the query is missing":             {Target: target("a.csv")},
		"has no ending that tells":         {Target: target("raw"), Expression: "x"},
		`the input "xml" is not known`:     {Target: target("raw"), Expression: "x", Input: "xml"},
		`the header "no" is not known`:     {Target: target("a.csv"), Expression: "x", Header: "no"},
		"are for CSV":                      {Target: target("a.json"), Expression: "x", Delimiter: ";"},
		"lines are for JSON":               {Target: target("a.csv"), Expression: "x", Lines: true},
		"Parquet is compressed inside":     {Target: target("a.parquet.gz"), Expression: "x"},
		"the range to scan is empty":       {Target: target("a.csv"), Expression: "x", ScanStart: 5, ScanEnd: 5},
		"is a directory; name a file":      {Target: target(""), Expression: "x"},
		`the output "table" is not known`:  {Target: target("a.csv"), Expression: "x", Output: "table"},
		`the compression "z" is not known`: {Target: target("a.csv"), Expression: "x", Compression: "z"},
	} {
		w.run("select", r).wants(t, KindInvalid, text)
	}
	for what, r := range map[string]SelectRequest{
		"delimiter": {Delimiter: ";;"}, "quote": {Quote: `""`}, "comment": {Comment: "//"}, "output delimiter": {OutputDelimiter: "\r\n"},
	} {
		r.Target, r.Expression = target("a.csv"), "x"
		if a := w.run("select", r); KindOf(a.err) != KindInvalid || !strings.Contains(a.err.Error(), "are one character each") {
			t.Errorf("a long %s: %v", what, a.err)
		}
	}
	w.run("select", SelectRequest{Target: target("a.csv"), Expression: "x"}).wants(t, KindUnsupported, "the store mem does not run queries")
	dry := SelectRequest{Target: Target{Path: "a.csv", DryRun: true}, Expression: "x", Delimiter: "é"}
	w.run("select", dry).wants(t, KindUnsupported, "the store mem does not run queries")
	s.err = nil
	if a := w.run("select", dry); a.err != nil || a.rows != "" {
		t.Errorf("a dry run: %v, rows %q", a.err, a.rows)
	}
}
