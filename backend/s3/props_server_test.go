package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// TestPutTagsOnServers: of the version that was meant, and of no other.
func TestPutTagsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if !vendors[srv.name].tags {
			err := store.PutTags(t.Context(), backend.ObjectID{Bucket: bucket, Key: "k"}, "", map[string]string{"a": "b"})
			if !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("a store without tags: %v", err)
			}
			return
		}
		enableVersions(t, store, bucket)
		ctx, id := t.Context(), backend.ObjectID{Bucket: bucket, Key: "dir/k é+"}
		put := func() backend.Object {
			obj, err := store.Put(ctx, backend.PutInput{Bucket: bucket, Key: id.Key, Body: strings.NewReader("x"), Size: 1})
			if err != nil {
				t.Fatal(err)
			}
			return obj
		}
		first, second := put(), put()
		is := func(version string, want map[string]string) {
			t.Helper()
			tags, err := store.Tags(ctx, id, version)
			if err != nil || fmt.Sprint(tags) != fmt.Sprint(want) {
				t.Errorf("%v, %v; want %v", tags, err, want)
			}
			obj, err := store.Head(ctx, id, backend.GetOptions{VersionID: version})
			if err != nil || obj.TagCount != len(want) {
				t.Errorf("%d tags, %v; want %d", obj.TagCount, err, len(want))
			}
		}
		old, now := map[string]string{"of": "the first"}, map[string]string{"key one": "a value + = - _ : / @", "two": ""}
		if err := store.PutTags(ctx, id, first.VersionID, old); err != nil {
			t.Fatal(err)
		}
		if err := store.PutTags(ctx, id, "", now); err != nil {
			t.Fatal(err)
		}
		is(first.VersionID, old)
		is(second.VersionID, now)
		is("", now)
		if obj, err := store.Head(ctx, id, backend.GetOptions{}); err != nil || obj.ETag != second.ETag || obj.VersionID != second.VersionID {
			t.Errorf("tags have changed the object: %+v, %v", obj, err)
		}
		for range 2 {
			if err := store.PutTags(ctx, id, "", nil); err != nil {
				t.Fatal(err)
			}
			is("", map[string]string{})
		}
		is(first.VersionID, old)
		eleven := make(map[string]string)
		for i := range 11 {
			eleven[fmt.Sprint(i)] = "x"
		}
		if err := store.PutTags(ctx, id, "", eleven); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("eleven tags: %v", err)
		}
		for _, tags := range []map[string]string{nil, old} {
			if err := store.PutTags(ctx, backend.ObjectID{Bucket: bucket, Key: "none"}, "", tags); !backend.IsKind(err, backend.KindNotExist) {
				t.Errorf("tags of nothing: %v", err)
			}
		}
		purge(t, store, bucket, false)
	})
}

// TestDescribeOnServers: checksums of all kinds, parts and the owner.
func TestDescribeOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		known := vendors[srv.name]
		ctx, content := t.Context(), []byte("some content")
		sum := sha256.Sum256(content)
		want := base64.StdEncoding.EncodeToString(sum[:])
		if _, err := store.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: ptr("whole"), Body: bytes.NewReader(content), ChecksumSHA256: &want}); err != nil {
			t.Fatal(err)
		}
		whole, parts := backend.ObjectID{Bucket: bucket, Key: "whole"}, backend.ObjectID{Bucket: bucket, Key: "parts"}
		d, err := store.Describe(ctx, whole, "")
		if err != nil || d.Parts != 0 || d.PartSize != 0 || known.checksums && (d.Checksums["sha256"] != want || d.ChecksumType == "COMPOSITE") {
			t.Errorf("whole: %+v, %v", d, err)
		}
		const size = 5 << 20
		putParts(t, store, parts, known.checksums, bytes.Repeat([]byte{1}, size), []byte{2})
		d, err = store.Describe(ctx, parts, "")
		if err != nil || d.Parts != 2 || known.partHeads && d.PartSize != size ||
			known.checksums && (!strings.HasSuffix(d.Checksums["sha256"], "-2") || d.ChecksumType != "COMPOSITE") {
			t.Errorf("in parts: %+v, %v", d, err)
		}
		owner, err := store.Owner(ctx, whole, "")
		if err != nil || owner == "" {
			t.Errorf("owner: %q, %v", owner, err)
		}
		if known.listing {
			if one, err := store.Owner(ctx, whole, backend.NullVersion); err != nil || one != owner {
				t.Errorf("owner of a version: %q, %v; want %q", one, err, owner)
			}
		}
		none := backend.ObjectID{Bucket: bucket, Key: "who"} // a prefix of one that is there
		if _, err := store.Describe(ctx, none, ""); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := store.Owner(ctx, none, ""); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("owner of nothing: %v", err)
		}
		if err := store.Restore(ctx, whole, "", 1, "Bulk"); !backend.IsKind(err, backend.KindInvalid) && !backend.IsKind(err, backend.KindUnsupported) {
			t.Errorf("restoring what is not archived: %v", err)
		}
		for _, id := range []backend.ObjectID{whole, parts} {
			if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: id.Key}); err != nil {
				t.Error(err)
			}
		}
	})
}

// putParts uploads an object in parts, with checksums or without.
func putParts(t *testing.T, store *Store, id backend.ObjectID, checksums bool, parts ...[]byte) {
	t.Helper()
	create := &awss3.CreateMultipartUploadInput{Bucket: &id.Bucket, Key: &id.Key}
	if checksums {
		create.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
	}
	up, err := store.client.CreateMultipartUpload(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	var done types.CompletedMultipartUpload
	for n, part := range parts {
		sum := sha256.Sum256(part)
		text, number := base64.StdEncoding.EncodeToString(sum[:]), int32(n+1)
		in := &awss3.UploadPartInput{Bucket: &id.Bucket, Key: &id.Key, UploadId: up.UploadId, PartNumber: &number, Body: bytes.NewReader(part)}
		one := types.CompletedPart{PartNumber: &number}
		if checksums {
			in.ChecksumSHA256, one.ChecksumSHA256 = &text, &text
		}
		out, err := store.client.UploadPart(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		one.ETag = out.ETag
		done.Parts = append(done.Parts, one)
	}
	if _, err := store.client.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: &id.Bucket, Key: &id.Key, UploadId: up.UploadId, MultipartUpload: &done,
	}); err != nil {
		t.Fatal(err)
	}
}

// TestPresignOnServers: whoever has the URL needs nothing else.
func TestPresignOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		id := backend.ObjectID{Bucket: bucket, Key: "dir/a b+c%25é&=?#~!'()*"}
		do := func(in backend.PresignInput, body string) (int, string, http.Header) {
			t.Helper()
			in.Object, in.Expires = id, time.Minute
			signed, err := store.Presign(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(signed.Expires); left > time.Minute || left < 50*time.Second || signed.Method != in.Method {
				t.Errorf("%+v", signed)
			}
			req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range signed.Header {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(text), resp.Header
		}
		if status, text, _ := do(backend.PresignInput{Method: http.MethodPut}, "first"); status != http.StatusOK {
			t.Fatalf("PUT: %d %s", status, text)
		}
		status, text, header := do(backend.PresignInput{Method: http.MethodGet, Query: map[string]string{"response-content-type": "text/x; a=b"}}, "")
		if status != http.StatusOK || text != "first" || header.Get("Content-Type") != "text/x; a=b" {
			t.Errorf("GET: %d %q %v", status, text, header)
		}
		if vendors[srv.name].listing {
			enableVersions(t, store, bucket)
			if _, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: id.Key, Body: strings.NewReader("second"), Size: 6}); err != nil {
				t.Fatal(err)
			}
			if status, text, _ := do(backend.PresignInput{Method: http.MethodGet, VersionID: backend.NullVersion}, ""); status != http.StatusOK || text != "first" {
				t.Errorf("GET of a version: %d %q", status, text)
			}
		}
		if status, _, _ := do(backend.PresignInput{Method: http.MethodHead}, ""); status != http.StatusOK {
			t.Errorf("HEAD: %d", status)
		}
		plain, err := store.ObjectURL(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.Get(plain.String()); err != nil {
			t.Error(err)
		} else if resp.Body.Close(); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("without a signature: %s", resp.Status)
		}
		if status, _, _ := do(backend.PresignInput{Method: http.MethodDelete}, ""); status != http.StatusNoContent {
			t.Errorf("DELETE: %d", status)
		}
		if _, err := store.Head(t.Context(), id, backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("deleted: %v", err)
		}
		if vendors[srv.name].listing {
			purge(t, store, bucket, false)
		}
	})
}

// supported holds an operation to what is known of a store, and reports whether it has answered.
func supported(t *testing.T, what string, has bool, err error) bool {
	t.Helper()
	if !has && !backend.IsKind(err, backend.KindUnsupported) || has && err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return err == nil
}

// TestBucketPropertiesOnServers: what was set is there, and what cannot be asked is KindUnsupported.
func TestBucketPropertiesOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		ctx, known := t.Context(), vendors[srv.name]
		status, err := store.BucketVersioning(ctx, bucket)
		if supported(t, "versioning", known.versions, err) && status != "" {
			t.Errorf("versioning: %q", status)
		}
		for _, want := range []string{"Enabled", "Suspended"} {
			if !supported(t, "set versioning", known.versions, store.SetBucketVersioning(ctx, bucket, want)) {
				continue
			}
			if status, err := store.BucketVersioning(ctx, bucket); err != nil || status != want {
				t.Errorf("versioning: %q, %v", status, err)
			}
		}
		if err := store.SetBucketVersioning(ctx, bucket, "Off"); known.versions && !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("no status: %v", err)
		}
		region, err := store.BucketRegion(ctx, bucket)
		if supported(t, "region", known.location, err) && region != map[string]string{vendorCeph: "default"}[known.name] && region != "us-east-1" {
			t.Errorf("region: %q", region)
		}
		lock, err := store.BucketLock(ctx, bucket)
		if supported(t, "lock", known.objectLock, err) && lock != (backend.BucketLock{}) {
			t.Errorf("lock: %+v", lock)
		}
		for _, want := range []map[string]string{{}, {"key one": "a + = b", "two": ""}, {"three": "3"}, {}} {
			if !supported(t, "set tags", known.bucketTags, store.PutBucketTags(ctx, bucket, want)) {
				break
			}
			if tags, err := store.BucketTags(ctx, bucket); err != nil || fmt.Sprint(tags) != fmt.Sprint(want) {
				t.Errorf("tags: %v, %v; want %v", tags, err, want)
			}
		}
		putBytes(t, store, bucket, "k", []byte("content"))
		bytes, objects, err := store.BucketUsage(ctx, bucket)
		if supported(t, "usage", known.usage, err) && (objects != 1 || bytes < 7) {
			t.Errorf("usage: %d bytes, %d objects", bytes, objects)
		}
		for what, err := range map[string]error{
			"region": errOf(store.BucketRegion(ctx, bucket+"-none")), "versioning": errOf(store.BucketVersioning(ctx, bucket+"-none")),
			"public": errOf(store.BucketPublic(ctx, bucket+"-none")),
		} {
			if !backend.IsKind(err, backend.KindNoBucket) && !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("%s of no bucket: %v", what, err)
			}
		}
		if known.listing {
			purge(t, store, bucket, false)
		} else {
			store.Delete(context.WithoutCancel(ctx), backend.DeleteInput{Bucket: bucket, Key: "k"})
		}
	})
}

// TestBucketRulesOnServers: encryption by default, and policies that open a bucket.
func TestBucketRulesOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		ctx, known := t.Context(), vendors[srv.name]
		hasEncryption := known.encryption && known.name != vendorVersityGW
		encryption, err := store.BucketEncryption(ctx, bucket)
		if supported(t, "encryption", hasEncryption, err) && encryption != (backend.Encryption{}) {
			t.Errorf("encryption: %+v", encryption)
		}
		if hasEncryption {
			rule := types.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}
			if _, err := store.client.PutBucketEncryption(ctx, &awss3.PutBucketEncryptionInput{Bucket: &bucket,
				ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{rule}}}); err != nil {
				t.Fatal(err)
			}
			if encryption, err := store.BucketEncryption(ctx, bucket); err != nil || encryption.Algorithm != "AES256" {
				t.Errorf("encryption: %+v, %v", encryption, err)
			}
		}
		public, err := store.BucketPublic(ctx, bucket)
		if !supported(t, "public", known.policies, err) {
			return
		}
		if public {
			t.Error("a new bucket is public")
		}
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + bucket + `/*"]}]}`
		if _, err := store.client.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		if public, err := store.BucketPublic(ctx, bucket); err != nil || !public {
			t.Errorf("public: %v, %v", public, err)
		}
	})
}

// TestAddressOfObject: in the path or in the host name, escaped as it is sent.
func TestAddressOfObject(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	id := backend.ObjectID{Bucket: "bucket", Key: "dir//a b+c%/é"}
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{Endpoint: "https://store.example:8443/base", PathStyle: &yes}, "https://store.example:8443/base/bucket/dir//a%20b%2Bc%25/%C3%A9"},
		{Config{Endpoint: "https://store.example", PathStyle: &no}, "https://bucket.store.example/dir//a%20b%2Bc%25/%C3%A9"},
		{Config{Region: "eu-central-1"}, "https://bucket.s3.eu-central-1.amazonaws.com/dir//a%20b%2Bc%25/%C3%A9"},
	} {
		store, err := Open(t.Context(), test.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		address, err := store.ObjectURL(t.Context(), id)
		if err != nil || address.String() != test.want {
			t.Errorf("%s, %v; want %s", address, err, test.want)
		}
		signed, err := store.Presign(t.Context(), backend.PresignInput{Method: http.MethodGet, Object: id, Expires: 8 * 24 * time.Hour, VersionID: "v/1"})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed.URL)
		if err != nil || !strings.HasPrefix(signed.URL, test.want+"?") || u.Query().Get("X-Amz-Expires") != "604800" || u.Query().Get("versionId") != "v/1" ||
			u.Query().Get("X-Amz-SignedHeaders") != "host" || time.Until(signed.Expires) > backend.MaxPresigned {
			t.Errorf("%+v, %v", signed, err)
		}
	}
}
