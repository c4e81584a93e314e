package ctl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

const aPNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\x00"

func (w *world) limit(size int64, types ...string) {
	tags, err := backend.BucketLimits{FileSize: size, Types: types}.Tags()
	if err == nil {
		err = w.store.PutBucketTags(w.t.Context(), "b", tags)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// wantsRefused wants that a put was refused for a limit, and that nothing is left of it.
func (w *world) wantsRefused(err error, key, why string) {
	w.t.Helper()
	if KindOf(err) != KindLocked || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "nothing was stored") {
		w.t.Errorf("%s: %v, want %q", key, err, why)
	}
	if got, there := w.contents()[key]; there {
		w.t.Errorf("%s has %q", key, got)
	}
	w.clean(key)
}

func TestPutKeepsToTheLimitsOfTheBucket(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	w.limit(10<<10, "image/*", "text/csv")
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	for _, c := range []struct {
		key, contentType, body, why string
		size                        int64 // that is announced; 0: none
	}{
		{"a.png", "", aPNG, "", 0},
		{"a.csv", "text/csv", "1,2\n", "", 4},
		{"a", "", aPNG, "", 0},
		{"empty", "", "", "", 0},
		{"a.txt", "", "x", "its name says text/plain", 0},
		{"b.png", "text/html", aPNG, "its content type is text/html", 0},
		{"c.png", "", "some text", "looks like text/plain", 0},
		{"text", "", strings.Repeat("some text", 700), "looks like text/plain", 0},
		{"large.png", "", aPNG + strings.Repeat("x", 20<<10), "up to 10240 bytes", 0},
		{"announced.png", "", aPNG, "up to 10240 bytes", 20 << 10},
	} {
		counter.Reset()
		r := PutObjectRequest{Target: target(c.key), Given: Given{ContentType: c.contentType}}
		if c.size > 0 {
			r.Size = &c.size
		}
		_, err := w.putBody(r, strings.NewReader(c.body))
		switch asked := counter.Requests(); {
		case asked["GetBucketTagging"] != 1:
			t.Errorf("%s: %v", c.key, asked)
		case c.why == "" && (err != nil || w.content(c.key) != c.body):
			t.Errorf("%s: %v", c.key, err)
		case c.why != "":
			w.wantsRefused(err, c.key, c.why)
			if c.key != "large.png" && asked["PutObject"]+asked["CreateMultipartUpload"]+asked["UploadPart"] > 0 {
				t.Errorf("%s: something was sent: %v", c.key, asked)
			}
		}
	}
}

func TestCopiesKeepToTheLimitsOfTheBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for key, content := range map[string]string{"text": "some text", "html": "<!DOCTYPE html>", "long": strings.Repeat(aPNG, 10), "png": aPNG} {
		w.put(1, key, content)
	}
	w.limit(30, "image/png", "text/csv")
	before := w.contents()
	for _, a := range []struct {
		answer
		why string
	}{
		{w.run("object/copy", CopyRequest{Target: target("text"), To: "text.png"}), "looks like text/plain"},
		{w.run("object/copy", CopyRequest{Target: target("png"), To: "png.txt"}), "its name says text/plain"},
		{w.run("object/copy", CopyRequest{Target: target("long"), To: "long.png"}), "up to 30 bytes"},
		{w.run("object/copy", CopyRequest{Target: target("png"), To: "png", ReplaceMetadata: true, Given: Given{ContentType: "text/html"}}), "its content type is text/html"},
		{w.run("object/compose", ComposeRequest{Target: target("new.csv"), Sources: []ComposeSource{{Path: "html"}, {Path: "text"}}}), "looks like text/html"},
		{w.run("object/compose", ComposeRequest{Target: target("new.png"), Sources: []ComposeSource{{Path: "png"}, {Path: "long"}}}), "up to 30 bytes"},
	} {
		a.wants(t, KindLocked, a.why)
	}
	w.is(before)
	for _, a := range []answer{
		w.run("object/copy", CopyRequest{Target: target("text"), To: "text.csv"}),
		w.run("object/copy", CopyRequest{Target: target("long"), To: "long", ReplaceMetadata: true, Given: Given{ContentType: "image/png"}}), // it is there already
		w.run("object/compose", ComposeRequest{Target: target("two.csv"), Sources: []ComposeSource{{Path: "text", Length: 4}, {Path: "text"}}}),
	} {
		if a.err != nil {
			t.Error(a.err)
		}
	}
	before["text.csv"], before["two.csv"] = "some text", "somesome text"
	if diff := cmp.Diff(before, w.contents()); diff != "" {
		t.Error(diff)
	}
}

// TestWhoUploadsByALinkIsNotHeldBack: and who makes the link is told so.
func TestWhoUploadsByALinkIsNotHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	notes := func() int {
		count := 0
		for _, a := range []answer{
			w.run("presign/url", PresignRequest{Target: target("f"), Method: "PUT"}),
			w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET", Unchecked: true}),
			w.run("presign/post", PresignPostRequest{Target: target("f")}),
		} {
			if a.err != nil {
				t.Fatal(a.err)
			}
			for _, note := range a.notes {
				if strings.Contains(note, "mounts store only files of up to 5 bytes and the types image/*") {
					count++
				}
			}
		}
		return count
	}
	if n := notes(); n != 0 {
		t.Errorf("%d notes without limits", n)
	}
	w.limit(5, "image/*")
	if n := notes(); n != 2 {
		t.Errorf("%d notes, want those of PUT and POST", n)
	}
}
