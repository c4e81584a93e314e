package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/objmount/objmount/backend"
)

// The requests that a mount makes by the thousand (reads, writes, copies, deletes and listings of
// objects) do not go through the SDK's client: what it does around a request costs as much as the
// request. They use its endpoints, its credentials, its signature and its retryers.

const (
	unsignedBody = "UNSIGNED-PAYLOAD"
	noBodySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// expectFrom is the size from which Amazon is asked before a body is sent.
	expectFrom = 2 << 20
)

// place is where the requests about a bucket go.
type place struct {
	scheme, host string
	path, raw    string // before "/key", plain and as it is sent
	region       string // that the signature names
}

type placeKey struct{ bucket, region string }

// placeOf returns the place of a bucket, which the SDK's rules are asked for once.
func (s *Store) placeOf(ctx context.Context, bucket string) (*place, error) {
	key := placeKey{bucket, s.region}
	if learned, ok := s.regions.Load(bucket); ok {
		key.region, _ = learned.(string)
	}
	if known, ok := s.places.Load(key); ok {
		p, _ := known.(*place)
		return p, nil
	}
	o := s.client.Options()
	found, err := o.EndpointResolverV2.ResolveEndpoint(ctx, awss3.EndpointParameters{
		Bucket: &bucket, Region: &key.region, Endpoint: o.BaseEndpoint, ForcePathStyle: &o.UsePathStyle, Accelerate: &o.UseAccelerate,
		UseFIPS:                     aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack:                aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		DisableS3ExpressSessionAuth: o.DisableS3ExpressSessionAuth,
	})
	if err != nil {
		return nil, err
	}
	p := &place{
		scheme: found.URI.Scheme, host: found.URI.Host, region: key.region,
		path: strings.TrimSuffix(found.URI.Path, "/"), raw: strings.TrimSuffix(found.URI.EscapedPath(), "/"),
	}
	if schemes, ok := smithyauth.GetAuthOptions(&found.Properties); ok && len(schemes) > 0 {
		by := schemes[0]
		service, named := smithyhttp.GetSigV4SigningName(&by.SignerProperties)
		if by.SchemeID != "sigv4" && by.SchemeID != smithyauth.SchemeIDSigV4 || named && service != "s3" {
			return nil, &unsignable{fmt.Sprintf("requests about this bucket need a signature of another kind: %s for %q", by.SchemeID, service)}
		}
		if region, ok := smithyhttp.GetSigV4SigningRegion(&by.SignerProperties); ok && region != "" {
			p.region = region
		}
	}
	s.places.Store(key, p)
	return p, nil
}

// url is the address of an object, or with an empty key that of the bucket.
func (p *place) url(key, query string) *url.URL {
	to := &url.URL{Scheme: p.scheme, Host: p.host, Path: p.path, RawPath: p.raw, RawQuery: query}
	if key != "" || p.path == "" {
		to.Path, to.RawPath = p.path+"/"+key, p.raw+"/"+escapeKey(key)
	}
	return to
}

// unsignable says why a request cannot be signed.
type unsignable struct{ reason string }

func (e *unsignable) Error() string { return e.reason }

// direct makes a request about an object or a bucket and returns its answer, a success. The
// caller closes its body, which is read and closed already when the call has a payload or a
// read. query is encoded.
func (s *Store) direct(ctx context.Context, c call, method, query string, header http.Header) (*http.Response, error) {
	return withKeys(ctx, s, c, func(keys http.Header) (*http.Response, error) {
		with := header
		if len(keys) > 0 {
			with = header.Clone()
			maps.Copy(with, keys)
		}
		return s.directly(ctx, c, method, query, with)
	})
}

func (s *Store) directly(ctx context.Context, c call, method, query string, header http.Header) (*http.Response, error) {
	return perform(ctx, s, c, func(ctx context.Context) (*http.Response, error) {
		at, err := s.placeOf(ctx, c.bucket)
		if err != nil {
			return nil, err
		}
		retryer := limited{s.repeat[c.repeat], s.lastRepeat()}
		for attempt, corrected := 1, false; ; attempt++ {
			resp, err := s.attempt(ctx, c, at, method, query, header.Clone())
			if err == nil {
				if err = c.take(resp); err == nil {
					return resp, nil
				}
			}
			if skewed := s.learnClock(err); skewed && !corrected {
				corrected = true // refused because of the clock: nothing was done
			} else if attempt >= retryer.MaxAttempts() || ctx.Err() != nil || !retryer.IsErrorRetryable(err) {
				return nil, err
			} else if !pause(ctx, retryer, attempt, err) {
				return nil, err
			}
			if c.payload != nil {
				c.payload.rewind()
			}
		}
	})
}

// upload makes a PUT of the call's payload and returns the header of its answer.
func (s *Store) upload(ctx context.Context, c call, query string, header http.Header) (http.Header, error) {
	resp, err := s.direct(ctx, c, http.MethodPut, query, header)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // once more
	return resp.Header, nil
}

// take reads an answer that has to be read as a part of its request.
func (c call) take(resp *http.Response) error {
	if c.payload == nil && c.read == nil {
		return nil
	}
	defer resp.Body.Close()
	if c.read == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // then its connection can be used again
		return nil
	}
	if err := c.read(resp); err != nil {
		return &receivedError{err}
	}
	return nil
}

// pause waits before a repeat and reports whether it is still wanted.
func pause(ctx context.Context, retryer aws.Retryer, attempt int, err error) bool {
	delay, failed := retryer.RetryDelay(attempt, err)
	if failed != nil {
		return false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt signs and sends a request once.
func (s *Store) attempt(ctx context.Context, c call, at *place, method, query string, header http.Header) (*http.Response, error) {
	req := (&http.Request{Method: method, Header: header, Host: at.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: at.url(c.key, query)}).WithContext(ctx)
	hash := noBodySHA256
	if c.payload != nil {
		hash = unsignedBody
		req.ContentLength = c.payload.size
		req.Body = http.NoBody
		if c.payload.size > 0 {
			req.Body = io.NopCloser(c.payload)
			req.GetBody = func() (io.ReadCloser, error) { // of a connection that was closed before a byte was written
				c.payload.rewind()
				return io.NopCloser(c.payload), nil
			}
		}
		if c.payload.size >= expectFrom && s.vendor.Load().name == vendorAWS {
			header.Set("Expect", "100-continue")
		}
	}
	header.Set("User-Agent", "objmount")
	if err := s.sign(ctx, req, at, hash); err != nil {
		return nil, err
	}
	resp, err := s.conn.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusalOf(resp)
}

// sign adds the signature. Google's front end changes Accept-Encoding before its back end
// verifies, so there it is not signed.
func (s *Store) sign(ctx context.Context, req *http.Request, at *place, hash string) error {
	const encoding, identity = "Accept-Encoding", "identity"
	if s.vendor.Load().name != vendorGCS {
		req.Header.Set(encoding, identity)
	}
	if s.credentials != nil {
		keys, err := s.credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		req.Header.Set("X-Amz-Content-Sha256", hash)
		if err := s.signer.SignHTTP(ctx, keys, req, hash, "s3", at.region, time.Now().Add(time.Duration(s.skew.Load()))); err != nil {
			return err
		}
	}
	req.Header.Set(encoding, identity)
	return nil
}

func newSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

// refusal is an answer that is no success.
type refusal struct{ answer }

// Error gives what the store said.
func (r *refusal) Error() string {
	if r.code == "" && r.message == "" {
		return "status " + strconv.Itoa(r.status)
	}
	return r.code + ": " + r.message
}

// refusalOf reads an answer that is no success. Its body may be anything, or missing.
func refusalOf(resp *http.Response) error {
	const longest = 64 << 10
	text, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		text = nil
	}
	r := newRefusal(resp.StatusCode, resp.Header, text)
	if r.code == "" && resp.Request != nil && resp.Request.Method == http.MethodHead {
		r.code, r.unsaid = strings.ReplaceAll(http.StatusText(r.status), " ", ""), true
	}
	return r
}

// newRefusal makes a refusal of the XML of an error.
func newRefusal(status int, header http.Header, text []byte) *refusal {
	r := &refusal{answer{status: status, header: header}}
	var said struct {
		Code      string `xml:"Code"`
		Message   string `xml:"Message"`
		RequestID string `xml:"RequestId"`
	}
	if xml.Unmarshal(text, &said) == nil {
		r.code, r.message = said.Code, said.Message
	}
	r.requestID = cmp.Or(header.Get("X-Amz-Request-Id"), said.RequestID)
	r.readHeader()
	r.cause = r
	return r
}

// clockCodes are the refusals of a signature whose time is too far off.
var clockCodes = map[string]bool{"RequestTimeTooSkewed": true, "RequestExpired": true, "RequestInTheFuture": true}

// learnClock notes the store's time when that is why it refused, and reports whether a repeat
// would have another time than before.
func (s *Store) learnClock(err error) bool {
	a := examine(err)
	tolerance := time.Minute
	if a.unsaid && a.status == http.StatusForbidden {
		tolerance = 5 * time.Minute // a HEAD may have been refused for anything
	} else if !clockCodes[a.code] {
		return false
	}
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return false
	}
	skew, was := time.Until(theirs), time.Duration(s.skew.Load())
	if d := skew - was; d < tolerance && d > -tolerance {
		return false
	}
	s.skew.Store(int64(skew))
	s.log.Warn("the clock differs from the store's", "by", (-skew).Round(time.Second))
	return true
}

// escapeKey escapes a key for a path.
func escapeKey(key string) string {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		segments[i] = escape(segment)
	}
	return strings.Join(segments, "/")
}

// setHeader sets a header unless the value is empty.
func setHeader(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// octets is the type of what has none.
const octets = "application/octet-stream"

const tagsHeader = "X-Amz-Tagging"

func setCondition(h http.Header, cond backend.Condition) {
	setHeader(h, "If-Match", cond.IfMatch)
	if cond.IfNoneMatch {
		h.Set("If-None-Match", "*")
	}
}

// setProperties sets the headers of an object that is written. meta is encoded.
func setProperties(h http.Header, p backend.Properties, meta map[string]string) {
	for _, row := range [...]struct{ name, value string }{
		{"Content-Type", p.Headers.ContentType},
		{"Cache-Control", p.Headers.CacheControl}, {"Content-Disposition", p.Headers.ContentDisposition},
		{"Content-Encoding", p.Headers.ContentEncoding}, {"Content-Language", p.Headers.ContentLanguage}, {"Expires", p.Headers.Expires},
		{"X-Amz-Website-Redirect-Location", p.Headers.WebsiteRedirect}, {"X-Amz-Storage-Class", p.StorageClass},
		{encryptionHeader, p.Encryption.Algorithm}, {encryptionHeader + "-Aws-Kms-Key-Id", p.Encryption.KMSKeyID},
	} {
		setHeader(h, row.name, row.value)
	}
	if p.Encryption.BucketKey {
		h.Set(encryptionHeader+"-Bucket-Key-Enabled", "true")
	}
	if tags := encodeTags(p.Tags); tags != nil {
		h.Set(tagsHeader, *tags)
	}
	setLock(h, p.Lock)
	for key, value := range meta {
		h.Set("X-Amz-Meta-"+key, value)
	}
}
