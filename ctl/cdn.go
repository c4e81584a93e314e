package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// PublishRequest lets everybody read a file, or all below a directory or in a bucket.
type PublishRequest struct {
	Target
	Unblock bool `json:"unblock,omitempty"` // lift what of the public access block is in the way
}

// PublicURLRequest asks for the URL under which everybody can read something who may.
type PublicURLRequest struct {
	Target
	Check bool `json:"check,omitempty"` // find out by a request without credentials whether everybody may
}

// PublicURL is where something is to be read without credentials.
type PublicURL struct {
	Bucket string `json:"bucket"`
	Key    Text   `json:"key"` // empty: the bucket; of a directory it ends in "/"
	URL    string `json:"url"`
	From   string `json:"from"`             // configuration, or store: its own
	Status int    `json:"status,omitempty"` // with Check: the answer to a HEAD without credentials
}

// publicURL is the base that the configuration has, else the store's own URL.
func (c *call) publicURL(ctx context.Context, p Place) (PublicURL, error) {
	out := PublicURL{Bucket: p.Bucket, Key: Text(p.Key), From: "configuration"}
	if c.PublicURL != nil {
		if out.URL = c.PublicURL(p.id()); out.URL != "" {
			return out, nil
		}
	}
	by := backend.Presigner(c.Store)
	if c.Signer != nil && p.Kind == File { // of another time, it is that version
		by = c.Signer
	}
	id, placeholder := p.id(), ""
	if id.Key == "" {
		placeholder, id.Key = "x", "x"
	}
	u, err := by.ObjectURL(ctx, id)
	if err != nil {
		return out, err
	}
	out.From, out.URL = "store", strings.TrimSuffix(u.String(), placeholder)
	return out, nil
}

// publicPlace is a file that is there or not, a directory, or a bucket.
func (c *call) publicPlace(ctx context.Context, t Target) (Place, error) {
	p, err := c.signedPlace(ctx, t, true)
	if err == nil && p.Kind == Unknown {
		p.Kind = File
	}
	return p, err
}

func cdnURL(ctx context.Context, c *call, r PublicURLRequest) error {
	p, err := c.publicPlace(ctx, r.Target)
	if err != nil {
		return err
	}
	out, err := c.publicURL(ctx, p)
	if err != nil {
		return err
	}
	if !r.Check {
		return c.item(out)
	}
	if err := p.one(); err != nil {
		return err
	}
	if out.Status, err = headUnsigned(ctx, out.URL); err != nil {
		return &Error{Kind: KindUnreachable, Message: fmt.Sprintf("%s cannot be asked: %v", out.URL, err)}
	}
	if err := c.item(out); err != nil {
		return err
	}
	e := &Error{Message: fmt.Sprintf("its URL answers %d %s to a request without credentials", out.Status, http.StatusText(out.Status))}
	switch {
	case out.Status < http.StatusMultipleChoices:
		return nil
	case out.Status == http.StatusForbidden || out.Status == http.StatusUnauthorized:
		e.Kind = KindPermission
	case out.Status == http.StatusNotFound:
		e.Kind = KindNotFound
	default:
		e.Kind = KindOther
	}
	return e
}

// headUnsigned makes one request as anybody's browser would, and follows where it is sent.
func headUnsigned(ctx context.Context, address string) (status int, err error) {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close() // there is none
	return resp.StatusCode, nil
}

// cdnVerb makes a row of a verb that opens a place to everybody, or closes it.
func cdnVerb(open bool) verb {
	return pathVerb(func(ctx context.Context, c *call, r PublishRequest) error {
		if c.ReadOnly && !r.DryRun {
			return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
		}
		p, err := c.publicPlace(ctx, r.Target)
		if err != nil {
			return err
		}
		if err := c.canPublish(ctx, p.Bucket); err != nil {
			return err
		}
		if err := c.publish(ctx, p, open, r.Unblock, r.DryRun); err != nil {
			return err
		}
		out, err := c.publicURL(ctx, p)
		if err != nil && open { // closed it is, whatever its URL was
			return err
		}
		return c.item(out)
	})
}
