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
	body, err := readRequest(w, r)
	if err != nil {
		s.fail(w, &Error{Kind: KindInvalid, Message: "the body is not understood: " + err.Error()})
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := &lineWriter{w: w, rc: http.NewResponseController(w), cancel: cancel}
	stop := out.beat(s.mostSilent)
	err = s.mount.Verbs().Run(ctx, name, json.RawMessage(body), out.send)
	stop()
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
func readRequest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
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

// lineWriter sends the lines of an answer.
type lineWriter struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	cancel context.CancelCauseFunc

	mu    sync.Mutex // one line at a time; held while it is sent
	begun bool
	last  time.Time
}

func (l *lineWriter) send(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
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

// beat sends a line now and then while nothing else is sent, so that the client sees that work goes on,
// and this side that the client is there. The function returned ends that.
func (l *lineWriter) beat(silent time.Duration) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	l.last = time.Now()
	ended.Go(func() {
		tick := time.NewTicker(silent / 2)
		defer tick.Stop()
		for {
			select {
			case <-done:
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
	return func() {
		close(done)
		ended.Wait()
	}
}

// Run asks the mount to do a verb; see Verbs.Run. The end of ctx ends the work there, too.
func (c *Client) Run(ctx context.Context, name string, request any, each func(Line) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(silentTimeout, func() {
		cancel(&Error{Kind: KindTimeout, Message: fmt.Sprintf("process %d of %s has been silent for %v", c.info.PID, c.info.Mountpoint, silentTimeout)})
	})
	defer silent.Stop()
	body, err := c.send(ctx, http.MethodPost, "/v1/"+name, request)
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
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
