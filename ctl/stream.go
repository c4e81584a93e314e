package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// mostSilent is how long an answer may be silent, a half more at worst. A client waits for silentTimeout.
const mostSilent = 10 * time.Second

// verb answers with JSON lines. A failure before the first of them has an HTTP status of its own.
func (s *Server) verb(w http.ResponseWriter, r *http.Request, name string) {
	body, err := readRequest(w, r, requestLimit(name))
	if err != nil {
		s.fail(w, notUnderstood(err))
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := &lineWriter{w: w, rc: http.NewResponseController(w), cancel: cancel}
	out.release(s.mostSilent)
	err = s.mount.Verbs().Run(ctx, name, json.RawMessage(body), out.send)
	s.finish(w, out, err)
}

// finish ends an answer with what a verb has come to.
func (s *Server) finish(w http.ResponseWriter, out *lineWriter, err error) {
	out.end(err == nil)
	switch {
	case err == nil && out.begun:
	case err == nil:
		w.Header().Set("Content-Type", jsonLines) // nothing found, nothing to say
	case !out.begun:
		s.fail(w, err)
	default:
		if err := out.send(Line{Error: wireError(err)}); err != nil {
			s.log.Debug("control socket", slog.String("error", err.Error()))
		}
	}
}

const jsonLines = "application/jsonl"

// readRequest reads a whole body. There is a deadline for the body only, see readBody.
func readRequest(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(readTimeout + time.Duration(most>>23)*time.Second)); err != nil { // large ones get longer
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, errors.New("it is no JSON")
	}
	return body, rc.SetReadDeadline(time.Time{})
}

// notUnderstood explains a body that could not be read.
func notUnderstood(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the request has more than %d KiB", large.Limit>>10)}
	}
	return &Error{Kind: KindInvalid, Message: "the body is not understood: " + err.Error()}
}

// lineWriter sends the lines of an answer.
type lineWriter struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	cancel context.CancelCauseFunc

	mu    sync.Mutex // one line at a time; held while it is sent
	held  bool       // it is not time to answer yet
	kept  []Line     // meanwhile
	begun bool
	last  time.Time
	done  chan struct{} // nil: no beat
	beats sync.WaitGroup
}

func (l *lineWriter) send(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		if line.Progress == nil {
			l.kept = append(l.kept, line)
		}
		return nil
	}
	return l.sendLocked(line)
}

func (l *lineWriter) sendLocked(line Line) error {
	if !l.begun {
		l.w.Header().Set("Content-Type", jsonLines)
		l.begun = true
	}
	l.last = time.Now()
	err := l.rc.SetWriteDeadline(l.last.Add(lineTimeout))
	if err == nil {
		err = json.NewEncoder(l.w).Encode(line)
	}
	if err == nil {
		err = l.rc.Flush()
	}
	if err != nil {
		l.cancel(err) // nobody listens
	}
	return err
}

// release lets lines go, and sends one now and then while nothing else is sent, so that the client sees that work goes on,
// and this side that the client is there. Call it once, and end afterwards.
func (l *lineWriter) release(silent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letGoLocked()
	l.done, l.last = make(chan struct{}), time.Now()
	l.beats.Go(func() {
		tick := time.NewTicker(silent / 2)
		defer tick.Stop()
		for {
			select {
			case <-l.done:
				return
			case now := <-tick.C:
				l.mu.Lock()
				if now.Sub(l.last) >= silent {
					_ = l.sendLocked(Line{}) // its failure ends the work
				}
				l.mu.Unlock()
			}
		}
	})
}

func (l *lineWriter) letGoLocked() {
	l.held = false
	for _, line := range l.kept {
		if l.sendLocked(line) != nil {
			break // the work is over
		}
	}
	l.kept = nil
}

// end stops the beat. What was kept goes out with a success; with a failure it is of no use.
func (l *lineWriter) end(success bool) {
	if l.done != nil {
		close(l.done)
		l.beats.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && success {
		l.letGoLocked()
	}
}

// Run asks the mount to do a verb; see Verbs.Run. The end of ctx ends the work there, too.
func (c *Client) Run(ctx context.Context, name string, request any, each func(Line) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := c.onSilence(cancel)
	body, err := c.send(ctx, http.MethodPost, "/v1/"+name, request)
	silent.Stop()
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
	return c.lines(ctx, cancel, body, each)
}

// onSilence ends a request when it is not put off for too long.
func (c *Client) onSilence(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(silentTimeout, func() {
		cancel(&Error{Kind: KindTimeout, Message: fmt.Sprintf("process %d of %s has been silent for %v", c.info.PID, c.info.Mountpoint, silentTimeout)})
	})
}

// lines hands on the lines of an answer.
func (c *Client) lines(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, each func(Line) error) error {
	silent := c.onSilence(cancel)
	defer silent.Stop()
	in := json.NewDecoder(body)
	for {
		var l Line
		err := in.Decode(&l)
		if errors.Is(err, io.EOF) { // of a chunked body: a process that died gives io.ErrUnexpectedEOF
			return nil
		}
		if err != nil {
			return cause(ctx, c.explain(err))
		}
		silent.Reset(silentTimeout)
		if l.Error != nil {
			return l.Error
		}
		if err := each(l); err != nil {
			return err
		}
	}
}
