package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// copyResult is the answer to CopyObject and UploadPartCopy.
type copyResult struct {
	XMLName      xml.Name
	ETag         string `xml:"ETag"`
	LastModified string `xml:"LastModified"`
	CRC64NVME    string `xml:"ChecksumCRC64NVME"`
}

// modified is zero where the store does not say it.
func (r *copyResult) modified() time.Time {
	t, err := time.Parse(time.RFC3339, r.LastModified)
	if err != nil {
		return time.Time{}
	}
	return t
}

// copied makes a request that copies, and returns the header of its answer. Servers begin their
// answer before they know how it ends, so a success may be an error.
func (s *Store) copied(ctx context.Context, c call, query string, header http.Header, result *copyResult) (http.Header, error) {
	c.read = func(resp *http.Response) error {
		*result = copyResult{}
		text, err := readText(resp)
		if err != nil || len(bytes.TrimSpace(text)) == 0 {
			return err
		}
		if err := xml.Unmarshal(text, result); err != nil {
			return err
		}
		switch result.XMLName.Local {
		case "CopyObjectResult", "CopyPartResult":
			return nil
		case "Error":
			return newRefusal(http.StatusInternalServerError, resp.Header, text)
		}
		return fmt.Errorf("the answer to a copy is a %s", result.XMLName.Local)
	}
	resp, err := s.direct(ctx, c, http.MethodPut, query, header)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // it was read
	return resp.Header, nil
}

// ofParts reports whether an ETag is of an object that was uploaded in parts.
func ofParts(etag string) bool { return strings.Contains(etag, "-") }

// sourceOf looks at the source of a copy and fails as the copy should.
func (s *Store) sourceOf(ctx context.Context, src backend.Source) (backend.Object, error) {
	return s.Head(ctx, backend.ObjectID{Bucket: src.Bucket, Key: src.Key}, backend.GetOptions{IfMatch: src.ETag, VersionID: src.VersionID})
}

// stillThere fails with KindChanged when the source of a copy is not what it was before.
func (s *Store) stillThere(ctx context.Context, op string, src backend.Source) error {
	_, err := s.sourceOf(ctx, src)
	if backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindChanged) {
		return &backend.Error{Kind: backend.KindChanged, Op: op, Bucket: src.Bucket, Key: src.Key, Message: "the source changed while it was copied", Err: err}
	}
	return err
}

// copyPartLooking is copyPart for a server that cuts ranges or compares other ETags: a look
// at the source tells both, and a second one afterwards stands in for a condition that the
// server would get wrong. The part of a source that changed in between is never used, so this
// is as good as the condition.
func (s *Store) copyPartLooking(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	const op = "UploadPartCopy"
	source, err := s.sourceOf(ctx, in.Source)
	if err != nil {
		return backend.Part{}, err
	}
	if in.Range.Off+in.Range.Len > source.Size {
		return backend.Part{}, &backend.Error{Kind: backend.KindRange, Op: op, Bucket: in.Source.Bucket, Key: in.Source.Key}
	}
	pinned := in.Source
	pinned.ETag = source.ETag
	if !ofParts(source.ETag) {
		in.Source = pinned
		return s.copyPart(ctx, in)
	}
	in.Source.ETag = ""
	part, err := s.copyPart(ctx, in)
	if err != nil {
		return part, err
	}
	return part, s.stillThere(ctx, op, pinned)
}

// copyLooking is copyObject for a source whose ETag the server would compare with another
// one. It is not as good as the condition: when the source changed in between, the copy has
// been made (Capabilities.CopySourceIfMatch is false for such servers).
func (s *Store) copyLooking(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	pinned := in.Source
	if _, err := s.sourceOf(ctx, pinned); err != nil {
		return backend.Object{}, err
	}
	in.Source.ETag = ""
	obj, err := s.copyObject(ctx, in, false)
	if err != nil || in.Source.Bucket == in.Bucket && in.Source.Key == in.Key { // it has replaced its source
		return obj, err
	}
	return obj, s.stillThere(ctx, "CopyObject", pinned)
}
