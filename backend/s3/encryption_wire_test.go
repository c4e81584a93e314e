package s3

import (
	"context"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// newFakeWithTLS is newFake over TLS, as nothing else gets keys.
func newFakeWithTLS(t *testing.T, cfg Config, answer func(w http.ResponseWriter, r *http.Request)) (*Store, *fake) {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.seen = append(f.seen, seenRequest{r.Method, r.RequestURI, r.URL.RawQuery, r.Host, r.Header.Clone(), r.ContentLength, string(body)})
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	cfg.CABundle = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(cfg.CABundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Endpoint, cfg.MaxAttempts = f.URL, 1
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, f
}

// The key of a letter, as it travels: printf 'k%.0s' {1..32} | openssl md5 -binary | base64
const (
	ofK, md5OfK = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "mT2HRsMGJ5IX5C+0rreZ8Q=="
	ofF         = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY="
)

// wantKeys are the operations of the tests whose requests have a key: "own", or "both" for copies.
var wantKeys = map[string]string{
	"Head": "own", "HeadIfMatch": "own", "Get": "own", "GetVersion": "own", "Put": "own", "PutIfMatch": "own", "PutIfNoneMatch": "own",
	"Copy": "both", "CreateUpload": "own", "UploadPart": "own", "CopyPart": "both", "Complete": "own", "CompleteIfMatch": "own", "CompleteIfNoneMatch": "own",
	"ListParts": "own", "Put with a lock": "own", "Put with a lock and no checksum": "own", "CreateUpload with a lock": "own", "Copy with a lock": "both",
	"Select": "own",
	"Delete": "", "DeleteIfMatch": "", "DeleteMany": "", "Abort": "", "List": "", "ListUploads": "", "ListBuckets": "", "HeadBucket": "", "CreateBucket": "", "DeleteBucket": "",
	"Tags": "", "PutTags": "", "PutTags, none": "", "SetRetention": "", "SetRetention, none": "", "SetLegalHold": "", "SetLegalHold, off": "",
	"ListVersions": "", "DeleteVersions": "", "Delete with bypass": "", "Restore": "", "UpdateEncryption": "", "Lock": "",
	"Annotations": "", "Annotation": "", "PutAnnotation": "", "DeleteAnnotation": "",
	"ACL": "", "SetACL": "", "ACL of a bucket": "", "SetACL of a bucket": "", "AllowACLs": "",
}

// TestKeysOnTheWire: every request that touches the bytes of an object has its key, and no other has one.
func TestKeysOnTheWire(t *testing.T) {
	t.Parallel()
	all := maps.Clone(operations)
	for name, op := range roleOperations {
		all[name] = op.do
	}
	keys := func(_, key string) *[32]byte { // "a key" copies itself
		if key == "from" {
			return aKeyOf('f')
		}
		return aKeyOf('k')
	}
	for name, do := range all {
		want, listed := wantKeys[name]
		if !listed && !strings.Contains(name, "Bucket") {
			t.Errorf("%s: say in wantKeys whether its requests have the key of the object", name)
		}
		store, f := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: keys}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(echoedKey, md5OfK)
			w.Header().Set("Etag", `"e"`)
		})
		if err := do(t.Context(), store); err != nil && strings.Contains(err.Error(), "not for objects that are encrypted") {
			t.Errorf("%s: %v: it is missing in keyUses", name, err)
		}
		if len(f.requests()) == 0 {
			t.Errorf("%s: no request", name)
		}
		for _, r := range f.requests() {
			own, source := "", ""
			if want != "" {
				own = ofK
			}
			if want == "both" {
				if source = ofF; strings.Contains(name, "lock") {
					source = ofK
				}
			}
			wantHeaders(t, r.header, map[string]string{customerHeader + "Key": own, copyCustomerHeader + "Key": source})
			if own != "" {
				wantHeaders(t, r.header, map[string]string{customerHeader + "Algorithm": "AES256", customerHeader + "Key-Md5": md5OfK})
				if signed := r.header.Get("Authorization"); !strings.Contains(signed, strings.ToLower(customerHeader)+"key;") {
					t.Errorf("%s: the key is not signed: %s", name, signed)
				}
			}
			if t.Failed() {
				t.Fatalf("%s: %s %s", name, r.method, r.path)
			}
		}
	}
}

// TestKeyOrEncryption: S3 refuses a write with both, so the key of the place wins; and SSE-C, as a HEAD tells it, is no property.
func TestKeyOrEncryption(t *testing.T) {
	t.Parallel()
	for _, keys := range []map[string]*[32]byte{{"": aKeyOf('k')}, {"elsewhere/": aKeyOf('k')}} {
		own := keys[""]
		for _, e := range []backend.Encryption{{Algorithm: "aws:kms", KMSKeyID: "id", BucketKey: true}, {Algorithm: backend.CustomerEncryption}} {
			store, f := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: below(keys)}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(echoedKey, md5OfK)
			})
			props := backend.Properties{Encryption: e}
			in := putOf("x", backend.Condition{})
			in.Properties = props
			_, _ = store.Put(t.Context(), in)
			_, _ = store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: "bucket", Key: "key", Properties: props})
			_, _ = store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "other"}, Replace: &props})
			if n := len(f.requests()); n != 3 {
				t.Fatalf("%d requests", n)
			}
			for _, r := range f.requests() {
				want := map[string]string{encryptionHeader: "", encryptionHeader + "-Aws-Kms-Key-Id": "", encryptionHeader + "-Bucket-Key-Enabled": "", customerHeader + "Key": ""}
				if own != nil {
					want[customerHeader+"Key"] = ofK
				} else if e.Algorithm == "aws:kms" {
					want[encryptionHeader], want[encryptionHeader+"-Aws-Kms-Key-Id"], want[encryptionHeader+"-Bucket-Key-Enabled"] = "aws:kms", "id", "true"
				}
				wantHeaders(t, r.header, want)
			}
		}
	}
}

// encrypting answers as Amazon does for one object: a request for its bytes has to have its key, and none where it has none.
type encrypting struct {
	mu  sync.Mutex
	key string // base64; empty: not encrypted
}

func (e *encrypting) set(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.key = key
}

func (e *encrypting) answer(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sent := r.Header.Get(customerHeader + "Key")
	if r.Method == http.MethodPut {
		sent = r.Header.Get(copyCustomerHeader + "Key")
	}
	switch {
	case sent == e.key && r.Header.Get("If-Match") == "stale":
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed", "")
	case sent == e.key:
		w.Header().Set("Etag", `"e"`)
		if e.key != "" {
			w.Header().Set(customerHeader+"Algorithm", "AES256")
			w.Header().Set(echoedKey, md5OfK)
		}
		if r.Method == http.MethodPut {
			io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
		}
	case e.key == "":
		fail(w, http.StatusBadRequest, "InvalidRequest", "The encryption parameters are not applicable to this object.")
	case sent == "":
		fail(w, http.StatusBadRequest, "InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	default:
		fail(w, http.StatusForbidden, "AccessDenied", "Access Denied")
	}
}

// TestObjectsWithoutTheKey: what has no key below a prefix that has one is read all the same, and asked for the right way the next time.
func TestObjectsWithoutTheKey(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*Store) error{
		"HEAD": func(s *Store) error { return operations["Head"](t.Context(), s) },
		"GET":  func(s *Store) error { return operations["Get"](t.Context(), s) },
		"copy": func(s *Store) error { return operations["Copy"](t.Context(), s) },
	} {
		remote := &encrypting{}
		store, f := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: below(map[string]*[32]byte{"": aKeyOf('k')})}, remote.answer)
		for _, step := range []struct {
			key  string
			want int
		}{{"", 2}, {"", 1}, {ofK, 2}, {ofK, 1}, {"", 2}} {
			remote.set(step.key)
			before := len(f.requests())
			if err := read(store); err != nil {
				t.Errorf("%s of an object with the key %q: %v", name, step.key, err)
			}
			if n := len(f.requests()) - before; n != step.want {
				t.Errorf("%s of an object with the key %q: %d requests, want %d", name, step.key, n, step.want)
			}
		}
	}
	remote := &encrypting{}
	store, _ := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: below(map[string]*[32]byte{"": aKeyOf('k')})}, remote.answer)
	if _, err := store.Head(t.Context(), aKey, backend.GetOptions{IfMatch: "stale"}); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("a condition that does not hold: %v", err)
	}
}

// TestOtherKey: who has another key than the object's is told which; who may not read at all is told that.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	remote := &encrypting{key: ofF}
	cfg := Config{Vendor: vendorAWS, CustomerKey: below(map[string]*[32]byte{"": aKeyOf('k')}), KeyName: func(string, string) string { return "/etc/key" }}
	store, _ := newFakeWithTLS(t, cfg, remote.answer)
	for _, name := range []string{"Head", "Get", "Copy"} {
		err := operations[name](t.Context(), store)
		if !backend.IsKind(err, backend.KindPermission) || !strings.Contains(err.Error(), "another key than the key in /etc/key") {
			t.Errorf("%s: %v", name, err)
		}
	}
	denied, _ := newFakeWithTLS(t, cfg, func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, "AccessDenied", "Access Denied")
	})
	if err := operations["Get"](t.Context(), denied); !backend.IsKind(err, backend.KindPermission) || strings.Contains(err.Error(), "key in") {
		t.Errorf("not allowed: %v", err)
	}
	keyless, _ := newFakeWithTLS(t, Config{Vendor: vendorAWS}, remote.answer)
	if err := operations["Get"](t.Context(), keyless); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("without a key: %v", err)
	}
}

// TestEncryptionIsTried: a store that is not known to keep its word gets no data before it has shown that it does.
func TestEncryptionIsTried(t *testing.T) {
	t.Parallel()
	aes := backend.Encryption{Algorithm: "AES256"}
	for name, c := range map[string]struct {
		key        *[32]byte
		encryption backend.Encryption
		parts      func(w http.ResponseWriter, key string) // nil: says nothing
		begins     func(w http.ResponseWriter)
		want       backend.Kind // of the second write, too; zero: it is done
		requests   []string     // of the first
		again      []string     // of the second
	}{
		"takes keys and ignores them": {key: aKeyOf('k'), want: backend.KindUnsupported, requests: []string{"POST", "PUT part", "DELETE"}},
		"refuses parts without a key, but does not say that it uses one": {key: aKeyOf('k'), want: backend.KindUnsupported, parts: func(w http.ResponseWriter, key string) {
			if key == "" {
				fail(w, http.StatusBadRequest, "InvalidRequest", "")
			}
		}, requests: []string{"POST", "PUT part", "PUT part", "DELETE"}},
		"encrypts with keys": {key: aKeyOf('k'), parts: func(w http.ResponseWriter, key string) {
			if key == "" {
				fail(w, http.StatusBadRequest, "InvalidRequest", "")
			}
			w.Header().Set(echoedKey, md5OfK)
		}, requests: []string{"POST", "PUT part", "PUT part", "DELETE", "PUT"}, again: []string{"PUT"}},
		"ignores SSE-S3": {encryption: aes, want: backend.KindUnsupported, requests: []string{"POST", "PUT part", "DELETE"}},
		"tells SSE-S3 with parts": {encryption: aes, parts: func(w http.ResponseWriter, _ string) { w.Header().Set(encryptionHeader, "AES256") },
			requests: []string{"POST", "PUT part", "DELETE", "PUT"}, again: []string{"PUT"}},
		"has SSE-S3": {encryption: aes, begins: func(w http.ResponseWriter) { w.Header().Set(encryptionHeader, "AES256") },
			requests: []string{"POST", "DELETE", "PUT"}, again: []string{"PUT"}},
		"refuses SSE-S3": {encryption: aes, want: backend.KindInvalid, begins: func(w http.ResponseWriter) {
			fail(w, http.StatusBadRequest, "InvalidArgument", "")
		}, requests: []string{"POST"}, again: []string{"POST"}},
	} {
		var cfg Config
		if c.key != nil {
			cfg.CustomerKey = below(map[string]*[32]byte{"": c.key})
		}
		store, f := newFakeWithTLS(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost && c.begins != nil:
				c.begins(w)
			case strings.Contains(r.URL.RawQuery, "partNumber") && c.parts != nil:
				c.parts(w, r.Header.Get(customerHeader+"Key"))
			case r.Method == http.MethodPut && c.parts != nil:
				w.Header().Set(echoedKey, md5OfK)
			}
			if r.Method == http.MethodPost {
				io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
			}
		})
		in := putOf("content", backend.Condition{})
		in.Properties.Encryption = c.encryption
		for i, want := range [][]string{c.requests, c.again} {
			before := len(f.requests())
			_, err := store.Put(t.Context(), in)
			if err == nil && c.want != backend.KindOther || err != nil && !backend.IsKind(err, c.want) {
				t.Errorf("%s: write %d: %v", name, i, err)
			}
			var got []string
			for _, r := range f.requests()[before:] {
				text := r.method
				if strings.Contains(r.query, "partNumber") {
					text += " part"
				}
				got = append(got, text)
				if err != nil && strings.Contains(r.body, "content") {
					t.Errorf("%s: the store got the data", name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: write %d: requests: %s", name, i, diff)
			}
		}
	}
}

// TestEncryptionThatIsSeen: what a store tells of an object that is there it need not show again.
func TestEncryptionThatIsSeen(t *testing.T) {
	t.Parallel()
	for _, look := range []string{"Head", "Get"} {
		store, f := newFakeWithTLS(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(encryptionHeader, "AES256") })
		if err := operations[look](t.Context(), store); err != nil {
			t.Fatal(err)
		}
		in := putOf("x", backend.Condition{})
		in.Properties.Encryption.Algorithm = "AES256"
		if _, err := store.Put(t.Context(), in); err != nil || len(f.requests()) != 2 {
			t.Errorf("%s: %d requests, %v", look, len(f.requests()), err)
		}
	}
}

// TestKeyIsNotEchoed: a store that should encrypt and does not say that it did has the data in clear, and whoever wrote it is told.
func TestKeyIsNotEchoed(t *testing.T) {
	t.Parallel()
	store, _ := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: below(map[string]*[32]byte{"": aKeyOf('k')})}, func(http.ResponseWriter, *http.Request) {})
	for _, name := range []string{"Put", "UploadPart"} {
		if err := operations[name](t.Context(), store); !backend.IsKind(err, backend.KindUnsupported) || !strings.Contains(err.Error(), "stored in clear") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysNeedTLS: no key travels in clear.
func TestKeysNeedTLS(t *testing.T) {
	t.Parallel()
	_, err := Open(context.Background(), Config{Endpoint: "HTTP://127.0.0.1:1", CustomerKey: below(nil)})
	if !backend.IsKind(err, backend.KindInvalid) || !strings.Contains(err.Error(), "https only, and the endpoint is http://127.0.0.1:1") {
		t.Error(err)
	}
}

// TestVendorAsTold: a vendor that is named is taken as told, whatever the address and the answers say.
func TestVendorAsTold(t *testing.T) {
	t.Parallel()
	for _, name := range Vendors() {
		store, _ := newFake(t, Config{Vendor: name}, func(_ int, w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "MinIO") })
		caps, err := store.Capabilities(t.Context(), "bucket", "", false)
		if err != nil || caps.Vendor != name {
			t.Errorf("%s: %q, %v", name, caps.Vendor, err)
		}
	}
	amazon, err := Open(t.Context(), Config{Vendor: vendorCeph})
	if err != nil || amazon.vendor.Load().name != vendorCeph {
		t.Errorf("Amazon's address: %v", err)
	}
	if !slices.IsSorted(Vendors()) || !slices.Contains(Vendors(), vendorMinIO) || slices.Contains(Vendors(), vendorUnknown) {
		t.Errorf("names: %q", Vendors())
	}
	_, err = Open(t.Context(), Config{Vendor: "min-io"})
	if !backend.IsKind(err, backend.KindInvalid) || !strings.Contains(err.Error(), `vendor "min-io" is not known; there are aws, ceph, `) {
		t.Error(err)
	}
}

// TestPresignedKeys: who uses a signed request has to send the key, so it is told.
func TestPresignedKeys(t *testing.T) {
	t.Parallel()
	store, f := newFakeWithTLS(t, Config{Vendor: vendorAWS, CustomerKey: below(map[string]*[32]byte{"a ": aKeyOf('k')})}, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		in  backend.PresignInput
		key bool
	}{
		"GET":       {backend.PresignInput{Method: "GET"}, true},
		"HEAD":      {backend.PresignInput{Method: "HEAD"}, true},
		"PUT":       {backend.PresignInput{Method: "PUT"}, true},
		"DELETE":    {backend.PresignInput{Method: "DELETE"}, false},
		"tags":      {backend.PresignInput{Method: "GET", Parameters: map[string]string{"tagging": ""}}, false},
		"part":      {backend.PresignInput{Method: "PUT", Parameters: map[string]string{"partNumber": "1", "uploadId": "u"}}, true},
		"begin":     {backend.PresignInput{Method: "POST", Parameters: map[string]string{"uploads": ""}}, true},
		"elsewhere": {backend.PresignInput{Method: "GET", Object: backend.ObjectID{Bucket: "bucket", Key: "b"}}, false},
	} {
		if c.in.Object.Key == "" {
			c.in.Object = aKey
		}
		c.in.Expires = time.Hour
		got, err := store.Presign(t.Context(), c.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if has := got.Header[customerHeader+"Key"] == ofK && got.Header[echoedKey] == md5OfK && got.Header[customerHeader+"Algorithm"] == "AES256"; has != c.key || len(got.Header) > 0 != c.key || got.WithKey != c.key {
			t.Errorf("%s: %v", name, got.Header)
		}
		if strings.Contains(got.URL, "a2tr") {
			t.Errorf("%s: the key is in the URL", name)
		}
	}
	for _, key := range []string{"a b", "other"} {
		form, err := store.PresignPost(t.Context(), backend.PostInput{Object: backend.ObjectID{Bucket: "bucket", Key: key}, Prefix: true, Expires: time.Hour})
		want := map[string]string{"a b": ofK}[key]
		if field := strings.ToLower(customerHeader) + "key"; err != nil || form.Fields[field] != want || form.WithKey != (want != "") {
			t.Errorf("form for %q: %v, %v", key, form.Fields, err)
		}
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
}
