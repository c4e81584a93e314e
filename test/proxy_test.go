package test

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A proxy stands between a client and a store: it counts requests by S3 operation and bytes of
// object data, and can delay, hold or spoil requests. Host is passed on, so signatures stay valid.
type proxy struct {
	endpoint string
	over     chan struct{} // closed at the end: that a client has gone is not seen while the body of its request waits to be read

	mu       sync.Mutex
	counts   map[string]int // by operation and condition, as in "PutObject if-match"
	requests []string       // "PutObject /bucket/key", in the order of arrival
	sent     int64          // bytes of object data that the client sent
	received int64          // bytes of object data that the client was sent
	rules    []*rule
	choose   func(operation, path string) *rule // one more for this request; nil: none. Called with mu held
}

// A rule changes what happens to the requests that match. Nil functions and zero values do nothing.
type rule struct {
	match   func(operation, path string) bool
	latency time.Duration
	status  int           // answered without asking the store
	code    string        // of that answer, where the status does not say it
	hold    chan struct{} // wait until it is closed, or the client gives up
	lose    bool          // the store does it, the client sees a broken connection
	cut     int           // the connection breaks after so many bytes of the answer's body
	flip    bool          // a bit of the answer's body is another one
	stall   int           // nothing follows so many bytes of the answer's body, until the client gives up
	short   int           // the answer has so many bytes less, and says so
	reset   int           // the connection breaks after so many bytes of the request's body, and the store gets nothing
	spoil   bool          // a bit of the request's body is another one
	times   int           // how often it applies; 0: always
	from    int           // the first that it applies to, from 1; 0 means 1
	strike  func()        // kills the client before the store is asked, or after it has done it
	after   bool          // of strike

	seen, used int
}

func newProxy(t testing.TB, s *store) *proxy {
	t.Helper()
	upstream, err := url.Parse(s.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{counts: map[string]int{}, over: make(chan struct{})}
	transport := &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true, TLSClientConfig: s.secure.trusted()}
	reverse := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, BufferPool: newBuffers(),
		Rewrite: func(r *httputil.ProxyRequest) {
			host := r.In.Host
			r.SetURL(upstream)
			r.Out.Host = host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, reverse) }))
	s.secure.start(server)
	p.endpoint = server.URL
	t.Cleanup(func() {
		p.clear()
		close(p.over)
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, reverse http.Handler) {
	operation := operationOf(r)
	applied := p.arrived(operation, r)

	switch operation {
	case "PutObject", "UploadPart":
		r.Body = &countingBody{ReadCloser: r.Body, count: func(n int) { p.add(&p.sent, n) }}
	case "GetObject":
		w = &countingWriter{ResponseWriter: w, count: func(n int) { p.add(&p.received, n) }}
	}
	for _, x := range applied {
		if x.latency > 0 {
			time.Sleep(x.latency)
		}
		if x.hold != nil {
			select {
			case <-x.hold:
			case <-r.Context().Done():
				return
			case <-p.over:
				return
			}
		}
		if x.status != 0 {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			if x.status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "1")
			}
			w.WriteHeader(x.status)
			code := cmp.Or(x.code, map[int]string{403: "AccessDenied", 412: "PreconditionFailed", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}[x.status])
			fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>by the test</Message></Error>", code)
			return
		}
		if x.strike != nil {
			if x.after {
				reverse.ServeHTTP(httptest.NewRecorder(), r)
			}
			x.strike()
			panic(http.ErrAbortHandler)
		}
		if x.lose {
			reverse.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		if x.reset > 0 {
			_, _ = io.CopyN(io.Discard, r.Body, int64(x.reset))
			panic(http.ErrAbortHandler)
		}
		if x.spoil {
			r.Body = &spoiledBody{ReadCloser: r.Body}
		}
		if x.stall > 0 {
			reverse.ServeHTTP(&cutWriter{ResponseWriter: w, left: x.stall}, r)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-p.over:
			}
			panic(http.ErrAbortHandler)
		}
		if x.short > 0 {
			shorten(w, r, reverse, x.short)
			return
		}
		if x.cut > 0 {
			reverse.ServeHTTP(&cutWriter{ResponseWriter: w, left: x.cut}, r)
			panic(http.ErrAbortHandler)
		}
		if x.flip {
			w = &flipWriter{ResponseWriter: w}
		}
	}
	reverse.ServeHTTP(w, r)
}

// arrived counts a request and returns the rules that apply to it.
func (p *proxy) arrived(operation string, r *http.Request) []rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[operation+condition(r)]++
	p.requests = append(p.requests, operation+condition(r)+" "+r.URL.RequestURI())
	var applied []rule
	for _, x := range p.rules {
		if !x.match(operation, r.URL.Path) {
			continue
		}
		if x.seen++; x.seen >= x.from && (x.times == 0 || x.used < x.times) {
			x.used++
			applied = append(applied, *x)
		}
	}
	if p.choose != nil {
		if x := p.choose(operation, r.URL.Path); x != nil {
			applied = append(applied, *x)
		}
	}
	return applied
}

func (p *proxy) add(counter *int64, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*counter += int64(n)
}

// on adds a rule.
func (p *proxy) on(x *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, x)
}

// clear removes all rules and lets go what they hold.
func (p *proxy) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.rules {
		if x.hold != nil {
			close(x.hold)
		}
	}
	p.rules, p.choose = nil, nil
}

// A tally is what went through a proxy in some time.
type tally struct {
	counts         map[string]int
	requests       []string
	sent, received int64
}

// take returns what went through since the last take, and starts again.
func (p *proxy) take() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := tally{counts: p.counts, requests: p.requests, sent: p.sent, received: p.received}
	p.counts, p.requests, p.sent, p.received = map[string]int{}, nil, 0, 0
	return out
}

func (t tally) total() int {
	n := 0
	for _, c := range t.counts {
		n += c
	}
	return n
}

func (t tally) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, "%d %s, ", t.counts[name], name)
	}
	fmt.Fprintf(&b, "%d bytes sent, %d received", t.sent, t.received)
	for _, r := range t.requests[:min(len(t.requests), 30)] {
		b.WriteString("\n    " + r)
	}
	return b.String()
}

// operationOf names the S3 operation of a request (path style).
func operationOf(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		return bucketOperation(r, query)
	}
	copied := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case query.Has("uploadId"):
		switch {
		case r.Method == http.MethodPut && copied:
			return "UploadPartCopy"
		case r.Method == http.MethodPut:
			return "UploadPart"
		case r.Method == http.MethodPost:
			return "CompleteMultipartUpload"
		case r.Method == http.MethodDelete:
			return "AbortMultipartUpload"
		}
		return "ListParts"
	case query.Has("uploads"):
		return "CreateMultipartUpload"
	case query.Has("tagging"), query.Has("attributes"), query.Has("acl"):
		return r.Method + "Object?" + r.URL.RawQuery
	}
	switch r.Method {
	case http.MethodPut:
		if copied {
			return "CopyObject"
		}
		return "PutObject"
	case http.MethodGet:
		return "GetObject"
	case http.MethodHead:
		return "HeadObject"
	case http.MethodDelete:
		return "DeleteObject"
	}
	return r.Method
}

// condition names the condition of a request that a budget tells apart.
func condition(r *http.Request) string {
	switch {
	case r.Header.Get("If-None-Match") == "*":
		return " if-none-match=*"
	case r.Header.Get("If-None-Match") != "":
		return " if-none-match"
	case r.Header.Get("If-Match") != "" && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return " if-match"
	}
	return ""
}

func bucketOperation(r *http.Request, query url.Values) string {
	switch {
	case query.Has("list-type"):
		return "ListObjectsV2"
	case query.Has("delete"):
		return "DeleteObjects"
	case query.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodHead:
		return "HeadBucket"
	case r.URL.Path == "/":
		return "ListBuckets"
	}
	for _, name := range []string{"versioning", "location", "object-lock", "versions", "tagging"} {
		if query.Has(name) {
			return r.Method + "Bucket?" + name
		}
	}
	return r.Method + "Bucket"
}

type countingBody struct {
	io.ReadCloser
	count func(int)
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count(n)
	return n, err
}

type countingWriter struct {
	http.ResponseWriter
	count func(int)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.count(n)
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// cutWriter passes on the first bytes of a body and drops the rest.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if _, err := w.ResponseWriter.Write(p[:min(len(p), w.left)]); err != nil {
		return 0, err
	}
	w.left -= min(len(p), w.left)
	return len(p), nil
}

func (w *cutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// flipWriter changes a bit of the first byte of a body.
type flipWriter struct {
	http.ResponseWriter
	done bool
}

func (w *flipWriter) Write(p []byte) (int, error) {
	if !w.done && len(p) > 0 {
		w.done = true
		p = append([]byte{p[0] ^ 1}, p[1:]...)
	}
	return w.ResponseWriter.Write(p)
}

func (w *flipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// spoiledBody changes a bit of the first byte of a body.
type spoiledBody struct {
	io.ReadCloser
	done bool
}

func (b *spoiledBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.done && n > 0 {
		b.done = true
		p[0] ^= 1
	}
	return n, err
}

// shorten leaves out the last bytes of an answer, as a store would that has lost them.
func shorten(w http.ResponseWriter, r *http.Request, reverse http.Handler, less int) {
	whole := httptest.NewRecorder()
	reverse.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	body := whole.Body.Bytes()
	body = body[:max(0, len(body)-less)]
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(body)
}

// buffers keeps the copy buffers of the reverse proxy.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}}
}

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(x []byte) { b.pool.Put(&x) }
