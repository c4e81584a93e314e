package test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	accessKey = "testkey"
	secretKey = "testsecret"
	region    = "us-east-1"
)

// A store is a running S3 server.
type store struct {
	name     string
	endpoint string
	client   *s3.Client
	secure   *authority               // who vouches for a store over TLS; nil: plain HTTP
	foreign  func() (*foreign, error) // started when first asked for
	events   *eventSink               // gets what notifications say; nil: the server has none
}

// ours are the servers that the tests start.
var ours = []string{"versitygw", "minio"}

// openStore returns a store by the name that test tables use. With OBJMOUNT_TEST_STORES others are in their places, the first in that of
// VersityGW and the second in that of MinIO.
func openStore(t testing.TB, name string) *store {
	t.Helper()
	start := map[string]func() (*store, error){"versitygw": shared.versitygw, "minio": shared.minio}[name]
	if start == nil {
		t.Fatalf("no store %q", name)
	}
	if testing.Short() {
		t.Skip("-short: no servers, no mounts")
	}
	if others := shared.others; len(others) > 0 {
		i := slices.Index(ours, name)
		if i >= len(others) {
			t.Skipf("OBJMOUNT_TEST_STORES has no store in the place of %s", name)
		}
		return others[i]
	}
	s, err := start()
	if err != nil {
		t.Fatalf("%v\n`make tools` builds the servers", err)
	}
	return s
}

// What a store may lack. Tests that ask for it say so in a skip, or count what it costs.
const (
	guardedParts    = "conditions of what is uploaded in parts"
	guardedVersions = "conditions in a bucket that keeps versions"
	guardedCopies   = "conditions on the source of a copy"
	quickWrites     = "thousands of small writes in a minute or two"
)

// lacking says why, by the name of a store. Found by trying: release 16 of Ceph.
var lacking = map[string]map[string]string{
	"ceph": {
		guardedParts:    "CompleteMultipartUpload ignores If-Match and If-None-Match; what one PUT can take goes in one",
		guardedCopies:   "CopyObject and UploadPartCopy ignore If-Match; content is sent, with a condition",
		guardedVersions: "a PUT with If-Match is refused there even when nobody changed the object",
		quickWrites:     "a write takes some 20 ms, and more beside others",
	},
}

func (s *store) lacks(what string) bool { return lacking[s.name][what] != "" }

// needs skips what a store cannot show.
func (s *store) needs(t testing.TB, what string) {
	t.Helper()
	if s.lacks(what) {
		t.Skipf("%s has no %s: %s", s.name, what, lacking[s.name][what])
	}
}

// otherStores are the servers of OBJMOUNT_TEST_STORES, which run already: NAME=URL, with commas between.
func otherStores(w *world, list string) ([]*store, error) {
	var stores []*store
	for _, one := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' }) {
		name, endpoint, ok := strings.Cut(one, "=")
		if !ok {
			return nil, fmt.Errorf("OBJMOUNT_TEST_STORES: %q is not NAME=URL", one)
		}
		s := newStore(w, nil, name, endpoint)
		if _, err := s.client.ListBuckets(context.Background(), &s3.ListBucketsInput{}); err != nil {
			return nil, fmt.Errorf("OBJMOUNT_TEST_STORES: %s: %w", one, err)
		}
		stores = append(stores, s)
	}
	return stores, nil
}

func startVersityGW(w *world) (*store, error) {
	dir := filepath.Join(w.dir, "vgw")
	for _, d := range []string{"data", "versions"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	return startServer(w, nil, "versitygw", dir, "/health",
		[]string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
		func(address string) []string {
			return []string{"--port", address, "--keep-alive", "--quiet", "--health", "/health",
				"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data")}
		})
}

func startMinIO(w *world) (*store, error) {
	dir := filepath.Join(w.dir, "minio")
	if err := os.MkdirAll(filepath.Join(dir, "certs"), 0o755); err != nil { // empty: plain http
		return nil, err
	}
	events := newEventSink(w, "arn:minio:sqs::T1:webhook")
	s, err := startServer(w, nil, "minio", dir, "/minio/health/ready",
		[]string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_API_SELECT_PARQUET=on", "HOME=" + dir,
			"MINIO_KMS_SECRET_KEY=objmount-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
			"MINIO_NOTIFY_WEBHOOK_ENABLE_T1=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_T1=" + events.URL},
		func(address string) []string {
			return []string{"server", "--quiet", "--address", address, "--certs-dir", filepath.Join(dir, "certs"), filepath.Join(dir, "data")}
		})
	if err != nil {
		return nil, err
	}
	s.events = events
	return s, nil
}

// startServer runs a server of the tools directory on a free port and waits until it answers, over TLS if there
// is an authority.
func startServer(w *world, secure *authority, name, dir, health string, env []string, args func(address string) []string) (*store, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(w.tools, name), args(address)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	if err := startChild(cmd, syscall.SIGKILL); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	w.atEnd(func() { _ = cmd.Process.Kill(); <-exited })

	endpoint := secure.scheme() + "://" + address
	deadline := time.After(time.Minute)
	for {
		if reply, err := secure.http().Get(endpoint + health); err == nil {
			reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				s := newStore(w, secure, name, endpoint)
				// MinIO says that it is ready a moment before it is.
				if _, err := s.client.ListBuckets(context.Background(), &s3.ListBucketsInput{}); err == nil {
					return s, nil
				}
			}
		}
		select {
		case <-exited:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s ended at once:\n%s", name, text)
		case <-deadline:
			return nil, fmt.Errorf("%s does not answer", name)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func newStore(w *world, secure *authority, name, endpoint string) *store {
	return &store{
		name: name, endpoint: endpoint, secure: secure, client: newClient(endpoint, secure.http()),
		foreign: sync.OnceValues(func() (*foreign, error) { return startForeign(w, endpoint, secure.environment()) }),
	}
}

// newClient is a bare client: one try, path style.
func newClient(endpoint string, client *http.Client) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, HTTPClient: client, Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// newBucket makes an empty bucket with a name of its own.
func (s *store) newBucket(t testing.TB) string {
	t.Helper()
	name := "t-" + strings.ToLower(rand.Text()[:12])
	if _, err := s.client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("making a bucket: %v", err)
	}
	return name
}
