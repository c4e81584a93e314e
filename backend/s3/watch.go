package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errStalled ends a request whose bytes do not move.
var errStalled = errors.New("no byte was sent or received")

// errNoAnswer ends a request that was sent and is not answered.
var errNoAnswer = errors.New("the store did not answer")

// sendError is the failure of a request that has no answer.
type sendError struct {
	error
	connected bool // a connection was there: the request may have arrived
}

func (e *sendError) Unwrap() error { return e.error }

// receivedError is the failure of an answer whose body broke off.
type receivedError struct{ error }

func (e *receivedError) Unwrap() error { return e.error }

// conn sends requests through a pool and watches each. It implements the SDK's HTTPClient. The pool bounds connections by
// host, and where buckets are part of the name there are many hosts; slots bounds them all.
type conn struct {
	transport *http.Transport
	slots     chan struct{} // one element per request under way: from before it is sent until its answer has been read or closed
	stall     time.Duration
	first     time.Duration
	seen      func(http.Header)        // sees the header of every answer
	last      func(method string) bool // whether a request must be the last of its connection
}

type patienceKey struct{}

// withPatience sets how long the requests made in ctx may take to begin their answer, and
// to continue it.
func withPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

type lastKey struct{}

// withoutReuse makes a request the last one of its connection.
func withoutReuse(ctx context.Context) context.Context {
	return context.WithValue(ctx, lastKey{}, true)
}

// Do sends one request. Redirects are answers like others: the SDK's signature is for one
// host only.
func (c *conn) Do(req *http.Request) (*http.Response, error) {
	parent := req.Context()
	ctx, cancel := context.WithCancelCause(parent)
	w := &watch{cancel: cancel, stall: c.stall, first: c.first, after: c.stall}
	if d, ok := parent.Value(patienceKey{}).(time.Duration); ok {
		w.first, w.after = max(d, c.first), max(d, c.stall)
	}
	w.timer = time.AfterFunc(time.Hour, w.expired)
	w.timer.Stop()
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: w.gotConn, WroteRequest: w.wroteRequest}))
	req.Close = parent.Value(lastKey{}) != nil || c.last(req.Method)
	select {
	case c.slots <- struct{}{}:
	case <-parent.Done():
		cancel(nil)
		closeUnsent(req)
		return nil, &sendError{parent.Err(), false}
	}
	leave := sync.OnceFunc(func() { <-c.slots })
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{req.Body, w}
	}
	resp, err := c.transport.RoundTrip(req)
	w.answered()
	if err != nil {
		leave()
		if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, &sendError{err, w.wasConnected()}
	}
	c.seen(resp.Header)
	if resp.Body == http.NoBody {
		leave() // whether or not it is closed
	}
	resp.Body = &receivedBody{body: resp.Body, watch: w, ctx: ctx, parent: parent, leave: leave}
	return resp, nil
}

// closeUnsent does what a transport does with the body of a request that it does not send.
func closeUnsent(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// InFlight returns how many requests are under way now, from before they are sent until their answers have been read, and how
// many there can be: Config.MaxConns. More wait.
func (s *Store) InFlight() (now, most int) { return len(s.conn.slots), cap(s.conn.slots) }

// watch is the timer of one request. It is armed while bytes should move: from the moment
// there is a connection until the answer begins, and during each Read of the answer's body.
type watch struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration // between bytes sent
	first  time.Duration // from the last byte sent to the answer
	after  time.Duration // between bytes received

	mu        sync.Mutex
	deadline  time.Time // zero: not armed. A timer that fires before it was set again meanwhile
	conn      net.Conn  // nil: none yet
	connected bool
	sent      bool // the whole request was handed to the kernel
	done      bool // the answer began
	unsent    int  // bytes in the kernel's send queue when the timer expired; 0: it has not, since bytes moved
}

func (w *watch) armLocked(d time.Duration) {
	w.deadline = time.Now().Add(d)
	w.timer.Reset(d)
}

func (w *watch) disarmLocked() {
	w.deadline = time.Time{}
	w.timer.Stop()
}

func (w *watch) gotConn(info httptrace.GotConnInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.connected, w.sent, w.unsent = info.Conn, true, false, 0
	if !w.done {
		w.armLocked(w.stall)
	}
}

func (w *watch) wroteRequest(httptrace.WroteRequestInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.unsent = true, 0
	if !w.done {
		w.armLocked(w.first)
	}
}

// moved is called for each piece of the request's body.
func (w *watch) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done && !w.sent && w.connected {
		w.unsent = 0 // the queue grows again
		w.armLocked(w.stall)
	}
}

// reading brackets each Read of the answer's body.
func (w *watch) reading(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on {
		w.armLocked(w.after)
	} else {
		w.disarmLocked()
	}
}

// answered ends the first phase.
func (w *watch) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done, w.conn = true, nil
	w.disarmLocked()
}

func (w *watch) wasConnected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected
}

// expired runs when the timer does. Megabytes may wait in the kernel's send queue, so what
// looks like a stall may be a slow line: as long as the queue gets shorter, it is one.
func (w *watch) expired() {
	w.mu.Lock()
	if w.deadline.IsZero() || time.Now().Before(w.deadline) {
		w.mu.Unlock()
		return
	}
	cause := fmt.Errorf("%w for %v", errStalled, w.stall)
	switch {
	case w.done:
		cause = fmt.Errorf("%w for %v", errStalled, w.after)
	case w.conn != nil && w.drainingLocked():
		cause = nil
		if w.sent && w.unsent == 0 {
			w.armLocked(w.first) // the last byte has only just arrived there
		} else {
			w.armLocked(w.stall)
		}
	case w.sent:
		cause = fmt.Errorf("%w within %v", errNoAnswer, w.first)
	}
	w.mu.Unlock()
	if cause != nil {
		w.cancel(cause)
	}
}

// drainingLocked reports whether the send queue got shorter since it was last asked, or is
// seen for the first time.
func (w *watch) drainingLocked() bool {
	queued, was := unsentBytes(w.conn), w.unsent
	w.unsent = queued
	return queued < was || was == 0 && queued > 0
}

// unsentBytes is how many bytes the peer has not acknowledged; 0 when unknown.
func unsentBytes(c net.Conn) int {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = wrapped.NetConn()
	}
	sys, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return 0
	}
	queued := 0
	if err := raw.Control(func(fd uintptr) { queued, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); err != nil {
		return 0
	}
	return queued
}

// sentBody is a request's body.
type sentBody struct {
	io.ReadCloser
	watch *watch
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.moved()
	return n, err
}

// receivedBody is an answer's body. Not for concurrent use, but for Close.
type receivedBody struct {
	body   io.ReadCloser
	watch  *watch
	ctx    context.Context
	parent context.Context
	leave  func() // may be called again
}

func (b *receivedBody) Read(p []byte) (int, error) {
	b.watch.reading(true)
	n, err := b.body.Read(p)
	b.watch.reading(false)
	if err != nil {
		b.leave()
	}
	if err != nil && !errors.Is(err, io.EOF) && b.parent.Err() == nil {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		err = &receivedError{err}
	}
	return n, err
}

func (b *receivedBody) Close() error {
	err := b.body.Close()
	b.watch.cancel(nil)
	b.leave()
	return err
}
