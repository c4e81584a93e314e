package s3

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// asVersityGW makes a fake whose answers are recognised as VersityGW's, and lets the store
// see one.
func asVersityGW(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (*Store, *fake) {
	t.Helper()
	store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "VERSITYGW")
		if r.URL.Path != "/bucket" {
			answer(w, r)
		}
	})
	if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	return store, f
}

// TestMixedReads: a body never comes with the ETag of another version, however the store
// mixes them up.
func TestMixedReads(t *testing.T) {
	t.Parallel()
	id := backend.ObjectID{Bucket: "bucket", Key: "key"}
	for name, c := range map[string]struct {
		age      time.Duration // of the object
		gets     []string      // the ETags of the GETs
		head     string
		want     string
		requests int // without the first
	}{
		"old objects need no look": {time.Minute, []string{"new"}, "new", "new", 1},
		"young ones do":            {0, []string{"new"}, "new", "new", 2},
		"a stale ETag":             {0, []string{"old", "new"}, "new", "new", 4},
	} {
		n := 0
		store, f := asVersityGW(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", time.Now().Add(-c.age).UTC().Format(http.TimeFormat))
			if r.Method == http.MethodHead {
				w.Header().Set("Etag", c.head)
				return
			}
			w.Header().Set("Etag", c.gets[n])
			w.Header().Set("Content-Length", "4")
			n++
			io.WriteString(w, "data")
		})
		body, err := store.Get(t.Context(), id, backend.GetOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		data, err := io.ReadAll(body)
		body.Close()
		if string(data) != "data" || err != nil || body.Object.ETag != c.want {
			t.Errorf("%s: %q with ETag %s, %v", name, data, body.Object.ETag, err)
		}
		if got := len(f.requests()) - 1; got != c.requests {
			t.Errorf("%s: %d requests, want %d", name, got, c.requests)
		}
	}
}

// TestFeignedCompletion: a success without an object is none.
func TestFeignedCompletion(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]backend.Kind{"another": backend.KindNotExist, "": backend.KindNotExist, "500": backend.KindUnknown} {
		store, _ := asVersityGW(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost:
				io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"whole-1"</ETag></CompleteMultipartUploadResult>`)
			case head == "":
				w.WriteHeader(http.StatusNotFound)
			case head == "500":
				w.WriteHeader(http.StatusInternalServerError)
			default:
				w.Header().Set("Etag", head)
			}
		})
		if err := operations["Complete"](t.Context(), store); !backend.IsKind(err, want) {
			t.Errorf("HEAD says %q: %v, want %v", head, err, want)
		}
	}
	store, _ := asVersityGW(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"whole-1"</ETag></CompleteMultipartUploadResult>`)
		} else {
			w.Header().Set("Etag", `"whole-1"`)
		}
	})
	if err := operations["Complete"](t.Context(), store); err != nil {
		t.Errorf("a true success: %v", err)
	}
}

// TestChecksumIsAdded: where a body that breaks off would be kept, none goes without.
func TestChecksumIsAdded(t *testing.T) {
	t.Parallel()
	store, f := asVersityGW(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", "e") })
	content := strings.Repeat("0123456789", 100_000)
	if _, err := store.Put(t.Context(), putOf(content, backend.Condition{})); err != nil {
		t.Fatal(err)
	}
	want, err := Checksum(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r := f.requests()[1]
	if r.body != content {
		t.Errorf("%d bytes were sent", len(r.body))
	}
	wantHeaders(t, r.header, map[string]string{"X-Amz-Checksum-Crc64nvme": want})
}

// TestExpiresSurvivesACopy: MinIO drops it, so it is named.
func TestExpiresSurvivesACopy(t *testing.T) {
	t.Parallel()
	for _, expires := range []string{"Wed, 21 Oct 2037 07:28:00 GMT", ""} {
		store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "MinIO")
			if r.Method == http.MethodPut {
				io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
				return
			}
			w.Header().Set("Etag", "source")
			w.Header().Set("X-Amz-Meta-M", "1")
			w.Header().Set("Cache-Control", "no-cache")
			if expires != "" {
				w.Header().Set("Expires", expires)
			}
		})
		if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "from"}}); err != nil {
			t.Fatal(err)
		}
		put := f.requests()[2]
		if expires == "" {
			wantHeaders(t, put.header, map[string]string{"X-Amz-Metadata-Directive": "COPY", "Expires": "", "X-Amz-Tagging-Directive": ""})
			continue
		}
		wantHeaders(t, put.header, map[string]string{
			"X-Amz-Metadata-Directive": "REPLACE", "Expires": expires, "Cache-Control": "no-cache", "X-Amz-Meta-M": "1",
			"X-Amz-Copy-Source-If-Match": "source", "X-Amz-Tagging-Directive": "", // tags are copied as ever
		})
	}
}

// TestCeph: what RGW would do wrong is not sent, or asked about.
func TestCeph(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Request-Id", "tx00000a3bdf0a1b2c3d4e5-0065f1e2d3-1038-default")
		switch {
		case r.Method == http.MethodPost:
			fail(w, http.StatusInternalServerError, "InternalError", "This multipart completion is already in progress")
		case r.Method == http.MethodGet:
			fail(w, http.StatusNotFound, "NoSuchUpload", "")
		case r.Header.Get("X-Amz-Copy-Source") != "":
			io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
		}
	})
	if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	if err := operations["Complete"](t.Context(), store); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("completing an upload that is gone: %v", err)
	}
	before := len(f.requests())
	_, err := store.CopyPart(t.Context(), backend.CopyPartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1,
		Source: backend.Source{Bucket: "bucket", Key: "100%"}, Range: backend.Range{Len: 1}})
	if !backend.IsKind(err, backend.KindUnsupported) {
		t.Errorf("part copy of a key with a percent sign: %v", err)
	}
	in := putOf("x", backend.Condition{})
	in.Properties.Metadata = map[string]string{"with_underscore": "1"}
	if _, err := store.Put(t.Context(), in); !backend.IsKind(err, backend.KindInvalid) {
		t.Errorf("metadata that would be changed: %v", err)
	}
	if n := len(f.requests()) - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "from"},
		Replace: &backend.Properties{Tags: map[string]string{"a": "b"}}}); err != nil {
		t.Fatal(err)
	}
	if last := f.requests()[before+1]; last.query != "tagging=" && last.query != "tagging" || !strings.Contains(last.body, "<Key>a</Key><Value>b</Value>") {
		t.Errorf("tags after a copy: %s %s", last.query, last.body)
	}
}
