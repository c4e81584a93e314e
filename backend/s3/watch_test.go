package s3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
)

// rawServer accepts connections and lets a test speak on them.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func quick(t *testing.T, endpoint string) *Store {
	t.Helper()
	store, err := Open(t.Context(), Config{Endpoint: endpoint, MaxAttempts: 1, StallTimeout: 500 * time.Millisecond, FirstByteTimeout: 700 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// zeros is a body of any size.
type zeros struct{ *io.SectionReader }

type zeroAt struct{}

func (zeroAt) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func newZeros(n int64) io.ReadSeeker { return zeros{io.NewSectionReader(zeroAt{}, 0, n)} }

func TestStalledUpload(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	endpoint := rawServer(t, func(net.Conn) { <-stop }) // never reads
	t.Cleanup(func() { close(stop) })
	store := quick(t, endpoint)
	within(t, 5*time.Second, func() {
		_, err := store.Put(t.Context(), backend.PutInput{Bucket: "bucket", Key: "key", Body: newZeros(64 << 20), Size: 64 << 20,
			Condition: backend.Condition{IfMatch: "e"}})
		if !errors.Is(err, errStalled) || !backend.IsKind(err, backend.KindUnknown) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	endpoint := rawServer(t, func(c net.Conn) {
		go func() { io.Copy(io.Discard, c) }()
		<-stop
	})
	t.Cleanup(func() { close(stop) })
	store := quick(t, endpoint)
	for op, want := range map[string]backend.Kind{"Get": backend.KindTransient, "Put": backend.KindUnknown, "Complete": backend.KindUnknown} {
		within(t, 5*time.Second, func() {
			err := operations[op](t.Context(), store)
			if !errors.Is(err, errNoAnswer) || !backend.IsKind(err, want) {
				t.Errorf("%s: %v", op, err)
			}
		})
	}
}

func TestStalledDownload(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	endpoint := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nEtag: \"e\"\r\n\r\n0123456789")
		<-stop
	})
	t.Cleanup(func() { close(stop) })
	body, err := quick(t, endpoint).Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	time.Sleep(700 * time.Millisecond) // a reader that takes its time stalls nothing
	var data []byte
	within(t, 5*time.Second, func() { data, err = io.ReadAll(body) })
	if string(data) != "0123456789" || !errors.Is(err, errStalled) || !backend.IsKind(err, backend.KindTransient) {
		t.Errorf("%q, %v", data, err)
	}
}

// TestSlowIsNotStalled: transfers that take far longer than every timeout, but move.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	endpoint := rawServer(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Method == http.MethodPut {
			c.(*net.TCPConn).SetReadBuffer(64 << 10)
			buf := make([]byte, 64<<10)
			for left := req.ContentLength; left > 0; time.Sleep(7 * time.Millisecond) {
				n, err := req.Body.Read(buf)
				if left -= int64(n); err != nil && left > 0 {
					return
				}
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nEtag: \"e\"\r\nConnection: close\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n")
		for range 10 {
			time.Sleep(120 * time.Millisecond)
			io.WriteString(c, "x")
		}
	})
	store := quick(t, endpoint)
	store.conn.first = 3 * time.Second // the other end's receive buffer takes its time, too
	if _, err := store.Put(t.Context(), backend.PutInput{Bucket: "bucket", Key: "key", Body: newZeros(16 << 20), Size: 16 << 20}); err != nil {
		t.Errorf("slow upload: %v", err)
	}
	body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); string(data) != "xxxxxxxxxx" || err != nil {
		t.Errorf("slow download: %q, %v", data, err)
	}
}

// TestPatienceGrows: a store may take its time for a large copy or completion, before the
// answer begins and while it goes on (Amazon sends blanks).
func TestPatienceGrows(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{MaxAttempts: 1, StallTimeout: 500 * time.Millisecond, FirstByteTimeout: 500 * time.Millisecond},
		func(_ int, w http.ResponseWriter, r *http.Request) {
			time.Sleep(900 * time.Millisecond)
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(900 * time.Millisecond)
			if r.Method == http.MethodPost {
				io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
			} else {
				io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
			}
		})
	in := backend.CopyInput{Bucket: "bucket", Key: "key", Source: backend.Source{Bucket: "bucket", Key: "from"}, Size: 4 * backend.GiB}
	if _, err := store.Copy(t.Context(), in); err != nil {
		t.Errorf("large copy: %v", err)
	}
	in.Size = 1
	if _, err := store.Copy(t.Context(), in); !backend.IsKind(err, backend.KindUnknown) {
		t.Errorf("small copy: %v", err)
	}
	complete := backend.CompleteInput{Bucket: "bucket", Key: "key", UploadID: "u", Size: 4 * backend.GiB, Parts: []backend.Part{{Number: 1, ETag: "p"}}}
	if _, err := store.CompleteUpload(t.Context(), complete); err != nil {
		t.Errorf("large completion: %v", err)
	}
}

// TestConnectionsAreReused: many requests, few connections, and never more than allowed.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{MaxConns: 2}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, strings.Repeat("x", 100_000))
	})
	remotes := make(chan string, 100)
	inner := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes <- r.RemoteAddr
		inner.ServeHTTP(w, r)
	})
	done := make(chan error)
	for range 4 {
		go func() {
			var failed error
			for range 5 {
				body, err := store.Get(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "key"}, backend.GetOptions{})
				if err != nil {
					failed = err
					continue
				}
				io.Copy(io.Discard, body)
				body.Close()
			}
			done <- failed
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	close(remotes)
	seen := map[string]bool{}
	for r := range remotes {
		seen[r] = true
	}
	if len(seen) > 2 {
		t.Errorf("%d connections, want at most 2", len(seen))
	}
}

// TestConnecting: neither a host that takes no connection nor one that does not speak TLS is
// waited for longer than ConnectTimeout.
func TestConnecting(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	silent := rawServer(t, func(net.Conn) { <-stop })
	t.Cleanup(func() { close(stop) })
	for name, endpoint := range map[string]string{
		"full backlog": "http://" + fullBacklog(t),
		"silent TLS":   strings.Replace(silent, "http:", "https:", 1),
	} {
		store, err := Open(t.Context(), Config{Endpoint: endpoint, MaxAttempts: 1, ConnectTimeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for _, op := range []string{"Get", "PutIfMatch", "List"} {
			within(t, 5*time.Second, func() {
				if err := operations[op](t.Context(), store); !backend.IsKind(err, backend.KindUnreachable) {
					t.Errorf("%s, %s: %v", name, op, err)
				}
			})
		}
	}
}

// fullBacklog returns an address whose listener accepts nothing and has as many connections
// waiting as it may.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprint("127.0.0.1:", bound.(*unix.SockaddrInet4).Port)
	for range 8 {
		waiting, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { waiting.Close() })
	}
	t.Skip("this kernel takes any number of connections")
	return ""
}
