package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// requestHeader has the request of a verb whose body are bytes.
const requestHeader = "Objmount-Request"

const (
	mostPause    = 10 * time.Minute // of the bytes of an object
	putsAtOnce   = 4                // each has some parts in memory
	turnPatience = 30 * time.Second // for one of these turns
)

// put stores the bytes of the body. What is wrong with the request is found before a byte of it is read, so that a client who
// expects a 100 (Continue) need not send them. There are no lines before the last byte has come.
func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	var request PutObjectRequest
	if err := decodeStrictly([]byte(r.Header.Get(requestHeader)), &request); err != nil {
		w.Header().Set("Connection", "close") // nobody reads the bytes
		s.fail(w, &Error{Kind: KindInvalid, Message: fmt.Sprintf(`the header %s is not understood: %v; it has the request, such as {"path": "report.txt"}`, requestHeader, err)})
		return
	}
	if n := r.ContentLength; n >= 0 && request.Size == nil && !request.DryRun {
		request.Size = &n
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := &lineWriter{w: w, rc: http.NewResponseController(w), cancel: cancel, held: true}
	body := &arriving{from: r.Body, rc: out.rc, pause: s.mostPause, atEnd: func() { out.release(s.mostSilent) }}
	err := s.inTurn(ctx, func() error { return s.mount.Verbs().Put(ctx, request, body, out.send) })
	if !body.ended {
		w.Header().Set("Connection", "close")
		body.Interrupt() // net/http would read on, as long as the client sends slowly
	}
	s.finish(w, out, err)
}

// inTurn does not let too many puts run.
func (s *Server) inTurn(ctx context.Context, do func() error) error {
	wait := time.NewTimer(turnPatience)
	defer wait.Stop()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
		return do()
	case <-wait.C:
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("%d objects are being put already; try again", putsAtOnce)}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitPuts waits until puts whose connections were closed have ended their uploads: nobody else would.
func (s *Server) awaitPuts() {
	wait := time.NewTimer(abortPatience)
	defer wait.Stop()
	for range putsAtOnce {
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
		case <-wait.C:
			return
		}
	}
}

// arriving is the body of a request as it comes. A pause that is too long is an error.
type arriving struct {
	from  io.Reader
	rc    *http.ResponseController
	pause time.Duration
	atEnd func()

	mu                 sync.Mutex
	ended, interrupted bool // guarded by mu; ended is written by Read only
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.ended {
		return 0, io.EOF
	}
	if err := a.wait(); err != nil {
		return 0, err
	}
	n, err := a.from.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if err := a.end(); err != nil {
			return n, err
		}
		a.atEnd()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &Error{Kind: KindTimeout, Message: fmt.Sprintf("no byte came for %v; nothing was stored", a.pause)}
	}
	return n, err
}

func (a *arriving) wait() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.interrupted {
		return os.ErrDeadlineExceeded
	}
	return a.rc.SetReadDeadline(time.Now().Add(a.pause))
}

// end lets the connection be watched for a client that goes.
func (a *arriving) end() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	return a.rc.SetReadDeadline(time.Time{})
}

// Interrupt ends a Read that waits, and all later ones.
func (a *arriving) Interrupt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.interrupted = true
	_ = a.rc.SetReadDeadline(time.Now()) // without one the connection is gone
}

// Put asks the mount to put an object; see Verbs.Put. Progress is what has been sent.
func (c *Client) Put(ctx context.Context, r PutObjectRequest, body io.Reader, each func(Line) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var one sync.Mutex // line at a time
	out := &departing{from: body, total: -1, each: func(l Line) error {
		one.Lock()
		defer one.Unlock()
		return each(l)
	}}
	if r.Size != nil {
		out.total = *r.Size
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://mount/v1/"+putVerb, out)
	if err != nil {
		return err
	}
	switch req.ContentLength = out.total; {
	case r.DryRun || out.total == 0:
		req.Body, req.ContentLength = http.NoBody, 0
	default:
		req.Header.Set("Expect", "100-continue") // what is refused at once is told instead
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set(requestHeader, asciiJSON(text))
	stop := c.watch(ctx, &out.last, cancel)
	answer, err := c.do(req)
	stop()
	if failed := out.failure(); failed != nil {
		if err == nil {
			_ = answer.Close()
		}
		return failed
	}
	if err != nil {
		return cause(ctx, err)
	}
	defer answer.Close()
	return c.lines(ctx, cancel, answer, out.each)
}

// asciiJSON is JSON that can be the value of a header.
func asciiJSON(text []byte) string {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return string(out)
}

// watch ends a put when nothing has been sent for a while and the process answers nothing else, either.
func (c *Client) watch(ctx context.Context, last *atomic.Int64, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	var ended sync.WaitGroup
	last.Store(time.Now().UnixNano())
	ended.Go(func() {
		tick := time.NewTicker(silentTimeout / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if time.Since(time.Unix(0, last.Load())) < silentTimeout {
				continue
			}
			if _, err := c.Status(ctx); err != nil && ctx.Err() == nil {
				cancel(&Error{Kind: KindTimeout, Message: fmt.Sprintf("process %d of %s takes nothing and does not answer: %v", c.info.PID, c.info.Mountpoint, err)})
			}
		}
	})
	return func() {
		end()
		ended.Wait()
	}
}

// departing is the body of a request as it goes.
type departing struct {
	from  io.Reader
	total int64 // -1: not known
	each  func(Line) error
	count int64
	told  time.Time
	last  atomic.Int64 // when something went, in nanoseconds since 1970

	mu  sync.Mutex
	err error // of from; guarded by mu
}

func (d *departing) Read(p []byte) (int, error) {
	const pause = 200 * time.Millisecond
	d.last.Store(time.Now().UnixNano())
	n, err := d.from.Read(p)
	d.count += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.fail(fmt.Errorf("reading what is to be put: %w; nothing was stored", err))
		return n, err
	}
	if d.total >= 0 && (d.count > d.total || err != nil && d.count < d.total) {
		bytes := "bytes"
		if err == nil { // it is not read to its end
			bytes = "bytes or more"
		}
		err = &Error{Kind: KindInvalid, Message: fmt.Sprintf("there are %d %s, not %d; nothing was stored", d.count, bytes, d.total)}
		d.fail(err)
		return n, err
	}
	if time.Since(d.told) >= pause {
		d.told = time.Now()
		_ = d.each(Line{Progress: &Step{Bytes: d.count, Total: max(d.total, 0)}}) // a bar that cannot be drawn stops nothing
	}
	return n, err
}

// Close leaves from open: it is not this request's.
func (d *departing) Close() error { return nil }

func (d *departing) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *departing) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
