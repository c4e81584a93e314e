package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestUndelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4 {
		w.put(0, fmt.Sprint("d/f", i), "content")
	}
	w.put(1, "d/f0", "second")
	for _, key := range []string{"d/f0", "d/f1", "d/f1", "d/f3"} { // one twice
		w.remove(2, key)
	}
	a := w.run("versions/undelete", UndeleteRequest{Target: target("d/f0")})
	if diff := cmp.Diff([]string{"undeleted d/f0"}, a.done(t, nil)); diff != "" || a.err != nil {
		t.Errorf("%v\n%s", a.err, diff)
	}
	w.is(map[string]string{"d/f0": "second", "d/f2": "content"})
	if diff := cmp.Diff([]string{"d/f0"}, w.tree.changed); diff != "" || w.tree.shown != 1 {
		t.Errorf("the mount was told (%d are shown):\n%s", w.tree.shown, diff)
	}
	a = w.run("versions/undelete", UndeleteRequest{Target: target("d/f2")})
	if diff := cmp.Diff([]string{"unchanged d/f2"}, a.done(t, nil)); diff != "" || a.err != nil {
		t.Errorf("what is not deleted: %v\n%s", a.err, diff)
	}
	w.run("versions/undelete", UndeleteRequest{Target: target("d")}).wants(t, KindInvalid, "--recursive")
	before := w.count()
	a = w.run("versions/undelete", UndeleteRequest{Target: Target{Path: "d", DryRun: true}, Recursive: true})
	want := []string{"undeleted d/f1", "undeleted d/f3"}
	if diff := cmp.Diff(want, a.done(t, nil)); diff != "" || a.err != nil || w.count() != before {
		t.Errorf("dry run: %v\n%s", a.err, diff)
	}
	if a = w.run("versions/undelete", UndeleteRequest{Target: target("d"), Recursive: true}); a.err != nil || !cmp.Equal(want, a.done(t, nil)) {
		t.Errorf("%v, %q", a.err, a.done(t, nil))
	}
	w.is(map[string]string{"d/f0": "second", "d/f1": "content", "d/f2": "content", "d/f3": "content"})
}

// story is versions from the newest to the oldest, each at its hour: "9v 5m 3v" is a version of hour 9 over a
// delete marker of hour 5.
func story(text string) []backend.Version {
	var out []backend.Version
	for i, word := range strings.Fields(text) {
		var n int
		var what byte
		if _, err := fmt.Sscanf(word, "%d%c", &n, &what); err != nil {
			panic(err)
		}
		v := backend.Version{Latest: i == 0, DeleteMarker: what == 'm'}
		v.VersionID, v.LastModified = word, hour(n)
		out = append(out, v)
	}
	return out
}

func TestWhatIsPurged(t *testing.T) {
	t.Parallel()
	before := func(n int) PurgeRequest { when := hour(n); return PurgeRequest{ReplacedBefore: &when} }
	keep := func(n int) PurgeRequest { return PurgeRequest{Keep: &n} }
	for _, test := range []struct {
		name, story string
		rule        PurgeRequest
		want        string
	}{
		{"the current one stays however old", "1v", before(9), ""},
		{"replaced in time", "5v 4v 3v", before(4), ""},
		{"replaced before", "5v 3v 2v", before(4), "2v"},
		{"all but the current", "5v 3v 2v", before(9), "3v 2v"},
		{"deleted before", "3m 2v", before(9), "3m 2v"},
		{"deleted lately", "5m 2v", before(4), ""},
		{"deleted lately, but replaced before", "5m 2v 1v", before(4), "1v"},
		{"a marker alone", "3m", before(9), "3m"},
		{"a marker alone, but new", "3m", before(2), ""},
		{"keep one", "5v 4v 3v", keep(1), "4v 3v"},
		{"keep one of a deleted file", "5m 4v 3v", keep(1), "3v"},
		{"keep more than there are", "5v 4v", keep(3), ""},
		{"keep as many as there are", "5m 4v 3m 2v", keep(2), ""},
		{"keep nothing", "5v 4m 3v", keep(0), "5v 4m 3v"},
		{"only markers", "5m 4m", keep(2), "5m 4m"},
		{"markers on top hide something", "5m 4m 3v", PurgeRequest{Markers: true}, ""},
		{"markers below", "5v 4m 3v 2m", PurgeRequest{Markers: true}, "4m 2m"},
		{"markers alone", "5m 4m", PurgeRequest{Markers: true}, "5m 4m"},
		{"markers on top and below", "5m 4v 3m 2v", PurgeRequest{Markers: true}, "3m"},
		{"one", "5v 4m 3v", PurgeRequest{VersionID: "4m"}, "4m"},
		{"none of that id", "5v 4m 3v", PurgeRequest{VersionID: "x"}, ""},
	} {
		var got []string
		for _, v := range test.rule.doomed(story(test.story)) {
			got = append(got, v.VersionID)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: of %q go %q, want %q", test.name, test.story, got, test.want)
		}
	}
}

func TestPurgeOfATree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const files = 700 // two batches
	for i := range files {
		w.put(0, fmt.Sprintf("d/%d", i), "old")
		w.put(1, fmt.Sprintf("d/%d", i), "new!")
	}
	w.put(0, "other", "old")
	w.put(1, "other", "new")
	keep := 1
	r := PurgeRequest{Target: target("d"), Keep: &keep, Recursive: true}
	dry := r
	dry.DryRun = true
	want := `{"done":700,"bytes":2100,"dry_run":true}`
	if a := w.run("versions/purge", dry); a.err != nil || string(a.result) != want || w.count() != 2*files+2 {
		t.Errorf("dry run: %v, %s, want %s", a.err, a.result, want)
	}
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	if a := w.run("versions/purge", r); a.err != nil || string(a.result) != `{"done":700,"bytes":2100}` || len(a.items) != files {
		t.Errorf("%v, %s", a.err, a.result)
	}
	if n := w.count(); n != files+2 {
		t.Errorf("%d versions are left", n)
	}
	if n := counter.Requests()["DeleteObjects"]; n != 1 { // the entries of a batch may end with a key
		t.Errorf("%d requests to delete", n)
	}
	w.run("versions/purge", PurgeRequest{Target: target("d"), Keep: &keep}).wants(t, KindInvalid, "--recursive")
	w.run("versions/purge", PurgeRequest{Target: target("other")}).wants(t, KindInvalid, "say which versions")
	w.run("versions/purge", PurgeRequest{Target: target("other"), Keep: &keep, Markers: true}).wants(t, KindInvalid, "say which versions")
	w.run("versions/purge", PurgeRequest{Target: target("other"), VersionID: "x"}).wants(t, KindNotFound, "no version x")
}

func TestPurgeLeavesWhatIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	locked := w.put(0, "f", "locked", backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: hour(9000)}}})
	free := w.put(1, "f", "free")
	none := 0
	r := PurgeRequest{Target: target("f"), Keep: &none}
	a := w.run("versions/purge", r)
	a.wants(t, KindPartial, "1 of 2 could not be done")
	ids := map[string]string{locked: "locked", free: "free"}
	if diff := cmp.Diff([]string{"kept f locked", "purged f free"}, a.done(t, ids)); diff != "" {
		t.Error(diff)
	}
	var d Done
	if err := json.Unmarshal(a.items[1], &d); err != nil || !strings.Contains(d.Error, "locked by retention") {
		t.Errorf("%+v, %v", d, err)
	}
	r.Bypass = true
	if a := w.run("versions/purge", r); a.err != nil || w.count() != 0 {
		t.Errorf("with bypass: %v, %d left", a.err, w.count())
	}
}
