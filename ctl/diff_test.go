package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

func (w *world) diff(r DiffRequest) FileDiff {
	w.t.Helper()
	a := w.run("versions/diff", r)
	if a.err != nil || len(a.items) != 1 {
		w.t.Fatalf("%v, %q", a.err, a.items)
	}
	var d FileDiff
	if err := json.Unmarshal(a.items[0], &d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestDiffOfAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.put(0, "f", "a\nb\n", backend.Properties{
		Headers: backend.Headers{ContentType: "text/a"}, Metadata: map[string]string{"m": "1", "gone": "x"}, Tags: map[string]string{"t": "1"},
	})
	second := w.put(1, "f", "a\nc\n", backend.Properties{
		Headers: backend.Headers{ContentType: "text/b"}, Metadata: map[string]string{"m": "2"}, Tags: map[string]string{"t": "2"},
	})
	d := w.diff(DiffRequest{Target: target("f")})
	want := []PropertyDiff{{"content-type", "text/a", "text/b"}, {"meta.gone", "x", ""}, {"meta.m", "1", "2"}, {"tag.t", "1", "2"}}
	if diff := cmp.Diff(want, d.Properties); diff != "" {
		t.Error(diff)
	}
	text := fmt.Sprintf("--- f\t2026-11-01T00:00:00Z %s\n+++ f\t2026-11-01T01:00:00Z %s\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n", first, second)
	if d.Text != text || d.SameContent || d.From.VersionID != first || d.To.VersionID != second {
		t.Errorf("%+v\nwant %s", d, text)
	}
	// The other way round, by id and by time.
	early := hour(0).Add(time.Minute)
	d = w.diff(DiffRequest{Target: target("f"), From: Selector{VersionID: second}, To: Selector{VersionID: "yesterday", At: &early}})
	if d.From.VersionID != second || d.To.VersionID != first || !strings.Contains(d.Text, "-c\n+b\n") {
		t.Errorf("%+v", d)
	}
	w.run("versions/diff", DiffRequest{Target: target("f"), From: Selector{VersionID: "x"}}).wants(t, KindNotFound, "no version x")

	w.put(2, "f", "a\nc\n")
	if d := w.diff(DiffRequest{Target: target("f")}); !d.SameContent || d.Text != "" || len(d.Properties) != 3 {
		t.Errorf("the same content: %+v", d)
	}
	w.remove(3, "f")
	if d := w.diff(DiffRequest{Target: target("f")}); d.To != nil || d.From == nil || !strings.Contains(d.Text, "+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-c\n") {
		t.Errorf("deleted: %+v", d)
	}
	never := hour(-1)
	if d := w.diff(DiffRequest{Target: target("f"), From: Selector{At: &never}, To: Selector{VersionID: first}}); d.From != nil || !strings.Contains(d.Text, "--- /dev/null\n") {
		t.Errorf("before it existed: %+v", d)
	}
}

func TestDiffOfWhatIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "text\n")
	w.put(1, "f", "\x00binary")
	if d := w.diff(DiffRequest{Target: target("f")}); d.Text != "" || d.SameContent || d.WhyNoText != "they are no text" {
		t.Errorf("%+v", d)
	}
	w.put(2, "f", strings.Repeat("x", maxDiffed+1))
	if d := w.diff(DiffRequest{Target: target("f")}); d.Text != "" || d.SameContent || !strings.Contains(d.WhyNoText, "too large") {
		t.Errorf("%+v", d)
	}
}

func TestDiffOfATree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{"d/changed", "d/removed", "d/same", "d/again", "d/back"} {
		w.put(0, key, "old")
	}
	w.put(2, "d/changed", "new")
	w.remove(2, "d/removed")
	w.put(2, "d/again", "old")
	w.put(2, "d/added", "x")
	w.remove(2, "d/back")
	w.put(3, "d/back", "new")
	w.put(2, "elsewhere", "x")
	from, to := hour(1), hour(2)
	list := func(r DiffRequest) (out []string) {
		a := w.run("versions/diff", r)
		if a.err != nil {
			t.Fatal(a.err)
		}
		for _, item := range a.items {
			var d TreeDiff
			if err := json.Unmarshal(item, &d); err != nil {
				t.Fatal(err)
			}
			out = append(out, d.Change+" "+string(d.Key))
		}
		return out
	}
	want := []string{"added d/added", "properties d/again", "removed d/back", "changed d/changed", "removed d/removed"}
	if diff := cmp.Diff(want, list(DiffRequest{Target: target("d"), From: Selector{At: &from}, To: Selector{At: &to}})); diff != "" {
		t.Error(diff)
	}
	want[2] = "changed d/back"
	if diff := cmp.Diff(want, list(DiffRequest{Target: target("d"), From: Selector{At: &from}})); diff != "" {
		t.Error(diff)
	}
	w.run("versions/diff", DiffRequest{Target: target("d")}).wants(t, KindInvalid, "use --from TIME")
	w.run("versions/diff", DiffRequest{Target: target("d"), From: Selector{At: &from}, To: Selector{VersionID: "x"}}).wants(t, KindInvalid, "compared by times")
}
