package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// PresignRequest asks for a URL by which somebody without credentials can make one request about a file.
type PresignRequest struct {
	Target
	Method    string            `json:"method"`                    // GET, HEAD, PUT, DELETE or POST
	Unchecked bool              `json:"unchecked,omitempty"`       // sign whether or not the file is there
	VersionID string            `json:"version_id,omitempty"`      // empty: the current one
	Expires   int64             `json:"expires_seconds,omitempty"` // 0: an hour
	Query     map[string]string `json:"query,omitempty"`           // response-content-type and its kind; others make another request of it
	Headers   map[string]string `json:"headers,omitempty"`         // have to be sent exactly so
}

// PresignPostRequest asks for a form by which somebody without credentials can upload a file: the one named, or
// any that begins with it.
type PresignPostRequest struct {
	Target
	KeyPrefix  Text              `json:"key_prefix,omitempty"`      // of a directory: what names have to begin with
	Expires    int64             `json:"expires_seconds,omitempty"` // 0: an hour
	Exact      map[string]string `json:"exact,omitempty"`           // what fields of the form have to be
	StartsWith map[string]string `json:"starts_with,omitempty"`     // what fields of the form have to begin with
	Length     *LengthRange      `json:"content_length_range,omitempty"`
}

// LengthRange is a range of sizes in bytes, both inclusive.
type LengthRange struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// Presigned is a request that works without credentials until it expires.
type Presigned struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Expires time.Time         `json:"expires_at"`
	Headers map[string]string `json:"headers"`          // to be sent exactly so
	Fields  map[string]string `json:"fields,omitempty"` // of a form, all but the file
}

// usualPresigned is how long a signature is good when nobody says it.
const usualPresigned = time.Hour

// pathVerb makes a row of a verb that finds out by itself what its path stands for: nothing need be there.
func pathVerb[R request](do func(ctx context.Context, c *call, r R) error) verb {
	return verb{func() any { return *new(R) }, func(ctx context.Context, c *call, body []byte) error {
		var r R
		if err := decodeStrictly(body, &r); err != nil {
			return &Error{Kind: KindInvalid, Message: "the request is not understood: " + err.Error()}
		}
		return do(ctx, c, r)
	}}
}

// signs answers with what sign makes. Why it is good for a shorter time than was asked for, a note tells.
func (c *call) signs(seconds int64, sign func(lasts time.Duration, by backend.Presigner) (backend.Presigned, error)) error {
	lasts := time.Duration(seconds) * time.Second
	if seconds == 0 {
		lasts = usualPresigned
	}
	if seconds < 0 || seconds > int64(backend.MaxPresigned/time.Second) {
		return &Error{Kind: KindInvalid, Message: "a signature of S3 is good for 1 second to 7 days"}
	}
	by := backend.Presigner(c.Store)
	if c.Signer != nil {
		by = c.Signer
	}
	signed, err := sign(lasts, by)
	if err != nil {
		return err
	}
	switch {
	case signed.Shortened:
		err = c.note(fmt.Sprintf("good until %s only: the credentials that it is signed with end then", signed.Expires.UTC().Format(time.RFC3339)))
	case signed.Uncertain:
		err = c.note("signed with temporary credentials whose end is not known; it is good until they end, at the latest " + signed.Expires.UTC().Format(time.RFC3339))
	}
	if err == nil && signed.WithKey {
		err = c.note("the object is encrypted with a key of its users (SSE-C), which has to be sent and is shown; who gets it can read all that is encrypted with it")
	}
	if err != nil {
		return err
	}
	if signed.Header == nil {
		signed.Header = map[string]string{}
	}
	return c.item(Presigned{URL: signed.URL, Method: signed.Method, Expires: signed.Expires.UTC().Truncate(time.Second), Headers: signed.Header, Fields: signed.Fields})
}

func presign(ctx context.Context, c *call, r PresignRequest) error {
	reads := r.Method == "GET" || r.Method == "HEAD"
	if c.ReadOnly && !reads {
		return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
	}
	p, err := c.signedPlace(ctx, r.Target, !reads)
	if err != nil {
		return err
	}
	if err := p.one(); err != nil {
		return err
	}
	if reads && p.Kind == File {
		if err := c.Tree.Settle(ctx, p); err != nil {
			return err
		}
		if c.Tree.Unsent(p) > 0 {
			if err := c.note("what programs are writing is not in the store yet; the URL gives what the store has"); err != nil {
				return err
			}
		}
	}
	if p.Kind == Unknown && r.VersionID == "" && !r.Unchecked && r.Method != "PUT" {
		return &Error{Kind: KindNotFound, Message: fmt.Sprintf("nothing is at %s", p)}
	}
	in := backend.PresignInput{Method: r.Method, Object: p.id(), VersionID: r.VersionID, Header: r.Headers, Query: map[string]string{}, Parameters: map[string]string{}}
	for name, value := range r.Query {
		if strings.HasPrefix(name, "response-") {
			in.Query[name] = value
		} else {
			in.Parameters[name] = value
		}
	}
	if r.Method == "PUT" || r.Method == "POST" {
		if err := c.unlimited(ctx, p.Bucket); err != nil {
			return err
		}
	}
	return c.signs(r.Expires, func(lasts time.Duration, by backend.Presigner) (backend.Presigned, error) {
		in.Expires = lasts
		return by.Presign(ctx, in)
	})
}

func presignPost(ctx context.Context, c *call, r PresignPostRequest) error {
	if c.ReadOnly {
		return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
	}
	p, err := c.signedPlace(ctx, r.Target, true)
	if err != nil {
		return err
	}
	if r.KeyPrefix != "" && p.Kind == Unknown { // a directory to come
		p.Kind, p.Key = Directory, strings.TrimSuffix(p.Key, "/")+"/"
	}
	in := backend.PostInput{Object: p.id(), Exact: r.Exact, StartsWith: r.StartsWith}
	if p.Kind == Directory {
		in.Prefix = true
		in.Object.Key += string(r.KeyPrefix)
	} else if r.KeyPrefix != "" {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a file; names with a prefix are in a directory"}
	}
	if r.Length != nil {
		in.Length = &backend.LengthRange{Min: r.Length.Min, Max: r.Length.Max}
	}
	if err := c.unlimited(ctx, p.Bucket); err != nil {
		return err
	}
	return c.signs(r.Expires, func(lasts time.Duration, by backend.Presigner) (backend.Presigned, error) {
		in.Expires = lasts
		return by.PresignPost(ctx, in)
	})
}

// signedPlace locates a target, which need not be there. Credentials that may only upload cannot look: blind
// takes the path as it is then.
func (c *call) signedPlace(ctx context.Context, t Target, blind bool) (Place, error) {
	p, err := c.Tree.Locate(ctx, string(t.Path))
	if err != nil && !(blind && backend.IsKind(err, backend.KindPermission) && p.Key != "") {
		return p, err
	}
	if p.Bucket == "" {
		return p, &Error{Kind: KindInvalid, Message: "this is the list of buckets; name what is in a bucket"}
	}
	if p.Kind == Unknown && (t.Directory || strings.HasSuffix(p.Key, "/")) {
		p.Kind, p.Key = Directory, strings.TrimSuffix(p.Key, "/")+"/"
	}
	return p, nil
}
