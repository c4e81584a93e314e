package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// An authority vouches for servers of 127.0.0.1 with one certificate, its own. A nil one is for plain HTTP.
type authority struct {
	dir         string // has public.crt and private.key, as MinIO wants it
	certificate tls.Certificate
	pool        *x509.CertPool
	client      *http.Client
}

func newAuthority(dir string) (*authority, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "objmount test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	public, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, pool: x509.NewCertPool()}
	publicText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})
	secretText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	a.pool.AppendCertsFromPEM(publicText)
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: a.trusted(), MaxIdleConnsPerHost: 16}}
	if a.certificate, err = tls.X509KeyPair(publicText, secretText); err != nil {
		return nil, err
	}
	return a, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(a.bundle(), publicText, 0o600), os.WriteFile(a.secret(), secretText, 0o600))
}

// bundle is the file of the certificate, secret that of its key.
func (a *authority) bundle() string { return filepath.Join(a.dir, "public.crt") }

func (a *authority) secret() string { return filepath.Join(a.dir, "private.key") }

func (a *authority) scheme() string {
	if a == nil {
		return "http"
	}
	return "https"
}

// http is a client that trusts the authority.
func (a *authority) http() *http.Client {
	if a == nil {
		return http.DefaultClient
	}
	return a.client
}

func (a *authority) trusted() *tls.Config {
	if a == nil {
		return nil
	}
	return &tls.Config{RootCAs: a.pool}
}

// environment makes programs that use botocore or curl trust the authority.
func (a *authority) environment() []string {
	if a == nil {
		return nil
	}
	return []string{"AWS_CA_BUNDLE=" + a.bundle(), "CURL_CA_BUNDLE=" + a.bundle()}
}

func (a *authority) start(server *httptest.Server) {
	if a == nil {
		server.Start()
		return
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.certificate}}
	server.StartTLS()
}

// secureStores are stores over TLS, which alone take keys of SSE-C.
var secureStores = map[string]func() (*store, error){
	"minio": sync.OnceValues(func() (*store, error) {
		dir := filepath.Join(shared.dir, "minio-tls")
		a, err := newAuthority(filepath.Join(dir, "certs"))
		if err != nil {
			return nil, err
		}
		return startServer(shared, a, "minio", dir, "/minio/health/ready",
			[]string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + dir,
				"MINIO_KMS_SECRET_KEY=objmount-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
			func(address string) []string {
				return []string{"server", "--quiet", "--address", address, "--certs-dir", a.dir, filepath.Join(dir, "data")}
			})
	}),
	"versitygw": sync.OnceValues(func() (*store, error) {
		dir := filepath.Join(shared.dir, "vgw-tls")
		a, err := newAuthority(filepath.Join(dir, "certs"))
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, "data"), 0o755)
		}
		if err != nil {
			return nil, err
		}
		return startServer(shared, a, "versitygw", dir, "/health",
			[]string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
			func(address string) []string {
				return []string{"--port", address, "--cert", a.bundle(), "--key", a.secret(), "--keep-alive", "--quiet", "--health", "/health", "posix", filepath.Join(dir, "data")}
			})
	}),
}

func openSecureStore(t testing.TB, name string) *store {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no servers, no mounts")
	}
	s, err := secureStores[name]()
	if err != nil {
		t.Fatalf("%v\n`make tools` builds the servers", err)
	}
	return s
}
