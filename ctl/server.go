package ctl

import (
	"context"
	_ "embed" // openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Mount is what ctl needs of a mount. Methods are called from several goroutines at once.
type Mount interface {
	// Status answers from memory.
	Status(ctx context.Context) (Status, error)
	// Flush returns when everything that was written is in the store. progress is called from
	// one goroutine at a time. The end of ctx ends only the waiting.
	Flush(ctx context.Context, progress func(Progress)) error
	// Unmount returns when the mount is detached; *Error with KindBusy when programs use it.
	Unmount(ctx context.Context, o UnmountOptions) error
	// Verbs does what is asked for by path.
	Verbs() *Verbs
}

//go:embed openapi.json
var openAPI []byte

const (
	maxHeader   = 16 << 10
	maxBody     = 64 << 10
	maxDocument = 20 << 20        // the text of a document of a bucket: a thousand rules of lifecycle need some five
	maxTexts    = 4 * maxDocument // of a request with two of them, as JSON
	readTimeout = 5 * time.Second
	lineTimeout = 10 * time.Second
)

// Server answers on the socket of one mount.
type Server struct {
	info  Info
	mount Mount
	log   *slog.Logger
	http  *http.Server
	done  sync.WaitGroup

	mostSilent time.Duration // of the answer of a verb
	mostPause  time.Duration // of the bytes of an object
	turns      chan struct{} // of puts

	refused refusals
}

type peerKey struct{}

// Serve makes the socket of a mount in the runtime directory dir, which it makes if need be,
// and answers until Close. i.PID, i.StartTime, i.UID and i.Socket are filled in.
func Serve(dir string, i Info, m Mount, log *slog.Logger) (*Server, error) {
	i.UID = uint32(os.Geteuid())
	return serve(dir, i, m, log)
}

func serve(dir string, i Info, m Mount, log *slog.Logger) (*Server, error) {
	i.PID = os.Getpid()
	start, err := ProcessStart(i.PID)
	if err != nil {
		return nil, err
	}
	i.StartTime = start
	i.Socket = filepath.Join(dir, strconv.Itoa(i.PID)+socketSuffix)
	l, err := makeSocket(i.Socket)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", i.Socket, err)
	}
	s := &Server{info: i, mount: m, log: log, mostSilent: mostSilent, mostPause: mostPause, turns: make(chan struct{}, putsAtOnce)}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			uid, err := peerUID(c)
			if err != nil {
				return ctx // without a peer nothing is allowed
			}
			return context.WithValue(ctx, peerKey{}, uid)
		},
	}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket", slog.String("error", err.Error()))
		}
	}()
	if err := register(i); err != nil {
		s.Close(context.Background())
		return nil, fmt.Errorf("control socket %s: %w", i.Socket, err)
	}
	return s, nil
}

// makeSocket makes the directory and the socket. Another mount that ends may take the empty
// directory away in between.
func makeSocket(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	for try := 0; ; try++ {
		mode := os.FileMode(0o700)
		if os.Geteuid() == 0 {
			mode = 0o755 // others may see that a mount is root's
		}
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of an earlier process with our pid
			return nil, err
		}
		l, err := listen(path)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, os.ErrNotExist) || try == 5 {
			return nil, err
		}
	}
}

// Info returns the entry of the mount as it was registered.
func (s *Server) Info() Info { return s.info }

// Close removes the entry and ends the server. Requests that run get until the end of ctx.
func (s *Server) Close(ctx context.Context) error {
	unregister(s.info.Socket)
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.done.Wait()
	s.awaitPuts()
	return err
}

// routes are what the server answers; openapi.json describes each.
func (s *Server) routes() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{
		"GET /v1/status":       s.status,
		"POST /v1/flush":       s.flush,
		"POST /v1/unmount":     s.unmount,
		"GET /v1/openapi.json": s.describe,
	}
	for name := range verbs {
		if name == putVerb {
			all["PUT /v1/"+name] = s.put
			continue
		}
		all["POST /v1/"+name] = func(w http.ResponseWriter, r *http.Request) { s.verb(w, r, name) }
	}
	return all
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range s.routes() {
		mux.HandleFunc(pattern, h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, known := r.Context().Value(peerKey{}).(uint32)
		if !known || !allowed(uid, s.info.UID) {
			s.tellRefused(uid, known, r)
			w.Header().Set("Connection", "close")
			s.fail(w, &Error{Kind: KindPermission, Message: fmt.Sprintf("%s was mounted by uid %d; only that user and root may control it", s.info.Mountpoint, s.info.UID)})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// requestLimit is how many bytes the request of a verb may have.
func requestLimit(name string) int64 {
	switch name {
	case "document/set", "document/diff":
		return maxTexts
	}
	return maxBody
}

// allowed is the whole of who may: root and the owner.
func allowed(peer, owner uint32) bool { return peer == 0 || peer == owner }

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.mount.Status(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	st.Mount = s.info
	s.answer(w, http.StatusOK, st)
}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(openAPI); err != nil {
		s.log.Debug("control socket", slog.String("error", err.Error()))
	}
}

func (s *Server) unmount(w http.ResponseWriter, r *http.Request) {
	var o UnmountOptions
	if err := readBody(w, r, &o); err != nil {
		s.fail(w, notUnderstood(err))
		return
	}
	if err := s.mount.Unmount(r.Context(), o); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, struct{}{})
}

// readBody decodes a body strictly; an empty one leaves v as it is. There is a deadline for the
// body only: one on the whole request would end the handler's context with it.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
		return err
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return rc.SetReadDeadline(time.Time{})
}

// line is one line of the answer to a flush. The last has Result or Error.
type line struct {
	*Progress
	Result string `json:"result,omitempty"` // "stored"
	Error  *Error `json:"error,omitempty"`
}

func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", "application/jsonl")
	rc := http.NewResponseController(w)
	out := json.NewEncoder(w)
	send := func(l line) {
		err := rc.SetWriteDeadline(time.Now().Add(lineTimeout))
		if err == nil {
			err = out.Encode(l)
		}
		if err == nil {
			err = rc.Flush()
		}
		if err != nil {
			cancel() // nobody listens
		}
	}
	err := s.mount.Flush(ctx, func(p Progress) { send(line{Progress: &p}) })
	if err != nil {
		send(line{Error: wireError(err)})
		return
	}
	send(line{Result: "stored"})
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	e := wireError(err)
	s.answer(w, httpStatus[e.Kind], line{Error: e})
}

func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lineTimeout))
	if err == nil {
		err = json.NewEncoder(w).Encode(v)
	}
	if err != nil {
		s.log.Debug("control socket", slog.String("error", err.Error()))
	}
}
