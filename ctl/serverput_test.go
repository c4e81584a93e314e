package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// putThrough puts by the socket.
func putThrough(ctx context.Context, c *Client, r PutObjectRequest, body io.Reader) (stored Stored, last Step, err error) {
	err = c.Put(ctx, r, body, func(l Line) error {
		if l.Progress != nil && l.Progress.Bytes > 0 {
			last = *l.Progress
		}
		if l.Item != nil {
			return json.Unmarshal(l.Item, &stored)
		}
		return nil
	})
	return stored, last, err
}

func TestPutThroughTheSocket(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	s, c := start(t, &fakeMount{verbs: w.verbs})
	s.mostSilent = time.Millisecond // empty lines come between
	for _, n := range []int{0, 1, 5000, 3 << 20} {
		for _, known := range []bool{true, false} {
			want := random(n)
			r := PutObjectRequest{Target: target("d/ä 🎂\x7f\n\"f"), Given: Given{Metadata: map[string]string{"a": "b"}}}
			if size := int64(n); known {
				r.Size = &size
			}
			got, last, err := putThrough(t.Context(), c, r, iotest.HalfReader(bytes.NewReader(want)))
			if err != nil || got.Key != r.Path || got.Size != int64(n) || w.content(string(r.Path)) != string(want) {
				t.Fatalf("%d bytes, known %v: %+v, %v", n, known, got, err)
			}
			if n > 0 && (last.Bytes == 0 || known && last.Total != int64(n)) {
				t.Errorf("%d bytes, known %v: the progress ended with %+v", n, known, last)
			}
		}
	}
	bytesOnly := Text("a\xffb")
	if got, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: Target{Path: bytesOnly}}, strings.NewReader("x")); err != nil || got.Key != bytesOnly {
		t.Errorf("%+v, %v", got, err)
	}
	if got, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: Target{Path: "dry", DryRun: true}}, iotest.ErrReader(errors.New("read"))); err != nil || got.Key != "dry" {
		t.Errorf("a dry run: %+v, %v", got, err)
	}
	w.clean("d/ä 🎂\x7f\n\"f")
}

// TestPutIsRefusedBeforeABodyIsSent: the client learns why, and has read nothing of what it would have sent.
func TestPutIsRefusedBeforeABodyIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "old")
	_, c := start(t, &fakeMount{verbs: w.verbs})
	read := errors.New("it was read")
	for _, size := range []*int64{nil, new(int64)} {
		if size != nil {
			*size = 100 << 20
		}
		_, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f"), Only: Only{IfNoneMatch: true}, Size: size}, iotest.ErrReader(read))
		if KindOf(err) != KindConflict {
			t.Errorf("%v", err)
		}
	}
	w.tree.unsent = 1
	if _, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f")}, iotest.ErrReader(read)); KindOf(err) != KindBusy {
		t.Errorf("%v", err)
	}
	for header, text := range map[string]string{"": "EOF", `{"path":"f","xx":1}`: "unknown field", `{"path":`: "unexpected EOF"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://mount/v1/object/put", zeros{})
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(requestHeader, header)
		req.Header.Set("Expect", "100-continue")
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 400 || !strings.Contains(string(answer), text) {
			t.Errorf("%s: %d %s, %v", header, resp.StatusCode, answer, err)
		}
	}
}

// TestPutOfAnotherSize says how many bytes there were, as far as it has looked.
func TestPutOfAnotherSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, c := start(t, &fakeMount{verbs: w.verbs})
	for size, want := range map[int64]string{30: "there are 6 bytes, not 30; nothing was stored", 4: "there are 6 bytes or more, not 4; nothing was stored"} {
		_, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f"), Size: &size}, strings.NewReader("6bytes"))
		answer{err: err}.wants(t, KindInvalid, want)
	}
	w.is(map[string]string{})
}

// TestPutOfAClientThatGoes: nothing is stored and no upload stays, wherever the bytes break off.
func TestPutOfAClientThatGoes(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	s, c := start(t, &fakeMount{verbs: w.verbs})
	for _, n := range []int{0, 10, 5000} {
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(bytes.NewReader(random(n)), readerFunc(func([]byte) (int, error) {
			cancel()
			<-ctx.Done()
			return 0, io.EOF // as if it were the end
		}))
		if _, _, err := putThrough(ctx, c, PutObjectRequest{Target: target("f")}, hides{body, ctx}); !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes and gone: %v", n, err)
		}
		broken := errors.New("no more of it")
		body = io.MultiReader(bytes.NewReader(random(n)), iotest.ErrReader(broken))
		if _, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f")}, body); !errors.Is(err, broken) {
			t.Errorf("%d bytes and broken: %v", n, err)
		}
	}
	for _, head := range []string{"Content-Length: 9000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1388\r\n"} {
		conn, err := dial(t.Context(), s.info.Socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "PUT /v1/object/put HTTP/1.1\r\nHost: mount\r\n%s: {\"path\":\"f\"}\r\n%s%s", requestHeader, head, random(5000)); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The server has done with all of them when it has ended.
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clean("f")
	w.is(map[string]string{})
}

// hides makes the end of a body one that does not come any more.
type hides struct {
	io.Reader
	ctx context.Context
}

func (h hides) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if h.ctx.Err() != nil {
		return n, h.ctx.Err()
	}
	return n, err
}

// TestPutThatPauses ends after a while.
func TestPutThatPauses(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	s, c := start(t, &fakeMount{verbs: w.verbs})
	s.mostPause = 20 * time.Millisecond // no request has come yet
	for _, n := range []int{0, 5000} {
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(bytes.NewReader(random(n)), readerFunc(func([]byte) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}))
		if _, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f")}, body); KindOf(err) != KindTimeout || !strings.Contains(err.Error(), "no byte came for 20ms") {
			t.Errorf("after %d bytes: %v (%s)", n, err, KindOf(err))
		}
		cancel()
	}
	w.clean("f")
	w.is(map[string]string{})
}

// TestPutOfAMountThatEnds: closing the server does not leave an upload behind.
func TestPutOfAMountThatEnds(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	s, c := start(t, &fakeMount{verbs: w.verbs})
	sent, ended := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := io.MultiReader(bytes.NewReader(random(5000)), readerFunc(func([]byte) (int, error) {
		close(sent)
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	go func() {
		_, _, err := putThrough(ctx, c, PutObjectRequest{Target: target("f")}, body)
		ended <- err
	}()
	<-sent
	over, stop := context.WithCancel(t.Context())
	stop() // it does not wait for requests
	if err := s.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("closed: %v", err)
	}
	w.clean("f")
	w.is(map[string]string{})
	cancel()
	if err := <-ended; err == nil {
		t.Error("the client takes it for stored")
	}
}

// TestPutIntoAFailingStore: who sends slowly is told at once.
func TestPutIntoAFailingStore(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "UploadPart", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	_, c := start(t, &fakeMount{verbs: w.verbs})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := io.MultiReader(bytes.NewReader(random(5000)), readerFunc(func([]byte) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	if _, _, err := putThrough(t.Context(), c, PutObjectRequest{Target: target("f")}, body); KindOf(err) != KindCredentials {
		t.Errorf("%v (%s)", err, KindOf(err))
	}
	w.clean("f")
}

func TestPutsTakeTurns(t *testing.T) {
	t.Parallel()
	s, _ := start(t, &fakeMount{})
	var mu sync.Mutex
	running, most := 0, 0
	var all sync.WaitGroup
	for range 5 * putsAtOnce {
		all.Go(func() {
			err := s.inTurn(t.Context(), func() error {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most > putsAtOnce || most == 0 {
		t.Errorf("%d at once", most)
	}
}

// TestRefusedPeersAreLogged has a line for each user, not for each request.
func TestRefusedPeersAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := serve(filepath.Join(t.TempDir(), "run"), Info{Mountpoint: "/mnt", UID: uint32(os.Geteuid())}, &fakeMount{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	h := s.handler()
	from := func(peer any) int {
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, peer), http.MethodGet, "/v1/openapi.json", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		w := &plainWriter{header: http.Header{}}
		h.ServeHTTP(w, r)
		return w.status
	}
	for range 3 {
		for _, peer := range []any{uint32(4242), uint32(4243), nil} {
			if got := from(peer); got != http.StatusForbidden {
				t.Errorf("%v got %d", peer, got)
			}
		}
	}
	if got := from(s.info.UID); got == http.StatusForbidden {
		t.Error("the owner was refused")
	}
	text := log.String()
	for _, want := range []string{"uid=4242", "uid=4243", "known=false", "GET /v1/openapi.json"} {
		if strings.Count(text, want) == 0 {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "refused"); n != 3 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	s.refused.mu.Lock()
	s.refused.told[4242] = s.refused.told[4242].Add(-time.Hour)
	s.refused.mu.Unlock()
	from(uint32(4242))
	if n := strings.Count(log.String(), "uid=4242"); n != 2 {
		t.Errorf("%d lines of one user after an hour", n)
	}
}

type plainWriter struct {
	header http.Header
	status int
	bytes.Buffer
}

func (p *plainWriter) Header() http.Header              { return p.header }
func (p *plainWriter) WriteHeader(status int)           { p.status = status }
func (p *plainWriter) SetWriteDeadline(time.Time) error { return nil }

// TestDocumentsMayBeLarge, up to a size that is told.
func TestDocumentsMayBeLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, c := start(t, &fakeMount{verbs: w.verbs})
	rules := make([]string, 1000)
	for i := range rules {
		rules[i] = fmt.Sprintf(`{"ID": "rule-%d", "Status": "Enabled", "Filter": {"Prefix": "%s/%d"}, "Expiration": {"Days": 7}}`, i, strings.Repeat("p", 900), i)
	}
	r := SetDocumentRequest{Target: target(""), Document: "lifecycle", Text: `{"Rules": [` + strings.Join(rules, ",") + `]}`}
	if err := c.Run(t.Context(), "document/set", r, func(Line) error { return nil }); err != nil || len(r.Text) < 900_000 {
		t.Errorf("%d bytes: %v", len(r.Text), err)
	}
	d := &document{kind: backend.LifecycleDoc}
	if _, err := d.parse(strings.Repeat("x", maxDocument+1)); KindOf(err) != KindInvalid || !strings.Contains(err.Error(), "at most 20 MiB") {
		t.Errorf("%v", err)
	}
}
