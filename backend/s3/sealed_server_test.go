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
