package s3

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestUnusableStore: it is told from others by its endpoint, sends nothing, and always says why.
func TestUnusableStore(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	none := filepath.Join(t.TempDir(), "none.pem")
	for _, cfg := range []Config{{Endpoint: server.URL, CABundle: none}, {Endpoint: server.URL, CABundle: none, Anonymous: true}} {
		_, err := Open(t.Context(), cfg)
		if err == nil {
			t.Fatal("an authority that is not there is no error")
		}
		s, err := OpenUnusable(cfg, errors.New("because of it"))
		if err != nil || s.Endpoint() != strings.TrimPrefix(server.URL, "http://") {
			t.Fatal(s, err)
		}
		_, list := s.ListBuckets(t.Context(), "")
		_, head := s.Head(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "k"}, backend.GetOptions{})
		_, put := s.Put(t.Context(), backend.PutInput{Bucket: "bucket", Key: "k", Body: strings.NewReader("x"), Size: 1})
		_, sign := s.Presign(t.Context(), backend.PresignInput{Method: "GET", Object: backend.ObjectID{Bucket: "bucket", Key: "k"}, Expires: 1e9})
		for name, err := range map[string]error{"list": list, "head": head, "put": put, "presign": sign, "create": s.CreateBucket(t.Context(), "bucket")} {
			if !backend.IsKind(err, backend.KindCredentials) || !strings.Contains(err.Error(), "because of it") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := OpenUnusable(Config{Endpoint: "ftp://host"}, errors.New("x")); !backend.IsKind(err, backend.KindInvalid) {
		t.Errorf("a wrong endpoint: %v", err)
	}
}
