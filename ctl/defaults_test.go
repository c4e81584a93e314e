package ctl

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

var given = backend.Properties{
	Headers: backend.Headers{ContentType: "text/x-rule", CacheControl: "max-age=60"}, Metadata: map[string]string{"origin": "rule", "k": "rule"},
	Tags: map[string]string{"team": "a", "t": "rule"}, StorageClass: "STANDARD_IA", Encryption: backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "key"},
}

// giving is a world whose configuration gives something below "in/".
func giving(t *testing.T, props backend.Properties) *world {
	w := newWorld(t)
	w.verbs.Defaults = func(id backend.ObjectID) backend.Properties {
		if !strings.HasPrefix(id.Key, "in/") {
			return backend.Properties{}
		}
		return props
	}
	return w
}

func (w *world) propertiesOf(key string) backend.Properties {
	w.t.Helper()
	id := backend.ObjectID{Bucket: "b", Key: key}
	obj, err := w.store.Head(w.t.Context(), id, backend.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	props := backend.PropertiesOf(obj)
	maps.DeleteFunc(props.Metadata, func(key, _ string) bool { return key == backend.MetaGeneration })
	if props.Tags, err = w.store.Tags(w.t.Context(), id, ""); err != nil {
		w.t.Fatal(err)
	}
	props.Lock = obj.Lock
	return props
}

// What is put, copied or composed is a new object: it has what it is given, then what its place gives.
func TestDefaultsOfObjects(t *testing.T) {
	t.Parallel()
	w := giving(t, given)
	own := Given{CacheControl: "no-store", Metadata: map[string]string{"k": "own"}, Tags: map[string]string{"t": "own"}, StorageClass: "GLACIER_IR"}
	if _, err := w.putBody(PutObjectRequest{Target: target("in/plain")}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.putBody(PutObjectRequest{Target: target("in/own"), Given: own}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	source := backend.Properties{Headers: backend.Headers{ContentType: "text/x-own"}, Metadata: map[string]string{"k": "own"}, Tags: map[string]string{"t": "own"}, Encryption: backend.Encryption{Algorithm: "AES256"}}
	w.put(0, "source", "content", source)
	item[Stored](t, w.run("object/copy", CopyRequest{Target: target("source"), To: "in/copy"}))
	item[Stored](t, w.run("object/copy", CopyRequest{Target: target("source"), To: "in/chosen", Given: Given{Encryption: "AES256"}}))
	item[Stored](t, w.run("object/copy", CopyRequest{Target: target("source"), To: "out"}))
	item[Stored](t, w.run("object/compose", ComposeRequest{Target: target("in/all"), Given: own, Sources: []ComposeSource{{Path: "source"}}}))
	w.put(0, "in/old", "content", source)
	item[Stored](t, w.run("object/copy", CopyRequest{Target: target("in/old"), To: "in/old", Given: Given{StorageClass: "STANDARD_IA"}}))

	both := given.Clone()
	both.Headers.CacheControl, both.Metadata["k"], both.Tags["t"], both.StorageClass = "no-store", "own", "own", "GLACIER_IR"
	copied := given.Clone()
	copied.Headers.ContentType, copied.Metadata["k"], copied.Tags["t"] = "text/x-own", "own", "own"
	chosen := copied.Clone()
	chosen.Encryption = source.Encryption
	itself := source.Clone()
	itself.StorageClass = "STANDARD_IA"
	for key, want := range map[string]backend.Properties{"in/plain": given, "in/own": both, "in/copy": copied, "in/chosen": chosen, "out": source, "in/all": both, "in/old": itself} {
		if diff := cmp.Diff(want, w.propertiesOf(key)); diff != "" {
			t.Errorf("%s:\n%s", key, diff)
		}
	}
}

// What the bucket or the store cannot keep is refused before anything is stored.
func TestDefaultsThatObjectsCannotHave(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for _, c := range "abcdefghij" {
		many[string(c)] = "x"
	}
	until := epoch.AddDate(0, 0, 30)
	for _, test := range []struct {
		props backend.Properties
		kind  Kind
		text  string
	}{
		{backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: until}}}, KindUnsupported, "the bucket has no object lock"},
		{backend.Properties{Lock: backend.ObjectLock{LegalHold: true}}, KindUnsupported, "the configuration locks new objects like s3://b/in/f"},
		{backend.Properties{Tags: map[string]string{"a": "b"}}, KindUnsupported, "the configuration gives tags to new objects like s3://b/in/f"},
		{backend.Properties{StorageClass: "STANDARD_IA"}, KindUnsupported, "gives a storage class"},
		{backend.Properties{Encryption: given.Encryption}, KindUnsupported, "gives an encryption"},
		{backend.Properties{Tags: many}, KindInvalid, "would be 11"},
	} {
		w := giving(t, test.props)
		w.store.Configure(func(s *mem.Settings) {
			s.Capabilities.Classes, s.Capabilities.Tagging = false, test.kind == KindInvalid
		})
		r := PutObjectRequest{Target: target("in/f")}
		if test.kind == KindInvalid {
			r.Tags = map[string]string{"own": "1"}
		}
		_, err := w.putBody(r, strings.NewReader("x"))
		answer{err: err}.wants(t, test.kind, test.text)
		if got := w.content("in/f"); got != "(not found)" {
			t.Errorf("%s: %q is stored", test.text, got)
		}
		if test.kind != KindInvalid {
			w.put(0, "source", "x")
			w.run("object/copy", CopyRequest{Target: target("source"), To: "in/f"}).wants(t, test.kind, test.text)
			w.run("object/compose", ComposeRequest{Target: target("in/f"), Sources: []ComposeSource{{Path: "source"}}}).wants(t, test.kind, test.text)
		}
	}
}

// A lock that the configuration gives is one that is shown, and counts from now.
func TestDefaultLockOfObjects(t *testing.T) {
	t.Parallel()
	until := epoch.AddDate(0, 0, 30)
	w := giving(t, backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: until}}})
	w.store.ConfigureBucket("b", func(b *mem.BucketSettings) { b.Lock.Enabled = true })
	if _, err := w.putBody(PutObjectRequest{Target: target("in/f")}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	own := Given{Mode: "COMPLIANCE", Until: until.Add(time.Hour)}
	if _, err := w.putBody(PutObjectRequest{Target: target("in/own"), Given: own}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if lock := w.propertiesOf("in/f").Lock; lock.Retention.Mode != backend.Governance || !lock.Retention.Until.Equal(until) {
		t.Errorf("%+v", lock)
	}
	if lock := w.propertiesOf("in/own").Lock; lock.Retention.Mode != backend.Compliance || !lock.Retention.Until.Equal(own.Until) {
		t.Errorf("%+v", lock)
	}
}
