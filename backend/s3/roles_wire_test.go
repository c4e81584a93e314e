package s3

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// asAmazon makes a fake that is taken for Amazon.
func asAmazon(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (*Store, *fake) {
	t.Helper()
	store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) { answer(w, r) })
	store.vendor.Store(vendors[vendorAWS])
	return store, f
}

// says answers with a text.
func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

var (
	aKey   = backend.ObjectID{Bucket: "bucket", Key: "a key"}
	aLock  = backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: time.Date(2030, 1, 2, 3, 4, 4, 1, time.UTC)}, LegalHold: true}
	aQuery = backend.SelectInput{Object: aKey, Expression: "SELECT * FROM S3Object", Input: "CSV", Output: "JSON"}
)

// roleOperations are the requests that name what only some stores have, and how Amazon gets them.
var roleOperations = map[string]struct {
	do     func(context.Context, *Store) error
	method string
	path   string
	query  []string          // parts of it
	header map[string]string // some of it
	body   []string          // parts of it
	reads  bool              // an answer without text is none
}{
	"Tags": {do: func(ctx context.Context, s *Store) error { return errOf(s.Tags(ctx, aKey, "v1")) },
		method: "GET", query: []string{"tagging", "versionId=v1"}, reads: true},
	"PutTags": {do: func(ctx context.Context, s *Store) error {
		return s.PutTags(ctx, aKey, "v1", map[string]string{"k": "v"})
	},
		method: "PUT", query: []string{"tagging", "versionId=v1"}, body: []string{"<Tag><Key>k</Key><Value>v</Value></Tag>"}, header: map[string]string{"Content-Md5": "*"}},
	"PutTags, none": {do: func(ctx context.Context, s *Store) error { return s.PutTags(ctx, aKey, "", nil) }, method: "DELETE", query: []string{"tagging"}},
	"SetRetention": {do: func(ctx context.Context, s *Store) error {
		return s.SetRetention(ctx, aKey, "v1", aLock.Retention, true)
	},
		method: "PUT", query: []string{"retention", "versionId=v1"}, header: map[string]string{bypassHeader: "true", "Content-Md5": "*"},
		body: []string{"<Mode>GOVERNANCE</Mode>", "<RetainUntilDate>2030-01-02T03:04:05Z</RetainUntilDate>"}},
	"SetRetention, none": {do: func(ctx context.Context, s *Store) error {
		return s.SetRetention(ctx, aKey, "", backend.Retention{}, false)
	},
		method: "PUT", query: []string{"retention"}, header: map[string]string{bypassHeader: ""}, body: []string{"></Retention>"}},
	"SetLegalHold": {do: func(ctx context.Context, s *Store) error { return s.SetLegalHold(ctx, aKey, "v1", true) },
		method: "PUT", query: []string{"legal-hold", "versionId=v1"}, body: []string{"<Status>ON</Status>"}},
	"SetLegalHold, off": {do: func(ctx context.Context, s *Store) error { return s.SetLegalHold(ctx, aKey, "", false) },
		method: "PUT", query: []string{"legal-hold"}, body: []string{"<Status>OFF</Status>"}},
	"ListVersions": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.ListVersions(ctx, backend.ListVersionsInput{Bucket: "bucket", Prefix: "p &", Delimiter: "/", KeyMarker: "k+", VersionMarker: "v/1", MaxKeys: 5}))
	}, method: "GET", path: "/bucket", query: []string{"versions=", "encoding-type=url", "prefix=p%20%26", "delimiter=%2F", "key-marker=k%2B", "version-id-marker=v%2F1", "max-keys=5"}, reads: true},
	"DeleteVersions": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.DeleteVersions(ctx, "bucket", []backend.VersionID{{Key: "a&b", VersionID: "v1"}}, true))
	}, method: "POST", path: "/bucket", query: []string{"delete"}, header: map[string]string{bypassHeader: "true"},
		body: []string{"<Object><Key>a&amp;b</Key><VersionId>v1</VersionId></Object>", "<Quiet>true</Quiet>"}},
	"Delete with bypass": {do: func(ctx context.Context, s *Store) error {
		return s.Delete(ctx, backend.DeleteInput{Bucket: "bucket", Key: "a key", VersionID: "v1", BypassGovernance: true})
	}, method: "DELETE", query: []string{"versionId=v1"}, header: map[string]string{bypassHeader: "true"}},
	"Put with a lock": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.Put(ctx, backend.PutInput{Bucket: "bucket", Key: "a key", Body: strings.NewReader("x"), Size: 1, CRC64NVME: "AAAAAAAAAAA=", Properties: backend.Properties{Lock: aLock}}))
	}, method: "PUT", header: map[string]string{lockModeHeader: "GOVERNANCE", lockUntilHeader: "2030-01-02T03:04:05Z", legalHoldHeader: "ON", checksumHeader: "AAAAAAAAAAA="}},
	"Put with a lock and no checksum": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.Put(ctx, backend.PutInput{Bucket: "bucket", Key: "a key", Body: strings.NewReader(""), Properties: backend.Properties{Lock: aLock}}))
	}, method: "PUT", header: map[string]string{legalHoldHeader: "ON", checksumHeader: "AAAAAAAAAAA="}},
	"CreateUpload with a lock": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: "bucket", Key: "a key", Properties: backend.Properties{Lock: aLock}}))
	}, method: "POST", query: []string{"uploads"}, reads: true,
		header: map[string]string{lockModeHeader: "GOVERNANCE", lockUntilHeader: "2030-01-02T03:04:05Z", legalHoldHeader: "ON"}},
	"Copy with a lock": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.Copy(ctx, backend.CopyInput{Bucket: "bucket", Key: "a key", Source: backend.Source{Bucket: "bucket", Key: "a key"}, Replace: &backend.Properties{Lock: aLock}}))
	}, method: "PUT", header: map[string]string{lockModeHeader: "GOVERNANCE", lockUntilHeader: "2030-01-02T03:04:05Z", legalHoldHeader: "ON", "X-Amz-Metadata-Directive": "REPLACE"}, reads: true},
	"Restore": {do: func(ctx context.Context, s *Store) error { return s.Restore(ctx, aKey, "v1", 7, "Bulk") },
		method: "POST", query: []string{"restore", "versionId=v1"}, body: []string{"<Days>7</Days>", "<Tier>Bulk</Tier>"}},
	"UpdateEncryption": {do: func(ctx context.Context, s *Store) error {
		return s.UpdateEncryption(ctx, aKey, "v1", backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "arn:aws:kms:eu-west-1:1:key/k", BucketKey: true})
	}, method: "PUT", query: []string{"encryption", "versionId=v1"}, body: []string{"arn:aws:kms:eu-west-1:1:key/k", "<BucketKeyEnabled>true</BucketKeyEnabled>"}},
	"Annotations": {do: func(ctx context.Context, s *Store) error { return errOf(s.Annotations(ctx, aKey, "v1")) },
		method: "GET", query: []string{"annotation", "versionId=v1", "x-id=ListObjectAnnotations"}, reads: true},
	"Annotation": {do: func(ctx context.Context, s *Store) error { return errOf(s.Annotation(ctx, aKey, "v1", "a note")) },
		method: "GET", query: []string{"annotation", "annotationName=a%20note", "versionId=v1"}},
	"PutAnnotation": {do: func(ctx context.Context, s *Store) error {
		return s.PutAnnotation(ctx, aKey, "v1", "a note", []byte("text"))
	},
		method: "PUT", query: []string{"annotation", "annotationName=a%20note", "versionId=v1"}, body: []string{"text"}, header: map[string]string{checksumHeader: "*", "Content-Encoding": ""}},
	"DeleteAnnotation": {do: func(ctx context.Context, s *Store) error { return s.DeleteAnnotation(ctx, aKey, "v1", "a note") },
		method: "DELETE", query: []string{"annotation", "annotationName=a%20note", "versionId=v1"}},
	"BucketVersioning": {do: func(ctx context.Context, s *Store) error { return errOf(s.BucketVersioning(ctx, "bucket")) },
		method: "GET", path: "/bucket", query: []string{"versioning"}, reads: true},
	"SetBucketVersioning": {do: func(ctx context.Context, s *Store) error { return s.SetBucketVersioning(ctx, "bucket", "Suspended") },
		method: "PUT", path: "/bucket", query: []string{"versioning"}, body: []string{"<Status>Suspended</Status>"}},
	"BucketLock": {do: func(ctx context.Context, s *Store) error { return errOf(s.BucketLock(ctx, "bucket")) },
		method: "GET", path: "/bucket", query: []string{"object-lock"}, reads: true},
	"BucketEncryption": {do: func(ctx context.Context, s *Store) error { return errOf(s.BucketEncryption(ctx, "bucket")) },
		method: "GET", path: "/bucket", query: []string{"encryption"}, reads: true},
	"BucketPublic": {do: func(ctx context.Context, s *Store) error { return errOf(s.BucketPublic(ctx, "bucket")) },
		method: "GET", path: "/bucket", query: []string{"policyStatus"}, reads: true},
	"BucketTags": {do: func(ctx context.Context, s *Store) error { return errOf(s.BucketTags(ctx, "bucket")) },
		method: "GET", path: "/bucket", query: []string{"tagging"}, reads: true},
	"PutBucketTags": {do: func(ctx context.Context, s *Store) error {
		return s.PutBucketTags(ctx, "bucket", map[string]string{"k": "v"})
	},
		method: "PUT", path: "/bucket", query: []string{"tagging"}, body: []string{"<Key>k</Key><Value>v</Value>"}, header: map[string]string{"Content-Md5": "*"}},
	"PutBucketTags, none": {do: func(ctx context.Context, s *Store) error { return s.PutBucketTags(ctx, "bucket", nil) },
		method: "DELETE", path: "/bucket", query: []string{"tagging"}},
	"ACL of a bucket": {do: func(ctx context.Context, s *Store) error {
		return errOf(s.ACL(ctx, backend.ObjectID{Bucket: "bucket"}, ""))
	}, method: "GET", path: "/bucket", query: []string{"acl"}, reads: true},
	"ACL": {do: func(ctx context.Context, s *Store) error { return errOf(s.ACL(ctx, aKey, "v1")) },
		method: "GET", query: []string{"acl", "versionId=v1"}, reads: true},
	"SetACL of a bucket": {do: func(ctx context.Context, s *Store) error {
		return s.SetACL(ctx, backend.ObjectID{Bucket: "bucket"}, "", "public-read")
	}, method: "PUT", path: "/bucket", query: []string{"acl"}, header: map[string]string{"X-Amz-Acl": "public-read"}},
	"SetACL": {do: func(ctx context.Context, s *Store) error { return s.SetACL(ctx, aKey, "v1", "authenticated-read") },
		method: "PUT", query: []string{"acl", "versionId=v1"}, header: map[string]string{"X-Amz-Acl": "authenticated-read"}},
	"AllowACLs": {do: func(ctx context.Context, s *Store) error { return s.AllowACLs(ctx, "bucket") },
		method: "PUT", path: "/bucket", query: []string{"ownershipControls"}, body: []string{"<ObjectOwnership>BucketOwnerPreferred</ObjectOwnership>"}, header: map[string]string{"Content-Md5": "*"}},
	"Select": {do: func(ctx context.Context, s *Store) error { return errOf(s.Select(ctx, aQuery, io.Discard)) },
		method: "POST", query: []string{"select", "select-type=2"}, body: []string{"<Expression>SELECT * FROM S3Object</Expression>"}, reads: true},
	"Lock": {do: func(ctx context.Context, s *Store) error { return errOf(s.Lock(ctx, aKey, "v1")) }},
}

// TestRolesOnTheWire: every request has the form that Amazon's documents give it.
func TestRolesOnTheWire(t *testing.T) {
	t.Parallel()
	for name, op := range roleOperations {
		if op.method == "" {
			continue // more than one request
		}
		store, f := asAmazon(t, says(""))
		if err := op.do(t.Context(), store); err != nil && !op.reads {
			t.Errorf("%s: %v", name, err)
		}
		r := f.only(t)
		path, _, _ := strings.Cut(r.path, "?")
		want := op.path
		if want == "" {
			want = "/bucket/a%20key"
		}
		if r.method != op.method || strings.TrimSuffix(path, "/") != want {
			t.Errorf("%s: %s %s", name, r.method, r.path)
		}
		for _, part := range op.query {
			if !strings.Contains("&"+strings.ReplaceAll(r.query, "+", "%20"), "&"+part) {
				t.Errorf("%s: query %q, want %q", name, r.query, part)
			}
		}
		for _, part := range op.body {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s: body %q, want %q", name, r.body, part)
			}
		}
		for header, value := range op.header {
			if got := r.header.Get(header); got != value && (value != "*" || got == "") {
				t.Errorf("%s: %s: %q, want %q", name, header, got, value)
			}
		}
	}
}

// TestRolesOfUnknownStores: nothing is sent to a store that might take it for a request about the
// object or the bucket itself.
func TestRolesOfUnknownStores(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, ok)
	for name, op := range roleOperations {
		if err := op.do(t.Context(), store); !backend.IsKind(err, backend.KindUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := store.BucketUsage(t.Context(), "bucket"); !backend.IsKind(err, backend.KindUnsupported) {
		t.Errorf("BucketUsage: %v", err)
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests: %+v", n, f.requests())
	}
}

// TestRolesWithoutNames: an empty key never makes a request about an object one about its bucket.
func TestRolesWithoutNames(t *testing.T) {
	t.Parallel()
	store, f := asAmazon(t, says(""))
	ctx, none := t.Context(), backend.ObjectID{Bucket: "bucket"}
	for name, err := range map[string]error{
		"Tags": errOf(store.Tags(ctx, none, "")), "PutTags": store.PutTags(ctx, none, "", nil), "Lock": errOf(store.Lock(ctx, none, "")),
		"SetRetention": store.SetRetention(ctx, none, "", backend.Retention{}, false), "SetLegalHold": store.SetLegalHold(ctx, none, "", false),
		"Describe": errOf(store.Describe(ctx, none, "")), "Owner": errOf(store.Owner(ctx, none, "")), "Restore": store.Restore(ctx, none, "", 1, ""),
		"UpdateEncryption": store.UpdateEncryption(ctx, none, "", backend.Encryption{}), "Annotations": errOf(store.Annotations(ctx, none, "")),
		"DeleteAnnotation": store.DeleteAnnotation(ctx, none, "", "n"), "Presign": errOf(store.Presign(ctx, backend.PresignInput{Method: "GET", Object: none, Expires: time.Hour})),
		"PresignPost": errOf(store.PresignPost(ctx, backend.PostInput{Object: none, Expires: time.Hour})),
		"ObjectURL":   errOf(store.ObjectURL(ctx, none)), "Select": errOf(store.Select(ctx, backend.SelectInput{Object: none}, io.Discard)),
		"ListVersions":   errOf(store.ListVersions(ctx, backend.ListVersionsInput{})),
		"DeleteVersions": errOf(store.DeleteVersions(ctx, "bucket", []backend.VersionID{{Key: "k"}}, false)),
		"PutBucketTags":  store.PutBucketTags(ctx, "", nil), "BucketRegion": errOf(store.BucketRegion(ctx, "")),
	} {
		if !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests: %+v", n, f.requests())
	}
}

// TestVersionsInOrder: versions and delete markers come in the order of the document.
func TestVersionsInOrder(t *testing.T) {
	t.Parallel()
	store, _ := asAmazon(t, says(`<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix/><EncodingType>url</EncodingType>
		<IsTruncated>true</IsTruncated><NextKeyMarker>b+%2B</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>
		<DeleteMarker><Key>a+%2B</Key><VersionId>m1</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-02T03:04:05.678Z</LastModified><Owner><ID>id</ID></Owner></DeleteMarker>
		<Version><Key>a+%2B</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-02T03:04:04Z</LastModified><ETag>&quot;e1&quot;</ETag><Size>7</Size>
		<StorageClass>GLACIER</StorageClass><Owner><ID>id</ID><DisplayName>name</DisplayName></Owner></Version>
		<DeleteMarker><Key>a+%2B</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-02T03:04:03Z</LastModified></DeleteMarker>
		<CommonPrefixes><Prefix>b%2F</Prefix></CommonPrefixes></ListVersionsResult>`))
	page, err := store.ListVersions(t.Context(), backend.ListVersionsInput{Bucket: "bucket"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	object := func(id string, back time.Duration) backend.Object {
		return backend.Object{Bucket: "bucket", Key: "a +", VersionID: id, TagCount: -1, LastModified: at.Add(-back)}
	}
	version := object("v1", 1678*time.Millisecond)
	version.ETag, version.Size, version.StorageClass = "e1", 7, "GLACIER"
	want := backend.VersionPage{Prefixes: []string{"b/"}, More: true, NextKey: "b +", NextVersion: "v9", Versions: []backend.Version{
		{Object: object("m1", 0), DeleteMarker: true, Latest: true, Owner: "id"}, {Object: version, Owner: "name"},
		{Object: object("null", 2678*time.Millisecond), DeleteMarker: true},
	}}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Error(diff)
	}
	_, err = store.ListVersions(t.Context(), backend.ListVersionsInput{Bucket: "bucket", KeyMarker: "b +", VersionMarker: "v9"})
	if !backend.IsKind(err, backend.KindOther) {
		t.Errorf("a page that goes on where it began: %v", err)
	}
}
