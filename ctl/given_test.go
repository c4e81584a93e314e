package ctl

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestExpiresIsADate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for given, want := range map[string]string{
		"Thu, 01 Jan 2026 12:00:00 GMT": "Thu, 01 Jan 2026 12:00:00 GMT", "2026-01-01T12:00:00+02:00": "Thu, 01 Jan 2026 10:00:00 GMT",
		"2026-01-01 12:00:00Z": "Thu, 01 Jan 2026 12:00:00 GMT", "": "",
	} {
		_, err := w.putBody(PutObjectRequest{Target: target("f"), Given: Given{Expires: given}}, strings.NewReader("x"))
		o, herr := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: "f"}, backend.GetOptions{})
		if err != nil || herr != nil || o.Headers.Expires != want {
			t.Errorf("%q is stored as %q, want %q: %v, %v", given, o.Headers.Expires, want, err, herr)
		}
	}
	before := w.contents()
	for _, bad := range []string{"foo", "0", "tomorrow", "2026-01-01"} {
		_, err := w.putBody(PutObjectRequest{Target: target("f"), Given: Given{Expires: bad}}, strings.NewReader("y"))
		answer{err: err}.wants(t, KindInvalid, "expires is \""+bad+"\", which is no date; write it as")
	}
	w.is(before)
}

func TestRetentionHasAModeAndADate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, g := range []Given{{Mode: "GOVERNANCE"}, {Until: epoch.Add(time.Hour)}} {
		_, err := w.putBody(PutObjectRequest{Target: target("f"), Given: g}, strings.NewReader("x"))
		answer{err: err}.wants(t, KindInvalid, "a retention has a mode and a date; give both")
	}
	w.is(map[string]string{})
}

// TestClassesThatTheStoreDoesNotHave: it would store as if nothing had been asked for.
func TestClassesThatTheStoreDoesNotHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "content")
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.Classes = false })
	before := w.contents()
	for text, g := range map[string]Given{
		"storage classes": {StorageClass: "FOO"}, "encryption of single objects": {Encryption: "AES256"},
	} {
		text = "the store mem is not known to have " + text
		_, err := w.putBody(PutObjectRequest{Target: target("g"), Given: g}, io.LimitReader(zeros{}, 9))
		answer{err: err}.wants(t, KindUnsupported, text)
		w.run("object/copy", CopyRequest{Target: target("f"), To: "g", Given: g}).wants(t, KindUnsupported, text)
		w.run("object/compose", ComposeRequest{Target: target("g"), Sources: []ComposeSource{{Path: "f"}}, Given: g}).wants(t, KindUnsupported, text)
	}
	w.is(before)
	if _, err := w.putBody(PutObjectRequest{Target: target("g"), Given: Given{StorageClass: "STANDARD"}}, strings.NewReader("x")); err != nil {
		t.Errorf("the class that everything has: %v", err)
	}
}
