package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/objmount/objmount/backend"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "objmount-s3-test")
	if err != nil {
		panic(err)
	}
	// No test reads the configuration of whoever runs it.
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
	} {
		os.Setenv(name, value)
	}
	if os.Getenv("OBJMOUNT_TEST_ENDPOINT") == "" {
		os.Setenv("AWS_ACCESS_KEY_ID", testKey)
		os.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
	}
	running.dir = dir
	code := m.Run()
	endServers()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// seenRequest is what a fake store got.
type seenRequest struct {
	method, path, query, host string
	header                    http.Header
	length                    int64
	body                      string
}

// fake is a store whose answers a test writes. It keeps the requests.
type fake struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seenRequest
}

// newFake starts a fake and opens a Store on it. answer gets the number of the request, from
// 1, with its body already read.
func newFake(t *testing.T, cfg Config, answer func(n int, w http.ResponseWriter, r *http.Request)) (*Store, *fake) {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.seen = append(f.seen, seenRequest{r.Method, r.RequestURI, r.URL.RawQuery, r.Host, r.Header.Clone(), r.ContentLength, string(body)})
		n := len(f.seen)
		f.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(f.Close)
	if cfg.Endpoint == "" {
		cfg.Endpoint = f.URL
	}
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, f
}

// requests returns what the fake got so far.
func (f *fake) requests() []seenRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seenRequest(nil), f.seen...)
}

func (f *fake) only(t *testing.T) seenRequest {
	t.Helper()
	all := f.requests()
	if len(all) != 1 {
		t.Fatalf("%d requests, want 1: %+v", len(all), all)
	}
	return all[0]
}

// fail answers with an S3 error.
func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "REQUEST1")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message><RequestId>REQUEST1</RequestId></Error>", code, message)
}

// drop ends the connection without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

// putOf is a Put of content.
func putOf(content string, cond backend.Condition) backend.PutInput {
	return backend.PutInput{Bucket: "bucket", Key: "key", Body: strings.NewReader(content), Size: int64(len(content)), Condition: cond}
}

// operations are all requests of a Store that may fail, by a name for tests.
var operations = map[string]func(context.Context, *Store) error{
	"Head": func(ctx context.Context, s *Store) error {
		_, err := s.Head(ctx, backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
		return err
	},
	"HeadIfMatch": func(ctx context.Context, s *Store) error {
		_, err := s.Head(ctx, backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{IfMatch: "e"})
		return err
	},
	"Get": func(ctx context.Context, s *Store) error {
		body, err := s.Get(ctx, backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
		if err == nil {
			body.Close()
		}
		return err
	},
	"GetVersion": func(ctx context.Context, s *Store) error {
		_, err := s.Get(ctx, backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{VersionID: "v"})
		return err
	},
	"List": func(ctx context.Context, s *Store) error {
		_, err := s.List(ctx, backend.ListInput{Bucket: "bucket"})
		return err
	},
	"Put": func(ctx context.Context, s *Store) error {
		_, err := s.Put(ctx, putOf("content", backend.Condition{}))
		return err
	},
	"PutIfMatch": func(ctx context.Context, s *Store) error {
		_, err := s.Put(ctx, putOf("content", backend.Condition{IfMatch: "e"}))
		return err
	},
	"PutIfNoneMatch": func(ctx context.Context, s *Store) error {
		_, err := s.Put(ctx, putOf("content", backend.Condition{IfNoneMatch: true}))
		return err
	},
	"Copy": func(ctx context.Context, s *Store) error {
		_, err := s.Copy(ctx, backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "e"}})
		return err
	},
	"Delete": func(ctx context.Context, s *Store) error {
		return s.Delete(ctx, backend.DeleteInput{Bucket: "bucket", Key: "key"})
	},
	"DeleteIfMatch": func(ctx context.Context, s *Store) error {
		return s.Delete(ctx, backend.DeleteInput{Bucket: "bucket", Key: "key", IfMatch: "e"})
	},
	"DeleteMany": func(ctx context.Context, s *Store) error {
		_, err := s.DeleteMany(ctx, "bucket", []string{"a", "b"})
		return err
	},
	"CreateUpload": func(ctx context.Context, s *Store) error {
		_, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: "bucket", Key: "key"})
		return err
	},
	"UploadPart": func(ctx context.Context, s *Store) error {
		_, err := s.UploadPart(ctx, backend.PartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1, Body: strings.NewReader("part"), Size: 4})
		return err
	},
	"CopyPart": func(ctx context.Context, s *Store) error {
		_, err := s.CopyPart(ctx, backend.CopyPartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1,
			Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "e"}, Range: backend.Range{Len: 5}})
		return err
	},
	"Complete": func(ctx context.Context, s *Store) error { return completeOf(ctx, s, backend.Condition{}) },
	"CompleteIfMatch": func(ctx context.Context, s *Store) error {
		return completeOf(ctx, s, backend.Condition{IfMatch: "e"})
	},
	"CompleteIfNoneMatch": func(ctx context.Context, s *Store) error {
		return completeOf(ctx, s, backend.Condition{IfNoneMatch: true})
	},
	"Abort": func(ctx context.Context, s *Store) error {
		return s.AbortUpload(ctx, backend.Upload{Bucket: "bucket", Key: "key", UploadID: "u"})
	},
	"ListParts": func(ctx context.Context, s *Store) error {
		_, err := s.ListParts(ctx, backend.Upload{Bucket: "bucket", Key: "key", UploadID: "u"})
		return err
	},
	"ListUploads": func(ctx context.Context, s *Store) error {
		_, err := s.ListUploads(ctx, backend.ObjectID{Bucket: "bucket", Key: "key"})
		return err
	},
	"ListBuckets":  func(ctx context.Context, s *Store) error { _, err := s.ListBuckets(ctx, ""); return err },
	"HeadBucket":   func(ctx context.Context, s *Store) error { return s.HeadBucket(ctx, "bucket") },
	"CreateBucket": func(ctx context.Context, s *Store) error { return s.CreateBucket(ctx, "bucket") },
	"DeleteBucket": func(ctx context.Context, s *Store) error { return s.DeleteBucket(ctx, "bucket") },
}

func completeOf(ctx context.Context, s *Store, cond backend.Condition) error {
	_, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: "bucket", Key: "key", UploadID: "u",
		Parts: []backend.Part{{Number: 1, ETag: "p1", Size: 4}}, Size: 4, Condition: cond})
	return err
}

// within fails the test when f takes longer.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > d {
		t.Errorf("took %v, want at most %v", took, d)
	}
}
