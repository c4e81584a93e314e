package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	statusTimeout  = 10 * time.Second
	unmountTimeout = 30 * time.Second
	silentTimeout  = 60 * time.Second // between two lines of a flush
	maxAnswer      = 16 << 20
)

// Client talks to one mount. It is safe for concurrent use.
type Client struct {
	info Info
	http *http.Client
}

// NewClient returns a client of the mount; nothing is sent yet. Close it.
func NewClient(i Info) *Client {
	return &Client{info: i, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return dial(ctx, i.Socket)
		},
		DisableCompression:    true,
		ExpectContinueTimeout: 24 * time.Hour, // the mount may have to store something first
	}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the state of the mount.
func (c *Client) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	body, err := c.send(ctx, http.MethodGet, "/v1/status", nil)
	if err != nil {
		return Status{}, err
	}
	defer body.Close()
	var s Status
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&s); err != nil {
		return Status{}, c.explain(err)
	}
	return s, nil
}

// Flush waits until everything that was written is in the store. The end of ctx ends the
// waiting; uploads go on.
func (c *Client) Flush(ctx context.Context, progress func(Progress)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := c.onSilence(cancel)
	defer silent.Stop()
	body, err := c.send(ctx, http.MethodPost, "/v1/flush", nil)
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for {
		var l line
		if err := in.Decode(&l); err != nil {
			return cause(ctx, c.explain(err)) // also the end without a last line
		}
		silent.Reset(silentTimeout)
		switch {
		case l.Error != nil:
			return l.Error
		case l.Result != "":
			return nil
		case l.Progress != nil:
			progress(*l.Progress)
		}
	}
}

// cause prefers the reason for which ctx was ended by us.
func cause(ctx context.Context, err error) error {
	if own, ok := errors.AsType[*Error](context.Cause(ctx)); ok {
		return own
	}
	return err
}

// Unmount detaches the mount. The process ends by itself after the answer; Info.Ended waits
// for that.
func (c *Client) Unmount(ctx context.Context, o UnmountOptions) error {
	ctx, cancel := context.WithTimeout(ctx, unmountTimeout)
	defer cancel()
	body, err := c.send(ctx, http.MethodPost, "/v1/unmount", o)
	if err != nil {
		return err
	}
	return body.Close()
}

func (c *Client) send(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://mount"+path, body)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

// do returns the body of an answer that is none of failure.
func (c *Client) do(req *http.Request) (io.ReadCloser, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var l line
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&l); err != nil || l.Error == nil {
		return nil, &Error{Kind: KindOther, Message: fmt.Sprintf("process %d answers %s to %s %s", c.info.PID, resp.Status, req.Method, req.URL.Path)}
	}
	return nil, l.Error
}

// explain says in one line why there was no answer.
func (c *Client) explain(err error) error {
	who := fmt.Sprintf("process %d of %s", c.info.PID, c.info.Mountpoint)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: KindTimeout, Message: who + " does not answer"}
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrPermission):
		return &Error{Kind: KindPermission, Message: fmt.Sprintf("%s was mounted by uid %d; only that user and root may control it", c.info.Mountpoint, c.info.UID)}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return &Error{Kind: KindGone, Message: who + " is gone"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), !c.info.running():
		return &Error{Kind: KindGone, Message: who + " ended before it answered"}
	}
	return fmt.Errorf("asking %s: %w", who, err)
}
