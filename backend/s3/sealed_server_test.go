package s3

import (
	"io"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestConditionsOnEncryptedDirectories: the ETag of a listing or a write is the one that conditions compare, also of a key that
// ends in a slash, where MinIO means the one that it keeps.
func TestConditionsOnEncryptedDirectories(t *testing.T) {
	p := newEncryptedPlaces(t)
	for prefix, e := range map[string]backend.Encryption{"": {}, "k/": {}, "aes/": {Algorithm: "AES256"}, "kms/": {Algorithm: "aws:kms", KMSKeyID: "objmount-key"}} {
		id := backend.ObjectID{Bucket: p.bucket, Key: prefix + "dir/"}
		props := backend.Properties{Encryption: e}
		put := write(t, p.store, p.bucket, id.Key, "", props)
		page, err := p.store.List(t.Context(), backend.ListInput{Bucket: p.bucket, Prefix: id.Key})
		if err != nil || len(page.Objects) != 1 || page.Objects[0].ETag != put.ETag {
			t.Fatalf("%s: listed %+v, written %+v, %v", id.Key, page.Objects, put, err)
		}
		head, err := p.store.Head(t.Context(), id, backend.GetOptions{IfMatch: put.ETag})
		if err != nil || head.ETag != put.ETag {
			t.Errorf("HEAD of %s: %+v, %v, want %s", id.Key, head, err, put.ETag)
		}
		body, err := p.store.Get(t.Context(), id, backend.GetOptions{IfMatch: put.ETag})
		if err != nil {
			t.Fatalf("GET of %s: %v", id.Key, err)
		}
		if text, err := io.ReadAll(body); err != nil || len(text) > 0 || body.Object.ETag != put.ETag {
			t.Errorf("GET of %s: %q, %+v, %v", id.Key, text, body.Object, err)
		}
		body.Close()
		props.Metadata = map[string]string{"a": "b"}
		if _, err := p.store.Copy(t.Context(), backend.CopyInput{Bucket: p.bucket, Key: prefix + "copy/", Replace: &props,
			Source: backend.Source{Bucket: p.bucket, Key: id.Key, ETag: put.ETag}}); err != nil {
			t.Errorf("copy of %s: %v", id.Key, err)
		}
		in := backend.PutInput{Bucket: p.bucket, Key: id.Key, Body: strings.NewReader(""), Properties: props, Condition: backend.Condition{IfMatch: put.ETag}}
		if _, err := p.store.Put(t.Context(), in); err != nil {
			t.Errorf("PUT of %s: %v", id.Key, err)
		}
		if prefix == "" || prefix == "aes/" { // its bytes are the same, and so is the ETag
			in.Condition.IfMatch = noETag
		}
		if _, err := p.store.Put(t.Context(), in); !backend.IsKind(err, backend.KindChanged) {
			t.Errorf("PUT over another %s: %v", id.Key, err)
		}
		if _, err := p.store.Head(t.Context(), id, backend.GetOptions{IfMatch: noETag}); !backend.IsKind(err, backend.KindChanged) {
			t.Errorf("HEAD of another %s: %v", id.Key, err)
		}
	}
}

// TestConditionalWritesOverBareObjects: an object without the key of its place is overwritten when it is the one that is meant,
// and is encrypted then.
func TestConditionalWritesOverBareObjects(t *testing.T) {
	p := newEncryptedPlaces(t)
	put := func(etag string, none bool) error {
		return errOf(p.store.Put(t.Context(), backend.PutInput{Bucket: p.bucket, Key: "k/a", Body: strings.NewReader("new"), Size: 3,
			Condition: backend.Condition{IfMatch: etag, IfNoneMatch: none}}))
	}
	complete := func(etag string, none bool) error {
		id, err := p.store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: p.bucket, Key: "k/a"})
		if err != nil {
			return err
		}
		part, err := p.store.UploadPart(t.Context(), backend.PartInput{Bucket: p.bucket, Key: "k/a", UploadID: id, Number: 1, Body: strings.NewReader("new"), Size: 3})
		if err != nil {
			return err
		}
		_, err = p.store.CompleteUpload(t.Context(), backend.CompleteInput{Bucket: p.bucket, Key: "k/a", UploadID: id, Parts: []backend.Part{part}, Size: 3,
			Condition: backend.Condition{IfMatch: etag, IfNoneMatch: none}})
		return err
	}
	for name, write := range map[string]func(etag string, none bool) error{"PUT": put, "upload": complete} {
		bare := func() backend.Object {
			obj, err := p.keyless.Put(t.Context(), backend.PutInput{Bucket: p.bucket, Key: "k/a", Body: strings.NewReader("old"), Size: 3})
			if err != nil {
				t.Fatal(err)
			}
			return obj
		}
		obj := bare()
		if err := write("", true); !backend.IsKind(err, backend.KindExist) {
			t.Errorf("%s where something is: %v", name, err)
		}
		if err := write(noETag, false); !backend.IsKind(err, backend.KindChanged) {
			t.Errorf("%s over another object: %v", name, err)
		}
		wantObject(t, p.store, p.bucket, "k/a", "old", "")
		if err := write(obj.ETag, false); err != nil {
			t.Errorf("%s over the object: %v", name, err)
		}
		wantObject(t, p.store, p.bucket, "k/a", "new", backend.CustomerEncryption)
	}
	if err := put(noETag, false); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("over another object that has the key: %v", err)
	}
}

// TestTrialOfEncryption: a store that encrypts passes the trial, which leaves nothing behind.
func TestTrialOfEncryption(t *testing.T) {
	p := newEncryptedPlaces(t)
	unsure := *vendors[vendorMinIO]
	unsure.encrypts = false
	p.store.vendor.Store(&unsure)
	for key, props := range map[string]backend.Properties{
		"k/a": {}, "k/dir/": {}, "aes": {Encryption: backend.Encryption{Algorithm: "AES256"}}, "kms": {Encryption: backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "objmount-key"}},
	} {
		want := props.Encryption.Algorithm
		if strings.HasPrefix(key, "k/") {
			want = backend.CustomerEncryption
		}
		write(t, p.store, p.bucket, key, "", props)
		wantObject(t, p.store, p.bucket, key, "", want)
		for _, tried := range []string{key, key + ".objmount-probe"} {
			if uploads, err := p.store.ListUploads(t.Context(), backend.ObjectID{Bucket: p.bucket, Key: tried}); err != nil || len(uploads) > 0 {
				t.Errorf("uploads of %s: %+v, %v", tried, uploads, err)
			}
		}
	}
	page, err := p.store.List(t.Context(), backend.ListInput{Bucket: p.bucket})
	if err != nil || len(page.Objects) != 4 {
		t.Errorf("objects: %+v, %v", page.Objects, err)
	}
}

// TestEncryptedCopiesOntoThemselves: what chmod does keeps the bytes, in buckets with versions and without, and of objects from before
// there were versions.
func TestEncryptedCopiesOntoThemselves(t *testing.T) {
	p := newEncryptedPlaces(t)
	for i, content := range []string{"", "0123456789", strings.Repeat("0123456789abcdef", 20_000)} {
		for _, when := range []string{"never", "before", "after"} {
			bucket := newServerBucket(t, p.store)
			if when == "before" {
				enableVersions(t, p.store, bucket)
			}
			id := backend.ObjectID{Bucket: bucket, Key: "k/a"}
			obj := write(t, p.store, bucket, id.Key, content, backend.Properties{
				Headers: backend.Headers{ContentType: "text/x", Expires: "never"}, Metadata: map[string]string{"a": "1"}, Tags: map[string]string{"t": "1"}})
			if when == "after" {
				enableVersions(t, p.store, bucket)
			}
			copyIt := func(etag string, replace *backend.Properties) error {
				in := backend.CopyInput{Bucket: bucket, Key: id.Key, Replace: replace, Source: backend.Source{Bucket: bucket, Key: id.Key, ETag: etag}}
				return errOf(p.store.Copy(t.Context(), in))
			}
			props := backend.Properties{Headers: backend.Headers{ContentType: "text/y"}, Metadata: map[string]string{"a": "2"}, Tags: map[string]string{"t": "2"}}
			if err := copyIt(noETag, &props); !backend.IsKind(err, backend.KindChanged) {
				t.Errorf("%d bytes, versions %s: another object: %v", len(content), when, err)
			}
			if err := copyIt(obj.ETag, &props); err != nil {
				t.Fatalf("%d bytes, versions %s: %v", len(content), when, err)
			}
			wantObject(t, p.store, bucket, id.Key, content, backend.CustomerEncryption)
			if err := copyIt("", &props); err != nil {
				t.Errorf("%d bytes, versions %s: again: %v", len(content), when, err)
			}
			wantObject(t, p.store, bucket, id.Key, content, backend.CustomerEncryption)
			head, err := p.store.Head(t.Context(), id, backend.GetOptions{})
			tags, tagErr := p.store.Tags(t.Context(), id, "")
			if err != nil || tagErr != nil || head.Headers.ContentType != "text/y" || head.Metadata["a"] != "2" || tags["t"] != "2" {
				t.Errorf("%d bytes, versions %s: %+v %v, %v, %v", len(content), when, head, tags, err, tagErr)
			}
			if when != "never" && i > 0 { // with all that it has
				if err := copyIt(head.ETag, nil); err != nil {
					t.Errorf("%d bytes, versions %s: as it is: %v", len(content), when, err)
				}
				again, err := p.store.Head(t.Context(), id, backend.GetOptions{})
				tags, tagErr := p.store.Tags(t.Context(), id, "")
				if err != nil || tagErr != nil || again.Headers != head.Headers || again.Metadata["a"] != "2" || tags["t"] != "2" {
					t.Errorf("%d bytes, versions %s: as it is: %+v %v, %v, %v", len(content), when, again, tags, err, tagErr)
				}
				wantObject(t, p.store, bucket, id.Key, content, backend.CustomerEncryption)
			}
			if uploads, err := p.store.ListUploads(t.Context(), id); err != nil || len(uploads) > 0 {
				t.Errorf("uploads: %+v, %v", uploads, err)
			}
		}
	}
}
