package ctl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func (w *world) stat(key string) Object {
	w.t.Helper()
	o := item[Object](w.t, w.run("object/stat", StatRequest{Target: target(key)}))
	o.Key, o.VersionID, o.LastModified, o.ETag = "", "", epoch, ""
	return o
}

func TestCopyObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "d/f", "old content", everything())
	w.put(1, "d/f", "new")
	w.put(1, "e/g", "x")
	r := CopyRequest{Target: target("d/f"), VersionID: old, To: "copy"}
	dry := r
	dry.DryRun = true
	if got := item[Stored](t, w.run("object/copy", dry)); got != (Stored{Bucket: "b", Key: "copy", Size: 11}) || w.content("copy") != "(not found)" {
		t.Errorf("dry run: %+v", got)
	}
	got := item[Stored](t, w.run("object/copy", r))
	if got.Key != "copy" || got.Size != 11 || got.ETag == "" || got.VersionID == "" || w.content("copy") != "old content" {
		t.Errorf("%+v", got)
	}
	all := w.stat("copy")
	if all.Tags["a"] != "1" || all.Metadata["owner"] != "Kari" || all.StorageClass != "STANDARD_IA" || all.Encryption != "AES256" || all.CacheControl != "no-store" {
		t.Errorf("the copy has %+v", all)
	}
	for _, to := range []Text{"e", "e/"} {
		if got := item[Stored](t, w.run("object/copy", CopyRequest{Target: target("d/f"), To: to})); got.Key != "e/f" {
			t.Errorf("into a directory: %+v", got)
		}
	}
	if got := item[Stored](t, w.run("object/copy", CopyRequest{Target: target("d/f"), To: "new/"})); got.Key != "new/f" {
		t.Errorf("into a new directory: %+v", got)
	}
	r.Given = Given{ContentType: "image/png", Metadata: map[string]string{"Color": "blue"}}
	w.run("object/copy", r).wants(t, KindInvalid, "--metadata-directive replace")
	r.ReplaceMetadata = true
	w.run("object/copy", r)
	if got := w.stat("copy"); got.ContentType != "image/png" || got.CacheControl != "" || !cmp.Equal(got.Metadata, map[string]string{"color": "blue"}) || got.Tags["a"] != "1" {
		t.Errorf("with other metadata: %+v", got)
	}
	r.Tags, r.StorageClass = map[string]string{"x": "y"}, "GLACIER_IR"
	w.run("object/copy", r).wants(t, KindInvalid, "--tagging replace")
	r.ReplaceTags = true
	w.run("object/copy", r)
	if got := w.stat("copy"); !cmp.Equal(got.Tags, r.Tags) || got.StorageClass != "GLACIER_IR" {
		t.Errorf("with other tags: %+v", got)
	}
	w.run("object/copy", CopyRequest{Target: target("d"), To: "x"}).wants(t, KindInvalid, "is a directory")
}

func TestConditionsOfACopy(t *testing.T) {
	t.Parallel()
	for name, lacks := range map[string]func(*backend.Capabilities){
		"all": func(*backend.Capabilities) {}, "only at the end of parts": func(c *backend.Capabilities) { c.CopyDestination = false },
		"none": func(c *backend.Capabilities) {
			c.CopyDestination, c.CompleteIfMatch, c.CompleteIfNoneMatch, c.PutIfMatch, c.PutIfNoneMatch = false, false, false, false, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.store.Configure(func(s *mem.Settings) { lacks(&s.Capabilities) })
			w.put(0, "f", "content")
			w.put(0, "empty", "")
			w.put(1, "there", "old")
			there := item[Object](t, w.run("object/stat", StatRequest{Target: target("there")})).ETag
			f := item[Object](t, w.run("object/stat", StatRequest{Target: target("f")})).ETag
			earlier, later := hour(-1), hour(5)
			for _, test := range []struct {
				r    CopyRequest
				kind Kind // empty: it is copied
			}{
				{CopyRequest{To: "there", Only: Only{IfNoneMatch: true}}, KindConflict},
				{CopyRequest{To: "there", Only: Only{IfMatch: f}}, KindConflict},
				{CopyRequest{To: "new", Only: Only{IfNoneMatch: true}}, ""},
				{CopyRequest{Target: target("empty"), To: "new2", Only: Only{IfNoneMatch: true}}, ""},
				{CopyRequest{Target: target("empty"), To: "there", Only: Only{IfNoneMatch: true}}, KindConflict},
				{CopyRequest{To: "there", SourceIfMatch: there}, KindConflict},
				{CopyRequest{To: "there", SourceIfNoneMatch: f}, KindConflict},
				{CopyRequest{To: "there", ModifiedSince: &later}, KindConflict},
				{CopyRequest{To: "there", UnmodifiedSince: &earlier}, KindConflict},
				{CopyRequest{To: "there", Only: Only{IfMatch: there}}, ""},
				{CopyRequest{To: "other", SourceIfMatch: f, SourceIfNoneMatch: there, ModifiedSince: &earlier, UnmodifiedSince: &later}, ""},
			} {
				if test.r.Path == "" {
					test.r.Target = target("f")
				}
				if name == "none" && test.r.Only != (Only{}) {
					test.kind = KindUnsupported
				}
				before := w.contents()
				a := w.run("object/copy", test.r)
				if test.kind != "" {
					a.wants(t, test.kind, "")
					w.is(before)
				} else if a.err != nil || w.content(string(test.r.To)) != strings.ReplaceAll(w.content(string(test.r.Path)), "(not found)", "?") {
					t.Errorf("%+v: %v", test.r, a.err)
				}
			}
		})
	}
}

func TestCopyOntoWhatIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "content")
	w.tree.unsent = 1
	w.run("object/copy", CopyRequest{Target: target("f"), To: "g"}).wants(t, KindBusy, "a program is writing s3://b/g")
	w.is(map[string]string{"f": "content"})
}
