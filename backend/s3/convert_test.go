package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

func TestChecksumOfKnownBytes(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"": "AAAAAAAAAAA=", "123456789": "rosUhgp5mIg="} { // the catalogue's check value
		if got, err := Checksum(strings.NewReader(content)); got != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", content, got, err, want)
		}
	}
	h := NewCRC64NVME()
	io.WriteString(h, "1234")
	io.WriteString(h, "56789")
	if h.Sum64() != 0xae8b14860a799888 {
		t.Errorf("%x", h.Sum64())
	}
}

// TestMetadataSurvivesHeaders: whatever UTF-8 a value has, it comes back, and what is sent is
// plain text that no HTTP implementation changes.
func TestMetadataSurvivesHeaders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]*`), rapid.StringMatching(`( |=\?|UTF-8\?[BQ]\?|\?=|ü|\n|\t|a)*`)).Draw(t, "value")
		encoded, err := encodeMetadata(map[string]string{"key": value})
		if !utf8.ValidString(value) {
			if err == nil {
				t.Fatal("not UTF-8, and accepted")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		sent := encoded["key"]
		for i := range len(sent) {
			if sent[i] < ' ' || sent[i] > '~' {
				t.Fatalf("sent as %q", sent)
			}
		}
		if strings.TrimSpace(sent) != sent {
			t.Fatalf("sent as %q", sent)
		}
		if got := decodeMetadata(sent); got != value {
			t.Fatalf("%q sent as %q came back as %q", value, sent, got)
		}
	})
	for _, key := range []string{"", "a b", "a:b", "ü", "a\n"} {
		if _, err := encodeMetadata(map[string]string{key: "x"}); err == nil {
			t.Errorf("key %q was accepted", key)
		}
	}
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	r, size, err := parseContentRange("bytes 5-9/20")
	if r != (backend.Range{Off: 5, Len: 5}) || size != 20 || err != nil {
		t.Errorf("%+v, %d, %v", r, size, err)
	}
	for _, bad := range []string{"", "bytes", "bytes 5-9", "bytes 9-5/20", "bytes 5-9/*", "bytes 5-20/20", "bytes -5-9/20", "lines 5-9/20", "bytes 5-9/x"} {
		if _, _, err := parseContentRange(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestPayload: any sequence of reads and seeks gives the bytes of [0, size) of the body.
func TestPayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "content")
		size := rapid.IntRange(0, len(content)).Draw(t, "size")
		body := strings.NewReader(string(content))
		body.Seek(int64(rapid.IntRange(0, len(content)).Draw(t, "position")), io.SeekStart)
		p, model := newPayload(body, int64(size)), strings.NewReader(string(content[:size]))
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				want := make([]byte, rapid.IntRange(1, 20).Draw(t, "n"))
				got := make([]byte, len(want))
				n, err := model.Read(want)
				m, err2 := p.Read(got)
				if n != m || !errors.Is(err, err2) || string(want[:n]) != string(got[:m]) {
					t.Fatalf("read %q %v, want %q %v", got[:m], err2, want[:n], err)
				}
			},
			"seek": func(t *rapid.T) {
				whence := rapid.IntRange(0, 2).Draw(t, "whence")
				off := int64(rapid.IntRange(-5, 30).Draw(t, "off"))
				want, err := model.Seek(off, whence)
				got, err2 := p.Seek(off, whence)
				if (err == nil) != (err2 == nil) || err == nil && want != got {
					t.Fatalf("seek to %d %v, want %d %v", got, err2, want, err)
				}
			},
			"rewind": func(*rapid.T) {
				p.rewind()
				model.Seek(0, io.SeekStart)
			},
		})
	})
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint, want string
		path           bool
		vendor         string
	}{
		{"", "", false, vendorAWS},
		{"http://127.0.0.1:9000", "http://127.0.0.1:9000", true, vendorUnknown},
		{"localhost:9000", "https://localhost:9000", true, vendorUnknown},
		{"https://[::1]:9000/", "https://[::1]:9000", true, vendorUnknown},
		{"https://s3.example.com/base/", "https://s3.example.com/base", true, vendorUnknown},
		{"https://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com", false, vendorAWS},
		{"s3.cn-north-1.amazonaws.com.cn", "https://s3.cn-north-1.amazonaws.com.cn", false, vendorAWS},
		{"https://notamazonaws.com", "https://notamazonaws.com", true, vendorUnknown},
		{"https://0123.r2.cloudflarestorage.com", "https://0123.r2.cloudflarestorage.com", true, vendorR2},
		{"https://storage.googleapis.com", "https://storage.googleapis.com", true, vendorGCS},
		{"oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com", false, vendorUnknown},
	} {
		got, err := parseEndpoint(c.endpoint)
		if got != c.want || err != nil {
			t.Errorf("%q: %q, %v", c.endpoint, got, err)
		}
		store, err := Open(t.Context(), Config{Endpoint: c.endpoint})
		if err != nil {
			t.Errorf("%q: %v", c.endpoint, err)
			continue
		}
		if o := store.client.Options(); o.UsePathStyle != c.path || o.Region != "us-east-1" || store.vendor.Load().name != c.vendor {
			t.Errorf("%q: path style %v, region %q, vendor %s", c.endpoint, o.UsePathStyle, o.Region, store.vendor.Load().name)
		}
	}
	for _, bad := range []string{"ftp://x", "http://", "http://user:pass@x", "http://x?a=b", "http://x#y", "http://[::1"} {
		if _, err := Open(t.Context(), Config{Endpoint: bad}); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []Config{{Proxy: "nonsense"}, {Proxy: "ftp://x"}, {CABundle: "/does/not/exist"}} {
		if _, err := Open(t.Context(), bad); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	virtual := false
	store, err := Open(t.Context(), Config{Endpoint: "http://127.0.0.1", PathStyle: &virtual, Region: "here"})
	if err != nil || store.client.Options().UsePathStyle || store.client.Options().Region != "here" {
		t.Errorf("options are not used: %v", err)
	}
	if got := store.Endpoint(); got != "127.0.0.1" {
		t.Errorf("Endpoint %q", got)
	}
}

func TestEndpointOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7")
	t.Setenv("AWS_REGION", "eu-north-1")
	store, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if o := store.client.Options(); !o.UsePathStyle || o.Region != "eu-north-1" || store.Endpoint() != "127.0.0.1:7" || store.vendor.Load() != unknownVendor {
		t.Errorf("path style %v, region %s, endpoint %s", o.UsePathStyle, o.Region, store.Endpoint())
	}
}

func TestVendorOfAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"Server", "MinIO", vendorMinIO},
		{"Server", "VERSITYGW", vendorVersityGW},
		{"Server", "rclone/v1.75.1", vendorRclone},
		{"Server", "Ceph Object Gateway (squid)", vendorCeph},
		{"X-Amz-Request-Id", "tx00000a3bdf0a1b2c3d4e5-0065f1e2d3-1038-default", vendorCeph},
		{"X-Openstack-Request-Id", "tx1b2c3d", vendorSwift},
		{"Server", "AmazonS3", ""}, // gofakes3 says so, too
		{"Server", "nginx", ""},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		got := ""
		if v := vendorOfAnswer(h); v != nil {
			got = v.name
		}
		if got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
