package mem

import (
	"cmp"
	"context"
	"crypto/md5"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
)

// upload is an unfinished multipart upload. Guarded by the store's mutex.
type upload struct {
	key        string
	initiated  time.Time
	properties backend.Properties
	parts      map[int32]part
}

// part is an immutable part of an upload.
type part struct {
	content content
	sums    sums
}

func (p part) info(number int32) backend.Part {
	return backend.Part{Number: number, ETag: etagOf(p.sums.md5, 0), Size: p.content.size}
}

// CreateUpload implements backend.Multipart.
func (s *Store) CreateUpload(ctx context.Context, in backend.CreateUploadInput) (string, error) {
	c := call{"CreateMultipartUpload", in.Bucket, in.Key}
	_, caps, err := s.begin(ctx, c)
	if err != nil {
		return "", err
	}
	properties, err := c.checkProperties(in.Properties, caps)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[in.Bucket]
	if b == nil {
		return "", c.noBucket()
	}
	if err := s.checkLockLocked(c, properties.Lock); err != nil {
		return "", err
	}
	s.sequence++
	id := fmt.Sprintf("upload-%08d", s.sequence)
	b.uploads[id] = &upload{key: in.Key, initiated: s.nowLocked(), properties: properties, parts: map[int32]part{}}
	return id, nil
}

// UploadPart implements backend.Multipart.
func (s *Store) UploadPart(ctx context.Context, in backend.PartInput) (backend.Part, error) {
	c := call{"UploadPart", in.Bucket, in.Key}
	_, caps, err := s.begin(ctx, c)
	if err != nil {
		return backend.Part{}, err
	}
	if err := c.checkPart(in.Number, in.Size, caps.Limits); err != nil {
		return backend.Part{}, err
	}
	data, sum, err := c.load(ctx, in.Body, in.Size, in.CRC64NVME, caps)
	if err != nil {
		return backend.Part{}, err
	}
	return s.addPart(c, in.UploadID, in.Number, part{data, sum})
}

// CopyPart implements backend.Multipart.
func (s *Store) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	c := call{"UploadPartCopy", in.Bucket, in.Key}
	cfg, caps, err := s.begin(ctx, c)
	if err != nil {
		return backend.Part{}, err
	}
	if !caps.PartCopy {
		return backend.Part{}, c.unsupported("UploadPartCopy")
	}
	if err := c.checkPart(in.Number, in.Range.Len, caps.Limits); err != nil {
		return backend.Part{}, err
	}
	source, err := s.source(c, in.Source, caps.CopyPartIfMatch, cfg.RefuseConditions)
	if err != nil {
		return backend.Part{}, err
	}
	if in.Range.Off < 0 || in.Range.Len <= 0 || in.Range.Off > source.content.size-in.Range.Len {
		return backend.Part{}, c.error(backend.KindRange, 416, "InvalidRange", "The range is not inside the copy source")
	}
	p := part{content: source.content.slice(in.Range.Off, in.Range.Len)}
	if cfg.OpaqueCopies {
		p.sums = opaqueSums(in.Range, " of ", source.etag)
	} else if p.sums, err = p.content.sums(ctx); err != nil {
		return backend.Part{}, c.cancel(err)
	}
	return s.addPart(c, in.UploadID, in.Number, p)
}

func (c call) checkPart(number int32, size int64, limits backend.Limits) error {
	switch {
	case number < 1 || size < 0:
		return c.invalid("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	case limits.MaxParts > 0 && number > limits.MaxParts:
		return c.error(backend.KindTooLarge, 400, "InvalidArgument", fmt.Sprintf("Part number must be an integer between 1 and %d, inclusive", limits.MaxParts))
	case limits.MaxPart > 0 && size > limits.MaxPart:
		return c.tooLarge("Your proposed upload exceeds the maximum allowed size")
	}
	return nil
}

func (s *Store) addPart(c call, uploadID string, number int32, p part) (backend.Part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, up, err := s.uploadLocked(c, uploadID)
	if err != nil {
		return backend.Part{}, err
	}
	up.parts[number] = p
	return p.info(number), nil
}

func (s *Store) uploadLocked(c call, id string) (*bucket, *upload, error) {
	b := s.buckets[c.bucket]
	if b == nil {
		return nil, nil, c.noBucket()
	}
	if up := b.uploads[id]; up != nil && up.key == c.key {
		return b, up, nil
	}
	return nil, nil, c.noUpload()
}

// CompleteUpload implements backend.Multipart. The upload survives every failure. The
// object is dated by the upload's beginning, as S3 does.
func (s *Store) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	c := call{"CompleteMultipartUpload", in.Bucket, in.Key}
	if err := c.canceled(ctx); err != nil {
		return backend.Object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, up, err := s.uploadLocked(c, in.UploadID)
	if err != nil {
		return backend.Object{}, err
	}
	caps := s.settings.Capabilities
	v, err := c.assemble(up, in.Parts, caps.Limits)
	if err != nil {
		return backend.Object{}, err
	}
	obj, err := s.storeLocked(c, v, in.Condition, enforced{caps.CompleteIfMatch, caps.CompleteIfNoneMatch, s.settings.RefuseConditions})
	if err != nil {
		return backend.Object{}, err
	}
	delete(b.uploads, in.UploadID)
	if s.settings.EmptyCompleteETag {
		obj.ETag = ""
	}
	return obj, nil
}

// assemble makes the object of an upload's parts.
func (c call) assemble(up *upload, parts []backend.Part, limits backend.Limits) (*version, error) {
	if len(parts) == 0 {
		return nil, c.invalid("MalformedXML", "no parts")
	}
	v := &version{properties: up.properties.Clone(), modified: up.initiated, parts: len(parts)}
	digests := md5.New()
	for i, listed := range parts {
		if i > 0 && listed.Number <= parts[i-1].Number {
			return nil, c.invalid("InvalidPartOrder", "The list of parts was not in ascending order")
		}
		p, known := up.parts[listed.Number]
		if !known || p.info(listed.Number).ETag != listed.ETag {
			return nil, c.invalid("InvalidPart", fmt.Sprintf("part %d could not be found, or its ETag does not match", listed.Number))
		}
		if last := i == len(parts)-1; !last {
			if p.content.size < limits.MinPart {
				return nil, c.invalid("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
			}
			if limits.EqualParts && p.content.size != up.parts[parts[0].Number].content.size {
				return nil, c.invalid("InvalidPart", "All non-trailing parts must have the same length.")
			}
		}
		for _, seg := range p.content.segments {
			v.content = v.content.with(seg)
		}
		if v.sums.opaque = v.sums.opaque || p.sums.opaque; !v.sums.opaque {
			v.sums.crc64 = combine(v.sums.crc64, p.sums.crc64, p.content.size)
		}
		digests.Write(p.sums.md5[:])
	}
	if limits.MaxObject > 0 && v.content.size > limits.MaxObject {
		return nil, c.tooLarge("Your proposed upload exceeds the maximum allowed object size")
	}
	v.partSize = up.parts[parts[0].Number].content.size
	digests.Sum(v.sums.md5[:0])
	v.etag = etagOf(v.sums.md5, v.parts)
	return v, nil
}

// AbortUpload implements backend.Multipart.
func (s *Store) AbortUpload(ctx context.Context, in backend.Upload) error {
	c := call{"AbortMultipartUpload", in.Bucket, in.Key}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _, err := s.uploadLocked(c, in.UploadID)
	if backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	if err == nil {
		delete(b.uploads, in.UploadID)
	}
	return err
}

// ListParts implements backend.Multipart.
func (s *Store) ListParts(ctx context.Context, in backend.Upload) ([]backend.Part, error) {
	c := call{"ListParts", in.Bucket, in.Key}
	if err := c.canceled(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, up, err := s.uploadLocked(c, in.UploadID)
	if err != nil {
		return nil, err
	}
	var parts []backend.Part
	for _, number := range slices.Sorted(maps.Keys(up.parts)) {
		parts = append(parts, up.parts[number].info(number))
	}
	return parts, nil
}

// ListUploads implements backend.Multipart: the oldest of a key first.
func (s *Store) ListUploads(ctx context.Context, id backend.ObjectID) ([]backend.Upload, error) {
	c := call{"ListMultipartUploads", id.Bucket, id.Key}
	if err := c.canceled(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[id.Bucket]
	if b == nil {
		return nil, c.noBucket()
	}
	var found []backend.Upload
	for uploadID, up := range b.uploads {
		if id.Key == "" || up.key == id.Key {
			found = append(found, backend.Upload{Bucket: id.Bucket, Key: up.key, UploadID: uploadID, Initiated: up.initiated})
		}
	}
	slices.SortFunc(found, func(a, b backend.Upload) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.Initiated.Compare(b.Initiated), cmp.Compare(a.UploadID, b.UploadID))
	})
	return found, nil
}
