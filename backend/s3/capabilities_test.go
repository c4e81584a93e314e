package s3

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/objmount/objmount/backend"
)

// liar is a store that answers 200 to every condition and ignores it.
type liar struct {
	mu      sync.Mutex
	objects map[string]string
	asked   []string // sub-resources
}

func (l *liar) answer(_ int, w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	query := r.URL.Query()
	for _, sub := range []string{"versioning", "versions", "object-lock", "tagging", "acl", "retention", "legal-hold", "attributes", "delete"} {
		if query.Has(sub) {
			l.asked = append(l.asked, sub)
		}
	}
	w.Header().Set("Etag", `"0123456789abcdef0123456789abcdef"`)
	switch {
	case r.URL.Path == "/bucket" || r.URL.Path == "/bucket/":
		io.WriteString(w, "<ListBucketResult>")
		for key := range l.objects {
			fmt.Fprintf(w, "<Contents><Key>%s</Key></Contents>", key)
		}
		io.WriteString(w, "</ListBucketResult>")
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		l.objects[key] = "copy"
		io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
	case r.Method == http.MethodPut:
		l.objects[key] = "x"
	case r.Method == http.MethodPost && query.Has("uploads"):
		io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost:
		l.objects[key] = "x"
		io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		delete(l.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Length", "1")
		io.WriteString(w, "x")
	}
}

// on returns the names of the abilities that are claimed.
func on(caps backend.Capabilities) []string {
	var names []string
	v := reflect.ValueOf(caps)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Bool && f.Bool() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	return names
}

func TestLiarsAreCaught(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"AmazonS3", "rclone/v1.75.1"} {
		l := &liar{objects: map[string]string{}}
		store, f := newFake(t, Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", server)
			l.answer(n, w, r)
		})
		caps, err := store.Capabilities(t.Context(), "bucket", "prefix/", true)
		if err != nil {
			t.Fatal(err)
		}
		if names := on(caps); len(names) > 0 {
			t.Errorf("%s: %v are believed", server, names)
		}
		if len(l.objects) > 0 {
			t.Errorf("%s: left behind: %v", server, l.objects)
		}
		if len(l.asked) > 0 {
			t.Errorf("%s: asked for %v", server, l.asked)
		}
		for _, r := range f.requests() {
			if r.method == http.MethodPut && !strings.HasPrefix(r.path, "/bucket/prefix/.objmount-probe-") {
				t.Errorf("%s: wrote %s", server, r.path)
			}
		}
	}
}

// TestProbeWithoutPermission: who may not write learns what is known anyway.
func TestProbeWithoutPermission(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "MinIO")
		switch {
		case r.Method == http.MethodHead && !strings.Contains(r.URL.Path, "probe"):
		case r.URL.Query().Has("versioning"):
			io.WriteString(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		default:
			fail(w, http.StatusForbidden, "AccessDenied", "Access Denied.")
		}
	})
	caps, err := store.Capabilities(t.Context(), "bucket", "", true)
	if err != nil || caps.Vendor != vendorMinIO || !caps.Versioned || caps.PutIfMatch || caps.ObjectLock {
		t.Errorf("%+v, %v", caps, err)
	}
}

// TestProbeOfAFailingStore: what could not be tried is an error, not an absent ability.
func TestProbeOfAFailingStore(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return
		}
		fail(w, http.StatusServiceUnavailable, "SlowDown", "")
	})
	if _, err := store.Capabilities(t.Context(), "bucket", "", true); !backend.IsKind(err, backend.KindTransient) {
		t.Errorf("got %v", err)
	}
	missing, _ := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "NoSuchBucket", "")
	})
	if _, err := missing.Capabilities(t.Context(), "bucket", "", false); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("got %v", err)
	}
}

// TestLockedBucketIsNotProbed: what is written there might stay for ever.
func TestLockedBucketIsNotProbed(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "VERSITYGW")
		switch query := r.URL.Query(); {
		case query.Has("object-lock"):
			io.WriteString(w, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
		case query.Has("versioning"):
			io.WriteString(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		}
	})
	caps, err := store.Capabilities(t.Context(), "bucket", "", true)
	if err != nil || !caps.ObjectLock || !caps.Versioned || caps.PutIfMatch {
		t.Errorf("%+v, %v", caps, err)
	}
	for _, r := range f.requests() {
		if r.method != http.MethodGet && r.method != http.MethodHead {
			t.Errorf("%s %s", r.method, r.path)
		}
	}
}

// TestWhatMayBeLockedIsNotProbed: whoever may not ask for the lock writes only where there can be
// none, and a failure to answer is no answer.
func TestWhatMayBeLockedIsNotProbed(t *testing.T) {
	t.Parallel()
	const enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
	const off = "<VersioningConfiguration></VersioningConfiguration>"
	for name, c := range map[string]struct {
		versions    string // the answer; "" is a refusal
		lock        int    // the status
		wrote, fail bool
	}{
		"versions, may not ask":          {enabled, 403, false, false},
		"may ask neither":                {"", 403, false, false},
		"no versions, may not ask":       {off, 403, true, false},
		"versions, no lock":              {enabled, 404, true, false},
		"versions, unknown to the store": {enabled, 501, true, false},
		"no answer":                      {enabled, 503, false, true},
		"no answer, no versions":         {off, 503, false, true},
	} {
		store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "VERSITYGW")
			switch query := r.URL.Query(); {
			case query.Has("versioning") && c.versions != "":
				io.WriteString(w, c.versions)
			case query.Has("versioning"):
				fail(w, http.StatusForbidden, "AccessDenied", "")
			case query.Has("object-lock"):
				fail(w, c.lock, map[int]string{403: "AccessDenied", 404: "ObjectLockConfigurationNotFoundError", 501: "NotImplemented", 503: "SlowDown"}[c.lock], "")
			case r.URL.Path != "/bucket":
				fail(w, http.StatusForbidden, "AccessDenied", "")
			}
		})
		_, err := store.Capabilities(t.Context(), "bucket", "", true)
		wrote := false
		for _, r := range f.requests() {
			wrote = wrote || r.method != http.MethodGet && r.method != http.MethodHead
		}
		if (err != nil) != c.fail || wrote != c.wrote {
			t.Errorf("%s: %v, wrote: %v", name, err, wrote)
		}
	}
}

// TestReadOnlyIsNotProbed: without a probe nothing is written, whoever the store is.
func TestReadOnlyIsNotProbed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"MinIO", "VERSITYGW", "Ceph Object Gateway", "rclone", "nginx"} {
		store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", name)
		})
		if _, err := store.Capabilities(t.Context(), "bucket", "p/", false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range f.requests() {
			if r.method != http.MethodGet && r.method != http.MethodHead {
				t.Errorf("%s: %s %s", name, r.method, r.path)
			}
		}
	}
}

// TestVendorTable: the names in the table are names of abilities, and nothing is both.
func TestVendorTable(t *testing.T) {
	t.Parallel()
	all := map[string]*vendor{vendorUnknown: unknownVendor}
	for name, v := range vendors {
		all[name] = v
	}
	for name, v := range all {
		if v.name != name {
			t.Errorf("%s is called %s", name, v.name)
		}
		caps := v.caps
		for _, never := range v.never {
			f, ok := reflect.TypeFor[backend.Capabilities]().FieldByName(never)
			if !ok || f.Type.Kind() != reflect.Bool {
				t.Errorf("%s: %s is no ability", name, never)
			} else if *ability(&caps, never) {
				t.Errorf("%s: %s is both known and never there", name, never)
			}
		}
		if names := on(v.caps); v.liar && len(names) > 0 {
			t.Errorf("%s is a liar with %v", name, names)
		}
		if l := v.caps.Limits; l.MinPart != 5*backend.MiB || l.MaxPart < l.MinPart || l.MaxParts < 1000 || l.MaxObject < l.MaxPut {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestTagsAreAskedOnlyWhereTheyAre(t *testing.T) {
	t.Parallel()
	id := backend.ObjectID{Bucket: "bucket", Key: "key"}
	for server, want := range map[string]bool{"nginx": false, "MinIO": true} {
		store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", server)
			if r.URL.Query().Has("tagging") {
				io.WriteString(w, "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>")
			}
		})
		if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
		tags, err := store.Tags(t.Context(), id, "")
		if want && (err != nil || len(tags) != 1 || tags["a"] != "b c") {
			t.Errorf("%s: %v, %v", server, tags, err)
		}
		if !want && (!backend.IsKind(err, backend.KindUnsupported) || len(f.requests()) != 1) {
			t.Errorf("%s: %v after %d requests", server, err, len(f.requests()))
		}
	}
}
