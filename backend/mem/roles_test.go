package mem

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	ctx, now := context.Background(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := configured(func(cfg *Settings) {
		cfg.Archive, cfg.RestoreTime, cfg.Clock = true, time.Hour, func() time.Time { return now }
	})
	wait := func(d time.Duration) { s.Configure(func(*Settings) { now = now.Add(d) }) }
	obj, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "cold", Body: strings.NewReader("x"), Size: 1, Properties: backend.Properties{StorageClass: "DEEP_ARCHIVE"}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(header string, readable bool) {
		t.Helper()
		head, err := s.Head(ctx, obj.ID(), backend.GetOptions{})
		if err != nil || head.Restore != header {
			t.Errorf("%q, want %q, %v", head.Restore, header, err)
		}
		_, err = s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "copy", Source: backend.Source{Bucket: testBucket, Key: "cold"}})
		if !readable {
			wantKind(t, err, backend.KindArchived)
			_, err = s.Get(ctx, obj.ID(), backend.GetOptions{})
			wantKind(t, err, backend.KindArchived)
			return
		}
		if err != nil {
			t.Error(err)
		}
		get(t, s, "cold", backend.GetOptions{})
	}
	check("", false)
	for range 2 { // the second finds the first under way
		if err := s.Restore(ctx, obj.ID(), "", 2, "Bulk"); err != nil {
			t.Fatal(err)
		}
		check(`ongoing-request="true"`, false)
	}
	wait(time.Hour)
	check(`ongoing-request="false", expiry-date="Mon, 05 Jan 2026 00:00:00 GMT"`, true)
	if err := s.Restore(ctx, obj.ID(), "", 3, ""); err != nil { // longer
		t.Fatal(err)
	}
	check(`ongoing-request="false", expiry-date="Tue, 06 Jan 2026 00:00:00 GMT"`, true)
	wait(4 * 24 * time.Hour)
	check("", false)
	wantKind(t, s.Restore(ctx, put(t, s, "warm", nil).ID(), "", 1, ""), backend.KindInvalid)
	wantKind(t, s.Restore(ctx, obj.ID(), "", 0, ""), backend.KindInvalid)
	wantKind(t, s.Restore(ctx, obj.ID(), "", 1, "Slow"), backend.KindInvalid)
}

func TestAnnotations(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	obj := put(t, s, "a", []byte("x"))
	id := obj.ID()
	wantKind(t, s.PutAnnotation(ctx, id, "", "n", []byte("x")), backend.KindUnsupported)
	_, err := s.Annotations(ctx, id, "")
	wantKind(t, err, backend.KindUnsupported)
	s.Configure(func(cfg *Settings) { cfg.Annotations = true })
	for name, value := range map[string][]byte{"": []byte("x"), "AWS-x": []byte("x"), "s3.x": []byte("x"), "b c": []byte("x"), "empty": nil, "bytes": {0xff}} {
		wantKind(t, s.PutAnnotation(ctx, id, "", name, value), backend.KindInvalid)
	}
	wantKind(t, s.PutAnnotation(ctx, id, "", "big", make([]byte, backend.MiB+1)), backend.KindTooLarge)
	big := bytes.Repeat([]byte("ü"), int(backend.MiB/2))
	for _, value := range [][]byte{[]byte("first"), big} {
		if err := s.PutAnnotation(ctx, id, "", "n.o_t-e", value); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Annotation(ctx, id, obj.VersionID, "n.o_t-e"); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if _, after := get(t, s, "a", backend.GetOptions{}); after.ETag != obj.ETag || !after.LastModified.Equal(s.buckets[testBucket].current("a").modified) {
		t.Errorf("%+v", after)
	}
	if _, err := s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "copy", Source: backend.Source{Bucket: testBucket, Key: "a"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAnnotation(ctx, id, "", "n.o_t-e"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Annotation(ctx, id, "", "n.o_t-e")
	wantKind(t, err, backend.KindNotExist)
	sizes, err := s.Annotations(ctx, backend.ObjectID{Bucket: testBucket, Key: "copy"}, "")
	if err != nil || !maps.Equal(sizes, map[string]int64{"n.o_t-e": backend.MiB}) {
		t.Errorf("%v, %v", sizes, err)
	}
}

func TestUpdateEncryption(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	s.ConfigureBucket(testBucket, func(b *BucketSettings) { b.Encryption = backend.Encryption{Algorithm: "AES256"} })
	obj, kms := put(t, s, "a", nil), backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "key"}
	if obj.Encryption.Algorithm != "AES256" {
		t.Errorf("the bucket's default: %+v", obj.Encryption)
	}
	wantKind(t, s.UpdateEncryption(ctx, obj.ID(), "", kms), backend.KindUnsupported)
	s.Configure(func(cfg *Settings) { cfg.UpdateEncryption = true })
	wantKind(t, s.UpdateEncryption(ctx, obj.ID(), "", backend.Encryption{Algorithm: "AES256"}), backend.KindUnsupported)
	if err := s.UpdateEncryption(ctx, obj.ID(), "", kms); err != nil {
		t.Fatal(err)
	}
	if _, after := get(t, s, "a", backend.GetOptions{}); after.Encryption != kms || after.ETag != obj.ETag {
		t.Errorf("%+v", after)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	s.Configure(func(cfg *Settings) { cfg.Capabilities.Limits.MinPart = 1 })
	put(t, s, "whole", []byte("123456789"))
	// The check values of the CRC catalogue, and what openssl computes.
	sums := map[string]string{
		"crc32": "y/Q5Jg==", "crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg=",
		"sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=", "sha256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	}
	if d, err := s.Describe(ctx, backend.ObjectID{Bucket: testBucket, Key: "whole"}, ""); err != nil || !reflect.DeepEqual(d, backend.Description{Checksums: sums, ChecksumType: "FULL_OBJECT"}) {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := multipart(s, []int32{1, 2}, []int{7, 2}); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Describe(ctx, backend.ObjectID{Bucket: testBucket, Key: "parts"}, ""); err != nil || d.Parts != 2 || d.PartSize != 7 {
		t.Errorf("%+v, %v", d, err)
	}
	s.Configure(func(cfg *Settings) { cfg.Capabilities.ChecksumCRC64, cfg.Owner = false, "" })
	if d, err := s.Describe(ctx, backend.ObjectID{Bucket: testBucket, Key: "whole"}, ""); err != nil || len(d.Checksums) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	_, err := s.Owner(ctx, backend.ObjectID{Bucket: testBucket, Key: "whole"}, "")
	wantKind(t, err, backend.KindUnsupported)
}

func TestURLs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, ctx := configured(func(cfg *Settings) { cfg.Clock = func() time.Time { return now } }), context.Background()
	id := backend.ObjectID{Bucket: testBucket, Key: "a b/%/ü?"}
	address, err := s.ObjectURL(ctx, id)
	if err != nil || address.String() != "https://mem.invalid/bucket/a%20b/%25/%C3%BC%3F" || address.Path != "/bucket/"+id.Key {
		t.Errorf("%v, %v", address, err)
	}
	signed, err := s.Presign(ctx, backend.PresignInput{Method: "GET", Object: id, VersionID: "v+1", Expires: time.Hour, Query: map[string]string{"response-content-type": "text/plain"}})
	want := backend.Presigned{
		URL:    "https://mem.invalid/bucket/a%20b/%25/%C3%BC%3F?X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&response-content-type=text%2Fplain&versionId=v%2B1",
		Method: "GET", Header: map[string]string{}, Expires: now.Add(time.Hour),
	}
	if err != nil || !reflect.DeepEqual(signed, want) {
		t.Errorf("%+v, %v", signed, err)
	}
	if signed, err = s.Presign(ctx, backend.PresignInput{Method: "GET", Object: id, Expires: 8 * 24 * time.Hour}); err != nil || !signed.Expires.Equal(now.Add(7*24*time.Hour)) {
		t.Errorf("%+v, %v", signed, err)
	}
	for _, in := range []backend.PresignInput{{Method: "GET", Object: id}, {Method: "PATCH", Object: id, Expires: time.Hour}, {Method: "GET", Object: id, Expires: time.Hour, Query: map[string]string{"tagging": ""}}} {
		_, err := s.Presign(ctx, in)
		wantKind(t, err, backend.KindInvalid)
	}
}

func TestPresignPost(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, ctx := configured(func(cfg *Settings) {
		cfg.Clock, cfg.CredentialsEnd = func() time.Time { return now }, now.Add(time.Minute)
	}), context.Background()
	in := backend.PostInput{
		Object: backend.ObjectID{Bucket: testBucket, Key: "in/"}, Prefix: true, Expires: time.Hour,
		Exact: map[string]string{"x-amz-meta-by": "<\"a\">"}, StartsWith: map[string]string{"Content-Type": "image/"}, Length: &backend.LengthRange{Min: 1, Max: 9},
	}
	signed, err := s.PresignPost(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := base64.StdEncoding.DecodeString(signed.Fields["policy"])
	var have, want any
	if err != nil || json.Unmarshal(policy, &have) != nil || json.Unmarshal([]byte(`{"expiration": "2026-01-02T03:05:05.000Z", "conditions": [
		{"bucket": "bucket"}, ["starts-with", "$key", "in/"], {"x-amz-date": "20260102T030405Z"}, {"x-amz-meta-by": "<\"a\">"},
		["starts-with", "$Content-Type", "image/"], ["content-length-range", 1, 9]]}`), &want) != nil || !reflect.DeepEqual(have, want) {
		t.Errorf("%s, %v", policy, err)
	}
	delete(signed.Fields, "policy")
	fields := map[string]string{"key": "in/${filename}", "x-amz-date": "20260102T030405Z", "x-amz-meta-by": "<\"a\">", "Content-Type": "image/"}
	if !reflect.DeepEqual(signed, backend.Presigned{
		URL: "https://mem.invalid/bucket", Method: "POST", Header: map[string]string{}, Fields: fields, Expires: now.Add(time.Minute), Shortened: true,
	}) {
		t.Errorf("%+v", signed)
	}
	for name, change := range map[string]func(in *backend.PostInput){
		"no key":    func(in *backend.PostInput) { in.Object.Key, in.Prefix = "", false },
		"no UTF-8":  func(in *backend.PostInput) { in.Object.Key = "\xff" },
		"replaced":  func(in *backend.PostInput) { in.Object.Key = "a${filename}" },
		"no time":   func(in *backend.PostInput) { in.Expires = 0 },
		"own field": func(in *backend.PostInput) { in.Exact = map[string]string{"Policy": "x"} },
		"no name":   func(in *backend.PostInput) { in.Exact = map[string]string{"a b": "x"} },
		"no value":  func(in *backend.PostInput) { in.Exact = map[string]string{"a": "\xff"} },
		"twice":     func(in *backend.PostInput) { in.Exact = map[string]string{"Content-Type": "x"} },
		"length":    func(in *backend.PostInput) { in.Length = &backend.LengthRange{Min: 2, Max: 1} },
	} {
		wrong := in
		change(&wrong)
		if _, err := s.PresignPost(ctx, wrong); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatCanBeSigned: neither headers nor parameters may be those of the signature.
func TestWhatCanBeSigned(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	in := backend.PresignInput{
		Method: "POST", Object: backend.ObjectID{Bucket: testBucket, Key: "a"}, Expires: time.Hour,
		Parameters: map[string]string{"uploads": ""}, Header: map[string]string{"Content-Type": "a/b"},
	}
	signed, err := s.Presign(ctx, in)
	if err != nil || !strings.Contains(signed.URL, "&uploads=") || signed.Header["Content-Type"] != "a/b" || signed.Shortened {
		t.Errorf("%+v, %v", signed, err)
	}
	for _, name := range []string{"", "X-Amz-Date", "versionID", "response-content-type"} {
		in.Parameters = map[string]string{name: "x"}
		_, err := s.Presign(ctx, in)
		wantKind(t, err, backend.KindInvalid)
	}
	in.Parameters = nil
	for name, value := range map[string]string{"": "x", "a b": "x", "Host": "x", "X-Amz-Date": "x", "x-amz-meta-a": "x\ny", "x-amz-meta-b": " "} {
		in.Header = map[string]string{name: value}
		_, err := s.Presign(ctx, in)
		wantKind(t, err, backend.KindInvalid)
	}
}

func TestBucketSettings(t *testing.T) {
	t.Parallel()
	s, ctx := New(), context.Background()
	s.ConfigureBucket(testBucket, func(b *BucketSettings) {
		b.Public, b.Region, b.Tags, b.Replication, b.Versioning = true, "eu-north-1", map[string]string{"a": "b"}, "PENDING", "Enabled"
	})
	put(t, s, "a", []byte("one"))
	obj := put(t, s, "a", []byte("second"))
	if obj.Replication != "PENDING" {
		t.Errorf("%+v", obj)
	}
	region, err := s.BucketRegion(ctx, testBucket)
	public, err2 := s.BucketPublic(ctx, testBucket)
	tags, err3 := s.BucketTags(ctx, testBucket)
	size, count, err4 := s.BucketUsage(ctx, testBucket)
	if err != nil || err2 != nil || err3 != nil || err4 != nil || region != "eu-north-1" || !public || !maps.Equal(tags, map[string]string{"a": "b"}) || size != 9 || count != 2 {
		t.Errorf("%q %t %v %d %d: %v %v %v %v", region, public, tags, size, count, err, err2, err3, err4)
	}
}

// TestWrapperPassesEveryRole: each method of the interface goes through a hook once (but for
// what is no request) and reaches the store with its arguments.
func TestWrapperPassesEveryRole(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := New(testBucket)
	s.Configure(func(cfg *Settings) {
		cfg.Archive, cfg.UpdateEncryption, cfg.Annotations, cfg.Capabilities.ObjectLock = true, true, true, true
	})
	obj, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Properties: backend.Properties{StorageClass: "GLACIER"}})
	if err != nil {
		t.Fatal(err)
	}
	f := Faulty(s)
	c := Counting(f)
	id, v := obj.ID(), obj.VersionID
	steps := []struct {
		op string
		do func() error
	}{
		{"GetObjectTagging", func() error { _, err := c.Tags(ctx, id, v); return err }},
		{"PutObjectTagging", func() error { return c.PutTags(ctx, id, v, map[string]string{"a": "b"}) }},
		{"DeleteObjectTagging", func() error { return c.PutTags(ctx, id, v, nil) }},
		{"GetObjectRetention", func() error { _, err := c.Lock(ctx, id, v); return err }},
		{"PutObjectRetention", func() error { return c.SetRetention(ctx, id, v, backend.Retention{}, false) }},
		{"PutObjectLegalHold", func() error { return c.SetLegalHold(ctx, id, v, false) }},
		{"ListObjectVersions", func() error {
			_, err := c.ListVersions(ctx, backend.ListVersionsInput{Bucket: testBucket, Prefix: "a"})
			return err
		}},
		{"GetObjectAttributes", func() error { _, err := c.Describe(ctx, id, v); return err }},
		{"GetObjectAcl", func() error { _, err := c.Owner(ctx, id, v); return err }},
		{"RestoreObject", func() error { return c.Restore(ctx, id, v, 1, "") }},
		{"UpdateObjectEncryption", func() error { return c.UpdateEncryption(ctx, id, v, backend.Encryption{Algorithm: "aws:kms"}) }},
		{"PutObjectAnnotation", func() error { return c.PutAnnotation(ctx, id, v, "n", []byte("x")) }},
		{"ListObjectAnnotations", func() error { _, err := c.Annotations(ctx, id, v); return err }},
		{"GetObjectAnnotation", func() error { _, err := c.Annotation(ctx, id, v, "n"); return err }},
		{"DeleteObjectAnnotation", func() error { return c.DeleteAnnotation(ctx, id, v, "n") }},
		{"GetBucketVersioning", func() error { _, err := c.BucketVersioning(ctx, testBucket); return err }},
		{"PutBucketVersioning", func() error { return c.SetBucketVersioning(ctx, testBucket, "Enabled") }},
		{"GetBucketLocation", func() error { _, err := c.BucketRegion(ctx, testBucket); return err }},
		{"GetObjectLockConfiguration", func() error { _, err := c.BucketLock(ctx, testBucket); return err }},
		{"GetBucketEncryption", func() error { _, err := c.BucketEncryption(ctx, testBucket); return err }},
		{"GetBucketPolicyStatus", func() error { _, err := c.BucketPublic(ctx, testBucket); return err }},
		{"GetBucketTagging", func() error { _, err := c.BucketTags(ctx, testBucket); return err }},
		{"PutBucketTagging", func() error { return c.PutBucketTags(ctx, testBucket, map[string]string{"a": "b"}) }},
		{"DeleteBucketTagging", func() error { return c.PutBucketTags(ctx, testBucket, nil) }},
		{"HeadBucket", func() error { _, _, err := c.BucketUsage(ctx, testBucket); return err }},
		{"DeleteObjects", func() error { // last: it removes the version
			results, err := c.DeleteVersions(ctx, testBucket, []backend.VersionID{{Key: "a", VersionID: v}}, false)
			if err == nil {
				err = results[0].Err
			}
			return err
		}},
	}
	for _, step := range steps {
		c.Reset()
		rule := f.Add(Rule{Op: step.op, Times: 1, Do: []Action{Fail(backend.KindNoSpace)}})
		wantKind(t, step.do(), backend.KindNoSpace)
		rule.Remove()
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.op, err)
		}
		if got := c.Requests(); !maps.Equal(got, map[string]int{step.op: 2}) {
			t.Errorf("%s: %v", step.op, got)
		}
	}
	c.Reset()
	if _, err := c.Select(ctx, backend.SelectInput{Object: id}, io.Discard); !backend.IsKind(err, backend.KindUnsupported) || c.Requests()["SelectObjectContent"] != 1 {
		t.Errorf("%v, %v", err, c)
	}
	c.Reset()
	if _, err := c.Presign(ctx, backend.PresignInput{Method: "GET", Object: id, Expires: time.Hour}); err != nil || c.Total() != 0 {
		t.Errorf("%v, %v", err, c)
	}
	if _, err := c.ObjectURL(ctx, id); err != nil || c.Total() != 0 {
		t.Errorf("%v, %v", err, c)
	}
}

// TestRefusedVersions: RefuseKeys leaves versions alone as it does keys.
func TestRefusedVersions(t *testing.T) {
	t.Parallel()
	s, ctx := configured(func(cfg *Settings) { cfg.Capabilities.Versioned = true }), context.Background()
	f := Faulty(s, Rule{Op: "DeleteObjects", Do: []Action{RefuseKeys(backend.KindPermission, func(key string) bool { return key == "b" })}})
	var ids []backend.VersionID
	for _, key := range []string{"a", "b", "c"} {
		ids = append(ids, backend.VersionID{Key: key, VersionID: put(t, s, key, nil).VersionID})
	}
	results, err := f.DeleteVersions(ctx, testBucket, ids, false)
	if err != nil || len(results) != 3 || results[0].Err != nil || results[2].Err != nil || results[2].Key != "c" {
		t.Fatalf("%v, %v", results, err)
	}
	wantKind(t, results[1].Err, backend.KindPermission)
	if got := versionsOf(t, s, ""); !slices.Equal(got, []string{"b " + ids[1].VersionID + " latest=true marker=false"}) {
		t.Errorf("%q", got)
	}
}
