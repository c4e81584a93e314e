package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// maxPresigned is how long a signature in a URL may be good (S3 user guide, "Download and upload
// objects with presigned URLs").
const maxPresigned = 7 * 24 * time.Hour

// Presign implements backend.Presigner. The only header that is signed is Host, so Header is
// empty. A bucket in another region than the client's has to be known as such: any answer to a
// request about it tells.
func (s *Store) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	c := call{op: "Presign", bucket: in.Object.Bucket, key: in.Object.Key}
	query, err := presignQuery(c, in)
	if err != nil {
		return backend.Presigned{}, err
	}
	if s.credentials == nil {
		return backend.Presigned{}, &backend.Error{Kind: backend.KindCredentials, Op: c.op, Bucket: c.bucket, Key: c.key, Message: "there are no credentials to sign with"}
	}
	at, err := s.placeOf(ctx, c.bucket)
	if err != nil {
		return backend.Presigned{}, decode(c, err)
	}
	keys, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return backend.Presigned{}, decode(c, err)
	}
	now := time.Now()
	lasts := min(in.Expires, maxPresigned)
	if keys.CanExpire {
		lasts = min(lasts, keys.Expires.Sub(now))
	}
	if lasts = lasts.Truncate(time.Second); lasts <= 0 {
		return backend.Presigned{}, &backend.Error{Kind: backend.KindCredentials, Op: c.op, Bucket: c.bucket, Key: c.key, Message: "the credentials expire now"}
	}
	query.Set("X-Amz-Expires", strconv.Itoa(int(lasts/time.Second)))
	req := (&http.Request{Method: in.Method, Header: make(http.Header), Host: at.host, URL: at.url(c.key, query.Encode())}).WithContext(ctx)
	signed, _, err := s.signer.PresignHTTP(ctx, keys, req, unsignedBody, "s3", at.region, now.Add(time.Duration(s.skew.Load())))
	if err != nil {
		return backend.Presigned{}, decode(c, err)
	}
	return backend.Presigned{URL: signed, Method: in.Method, Expires: now.Add(lasts)}, nil
}

// presignQuery checks what shall be signed.
func presignQuery(c call, in backend.PresignInput) (url.Values, error) {
	if err := named(c.op, c.bucket, c.key); err != nil {
		return nil, err
	}
	wrong := ""
	switch {
	case !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}, in.Method):
		wrong = fmt.Sprintf("method %q", in.Method)
	case in.Expires < time.Second:
		wrong = "a signature is good for a second or more"
	}
	query := make(url.Values)
	if in.VersionID != "" {
		query.Set("versionId", in.VersionID)
	}
	for name, value := range in.Query {
		if !strings.HasPrefix(name, "response-") { // another could name a sub-resource, or be a part of the signature
			wrong = fmt.Sprintf("query %q: only response-... can be signed", name)
		}
		query.Set(name, value)
	}
	if wrong != "" {
		return nil, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: c.bucket, Key: c.key, Message: wrong}
	}
	return query, nil
}

// ObjectURL implements backend.Presigner.
func (s *Store) ObjectURL(ctx context.Context, id backend.ObjectID) (*url.URL, error) {
	c := call{op: "ObjectURL", bucket: id.Bucket, key: id.Key}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return nil, err
	}
	at, err := s.placeOf(ctx, id.Bucket)
	if err != nil {
		return nil, decode(c, err)
	}
	return at.url(id.Key, ""), nil
}
