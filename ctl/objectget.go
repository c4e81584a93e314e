package ctl

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"

	"github.com/objmount/objmount/backend"
)

// GetObjectRequest reads a version of a file, or a range of it.
type GetObjectRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	IfMatch   string `json:"if_match,omitempty"`   // its ETag must be this
	Offset    int64  `json:"offset,omitempty"`     // bytes
	Length    int64  `json:"length,omitempty"`     // bytes; 0: to the end. What reaches over the end is cut
}

// Got is what was read.
type Got struct {
	Bucket    string `json:"bucket"`
	Key       Text   `json:"key"`
	VersionID string `json:"version_id,omitempty"`
	ETag      string `json:"etag,omitempty"`
	Size      int64  `json:"size"`   // bytes, of the whole object
	Offset    int64  `json:"offset"` // bytes
	Length    int64  `json:"length"` // bytes that were read
	// Checked says that the bytes have the checksum that the store keeps of the whole object.
	Checked bool `json:"checked"`
}

// nvme is the polynomial of the checksum that S3 calls CRC64NVME (NVM Express command set specification), its bits in reverse.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func getObject(ctx context.Context, c *call, p Place, r GetObjectRequest) error {
	if err := p.one(); err != nil {
		return err
	}
	if r.Offset < 0 || r.Length < 0 {
		return &Error{Kind: KindInvalid, Message: "offset and length cannot be negative"}
	}
	opt := backend.GetOptions{VersionID: r.VersionID, IfMatch: r.IfMatch}
	if r.Offset > 0 || r.Length > 0 {
		opt.Range = &backend.Range{Off: r.Offset, Len: r.Length}
		if r.Length == 0 {
			opt.Range.Len = -1
		}
	}
	if r.DryRun {
		o, err := c.Store.Head(ctx, p.id(), opt)
		if err != nil {
			return err
		}
		return c.result(got(o, r, 0))
	}
	body, err := c.Store.Get(ctx, p.id(), opt)
	if err != nil {
		return err
	}
	defer body.Close()
	var sum hash.Hash64
	if opt.Range == nil && body.Object.CRC64NVME != "" {
		sum = crc64.New(nvme)
	}
	out := got(body.Object, r, 0)
	if out.Length, err = c.sendRows(body, body.Range.Len, sum); err != nil {
		return err
	}
	if out.Length != body.Range.Len {
		return &backend.Error{Kind: backend.KindTransient, Op: "GetObject", Bucket: p.Bucket, Key: p.Key,
			Message: fmt.Sprintf("the answer ended after %d of %d bytes", out.Length, body.Range.Len)}
	}
	if sum != nil {
		if have := base64.StdEncoding.EncodeToString(sum.Sum(nil)); have != body.Object.CRC64NVME {
			return &backend.Error{Kind: backend.KindCorrupt, Op: "GetObject", Bucket: p.Bucket, Key: p.Key,
				Message: fmt.Sprintf("the bytes have the checksum %s, the store says %s", have, body.Object.CRC64NVME)}
		}
		out.Checked = true
	}
	return c.result(out)
}

func got(o backend.Object, r GetObjectRequest, n int64) Got {
	return Got{Bucket: o.Bucket, Key: Text(o.Key), VersionID: o.VersionID, ETag: o.ETag, Size: o.Size, Offset: r.Offset, Length: n}
}

// sendRows sends all bytes of a body as rows, and adds them to sum. There should be total of them.
func (c *call) sendRows(body io.Reader, total int64, sum hash.Hash64) (n int64, err error) {
	const piece = 256 << 10 // a line of the answer is read as a whole
	buf := make([]byte, piece)
	for {
		k, err := io.ReadFull(body, buf)
		n += int64(k)
		if sum != nil {
			_, _ = sum.Write(buf[:k]) // a hash takes everything
		}
		if k > 0 {
			if err := c.send(Line{Rows: Text(buf[:k])}); err != nil {
				return n, err
			}
			if err := c.progress(func(s *Step) { s.Bytes, s.Total = n, total }); err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the caller compares the length
			return n, nil
		case err != nil:
			return n, err
		}
	}
}
