package s3

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestClockIsLearned: a wrong clock costs one refused request, also where nothing else is ever
// repeated, and is an error of the credentials where that does not help.
func TestClockIsLearned(t *testing.T) {
	t.Parallel()
	const ahead = 3 * time.Hour
	hopeless := false
	store, f := newFake(t, Config{MaxAttempts: 1}, func(n int, w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed) > 15*time.Minute || hopeless {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			fail(w, http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
			return
		}
		ok(n, w, r)
	})
	for i, want := range []int{2, 3} {
		if err := operations["PutIfMatch"](t.Context(), store); err != nil || len(f.requests()) != want {
			t.Errorf("write %d: %v after %d requests, want %d", i, err, len(f.requests()), want)
		}
	}
	if all := f.requests(); all[0].body != "content" || all[1].body != "content" {
		t.Errorf("the repeat had other bytes: %+v", all)
	}
	hopeless = true
	if err := operations["Get"](t.Context(), store); !backend.IsKind(err, backend.KindCredentials) || len(f.requests()) != 4 {
		t.Errorf("a clock that stays wrong: %v after %d requests", err, len(f.requests()))
	}
	if err := operations["List"](t.Context(), store); !backend.IsKind(err, backend.KindCredentials) {
		t.Errorf("a listing: %v", err)
	}
}

// TestClockOfAHead: a HEAD is refused without a reason. Only if the clock is far off it is that.
func TestClockOfAHead(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]int{time.Hour: 2, -time.Hour: 2, 0: 1, time.Minute: 1} {
		store, f := newFake(t, Config{MaxAttempts: 1}, func(n int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			if n == 1 {
				w.WriteHeader(http.StatusForbidden)
			}
		})
		err := operations["Head"](t.Context(), store)
		if len(f.requests()) != want || want == 2 && err != nil || want == 1 && !backend.IsKind(err, backend.KindPermission) {
			t.Errorf("%v ahead: %v after %d requests", ahead, err, len(f.requests()))
		}
	}
}

// TestRepeatsAreOurs: the SDK's own settings of the environment make nothing repeat, and no
// budget of repeats or rate is shared between requests.
func TestRepeatsAreOurs(t *testing.T) {
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	t.Setenv("AWS_MAX_ATTEMPTS", "9")
	for _, attempts := range []int{1, 3} {
		store, f := newFake(t, Config{MaxAttempts: attempts}, func(_ int, w http.ResponseWriter, _ *http.Request) {
			fail(w, http.StatusServiceUnavailable, "SlowDown", "")
		})
		for op, want := range map[string]int{"Get": attempts, "List": attempts, "UploadPart": attempts, "PutIfMatch": 1, "Copy": 1, "CompleteIfMatch": 1} {
			before := len(f.requests())
			if err := operations[op](t.Context(), store); !backend.IsKind(err, backend.KindTransient) {
				t.Errorf("%s: %v", op, err)
			}
			if sent := len(f.requests()) - before; sent != want {
				t.Errorf("%s with %d attempts: sent %d times, want %d", op, attempts, sent, want)
			}
		}
	}
}

// TestNoSubresources: what an unknown server could take for something else is never sent to it,
// whatever is asked for.
func TestNoSubresources(t *testing.T) {
	t.Parallel()
	allowed := []string{"list-type", "encoding-type", "prefix", "delimiter", "start-after", "max-keys", "continuation-token", "uploads",
		"uploadId", "partNumber", "delete", "versionId", "x-id"}
	for name, operation := range operations {
		store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
			}
		})
		operation(t.Context(), store) // an empty answer is an error to some
		if _, err := store.Capabilities(t.Context(), "bucket", "", false); err != nil && !backend.IsKind(err, backend.KindNoBucket) {
			t.Fatal(err)
		}
		store.Tags(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, "")
		for _, r := range f.requests() {
			query, err := url.ParseQuery(r.query)
			if err != nil {
				t.Fatal(err)
			}
			for key := range query {
				if !slices.Contains(allowed, key) {
					t.Errorf("%s: %s %s", name, r.method, r.path)
				}
			}
			if r.header.Get("X-Amz-Tagging-Directive") != "" || r.header.Get("X-Amz-Checksum-Mode") != "" {
				t.Errorf("%s: %v", name, r.header)
			}
		}
	}
}

// TestETagsHaveNoQuotes: neither in what a caller gets nor in what a store gets.
func TestETagsHaveNoQuotes(t *testing.T) {
	t.Parallel()
	for _, given := range []string{`"e-1"`, `W/"e-1"`, `e-1`} {
		inXML := strings.ReplaceAll(given, `"`, "&quot;")
		store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", given)
			w.Header().Set("Server", "VERSITYGW") // for the versions below
			switch query := r.URL.Query(); {
			case query.Has("versions"):
				io.WriteString(w, `<ListVersionsResult><DeleteMarker><Key>key</Key><IsLatest>true</IsLatest></DeleteMarker>`+
					`<Version><Key>key</Key><ETag>`+inXML+`</ETag></Version></ListVersionsResult>`)
			case query.Has("list-type"):
				io.WriteString(w, `<ListBucketResult><Contents><Key>key</Key><ETag>`+inXML+`</ETag></Contents></ListBucketResult>`)
			case query.Has("uploadId") && r.Method == http.MethodGet:
				io.WriteString(w, `<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>`+inXML+`</ETag></Part></ListPartsResult>`)
			case r.Method == http.MethodPost:
				io.WriteString(w, `<CompleteMultipartUploadResult><ETag>`+inXML+`</ETag></CompleteMultipartUploadResult>`)
			case r.Header.Get("X-Amz-Copy-Source") != "" && query.Has("partNumber"):
				io.WriteString(w, `<CopyPartResult><ETag>`+inXML+`</ETag></CopyPartResult>`)
			case r.Header.Get("X-Amz-Copy-Source") != "":
				io.WriteString(w, `<CopyObjectResult><ETag>`+inXML+`</ETag></CopyObjectResult>`)
			case r.Method == http.MethodHead && r.URL.Path == "/bucket/deleted":
				w.WriteHeader(http.StatusNotFound)
			}
		})
		got := etagsOf(t, store)
		if store.vendor.Load().name != vendorVersityGW {
			t.Fatal("the vendor is not known")
		}
		for what, etag := range got {
			if etag != "e-1" {
				t.Errorf("%s answers %s: %s", given, what, etag)
			}
		}
		for _, r := range f.requests() {
			for name, values := range r.header {
				if strings.Contains(name, "Match") && strings.Contains(values[0], `"`) {
					t.Errorf("%s sends %s: %s", r.path, name, values[0])
				}
			}
			if strings.Contains(r.body, `&#34;`) || strings.Contains(r.body, `&quot;`) || strings.Contains(r.body, `"e-1`) {
				t.Errorf("%s sends %s", r.path, r.body)
			}
		}
	}
}

// etagsOf collects the ETags of all answers that have one, from first to last.
func etagsOf(t *testing.T, s *Store) map[string]string {
	t.Helper()
	ctx, id := t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}
	etags := make(map[string]string)
	note := func(what, etag string, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		etags[what] = etag
	}
	head, err := s.Head(ctx, id, backend.GetOptions{IfMatch: "e-1"})
	note("Head", head.ETag, err)
	if body, err := s.Get(ctx, id, backend.GetOptions{IfMatch: "e-1"}); err != nil {
		t.Error(err)
	} else {
		note("Get", body.Object.ETag, nil)
		body.Close()
	}
	put, err := s.Put(ctx, putOf("x", backend.Condition{}))
	note("Put", put.ETag, err)
	copied, err := s.Copy(ctx, backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "e-1"}})
	note("Copy", copied.ETag, err)
	part, err := s.UploadPart(ctx, backend.PartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1, Body: strings.NewReader("x"), Size: 1})
	note("UploadPart", part.ETag, err)
	part, err = s.CopyPart(ctx, backend.CopyPartInput{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1,
		Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "e-1"}, Range: backend.Range{Len: 1}})
	note("CopyPart", part.ETag, err)
	whole, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: "bucket", Key: "key", UploadID: "u", Parts: []backend.Part{part}, Size: 1})
	note("CompleteUpload", whole.ETag, err)
	page, err := s.List(ctx, backend.ListInput{Bucket: "bucket"})
	note("List", page.Objects[0].ETag, err)
	parts, err := s.ListParts(ctx, backend.Upload{Bucket: "bucket", Key: "key", UploadID: "u"})
	note("ListParts", parts[0].ETag, err)
	return etags
}

// TestPool: parallel requests keep their connections, and there are no more than allowed.
func TestPool(t *testing.T) {
	t.Parallel()
	const streams = 32
	for _, limit := range []int{0, 5} {
		var connections atomic.Int64
		together := make(chan struct{})
		var arrived atomic.Int64
		store, f := newFake(t, Config{MaxConns: limit}, func(_ int, w http.ResponseWriter, r *http.Request) {
			if limit == 0 && r.Method == http.MethodGet {
				if arrived.Add(1) == streams {
					close(together) // all at once, or never
				}
				select {
				case <-together:
				case <-time.After(10 * time.Second):
				}
			}
			w.Header().Set("Etag", "e")
			io.WriteString(w, "x")
		})
		store.conn.transport.DialContext = counted(store.conn.transport.DialContext, &connections)
		for range 3 {
			var wg sync.WaitGroup
			for range streams {
				wg.Go(func() {
					body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, body)
					body.Close()
				})
			}
			wg.Wait()
		}
		want := int64(streams)
		if limit > 0 {
			want = int64(limit)
		}
		if n := connections.Load(); n > want || len(f.requests()) != 3*streams {
			t.Errorf("%d connections for %d requests, %d at once; want at most %d", n, len(f.requests()), streams, want)
		}
	}
}

// counted counts what dial does.
func counted(dial func(context.Context, string, string) (net.Conn, error), n *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, address)
	}
}

// TestKindOfSignature: a bucket whose rules want a signature that we have not is refused here.
func TestKindOfSignature(t *testing.T) {
	t.Parallel()
	store, err := Open(t.Context(), Config{Region: "us-west-2"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if store.client.Options().BaseEndpoint != nil {
		t.Skip("the environment names an endpoint")
	}
	_, err = store.Head(t.Context(), backend.ObjectID{Bucket: "data--usw2-az1--x-s3", Key: "key"}, backend.GetOptions{})
	if !backend.IsKind(err, backend.KindUnsupported) {
		t.Errorf("a directory bucket: %v", err)
	}
	at, err := store.placeOf(t.Context(), "plain")
	if err != nil || at.host != "plain.s3.us-west-2.amazonaws.com" || at.scheme != "https" || at.region != "us-west-2" || at.raw != "" {
		t.Errorf("%+v, %v", at, err)
	}
	store.regions.Store("plain", "eu-west-1")
	if at, err := store.placeOf(t.Context(), "plain"); err != nil || at.host != "plain.s3.eu-west-1.amazonaws.com" || at.region != "eu-west-1" {
		t.Errorf("after its region was learned: %+v, %v", at, err)
	}
}
