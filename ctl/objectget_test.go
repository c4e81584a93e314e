package ctl

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend/mem"
)

func TestGetObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("0123456789\xff\x00 ä", 60_000) // several lines, some end within a character
	old := w.put(0, "f", long)
	w.put(1, "f", "new")
	w.put(1, "empty", "")
	etag := item[Object](t, w.run("object/stat", StatRequest{Target: target("f")})).ETag
	for _, test := range []struct {
		r    GetObjectRequest
		want string
	}{
		{GetObjectRequest{Target: target("f")}, "new"},
		{GetObjectRequest{Target: target("f"), IfMatch: etag}, "new"},
		{GetObjectRequest{Target: target("f"), VersionID: old}, long},
		{GetObjectRequest{Target: target("f"), VersionID: old, Offset: 100_001}, long[100_001:]},
		{GetObjectRequest{Target: target("f"), VersionID: old, Length: 300_000}, long[:300_000]},
		{GetObjectRequest{Target: target("f"), Offset: 1, Length: 100}, "ew"},
		{GetObjectRequest{Target: target("empty")}, ""},
	} {
		a := w.run("object/get", test.r)
		var g Got
		if err := json.Unmarshal(a.result, &g); err != nil || a.err != nil {
			t.Fatal(a.err, err)
		}
		whole := test.r.Offset == 0 && test.r.Length == 0
		if a.rows != test.want || g.Length != int64(len(test.want)) || g.ETag == "" || g.Checked != whole {
			t.Errorf("%+v: %d bytes, want %d; %+v", test.r, len(a.rows), len(test.want), g)
		}
	}
	w.run("object/get", GetObjectRequest{Target: target("f"), IfMatch: "other"}).wants(t, KindConflict, "")
	w.run("object/get", GetObjectRequest{Target: target("f"), Offset: 9}).wants(t, KindInvalid, "range")
	w.run("object/get", GetObjectRequest{Target: target("f"), Offset: -1}).wants(t, KindInvalid, "negative")
	w.run("object/get", GetObjectRequest{Target: target("")}).wants(t, KindInvalid, "is a directory")
	w.run("object/get", GetObjectRequest{Target: target("none")}).wants(t, KindNotFound, "nothing is or was")
}

func TestGetTellsWrongBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", strings.Repeat("content", 1000))
	for _, test := range []struct {
		do   mem.Action
		kind Kind
		text string
	}{
		{mem.Flip(100), KindOther, "checksum"},
		{mem.Cut(100), KindUnreachable, "ended after 100 of 7000 bytes"},
	} {
		w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "GetObject", Do: []mem.Action{test.do}})
		a := w.run("object/get", GetObjectRequest{Target: target("f")})
		if a.wants(t, test.kind, test.text); a.result != nil {
			t.Errorf("result %s", a.result)
		}
	}
}
