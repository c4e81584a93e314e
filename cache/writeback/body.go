package writeback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sort"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// bridge is the longest run of bytes that are fetched for nothing to save a request.
const bridge = 256 * backend.KiB

// small is the largest file that is read into memory to be sent: its bytes are read more than once,
// for checksum, signature and request.
const small = 128 * backend.KiB

// fetch is a range of an object that a body needs, and its bytes when they are here.
type fetch struct {
	object   *staging.Remote
	off, end int64 // of the file
	from     int64 // of the object
	data     []byte
}

// body returns the bytes of extents as a request sends them. Remote pieces are fetched first, or,
// when they are more than Config.BufferLimit, while they are sent. release gives the memory back.
func (q *Queue) body(ctx context.Context, f *staging.File, exts []staging.Extent) (body io.ReadSeeker, release func(), err error) {
	fetches := fetchesOf(exts)
	if len(fetches) == 0 {
		local := f.Reader(exts)
		if size := endOf(exts); size > small || size == 0 || exts[0].Off > 0 {
			return local, func() {}, nil
		}
		data := make([]byte, endOf(exts))
		if _, err := io.ReadFull(local, data); err != nil {
			return nil, nil, err
		}
		return bytes.NewReader(data), func() {}, nil
	}
	var need int64
	for _, x := range fetches {
		need += x.end - x.off
	}
	b := content{file: f, exts: exts, fetches: fetches, size: endOf(exts) - exts[0].Off}
	if need > q.cfg.BufferLimit {
		s := &streamed{content: b, q: q, ctx: ctx}
		return s, s.close, nil
	}
	if err := q.budget.Acquire(ctx, need); err != nil {
		return nil, nil, &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Err: err}
	}
	for i := range fetches {
		if err := q.load(ctx, &fetches[i]); err != nil {
			q.budget.Release(need)
			return nil, nil, err
		}
	}
	q.counts.partsMerged.Add(1)
	return &b, func() { q.budget.Release(need) }, nil
}

// fetchesOf joins remote extents that lie near each other in one object.
func fetchesOf(exts []staging.Extent) []fetch {
	var out []fetch
	for _, e := range exts {
		if e.Local || e.Object == nil {
			continue
		}
		if n := len(out); n > 0 {
			last := &out[n-1]
			if sameVersion(last.object, e.Object) && e.ObjectOff-last.from == e.Off-last.off && e.Off-last.end <= bridge {
				last.end = e.End()
				continue
			}
		}
		out = append(out, fetch{object: e.Object, off: e.Off, end: e.End(), from: e.ObjectOff})
	}
	return out
}

// open begins to download [off, end) of the file, which lies in x. KindChanged when the object is
// another one now.
func (q *Queue) open(ctx context.Context, x fetch, off, end int64) (*backend.Body, error) {
	id := objectOf(x.object)
	opt := backend.GetOptions{Range: &backend.Range{Off: x.from + off - x.off, Len: end - off}, VersionID: q.source(x.object).VersionID}
	if opt.Range.Len == x.object.Size { // of all of it the store tells the checksum
		opt.Range = nil
	}
	if q.cfg.Capabilities(id.Bucket).GetIfMatch {
		opt.IfMatch = x.object.ETag
	}
	changed := &backend.Error{Kind: backend.KindChanged, Op: "GetObject", Bucket: id.Bucket, Key: id.Key, Message: "not the version that was referred to"}
	body, err := q.cfg.Store.Get(ctx, id, opt)
	switch {
	case q.refusedVersion(backend.Source{Bucket: id.Bucket, VersionID: opt.VersionID}, err):
		return q.open(ctx, x, off, end)
	case backend.IsKind(err, backend.KindRange): // that version was longer
		return nil, changed
	case err != nil:
		return nil, err
	case body.Object.ETag != "" && body.Object.ETag != x.object.ETag:
		body.Close()
		return nil, changed
	}
	return body, nil
}

func (q *Queue) load(ctx context.Context, x *fetch) error {
	body, err := q.open(ctx, *x, x.off, x.end)
	if err != nil {
		return err
	}
	defer body.Close()
	x.data = make([]byte, x.end-x.off)
	n, err := io.ReadFull(body, x.data)
	q.counts.bytesFetched.Add(int64(n))
	if err == nil && x.from == 0 && int64(n) == x.object.Size {
		return q.intact(x, body.Object)
	}
	return q.readError(x.object, err)
}

// intact checks an object that was fetched whole, where the store tells its checksum: what is wrong here would be stored with a
// checksum that is right.
func (q *Queue) intact(x *fetch, told backend.Object) error {
	if told.CRC64NVME == "" || q.cfg.Checksum == nil {
		return nil
	}
	sum, err := q.cfg.Checksum(bytes.NewReader(x.data))
	if err == nil && sum != told.CRC64NVME {
		err = &backend.Error{Kind: backend.KindCorrupt, Op: "GetObject", Bucket: x.object.Bucket, Key: x.object.Key, Message: "the bytes do not match their CRC64NVME"}
	}
	return err
}

// readError is the error of a body as one that can be decided on: it can only be the connection.
func (q *Queue) readError(r *staging.Remote, err error) error {
	var known *backend.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if q.ctx.Err() != nil {
		return &backend.Error{Kind: backend.KindCanceled, Op: "GetObject", Bucket: r.Bucket, Key: r.Key, Err: err}
	}
	return &backend.Error{Kind: backend.KindTransient, Op: "GetObject", Bucket: r.Bucket, Key: r.Key, Err: err}
}

// content reads extents whose remote pieces are in memory. It is not safe for concurrent use.
type content struct {
	file    *staging.File
	exts    []staging.Extent
	fetches []fetch
	size    int64
	pos     int64
}

// Read implements io.Reader. It fills p as far as there are bytes.
func (c *content) Read(p []byte) (int, error) {
	done := 0
	for done < len(p) && c.pos < c.size {
		e, off := c.at()
		piece := p[done:min(int64(len(p)), int64(done)+e.End()-off)]
		if e.Local || e.Object == nil {
			n, err := c.file.ReadLocal(e, piece, off)
			c.pos, done = c.pos+int64(n), done+n
			if err != nil {
				return done, err
			}
			continue
		}
		x := c.fetched(off)
		n := copy(piece, x.data[off-x.off:])
		c.pos, done = c.pos+int64(n), done+n
	}
	if done == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return done, nil
}

// at returns the extent at the position, and the position in the file.
func (c *content) at() (staging.Extent, int64) {
	off := c.exts[0].Off + c.pos
	i := sort.Search(len(c.exts), func(i int) bool { return c.exts[i].End() > off })
	return c.exts[i], off
}

func (c *content) fetched(off int64) *fetch {
	i := sort.Search(len(c.fetches), func(i int) bool { return c.fetches[i].end > off })
	return &c.fetches[i]
}

// Seek implements io.Seeker.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, &backend.Error{Kind: backend.KindInvalid, Op: "seek"}
	}
	c.pos = offset
	return offset, nil
}

// streamed is content whose remote pieces are downloaded while they are read.
type streamed struct {
	content
	q    *Queue
	ctx  context.Context
	body *backend.Body
	left int64 // bytes that body still has
	err  error // the first failure of a download
}

// Read implements io.Reader.
func (s *streamed) Read(p []byte) (int, error) {
	if s.pos >= s.size {
		return 0, io.EOF
	}
	e, off := s.at()
	p = p[:min(int64(len(p)), e.End()-off)]
	if e.Local || e.Object == nil {
		s.close()
		n, err := s.file.ReadLocal(e, p, off)
		s.pos += int64(n)
		return n, err
	}
	if s.left == 0 {
		s.close()
		x := fetch{object: e.Object, off: e.Off, end: e.End(), from: e.ObjectOff}
		if s.body, s.err = s.q.open(s.ctx, x, off, e.End()); s.err != nil {
			return 0, s.err
		}
		s.left = e.End() - off
	}
	n, err := s.body.Read(p[:min(int64(len(p)), s.left)])
	s.q.counts.bytesFetched.Add(int64(n))
	s.pos, s.left = s.pos+int64(n), s.left-int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	if s.err = s.q.readError(e.Object, err); s.err != nil {
		s.close()
	}
	return n, s.err
}

// Seek implements io.Seeker.
func (s *streamed) Seek(offset int64, whence int) (int64, error) {
	s.close()
	return s.content.Seek(offset, whence)
}

func (s *streamed) close() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
	s.left = 0
}

// why returns what really failed when a request with the body did.
func why(body io.ReadSeeker, err error) error {
	if s, ok := body.(*streamed); ok && err != nil && s.err != nil {
		return s.err
	}
	return err
}

// checksum returns what the store can verify the body by, or "".
func (q *Queue) checksum(body io.ReadSeeker, caps backend.Capabilities) (string, error) {
	if _, streams := body.(*streamed); streams || q.cfg.Checksum == nil || !caps.ChecksumCRC64 {
		return "", nil
	}
	sum, err := q.cfg.Checksum(body)
	if err != nil {
		return "", err
	}
	_, err = body.Seek(0, io.SeekStart)
	return sum, err
}
