package mem

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/objmount/objmount/backend"
)

// segmentSize is the longest run of bytes that is allocated at once.
const segmentSize = backend.MiB

var zeros [segmentSize]byte

// segment is an immutable run of n bytes; data is nil when all of them are zero.
type segment struct {
	data []byte
	n    int64
}

// content is an immutable sequence of bytes.
type content struct {
	segments []segment
	size     int64
}

// sums are the checksums of a content.
type sums struct {
	md5    [md5.Size]byte
	crc64  uint64
	opaque bool // not computed: md5 only identifies the content, and crc64 is unknown
}

// opaqueSums identify a content by words instead of its bytes.
func opaqueSums(words ...any) sums {
	return sums{md5: md5.Sum(fmt.Append(nil, words...)), opaque: true}
}

var (
	errShort = errors.New("the body is shorter than its size")
	errLong  = errors.New("the body is longer than its size")
)

// load reads exactly size bytes from the start of body.
func load(ctx context.Context, body io.ReadSeeker, size int64) (content, sums, error) {
	c, h := content{}, newHasher()
	if body == nil {
		if size != 0 {
			return c, sums{}, errShort
		}
		return c, h.sums(), nil
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return c, sums{}, err
	}
	var buf []byte
	for c.size < size {
		if err := ctx.Err(); err != nil {
			return c, sums{}, err
		}
		n := min(segmentSize, size-c.size)
		if int64(len(buf)) < n {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(body, buf[:n]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = errShort
			}
			return c, sums{}, err
		}
		h.write(buf[:n])
		if bytes.Equal(buf[:n], zeros[:n]) {
			c = c.with(segment{n: n})
			continue
		}
		c = c.with(segment{data: buf[:n:n], n: n})
		buf = nil
	}
	var one [1]byte
	if n, _ := io.ReadFull(body, one[:]); n != 0 {
		return c, sums{}, errLong
	}
	return c, h.sums(), ctx.Err()
}

// with appends a segment in place; the caller owns c.
func (c content) with(s segment) content {
	if last := len(c.segments) - 1; last >= 0 && s.data == nil && c.segments[last].data == nil {
		c.segments[last].n += s.n
	} else if s.n > 0 {
		c.segments = append(c.segments, s)
	}
	c.size += s.n
	return c
}

// slice returns the n bytes at off, sharing memory. The range must lie inside c.
func (c content) slice(off, n int64) content {
	var out content
	for _, s := range c.segments {
		if n == 0 {
			break
		}
		if off >= s.n {
			off -= s.n
			continue
		}
		take := min(s.n-off, n)
		piece := segment{n: take}
		if s.data != nil {
			piece.data = s.data[off : off+take : off+take]
		}
		out = out.with(piece)
		off, n = 0, n-take
	}
	return out
}

// sums hashes c; ctx ends it early.
func (c content) sums(ctx context.Context) (sums, error) {
	h := newHasher()
	if err := c.each(ctx, h.write); err != nil {
		return sums{}, err
	}
	return h.sums(), nil
}

// each calls do with all bytes of c, in order; ctx ends it early.
func (c content) each(ctx context.Context, do func([]byte)) error {
	for _, s := range c.segments {
		for off := int64(0); off < s.n; off += segmentSize {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(segmentSize, s.n-off)
			if s.data == nil {
				do(zeros[:n])
			} else {
				do(s.data[off : off+n])
			}
		}
	}
	return nil
}

// reader reads a content once, until its context ends. Close may run beside Read.
type reader struct {
	ctx    context.Context
	rest   []segment
	fail   func(error) error
	closed atomic.Bool
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, r.fail(err)
	}
	if r.closed.Load() {
		return 0, fs.ErrClosed
	}
	total := 0
	for total < len(p) && len(r.rest) > 0 {
		s := &r.rest[0]
		n := int(min(int64(len(p)-total), s.n))
		if s.data == nil {
			clear(p[total : total+n])
		} else {
			copy(p[total:total+n], s.data)
			s.data = s.data[n:]
		}
		s.n -= int64(n)
		total += n
		if s.n == 0 {
			r.rest = r.rest[1:]
		}
	}
	if total == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return total, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.closed.Store(true)
	return nil
}

// hasher computes all sums of a stream.
type hasher struct {
	md5 interface {
		io.Writer
		Sum([]byte) []byte
	}
	crc uint64
}

func newHasher() *hasher { return &hasher{md5: md5.New()} }

func (h *hasher) write(p []byte) {
	_, _ = h.md5.Write(p)
	h.crc = crc64.Update(h.crc, nvme, p)
}

func (h *hasher) sums() sums {
	s := sums{crc64: h.crc}
	h.md5.Sum(s.md5[:0])
	return s
}
