package s3

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// asSwift starts a fake that says it is Swift, and a Store that knows.
func asSwift(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (*Store, *fake) {
	t.Helper()
	store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Openstack-Request-Id", "tx0123456789abcdef01234-006b01b7e9")
		if r.URL.Path != "/bucket" || r.URL.RawQuery != "" {
			answer(w, r)
		}
	})
	if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	return store, f
}

// TestHeadsOfSwift: what follows the answer to a HEAD is nobody's answer, so nothing else is
// sent on that connection; nor after the first look of CreateBucket, when nothing is known yet.
func TestHeadsOfSwift(t *testing.T) {
	t.Parallel()
	last := make(map[string]bool)
	store, _ := asSwift(t, func(w http.ResponseWriter, r *http.Request) { last[r.Method] = r.Close })
	for _, op := range []string{"Head", "Delete", "PutIfMatch"} {
		if err := operations[op](t.Context(), store); err != nil {
			t.Fatalf("%s: %v", op, err)
		}
	}
	if !last[http.MethodHead] || last[http.MethodDelete] || last[http.MethodPut] {
		t.Errorf("last of their connections: %v", last)
	}
	fresh, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
		last[r.Method] = r.Close
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case http.MethodGet:
			io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		}
	})
	last[http.MethodHead] = false
	if err := fresh.CreateBucket(t.Context(), "bucket"); err != nil || !last[http.MethodHead] || last[http.MethodPut] {
		t.Errorf("CreateBucket: %v, last of their connections: %v", err, last)
	}
	if err := fresh.HeadBucket(t.Context(), "bucket"); err != nil || last[http.MethodHead] {
		t.Errorf("HeadBucket of another store: %v, last of their connections: %v", err, last)
	}
}

// TestSourcesOnSwift: copies of what was uploaded in parts, whose ETag the server would not
// recognise, and ranges that it would cut.
func TestSourcesOnSwift(t *testing.T) {
	t.Parallel()
	const parts, plain = "0123-2", "4567"
	for name, c := range map[string]struct {
		asked string   // the ETag asked for
		heads []string // ETags of the source, at each look; "" is gone
		off   int64
		want  backend.Kind // 0: success
		sent  string       // X-Amz-Copy-Source-If-Match; "none": no copy
	}{
		"of parts":                {parts, []string{parts, parts}, 0, 0, ""},
		"of parts, another":       {parts, []string{plain}, 0, backend.KindChanged, "none"},
		"of parts, gone":          {parts, []string{""}, 0, backend.KindNotExist, "none"},
		"of parts, then another":  {parts, []string{parts, plain}, 0, backend.KindChanged, ""},
		"of parts, then gone":     {parts, []string{parts, ""}, 0, backend.KindChanged, ""},
		"plain":                   {plain, nil, 0, 0, plain},
		"any, plain":              {"", []string{plain}, 0, 0, plain},
		"any, of parts":           {"", []string{parts, parts}, 0, 0, ""},
		"any, over the end":       {"", []string{plain}, 96, backend.KindRange, "none"},
		"of parts, over the end":  {parts, []string{parts}, 96, backend.KindRange, "none"},
		"any, up to the very end": {"", []string{plain}, 95, 0, plain},
	} {
		looks, sent := 0, "none"
		store, _ := asSwift(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				sent = r.Header.Get("X-Amz-Copy-Source-If-Match")
				io.WriteString(w, `<CopyPartResult><ETag>"new"</ETag></CopyPartResult>`)
				return
			}
			etag := c.heads[looks]
			looks++
			if want := r.Header.Get("If-Match"); etag == "" {
				w.WriteHeader(http.StatusNotFound)
			} else if want != "" && want != etag {
				w.WriteHeader(http.StatusPreconditionFailed)
			}
			w.Header().Set("Etag", etag)
			w.Header().Set("Content-Length", "100")
		})
		_, err := store.CopyPart(t.Context(), backend.CopyPartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1,
			Source: backend.Source{Bucket: "bucket", Key: "from", ETag: c.asked}, Range: backend.Range{Off: c.off, Len: 5}})
		if c.want == 0 && err != nil || c.want != 0 && !backend.IsKind(err, c.want) || sent != c.sent || looks != len(c.heads) {
			t.Errorf("%s: %v; %d looks, want %d; condition %q, want %q", name, err, looks, len(c.heads), sent, c.sent)
		}
	}
}

// TestCopyOnSwift: the same for whole objects.
func TestCopyOnSwift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key   string // of the copy
		heads []int  // statuses of the looks
		want  backend.Kind
	}{
		"another key":             {"to", []int{200, 200}, 0},
		"onto itself":             {"from", []int{200}, 0},
		"changed before":          {"to", []int{412}, backend.KindChanged},
		"changed during the copy": {"to", []int{200, 412}, backend.KindChanged},
		"gone during the copy":    {"to", []int{200, 404}, backend.KindChanged},
	} {
		looks := 0
		store, _ := asSwift(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				if r.Header.Get("X-Amz-Copy-Source-If-Match") != "" {
					t.Errorf("%s: a condition that never holds", name)
				}
				io.WriteString(w, `<CopyObjectResult><ETag>"new"</ETag></CopyObjectResult>`)
				return
			}
			looks++
			w.WriteHeader(c.heads[looks-1])
		})
		_, err := store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: c.key, Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "0123-2"}})
		if c.want == 0 && err != nil || c.want != 0 && !backend.IsKind(err, c.want) || looks != len(c.heads) {
			t.Errorf("%s: %v after %d looks", name, err, looks)
		}
	}
}

// TestServerErrorsOfSwift: limits that it answers with a server error are no outcome to wait for.
func TestServerErrorsOfSwift(t *testing.T) {
	t.Parallel()
	versions := "Enabled"
	store, f := asSwift(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("versioning"):
			io.WriteString(w, "<VersioningConfiguration><Status>"+versions+"</Status></VersioningConfiguration>")
		case r.URL.Query().Has("list-type"):
			w.WriteHeader(http.StatusPreconditionFailed)
		default:
			fail(w, http.StatusInternalServerError, "InternalError", "")
		}
	})
	put := func(bucket string, key, meta int) error {
		in := putOf("x", backend.Condition{})
		in.Bucket, in.Key = bucket, strings.Repeat("k", key)
		in.Properties.Metadata = map[string]string{"v": strings.Repeat("x", meta)}
		_, err := store.Put(t.Context(), in)
		return err
	}
	if err := put("bucket", 1007, 1); !backend.IsKind(err, backend.KindNameTooLong) {
		t.Errorf("a long key: %v", err)
	}
	if err := put("bucket", 1006, 1); !backend.IsKind(err, backend.KindUnknown) {
		t.Errorf("a key that is not too long: %v", err)
	}
	versions = "Suspended"
	if err := put("other", 1007, 1); !backend.IsKind(err, backend.KindUnknown) {
		t.Errorf("a long key without versions: %v", err)
	}
	before := len(f.requests())
	if err := put("bucket", 1, 257); !backend.IsKind(err, backend.KindTooLarge) || len(f.requests()) != before {
		t.Errorf("a long value: %v", err)
	}
	if _, err := store.List(t.Context(), backend.ListInput{Bucket: "bucket"}); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("412 to a request without a condition: %v", err)
	}
	if store.vendor.Load().caps.CopySourceIfMatch {
		t.Error("a copy's condition on its source is not as good as the store's")
	}
}
