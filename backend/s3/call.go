package s3

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// call describes a request to those who send it, repeat it and explain its failure.
type call struct {
	op          string // of the S3 API
	bucket, key string
	version     string         // of what is read; may be empty
	source      backend.Source // of a copy
	bare        bool           // the key of the object's place is not sent
	trial       bool           // it is itself how encryption is tried
	repeat      repeat
	deleted     bool              // to an operation that the vendor has, MethodNotAllowed tells of a delete marker
	write       bool              // a lost reply leaves something unknown: not for reads and parts
	cond        backend.Condition // of a write
	patience    time.Duration     // to wait for the answer; 0: Config.FirstByteTimeout
	payload     *payload          // may be nil
	// read takes an answer in, of a request made by direct; an answer that it cannot understand
	// or that breaks off is asked for again, as repeat says. May be nil.
	read    func(*http.Response) error
	options []func(*awss3.Options)
}

// send makes a request through one of the SDK client's methods.
func send[In, Out any](ctx context.Context, s *Store, c call,
	method func(context.Context, *In, ...func(*awss3.Options)) (*Out, error), in *In) (*Out, error) {
	last := s.lastRepeat()
	options := append(c.options, func(o *awss3.Options) {
		o.Retryer = limited{s.repeat[c.repeat], last}
		if region, ok := s.regions.Load(c.bucket); ok {
			o.Region, _ = region.(string)
		}
	})
	return withKeys(ctx, s, c, func(keys http.Header) (*Out, error) {
		with := options
		for name := range keys {
			with = append(with[:len(with):len(with)], header(name, keys.Get(name)))
		}
		return perform(ctx, s, c, func(ctx context.Context) (*Out, error) { return method(ctx, in, with...) })
	})
}

// perform makes a request, with its repeats, by method: once more where the bucket turns out to
// be in another region. It gives the payload back and turns a failure into a backend.Error.
func perform[Out any](ctx context.Context, s *Store, c call, method func(context.Context) (*Out, error)) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, &backend.Error{Kind: backend.KindCanceled, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	if broken := c.payload.failure(); broken != nil {
		return nil, brokenPayload(c, broken)
	}
	parent := ctx
	if c.patience > 0 {
		ctx = withPatience(ctx, c.patience)
	}
	if c.payload != nil { // what cannot be read is not sent again
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		c.payload.onFailure(cancel)
	}
	out, err := method(ctx)
	if err != nil && s.learnRegion(c.bucket, err) {
		if c.payload != nil {
			c.payload.rewind()
		}
		out, err = method(ctx)
	}
	c.payload.release()
	if err == nil {
		return out, nil
	}
	if err := parent.Err(); err != nil {
		return nil, &backend.Error{Kind: backend.KindCanceled, Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	if broken := c.payload.failure(); broken != nil {
		return nil, brokenPayload(c, broken)
	}
	return nil, s.explainName(parent, c, decode(c, err))
}

// explainName turns the server error that a store with a limit of its own gives for a long
// key into what it means.
func (s *Store) explainName(ctx context.Context, c call, e *backend.Error) error {
	limit := s.vendor.Load().versionedKey
	if limit > 0 && c.write && e.Status >= 500 && int64(len(c.key)) > limit && s.keepsVersions(ctx, c.bucket) {
		e.Kind = backend.KindNameTooLong
	}
	return e
}

func brokenPayload(c call, err error) error {
	return &backend.Error{Kind: backend.KindOf(err), Op: c.op, Bucket: c.bucket, Key: c.key, Err: fmt.Errorf("reading the bytes to send: %w", err)}
}

// lacking is the error of an operation that the store is not known to have, and so does not get.
func lacking(c call) error {
	return &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: c.bucket, Key: c.key, Message: "the store is not known to have this operation"}
}

// sub makes the call for a part of an object that is named by a sub-resource. A store that is
// not known to have it is not asked: it would take the request for one about the object itself.
func sub(has bool, c call) (call, error) {
	c.deleted = true
	if err := named(c.op, c.bucket, c.key); err != nil {
		return c, err
	}
	if !has {
		return c, lacking(c)
	}
	return c, nil
}

// codeOf returns the store's own code for an error, or "".
func codeOf(err error) string {
	var e *backend.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// named refuses the empty names with which a request for an object would be one for its
// bucket, and one for a bucket would be one for all.
func named(op, bucket, key string) error {
	if key == "" {
		return &backend.Error{Kind: backend.KindInvalid, Op: op, Bucket: bucket, Message: "empty key"}
	}
	return namedBucket(op, bucket)
}

// maxKey is the longest key of S3, in bytes. Servers that would take longer ones (VersityGW)
// are not asked: nobody else could copy such objects.
const maxKey = 1024

// writableName is named for requests that make an object.
func writableName(op, bucket, key string) error {
	if len(key) > maxKey {
		return &backend.Error{Kind: backend.KindNameTooLong, Op: op, Bucket: bucket, Key: key, Message: "longer than 1024 bytes"}
	}
	return named(op, bucket, key)
}

func namedBucket(op, bucket string) error {
	if bucket == "" {
		return &backend.Error{Kind: backend.KindInvalid, Op: op, Message: "empty bucket name"}
	}
	return nil
}

// learnRegion reports whether err says that the bucket is in another region than was used,
// and remembers that region. The request was refused, so sending it again is safe.
func (s *Store) learnRegion(bucket string, err error) bool {
	a := examine(err)
	region := a.header.Get("X-Amz-Bucket-Region")
	if region == "" || bucket == "" {
		return false
	}
	switch a.status {
	case 301, 307, 400, 403: // 400: AuthorizationHeaderMalformed; 403: a HEAD of it
	default:
		return false
	}
	used := s.region
	if known, ok := s.regions.Load(bucket); ok {
		used, _ = known.(string)
	}
	if region == used {
		return false
	}
	s.log.Debug("bucket is in another region", "bucket", bucket, "region", region)
	s.regions.Store(bucket, region)
	return true
}

// payload is a caller's body: exactly size bytes from its offset 0, whatever the caller's
// own position. The HTTP client may still read when a method has returned: release ends that.
type payload struct {
	mu       sync.Mutex
	body     io.ReadSeeker // nil: released
	off      int64
	size     int64
	mustSeek bool // body is not at off
	err      error
	failed   func() // called when err is set; may be nil
}

func newPayload(body io.ReadSeeker, size int64) *payload {
	return &payload{body: body, size: size, mustSeek: true}
}

var errReleased = errors.New("the request has ended")

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.body == nil && p.size > 0:
		return 0, errReleased
	case p.err != nil:
		return 0, p.err
	case p.off >= p.size:
		return 0, io.EOF
	}
	if p.mustSeek {
		if _, err := p.body.Seek(p.off, io.SeekStart); err != nil {
			return 0, p.failLocked(err)
		}
		p.mustSeek = false
	}
	n, err := p.body.Read(b[:min(int64(len(b)), p.size-p.off)])
	p.off += int64(n)
	switch {
	case p.off == p.size:
		err = nil // the next call says EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, p.failLocked(err)
}

// failLocked notes an error, if it is one.
func (p *payload) failLocked(err error) error {
	if p.err = err; err != nil && p.failed != nil {
		p.failed()
	}
	return err
}

func (p *payload) onFailure(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = f
}

// Seek implements io.Seeker.
func (p *payload) Seek(off int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += p.off
	case io.SeekEnd:
		off += p.size
	}
	if off < 0 {
		return 0, errors.New("seek before the start")
	}
	if off != p.off {
		p.off, p.mustSeek = off, true
	}
	return off, nil
}

// checksum reads all and goes back to the start. After a failure it returns "": send reports
// that.
func (p *payload) checksum(ctx context.Context) string {
	h := NewCRC64NVME()
	for buf := make([]byte, min(p.size+1, 256<<10)); ctx.Err() == nil; {
		n, err := p.Read(buf)
		h.Write(buf[:n]) // never fails
		if errors.Is(err, io.EOF) {
			p.rewind()
			return base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
		if err != nil {
			break
		}
	}
	return ""
}

func (p *payload) rewind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off, p.mustSeek = 0, true
}

// release waits for a Read in progress; later ones fail. A nil payload is fine.
func (p *payload) release() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = nil
}

// failure is the first error of the caller's body.
func (p *payload) failure() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
