package s3

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
)

// Servers take keys of SSE-C over TLS only, so these have a certificate of their own.

// certify writes a certificate of 127.0.0.1 and its key, by the names that MinIO wants, and returns their directory.
func certify(t testing.TB) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "objmount test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	public, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"public.crt": {Type: "CERTIFICATE", Bytes: public}, "private.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// trusting is a client that trusts the certificate of a directory.
func trusting(t testing.TB, certificates string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(certificates, "public.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	return &http.Client{Transport: transport}
}

func startMinIOWithTLS(t testing.TB) (server, string) {
	addr, certificates := freeAddress(t), certify(t)
	startAsked(t, trusting(t, certificates), "https://"+addr+"/minio/health/ready",
		[]string{"MINIO_ROOT_USER=" + testKey, "MINIO_ROOT_PASSWORD=" + testSecret, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_KMS_SECRET_KEY=objmount-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
		tool(t, "minio"), "server", "--quiet", "--address", addr, "--certs-dir", certificates, filepath.Join(t.TempDir(), "data"))
	return server{vendorMinIO, "https://" + addr, testKey, testSecret}, filepath.Join(certificates, "public.crt")
}

func startVersityGWWithTLS(t testing.TB) (server, string) {
	addr, certificates, dir := freeAddress(t), certify(t), t.TempDir()
	certificate := filepath.Join(certificates, "public.crt")
	startAsked(t, trusting(t, certificates), "https://"+addr+"/health", []string{"ROOT_ACCESS_KEY=" + testKey, "ROOT_SECRET_KEY=" + testSecret},
		tool(t, "versitygw"), "--port", addr, "--cert", certificate, "--key", filepath.Join(certificates, "private.key"),
		"--keep-alive", "--quiet", "--health", "/health", "posix", dir)
	return server{vendorVersityGW, "https://" + addr, testKey, testSecret}, certificate
}

// aKeyOf is a key of SSE-C made of one letter.
func aKeyOf(letter byte) *[32]byte { return (*[32]byte)(bytes.Repeat([]byte{letter}, 32)) }

// below gives the objects below some prefixes keys.
func below(prefixes map[string]*[32]byte) func(bucket, key string) *[32]byte {
	return func(_, key string) *[32]byte {
		for prefix, k := range prefixes {
			if strings.HasPrefix(key, prefix) {
				return k
			}
		}
		return nil
	}
}

// TestConformanceOfEncrypted: with a key of SSE-C for every object a store does all that it does without.
func TestConformanceOfEncrypted(t *testing.T) {
	shared := sharedMinIOWithTLS(t)
	store := openStore(t, shared.server, Config{CABundle: shared.certificate, CustomerKey: below(map[string]*[32]byte{"": aKeyOf('k')})})
	for name, versioned := range map[string]bool{"plain": false, "versioned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := newServerBucket(t, store)
			if versioned {
				enableVersions(t, store, bucket)
			}
			backendtest.Run(t, func(*testing.T) (backend.Store, string) { return store, bucket }, backendtest.LockBuckets(lockBuckets(store)), backendtest.Again())
		})
	}
}

func newServerBucket(t *testing.T, store *Store) string {
	t.Helper()
	bucket := "objmount-test-" + randomHex()
	if err := store.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	return bucket
}

// write puts an object, as one request or in two parts.
func write(t *testing.T, store *Store, bucket, key, content string, props backend.Properties) backend.Object {
	t.Helper()
	obj, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: key, Body: strings.NewReader(content), Size: int64(len(content)), Properties: props})
	if err != nil {
		t.Fatalf("writing %s: %v", key, err)
	}
	return obj
}

// wantObject checks the bytes of an object and how it is encrypted.
func wantObject(t *testing.T, store *Store, bucket, key, content, algorithm string) {
	t.Helper()
	id := backend.ObjectID{Bucket: bucket, Key: key}
	body, err := store.Get(t.Context(), id, backend.GetOptions{})
	if err != nil {
		t.Errorf("reading %s: %v", key, err)
		return
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil || string(got) != content {
		t.Errorf("%s: %d bytes, want %d, %v", key, len(got), len(content), err)
	}
	head, err := store.Head(t.Context(), id, backend.GetOptions{})
	if err != nil || head.Encryption.Algorithm != algorithm || body.Object.Encryption.Algorithm != algorithm || head.ETag != body.Object.ETag || head.Size != int64(len(content)) {
		t.Errorf("%s: HEAD tells %+v, GET %+v, want %q; %v", key, head, body.Object, algorithm, err)
	}
}

// encryptedPlaces are prefixes with keys and without, on MinIO, as one Store sees them and as others do.
type encryptedPlaces struct {
	bucket                string
	store, keyless, other *Store // with the keys of "k/" and "f/", with none, and with another one of "k/"
	certificate           string
	srv                   server
}

func newEncryptedPlaces(t *testing.T) encryptedPlaces {
	t.Helper()
	shared := sharedMinIOWithTLS(t)
	srv, certificate := shared.server, shared.certificate
	p := encryptedPlaces{srv: srv, certificate: certificate}
	p.store = openStore(t, srv, Config{CABundle: certificate, CustomerKey: below(map[string]*[32]byte{"k/": aKeyOf('k'), "f/": aKeyOf('f')})})
	p.keyless = openStore(t, srv, Config{CABundle: certificate})
	p.other = openStore(t, srv, Config{CABundle: certificate, CustomerKey: below(map[string]*[32]byte{"k/": aKeyOf('x')}),
		KeyName: func(string, string) string { return "/etc/objmount/key" }})
	p.bucket = newServerBucket(t, p.store)
	return p
}

// TestCustomerKeys: who does not have the key does not get the bytes; objects go from key to key and back inside the store.
func TestCustomerKeys(t *testing.T) {
	p := newEncryptedPlaces(t)
	const text = "secret"
	write(t, p.store, p.bucket, "k/a", text, backend.Properties{Metadata: map[string]string{"m": "1"}})
	write(t, p.store, p.bucket, "plain", text, backend.Properties{})
	wantObject(t, p.store, p.bucket, "k/a", text, backend.CustomerEncryption)
	for name, store := range map[string]*Store{"without a key": p.keyless, "with another key": p.other} {
		id := backend.ObjectID{Bucket: p.bucket, Key: "k/a"}
		_, err := store.Head(t.Context(), id, backend.GetOptions{})
		_, got := store.Get(t.Context(), id, backend.GetOptions{})
		_, copied := store.Copy(t.Context(), backend.CopyInput{Bucket: p.bucket, Key: "stolen", Source: backend.Source{Bucket: p.bucket, Key: "k/a"}})
		for _, err := range []error{err, got, copied} {
			if !backend.IsKind(err, backend.KindPermission) || store == p.other && !strings.Contains(err.Error(), "encrypted with another key than the key in /etc/objmount/key") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	write(t, p.keyless, p.bucket, "k/clear", text, backend.Properties{})
	wantObject(t, p.store, p.bucket, "k/clear", text, "")

	sources := []string{"k/a", "plain", "k/clear", "f/k/a"}
	for from, to := range map[string]string{"k/a": "f/k/a", "plain": "f/plain", "k/clear": "f/clear"} {
		copyObjects(t, p, from, to)
		wantObject(t, p.store, p.bucket, to, text, backend.CustomerEncryption)
	}
	for _, from := range sources {
		to := "out-" + strings.ReplaceAll(from, "/", "-")
		copyObjects(t, p, from, to)
		wantObject(t, p.keyless, p.bucket, to, text, "")
		copyObjects(t, p, from, from) // as chmod does: then it is encrypted, where its place is
		wantObject(t, p.store, p.bucket, from, text, map[bool]string{true: backend.CustomerEncryption}[from != "plain"])
	}
	page, err := p.store.List(t.Context(), backend.ListInput{Bucket: p.bucket, Prefix: "k/"})
	if err != nil || len(page.Objects) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, listed := range page.Objects { // listings and HEADs have to agree, as the ETag tells contents apart
		if head, err := p.store.Head(t.Context(), listed.ID(), backend.GetOptions{}); err != nil || head.ETag != listed.ETag || head.Size != listed.Size {
			t.Errorf("listed %+v, HEAD %+v, %v", listed, head, err)
		}
	}
}

// copyObjects copies with a condition on the source and with new properties.
func copyObjects(t *testing.T, p encryptedPlaces, from, to string) {
	t.Helper()
	source, err := p.store.Head(t.Context(), backend.ObjectID{Bucket: p.bucket, Key: from}, backend.GetOptions{})
	if err != nil {
		t.Errorf("%s: %v", from, err)
		return
	}
	props := backend.PropertiesOf(source)
	props.Metadata["copied"] = "1"
	if _, err := p.store.Copy(t.Context(), backend.CopyInput{Bucket: p.bucket, Key: to, Size: source.Size, Replace: &props,
		Source: backend.Source{Bucket: p.bucket, Key: from, ETag: source.ETag}}); err != nil {
		t.Errorf("%s to %s: %v", from, to, err)
	}
}

// TestUploadsWithCustomerKeys: parts that are sent, and parts that are copied from objects with another key or none; and an upload goes on in another process.
func TestUploadsWithCustomerKeys(t *testing.T) {
	p := newEncryptedPlaces(t)
	five := strings.Repeat("0123456789abcdef", 5<<20/16)
	write(t, p.store, p.bucket, "f/source", five+"fff", backend.Properties{})
	write(t, p.store, p.bucket, "plain", five+"ppp", backend.Properties{})
	write(t, p.keyless, p.bucket, "k/clear", five+"ccc", backend.Properties{})
	id, err := p.store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: p.bucket, Key: "k/big", Properties: backend.Properties{Headers: backend.Headers{ContentType: "text/x"}}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Checksum(strings.NewReader(five))
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := Checksum(strings.NewReader("other"))
	if err != nil {
		t.Fatal(err)
	}
	part := backend.PartInput{Bucket: p.bucket, Key: "k/big", UploadID: id, Number: 1, Body: strings.NewReader(five), Size: int64(len(five)), CRC64NVME: wrong}
	if _, err := p.store.UploadPart(t.Context(), part); !backend.IsKind(err, backend.KindCorrupt) {
		t.Errorf("a part with a wrong checksum: %v", err)
	}
	part.CRC64NVME = sum
	first, err := p.store.UploadPart(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.other.UploadPart(t.Context(), part); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("a part with another key: %v", err)
	}
	parts := []backend.Part{first}
	want := five
	for i, from := range []string{"f/source", "plain", "k/clear"} {
		head, err := p.store.Head(t.Context(), backend.ObjectID{Bucket: p.bucket, Key: from}, backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		one, err := p.store.CopyPart(t.Context(), backend.CopyPartInput{Bucket: p.bucket, Key: "k/big", UploadID: id, Number: int32(i + 2),
			Source: backend.Source{Bucket: p.bucket, Key: from, ETag: head.ETag}, Range: backend.Range{Off: 3, Len: int64(len(five))}})
		if err != nil {
			t.Fatalf("a part of %s: %v", from, err)
		}
		parts, want = append(parts, one), want+five[3:]+strings.Repeat(strings.TrimPrefix(from, "k/")[:1], 3)
	}
	again := openStore(t, p.srv, Config{CABundle: p.certificate, CustomerKey: below(map[string]*[32]byte{"k/": aKeyOf('k')})})
	listed, err := again.ListParts(t.Context(), backend.Upload{Bucket: p.bucket, Key: "k/big", UploadID: id})
	if diff := cmp.Diff(parts, listed); err != nil || diff != "" {
		t.Fatalf("parts as listed: %v %s", err, diff)
	}
	if _, err := again.CompleteUpload(t.Context(), backend.CompleteInput{Bucket: p.bucket, Key: "k/big", UploadID: id, Parts: parts, Size: int64(len(want))}); err != nil {
		t.Fatal(err)
	}
	wantObject(t, p.store, p.bucket, "k/big", want, backend.CustomerEncryption)
	if _, err := p.keyless.Head(t.Context(), backend.ObjectID{Bucket: p.bucket, Key: "k/big"}, backend.GetOptions{}); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("without a key: %v", err)
	}
}

// TestOtherRequestsForCustomerKeys: descriptions, queries, tags, and signed requests that somebody else makes.
func TestOtherRequestsForCustomerKeys(t *testing.T) {
	p := newEncryptedPlaces(t)
	id := backend.ObjectID{Bucket: p.bucket, Key: "k/a.csv"}
	write(t, p.store, p.bucket, id.Key, "a,1\nb,2\n", backend.Properties{Tags: map[string]string{"t": "1"}})
	if tags, err := p.store.Tags(t.Context(), id, ""); err != nil || tags["t"] != "1" {
		t.Errorf("tags: %v, %v", tags, err)
	}
	if _, err := p.store.Describe(t.Context(), id, ""); err != nil {
		t.Errorf("description: %v", err)
	}
	var rows bytes.Buffer
	if _, err := p.store.Select(t.Context(), backend.SelectInput{Object: id, Expression: "SELECT _2 FROM S3Object", Input: "CSV", Output: "CSV"}, &rows); err != nil || rows.String() != "1\n2\n" {
		t.Errorf("query: %q, %v", rows.String(), err)
	}
	client := trusting(t, filepath.Dir(p.certificate))
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		signed, err := p.store.Presign(t.Context(), backend.PresignInput{Method: method, Object: id, Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, withKey := range []bool{false, true} {
			req, err := http.NewRequestWithContext(t.Context(), method, signed.URL, strings.NewReader(map[string]string{http.MethodPut: "c,3\n"}[method]))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range signed.Header {
				if withKey {
					req.Header.Set(name, value)
				}
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if done := resp.StatusCode == http.StatusOK; done != withKey || done && method == http.MethodGet && string(text) != "c,3\n" {
				t.Errorf("signed %s, the key sent: %v: %s %s", method, withKey, resp.Status, text)
			}
		}
	}
}

// TestFormsWithCustomerKeys: what a form uploads is encrypted with the key of its place.
func TestFormsWithCustomerKeys(t *testing.T) {
	p := newEncryptedPlaces(t)
	for key, prefix := range map[string]bool{"k/one": false, "k/many-": true} {
		form, err := p.store.PresignPost(t.Context(), backend.PostInput{Object: backend.ObjectID{Bucket: p.bucket, Key: key}, Prefix: prefix, Expires: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if prefix {
			key += "files"
			form.Fields["key"] = key
		}
		if status, text := uploadFormBy(t, trusting(t, filepath.Dir(p.certificate)), form.URL, form.Fields, "a", "posted"); status != http.StatusNoContent {
			t.Fatalf("%s: %d %s", key, status, text)
		}
		wantObject(t, p.store, p.bucket, key, "posted", backend.CustomerEncryption)
	}
}

// TestNamedEncryption: SSE-S3 and SSE-KMS come with an object, stay when it is written again with its properties, and give way to the key of a place.
func TestNamedEncryption(t *testing.T) {
	p := newEncryptedPlaces(t)
	for algorithm, e := range map[string]backend.Encryption{
		"AES256": {Algorithm: "AES256"}, "aws:kms": {Algorithm: "aws:kms", KMSKeyID: "objmount-key"},
	} {
		for _, how := range []string{"put", "upload"} {
			name := how + "-" + strings.ReplaceAll(algorithm, ":", "-")
			props := backend.Properties{Encryption: e}
			if how == "put" {
				write(t, p.store, p.bucket, name, "x", props)
			} else {
				uploadOne(t, p.store, p.bucket, name, "x", props)
			}
			wantObject(t, p.keyless, p.bucket, name, "x", algorithm)
			copyObjects(t, p, name, name)
			wantObject(t, p.keyless, p.bucket, name, "x", algorithm)
			copyObjects(t, p, name, "k/"+name)
			wantObject(t, p.store, p.bucket, "k/"+name, "x", backend.CustomerEncryption)
			copyObjects(t, p, "k/"+name, name+"-back")
			wantObject(t, p.keyless, p.bucket, name+"-back", "x", "")
		}
	}
}

func uploadOne(t *testing.T, store *Store, bucket, key, content string, props backend.Properties) {
	t.Helper()
	id, err := store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: bucket, Key: key, Properties: props})
	if err != nil {
		t.Fatal(err)
	}
	part, err := store.UploadPart(t.Context(), backend.PartInput{Bucket: bucket, Key: key, UploadID: id, Number: 1, Body: strings.NewReader(content), Size: int64(len(content))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.CompleteUpload(t.Context(), backend.CompleteInput{Bucket: bucket, Key: key, UploadID: id, Parts: []backend.Part{part}, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
}

// TestEncryptionThatIsFeigned: VersityGW takes the headers of every way to encrypt and stores in clear; so it gets nothing.
func TestEncryptionThatIsFeigned(t *testing.T) {
	srv, certificate := startVersityGWWithTLS(t)
	clear := openStore(t, srv, Config{CABundle: certificate})
	bucket := newServerBucket(t, clear)
	write(t, clear, bucket, "k/before", "x", backend.Properties{})
	store := openStore(t, srv, Config{CABundle: certificate, CustomerKey: below(map[string]*[32]byte{"k/": aKeyOf('k')})})
	wantObject(t, store, bucket, "k/before", "x", "")
	kms := backend.Properties{Encryption: backend.Encryption{Algorithm: "aws:kms"}}
	for name, write := range map[string]func() error{
		"put": func() error {
			return errOf(store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: "k/a", Body: strings.NewReader("x"), Size: 1}))
		},
		"copy": func() error {
			return errOf(store.Copy(t.Context(), backend.CopyInput{Bucket: bucket, Key: "k/b", Source: backend.Source{Bucket: bucket, Key: "k/before"}}))
		},
		"upload": func() error {
			return errOf(store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: bucket, Key: "k/c"}))
		},
		"KMS": func() error {
			return errOf(store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: "d", Body: strings.NewReader("x"), Size: 1, Properties: kms}))
		},
	} {
		if err := write(); !backend.IsKind(err, backend.KindUnsupported) || !strings.Contains(err.Error(), "so it was not sent") {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := clear.List(t.Context(), backend.ListInput{Bucket: bucket})
	if err != nil || len(page.Objects) != 1 {
		t.Errorf("objects: %+v, %v", page.Objects, err)
	}
	for _, key := range []string{"k/a", "k/b", "k/c", "d"} {
		if uploads, err := clear.ListUploads(t.Context(), backend.ObjectID{Bucket: bucket, Key: key}); err != nil || len(uploads) > 0 {
			t.Errorf("uploads of %s: %+v, %v", key, uploads, err)
		}
	}
	write(t, store, bucket, "elsewhere", "x", backend.Properties{})
}
