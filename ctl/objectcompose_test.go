package ctl

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestPlannedPartsAreLegal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const least, most = 10, 35
		var pieces []piece
		var want []string
		for i, n := range rapid.SliceOfN(rapid.Int64Range(1, 120), 1, 12).Draw(t, "sizes") {
			off := rapid.Int64Range(0, 9).Draw(t, "off")
			pieces = append(pieces, piece{backend.Source{Key: fmt.Sprint(i)}, off, n})
			for b := range n {
				want = append(want, fmt.Sprint(i, ":", off+b))
			}
		}
		var got []string
		parts := planParts(pieces, least, most)
		for i, part := range parts {
			var size int64
			for _, p := range part {
				size += p.len
				for b := range p.len {
					got = append(got, fmt.Sprint(p.source.Key, ":", p.off+b))
				}
			}
			if size < least && i < len(parts)-1 || size > most || len(part) > 1 && size > 2*least {
				t.Errorf("part %d of %d has %d bytes of %d pieces", i, len(parts), size, len(part))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCompose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.Limits.MinPart, s.Capabilities.Limits.MaxPart = 10, 40 })
	letters := func(c string, n int) string { return strings.Repeat(c, n) }
	w.put(0, "a", letters("a", 3))
	old := w.put(0, "b", letters("b", 100))
	w.put(1, "b", "new b")
	w.put(1, "empty", "")
	w.put(1, "d/c", letters("c", 25))
	r := ComposeRequest{
		Target: target("all"), Given: Given{ContentType: "text/x-all", Metadata: map[string]string{"k": "v"}, Tags: map[string]string{"t": "1"}},
		Sources: []ComposeSource{{Path: "a"}, {Path: "b", VersionID: old}, {Path: "empty"}, {Path: "d/c", Offset: 5, Length: 2}, {Path: "a", Offset: 1}},
	}
	dry := r
	dry.DryRun = true
	if got := item[Stored](t, w.run("object/compose", dry)); got != (Stored{Bucket: "b", Key: "all", Size: 107}) || w.content("all") != "(not found)" {
		t.Errorf("dry run: %+v", got)
	}
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	got := item[Stored](t, w.run("object/compose", r))
	if want := "aaa" + letters("b", 100) + "cc" + "aa"; w.content("all") != want || got.Size != int64(len(want)) || got.ETag == "" {
		t.Errorf("%+v: %q", got, w.content("all"))
	}
	if n := counter.Requests(); n["UploadPart"] != 2 || n["UploadPartCopy"] != 3 || n["GetObject"] != 4 {
		t.Errorf("%v", n)
	}
	if o := w.stat("all"); o.ContentType != "text/x-all" || o.Metadata["k"] != "v" || o.Tags["t"] != "1" {
		t.Errorf("%+v", o)
	}
	r.Sources = []ComposeSource{{Path: "all"}, {Path: "a"}} // also of itself
	if w.run("object/compose", r); !strings.HasSuffix(w.content("all"), "aaaaa") || len(w.content("all")) != 110 {
		t.Errorf("appended: %q", w.content("all"))
	}
	r.Sources = []ComposeSource{{Path: "empty"}}
	if w.run("object/compose", r); w.content("all") != "" {
		t.Errorf("of nothing: %q", w.content("all"))
	}
	for _, test := range []struct {
		path    string
		only    Only
		sources []ComposeSource
		kind    Kind
		text    string
	}{
		{"all", Only{}, nil, KindInvalid, "nothing is given"},
		{"all", Only{}, []ComposeSource{{Path: "none"}}, KindNotFound, "not found"},
		{"all", Only{}, []ComposeSource{{Path: "d"}}, KindInvalid, "is a directory"},
		{"all", Only{}, []ComposeSource{{Path: "a", Offset: 2, Length: 2}}, KindInvalid, "has 3 bytes"},
		{"all", Only{}, []ComposeSource{{Path: "a", IfMatch: "other"}}, KindConflict, "is not taken"},
		{"all", Only{IfNoneMatch: true}, []ComposeSource{{Path: "a"}}, KindConflict, ""},
		{"all", Only{IfMatch: "other"}, []ComposeSource{{Path: "empty"}}, KindConflict, ""},
		{"d", Only{}, []ComposeSource{{Path: "a"}}, KindInvalid, "is a directory"},
	} {
		w.run("object/compose", ComposeRequest{Target: target(test.path), Only: test.only, Sources: test.sources}).wants(t, test.kind, test.text)
	}
	w.run("object/compose", ComposeRequest{Target: Target{Path: "new", Directory: true}, Sources: []ComposeSource{{Path: "a"}}}).wants(t, KindInvalid, "is a directory")
	if w.content("all") != "" || w.content("new") != "(not found)" {
		t.Errorf("%q, %q", w.content("all"), w.content("new"))
	}
	for _, key := range []string{"all", "d/"} {
		if ups, err := w.store.ListUploads(t.Context(), backend.ObjectID{Bucket: "b", Key: key}); err != nil || len(ups) > 0 {
			t.Errorf("uploads are left: %v, %v", ups, err)
		}
	}
}
