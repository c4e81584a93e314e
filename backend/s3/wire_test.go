package s3

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// ok answers with an ETag and nothing else.
func ok(_ int, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Etag", `"0123456789abcdef0123456789abcdef"`)
}

// wantHeaders checks some headers; "" means that there must be none.
func wantHeaders(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if have := got.Get(name); have != value {
			t.Errorf("%s: %q, want %q", name, have, value)
		}
	}
}

// plainBody are the headers of every body: no framing, no trailer, no waiting.
var plainBody = map[string]string{
	"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Encoding": "", "X-Amz-Trailer": "", "X-Amz-Decoded-Content-Length": "",
	"Expect": "", "X-Amz-Sdk-Checksum-Algorithm": "", "Transfer-Encoding": "",
}

func TestPutOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, ok)
	trusted := *unknownVendor
	trusted.encrypts = true // others are tried before
	store.vendor.Store(&trusted)
	content := strings.Repeat("0123456789", 300_000) // over the SDK's threshold for Expect
	sum, err := Checksum(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	in := putOf(content, backend.Condition{IfMatch: "fedcba"})
	in.Key, in.CRC64NVME = "dir//../a b+c%25ü", sum
	in.Properties = backend.Properties{
		Headers: backend.Headers{
			ContentType: "text/plain", CacheControl: "no-cache", ContentDisposition: "inline", ContentLanguage: "de",
			ContentEncoding: "", Expires: "never", WebsiteRedirect: "/x",
		},
		Metadata: map[string]string{"plain": "value", "text": "grüße", "blanks": " x "}, Tags: map[string]string{"a b": "c+d"},
		StorageClass: "STANDARD_IA", Encryption: backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "key", BucketKey: true},
	}
	if _, err := in.Body.Seek(5, io.SeekStart); err != nil { // wherever it stands
		t.Fatal(err)
	}
	obj, err := store.Put(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if obj.ETag != "0123456789abcdef0123456789abcdef" || obj.Size != in.Size {
		t.Errorf("%+v", obj)
	}
	r := f.only(t)
	if r.method != http.MethodPut || r.path != "/bucket/dir//../a%20b%2Bc%2525%C3%BC" || r.body != content || r.length != in.Size {
		t.Errorf("%s %s with %d bytes, Content-Length %d", r.method, r.path, len(r.body), r.length)
	}
	wantHeaders(t, r.header, plainBody)
	wantHeaders(t, r.header, map[string]string{
		"If-Match": "fedcba", "If-None-Match": "", "X-Amz-Checksum-Crc64nvme": sum, "Content-Type": "text/plain", "Cache-Control": "no-cache",
		"Content-Disposition": "inline", "Content-Language": "de", "Expires": "never", "X-Amz-Website-Redirect-Location": "/x",
		"X-Amz-Meta-Plain": "value", "X-Amz-Meta-Text": "=?UTF-8?b?Z3LDvMOfZQ==?=", "X-Amz-Meta-Blanks": "=?UTF-8?B?IHgg?=", "X-Amz-Tagging": "a%20b=c%2Bd",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
	})
}

func TestPutPlainOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, ok)
	for _, content := range []string{"", "x"} {
		if _, err := store.Put(t.Context(), putOf(content, backend.Condition{IfNoneMatch: true})); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range f.requests() {
		wantHeaders(t, r.header, map[string]string{
			"If-None-Match": "*", "If-Match": "", "X-Amz-Checksum-Crc64nvme": "", "X-Amz-Checksum-Crc32": "", "X-Amz-Trailer": "",
			"X-Amz-Storage-Class": "", "X-Amz-Tagging": "", "Expires": "",
		})
		if r.length != int64(i) {
			t.Errorf("Content-Length %d, want %d", r.length, i)
		}
	}
}

func TestPartOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, ok)
	if _, err := store.UploadPart(t.Context(), backend.PartInput{Bucket: "bucket", Key: "key", UploadID: "u+1", Number: 3,
		Body: strings.NewReader("part"), Size: 4, CRC64NVME: "AAAAAAAAAAA="}); err != nil {
		t.Fatal(err)
	}
	r := f.only(t)
	wantHeaders(t, r.header, plainBody)
	wantHeaders(t, r.header, map[string]string{"X-Amz-Checksum-Crc64nvme": "AAAAAAAAAAA="})
	if r.query != "partNumber=3&uploadId=u%2B1" || r.body != "part" {
		t.Errorf("query %q, body %q", r.query, r.body)
	}
}

func TestCopyOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
		result := "CopyObjectResult"
		if r.URL.Query().Has("partNumber") {
			result = "CopyPartResult"
		}
		io.WriteString(w, `<`+result+`><ETag>"new"</ETag><LastModified>2026-01-02T03:04:05Z</LastModified></`+result+`>`)
	})
	source := backend.Source{Bucket: "other", Key: "a b/c+d%/ü?x", ETag: "old", VersionID: "v/1"}
	obj, err := store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: "key", Source: source,
		Replace: &backend.Properties{Metadata: map[string]string{"m": "1"}}, Condition: backend.Condition{IfNoneMatch: true}})
	if err != nil || obj.ETag != "new" || obj.LastModified.IsZero() {
		t.Errorf("%+v, %v", obj, err)
	}
	part, err := store.CopyPart(t.Context(), backend.CopyPartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1, Source: source,
		Range: backend.Range{Off: 10, Len: 5}})
	if err != nil || part != (backend.Part{Number: 1, ETag: "new", Size: 5}) {
		t.Errorf("%+v, %v", part, err)
	}
	const want = "other/a%20b/c%2Bd%25/%C3%BC%3Fx?versionId=v%2F1"
	all := f.requests()
	wantHeaders(t, all[0].header, map[string]string{
		"X-Amz-Copy-Source": want, "X-Amz-Copy-Source-If-Match": "old", "X-Amz-Metadata-Directive": "REPLACE", "X-Amz-Meta-M": "1",
		"If-None-Match": "*", "X-Amz-Tagging-Directive": "", // not to a store that is not known to have tags
	})
	wantHeaders(t, all[1].header, map[string]string{
		"X-Amz-Copy-Source": want, "X-Amz-Copy-Source-If-Match": "old", "X-Amz-Copy-Source-Range": "bytes=10-14",
	})
}

func TestCompleteOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"whole-2"</ETag></CompleteMultipartUploadResult>`)
	})
	obj, err := store.CompleteUpload(t.Context(), backend.CompleteInput{Bucket: "bucket", Key: "key", UploadID: "u",
		Parts: []backend.Part{{Number: 1, ETag: "p1"}, {Number: 2, ETag: "p2"}}, Size: 7, Condition: backend.Condition{IfMatch: "e"}})
	if err != nil || obj.ETag != "whole-2" || obj.Size != 7 {
		t.Errorf("%+v, %v", obj, err)
	}
	r := f.only(t)
	wantHeaders(t, r.header, map[string]string{"If-Match": "e", "X-Amz-Checksum-Crc32": "", "X-Amz-Trailer": ""})
	if !strings.Contains(r.body, "<Part><ETag>p1</ETag><PartNumber>1</PartNumber></Part><Part><ETag>p2</ETag><PartNumber>2</PartNumber></Part>") {
		t.Errorf("body %s", r.body)
	}
}

func TestDeleteManyOnTheWire(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.WriteString(w, `<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>`+
				`<Error><Key>gone</Key><Code>NoSuchKey</Code></Error></DeleteResult>`)
		}
	})
	results, err := store.DeleteMany(t.Context(), "bucket", []string{"a", "b", "bad\x01key", "gone"})
	if err != nil || len(results) != 4 {
		t.Fatalf("%+v, %v", results, err)
	}
	for i, want := range []string{"a", "b", "bad\x01key", "gone"} {
		if r := results[i]; r.Key != want || want == "b" != backend.IsKind(r.Err, backend.KindPermission) || want != "b" && r.Err != nil {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	all := f.requests()
	if len(all) != 2 || all[0].method != http.MethodDelete || !strings.Contains(all[0].path, "bad%01key") {
		t.Fatalf("XML cannot carry control characters: %+v", all)
	}
	if strings.Contains(all[1].body, "bad") || all[1].header.Get("Content-Md5") == "" {
		t.Errorf("body %s, Content-MD5 %q", all[1].body, all[1].header.Get("Content-Md5"))
	}
}

func TestGetOnTheWire(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Etag", `"e1"`)
		h.Set("Date", date.Format(http.TimeFormat))
		h.Set("Last-Modified", date.Add(-time.Hour).Format(http.TimeFormat))
		h.Set("X-Amz-Meta-Text", "=?UTF-8?Q?gr=C3=BC=C3=9Fe?=")
		h.Set("X-Amz-Version-Id", "null")
		h.Set("X-Amz-Storage-Class", "STANDARD")
		h.Set("X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA=")
		h.Set("Expires", "0")
		if r.Header.Get("Range") != "" {
			h.Set("Content-Range", "bytes 5-9/20")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "56789")
			return
		}
		h.Set("Content-Length", "20")
		if r.Method == http.MethodGet {
			io.WriteString(w, strings.Repeat("x", 20))
		}
	})
	id := backend.ObjectID{Bucket: "bucket", Key: "key"}
	want := backend.Object{
		Bucket: "bucket", Key: "key", ETag: "e1", Size: 20, LastModified: date.Add(-time.Hour), Headers: backend.Headers{Expires: "0"},
		Metadata: map[string]string{"text": "grüße"}, HasMetadata: true, TagCount: -1, Fetched: date,
	}
	body, err := store.Get(t.Context(), id, backend.GetOptions{Range: &backend.Range{Off: 5, Len: 5}, IfMatch: "e1", VersionID: "v"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	body.Close()
	if string(data) != "56789" || err != nil || body.Range != (backend.Range{Off: 5, Len: 5}) {
		t.Errorf("%q, %v, %+v", data, err, body.Range)
	}
	want.Headers.ContentType = "text/plain; charset=utf-8" // guessed by the fake
	if diff := cmp.Diff(want, body.Object); diff != "" {
		t.Error(diff) // the checksum is not that of the range
	}
	head, err := store.Head(t.Context(), id, backend.GetOptions{IfNoneMatch: "e0", Range: &backend.Range{Off: 50, Len: 1}})
	want.Headers.ContentType, want.CRC64NVME = "", "AAAAAAAAAAA="
	if diff := cmp.Diff(want, head); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	all := f.requests()
	wantHeaders(t, all[0].header, map[string]string{"Range": "bytes=5-9", "If-Match": "e1", "X-Amz-Checksum-Mode": "", "Accept-Encoding": "identity"})
	wantHeaders(t, all[1].header, map[string]string{"Range": "", "If-None-Match": "e0", "X-Amz-Checksum-Mode": ""})
	if !strings.Contains(all[0].query, "versionId=v") {
		t.Errorf("query %s", all[0].query)
	}
}

// TestWrongRanges: a body never holds other bytes than it says.
func TestWrongRanges(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"ignored":       func(w http.ResponseWriter) { io.WriteString(w, "0123456789") },
		"another":       func(w http.ResponseWriter) { partial(w, "bytes 0-4/10", "01234") },
		"longer":        func(w http.ResponseWriter) { partial(w, "bytes 5-9/10", "56789") },
		"unknown total": func(w http.ResponseWriter) { partial(w, "bytes 5-7/*", "567") },
		"nonsense":      func(w http.ResponseWriter) { partial(w, "5", "567") },
	} {
		store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
		body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{Range: &backend.Range{Off: 5, Len: 3}})
		if err == nil {
			body.Close()
		}
		if !backend.IsKind(err, backend.KindUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0123456789") })
	body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{Range: &backend.Range{Len: 50}})
	if err != nil || body.Range != (backend.Range{Len: 10}) {
		t.Fatalf("a range that covers all may be answered with all: %v", err)
	}
	body.Close()
}

func partial(w http.ResponseWriter, contentRange, body string) {
	w.Header().Set("Content-Range", contentRange)
	w.WriteHeader(http.StatusPartialContent)
	io.WriteString(w, body)
}

func TestShortBody(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "20")
		io.WriteString(w, "0123456789")
		w.(http.Flusher).Flush()
		drop(w)
	})
	body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if string(data) != "0123456789" || !errors.Is(err, io.ErrUnexpectedEOF) || !backend.IsKind(err, backend.KindTransient) {
		t.Errorf("%q, %v", data, err)
	}
}

func TestListOnTheWire(t *testing.T) {
	t.Parallel()
	for encoding, name := range map[string]string{"<EncodingType>url</EncodingType>": "a+b%2Bc%25%01", "": "a b+c%"} {
		store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `<ListBucketResult>`+encoding+`<IsTruncated>true</IsTruncated><NextContinuationToken>t+2</NextContinuationToken>`+
				`<Contents><Key>`+name+`</Key><ETag>"e"</ETag><Size>7</Size><StorageClass>GLACIER</StorageClass>`+
				`<LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>`+
				`<CommonPrefixes><Prefix>`+name+`/</Prefix></CommonPrefixes></ListBucketResult>`)
		})
		page, err := store.List(t.Context(), backend.ListInput{Bucket: "bucket", Prefix: "p &", Delimiter: "/", StartAfter: "s+", MaxKeys: 5})
		if err != nil {
			t.Fatal(err)
		}
		want := "a b+c%"
		if encoding != "" {
			want += "\x01"
		}
		if o := page.Objects[0]; o.Key != want || o.ETag != "e" || o.Size != 7 || o.StorageClass != "GLACIER" || o.HasMetadata || !o.Fetched.IsZero() ||
			!o.LastModified.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)) {
			t.Errorf("%+v", o)
		}
		if page.Prefixes[0] != want+"/" || page.Next != "t+2" {
			t.Errorf("%+v", page)
		}
		if _, err := store.List(t.Context(), backend.ListInput{Bucket: "bucket", Token: "t+1", StartAfter: "ignored"}); err != nil {
			t.Fatal(err)
		}
		// A page that leads to itself would never end.
		if _, err := store.List(t.Context(), backend.ListInput{Bucket: "bucket", Token: "t+2"}); !backend.IsKind(err, backend.KindOther) {
			t.Errorf("a token that repeats: %v", err)
		}
		all := f.requests()
		if all[0].query != "delimiter=%2F&encoding-type=url&list-type=2&max-keys=5&prefix=p%20%26&start-after=s%2B" {
			t.Errorf("query %s", all[0].query)
		}
		if all[1].query != "continuation-token=t%2B1&encoding-type=url&list-type=2" {
			t.Errorf("query %s", all[1].query)
		}
	}
}

// TestVendorsOnTheWire: what only some stores get. The proxy sees the requests to any host.
func TestVendorsOnTheWire(t *testing.T) {
	var got seenRequest
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = seenRequest{method: r.Method, path: r.RequestURI, host: r.Host, header: r.Header.Clone()}
		io.Copy(io.Discard, r.Body)
		ok(0, w, r)
	}))
	t.Cleanup(proxy.Close)
	send := func(endpoint, region string, write bool) seenRequest {
		t.Helper()
		store, err := Open(t.Context(), Config{Endpoint: endpoint, Region: region, Proxy: proxy.URL})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		op := operations["Head"]
		if write {
			op = operations["PutIfMatch"]
		}
		if err := op(t.Context(), store); err != nil {
			t.Fatalf("%s: %v", endpoint, err)
		}
		return got
	}
	aws := send("http://s3.eu-west-1.amazonaws.com", "eu-west-1", false)
	wantHeaders(t, aws.header, map[string]string{"X-Amz-Checksum-Mode": "ENABLED"})
	if aws.host != "bucket.s3.eu-west-1.amazonaws.com" || !strings.HasPrefix(aws.path, "http://bucket.s3.eu-west-1.amazonaws.com/key") {
		t.Errorf("Amazon: host %s, path %s", aws.host, aws.path)
	}
	if auth := aws.header.Get("Authorization"); !strings.Contains(auth, "/eu-west-1/s3/aws4_request") || !strings.Contains(auth, "accept-encoding") {
		t.Errorf("Amazon: %s", auth)
	}
	gcs := send("http://storage.googleapis.com", "", true)
	if auth := gcs.header.Get("Authorization"); strings.Contains(auth, "accept-encoding") || gcs.header.Get("Accept-Encoding") != "identity" {
		t.Errorf("Google: Accept-Encoding %q, %s", gcs.header.Get("Accept-Encoding"), auth)
	}
	if !strings.HasPrefix(gcs.path, "http://storage.googleapis.com/bucket/key") {
		t.Errorf("Google: %s", gcs.path)
	}
	wantHeaders(t, gcs.header, plainBody)
	other := send("http://s3.example.com:9000", "", false)
	if other.host != "s3.example.com:9000" || !strings.Contains(other.path, "/bucket/key") || !strings.Contains(other.header.Get("Authorization"), "/us-east-1/") {
		t.Errorf("other: host %s, path %s, %s", other.host, other.path, other.header.Get("Authorization"))
	}
}
