package s3

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/objmount/objmount/backend"
)

// signature is what a signature for others is made with.
type signature struct {
	place *place
	keys  aws.Credentials
	now   time.Time     // by our clock
	skew  time.Duration // to that of the store
	lasts time.Duration // in whole seconds
	// See backend.Presigned.
	shortened, uncertain bool
}

// signFor finds out what to sign with. A signature ends with the credentials, and is no longer good than
// backend.MaxPresigned. A bucket in another region than the client's has to be known as such: any answer to a
// request about it tells.
func (s *Store) signFor(ctx context.Context, c call, lasts time.Duration) (signature, error) {
	missing := func(why string) error {
		return &backend.Error{Kind: backend.KindCredentials, Op: c.op, Bucket: c.bucket, Key: c.key, Message: why}
	}
	if s.credentials == nil {
		return signature{}, missing("there are no credentials to sign with")
	}
	at, err := s.placeOf(ctx, c.bucket)
	if err != nil {
		return signature{}, decode(c, err)
	}
	keys, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return signature{}, decode(c, err)
	}
	g := signature{place: at, keys: keys, now: time.Now(), skew: time.Duration(s.skew.Load()), lasts: min(lasts, backend.MaxPresigned)}
	g.uncertain = keys.SessionToken != "" && !keys.CanExpire
	if keys.CanExpire {
		left := keys.Expires.Sub(g.now)
		g.shortened = left < g.lasts
		g.lasts = min(g.lasts, left)
	}
	if g.lasts = g.lasts.Truncate(time.Second); g.lasts <= 0 {
		return signature{}, missing("the credentials expire now")
	}
	return g, nil
}

func (g signature) presigned(method, address string) backend.Presigned {
	return backend.Presigned{URL: address, Method: method, Expires: g.now.Add(g.lasts), Shortened: g.shortened, Uncertain: g.uncertain}
}

// Presign implements backend.Presigner. Signed are Host and the headers that were given, and the key
// of the object where its place has one: whoever makes the request has to send it.
func (s *Store) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	c := call{op: "Presign", bucket: in.Object.Bucket, key: in.Object.Key}
	if err := named(c.op, c.bucket, c.key); err != nil {
		return backend.Presigned{}, err
	}
	query, err := in.Values()
	if err != nil {
		return backend.Presigned{}, unsignableAs(c, err)
	}
	g, err := s.signFor(ctx, c, in.Expires)
	if err != nil {
		return backend.Presigned{}, err
	}
	query.Set("X-Amz-Expires", strconv.Itoa(int(g.lasts/time.Second)))
	req := (&http.Request{Method: in.Method, Header: make(http.Header), Host: g.place.host, URL: g.place.url(c.key, query.Encode())}).WithContext(ctx)
	if keyUses[presignedOp(in)] != keyless {
		setKey(req.Header, customerHeader, s.keyOf(c.bucket, c.key))
	}
	for name, value := range in.Header {
		req.Header.Set(name, value)
	}
	address, headers, err := s.signer.PresignHTTP(ctx, g.keys, req, unsignedBody, "s3", g.place.region, g.now.Add(g.skew), asHeaders)
	if err != nil {
		return backend.Presigned{}, decode(c, err)
	}
	signed := g.presigned(in.Method, address)
	signed.WithKey = req.Header.Get(customerHeader+"Key") != ""
	signed.Header = make(map[string]string, len(in.Header))
	for name := range headers {
		if name != "Host" {
			signed.Header[name] = headers.Get(name)
		}
	}
	return signed, nil
}

// presignedOp is the operation that a request is about, where it may need the key of an object; else "".
func presignedOp(in backend.PresignInput) string {
	has := func(names ...string) bool {
		for _, name := range names {
			if _, ok := in.Parameters[name]; !ok {
				return false
			}
		}
		return len(in.Parameters) == len(names)
	}
	switch {
	case has():
		return map[string]string{http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodPut: "PutObject"}[in.Method]
	case has("partNumber"):
		return map[string]string{http.MethodGet: "GetObject", http.MethodHead: "HeadObject"}[in.Method]
	case has("partNumber", "uploadId"):
		return map[string]string{http.MethodPut: "UploadPart"}[in.Method]
	case has("uploadId"):
		return map[string]string{http.MethodGet: "ListParts", http.MethodPost: "CompleteMultipartUpload"}[in.Method]
	case has("uploads"):
		return map[string]string{http.MethodPost: "CreateMultipartUpload"}[in.Method]
	case has("select", "select-type"):
		return map[string]string{http.MethodPost: "SelectObjectContent"}[in.Method]
	}
	return ""
}

// asHeaders keeps the SDK from moving headers into the query, where servers other than Amazon's overlook them.
func asHeaders(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }

func unsignableAs(c call, err error) error {
	return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: c.bucket, Key: c.key, Message: err.Error()}
}

// PresignPost implements backend.Presigner (S3 API, "POST Object" and "Authenticating Requests: Browser-Based
// Uploads Using POST").
func (s *Store) PresignPost(ctx context.Context, in backend.PostInput) (backend.Presigned, error) {
	c := call{op: "PresignPost", bucket: in.Object.Bucket, key: in.Object.Key}
	name := named(c.op, c.bucket, c.key)
	if in.Prefix {
		name = namedBucket(c.op, c.bucket)
	}
	if name != nil {
		return backend.Presigned{}, name
	}
	g, err := s.signFor(ctx, c, in.Expires)
	if err != nil {
		return backend.Presigned{}, err
	}
	at := g.now.Add(g.skew).UTC()
	day := at.Format("20060102")
	own := map[string]string{
		"x-amz-algorithm":  "AWS4-HMAC-SHA256",
		"x-amz-credential": fmt.Sprintf("%s/%s/%s/s3/aws4_request", g.keys.AccessKeyID, day, g.place.region),
		"x-amz-date":       at.Format("20060102T150405Z"),
	}
	if g.keys.SessionToken != "" {
		own["x-amz-security-token"] = g.keys.SessionToken
	}
	if s.keys.of != nil { // the same for all that have the prefix
		form := make(http.Header, 3)
		setKey(form, customerHeader, s.keys.of(c.bucket, c.key))
		for name := range form {
			own[strings.ToLower(name)] = form.Get(name)
		}
	}
	withKey := own[strings.ToLower(customerHeader)+"key"] != ""
	policy, fields, err := in.Policy(at.Add(g.lasts), own)
	if err != nil {
		return backend.Presigned{}, unsignableAs(c, err)
	}
	fields["policy"] = base64.StdEncoding.EncodeToString(policy)
	key := []byte("AWS4" + g.keys.SecretAccessKey)
	for _, part := range []string{day, g.place.region, "s3", "aws4_request", fields["policy"]} {
		key = keyed(key, part)
	}
	fields["x-amz-signature"] = hex.EncodeToString(key)
	signed := g.presigned(http.MethodPost, g.place.url("", "").String())
	signed.Header, signed.Fields, signed.WithKey = map[string]string{}, fields, withKey
	return signed, nil
}

// keyed is one step of a signature of version 4.
func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
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
