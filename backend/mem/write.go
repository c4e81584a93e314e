package mem

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/objmount/objmount/backend"
)

// maxDeletes is the largest number of keys in one DeleteMany.
const maxDeletes = 1000

// Put implements backend.Writer.
func (s *Store) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	c := call{"PutObject", in.Bucket, in.Key}
	cfg, caps, err := s.begin(ctx, c)
	if err != nil {
		return backend.Object{}, err
	}
	if limit := caps.Limits.MaxPut; limit > 0 && in.Size > limit {
		return backend.Object{}, c.tooLarge("Your proposed upload exceeds the maximum allowed size")
	}
	v := &version{}
	if v.properties, err = c.checkProperties(in.Properties, caps); err != nil {
		return backend.Object{}, err
	}
	if v.content, v.sums, err = c.load(ctx, in.Body, in.Size, in.CRC64NVME, caps); err != nil {
		return backend.Object{}, err
	}
	v.etag = etagOf(v.sums.md5, 0)
	return s.store(c, v, in.Condition, enforced{caps.PutIfMatch, caps.PutIfNoneMatch, cfg.RefuseConditions})
}

// PutZeros stores size bytes of zeros, of any size, without reading them: for tests with
// huge objects. The ETag is no MD5. The bucket must exist.
func (s *Store) PutZeros(bucket, key string, size int64) (backend.Object, error) {
	c := call{"PutObject", bucket, key}
	v := &version{content: content{}.with(segment{n: size}), sums: opaqueSums("zeros ", size)}
	v.etag = etagOf(v.sums.md5, 0)
	return s.store(c, v, backend.Condition{}, enforced{})
}

// Copy implements backend.Writer.
func (s *Store) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	c := call{"CopyObject", in.Bucket, in.Key}
	cfg, caps, err := s.begin(ctx, c)
	if err != nil {
		return backend.Object{}, err
	}
	source, err := s.source(c, in.Source, caps.CopySourceIfMatch, cfg.RefuseConditions)
	if err != nil {
		return backend.Object{}, err
	}
	if limit := caps.Limits.MaxCopy; limit > 0 && source.content.size > limit {
		return backend.Object{}, c.tooLarge("The specified copy source is larger than the maximum allowable size for a copy source")
	}
	v := &version{content: source.content, sums: source.sums, annotations: source.annotations}
	if in.Replace != nil {
		if v.properties, err = c.checkProperties(*in.Replace, caps); err != nil {
			return backend.Object{}, err
		}
	} else {
		if in.Source.Bucket == in.Bucket && in.Source.Key == in.Key && in.Source.VersionID == "" {
			return backend.Object{}, c.invalid("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing its properties")
		}
		kept := source.properties.Clone()
		v.properties = backend.Properties{Headers: kept.Headers, Metadata: kept.Metadata, Tags: kept.Tags}
		v.properties.Headers.WebsiteRedirect = "" // S3 does not copy it
	}
	if source.parts > 0 && cfg.OpaqueCopies {
		v.sums = opaqueSums("copy of ", source.etag)
	} else if source.parts > 0 {
		if v.sums, err = source.content.sums(ctx); err != nil {
			return backend.Object{}, c.cancel(err)
		}
	}
	v.etag = etagOf(v.sums.md5, 0)
	obj, err := s.store(c, v, in.Condition, enforced{caps.CopyDestination, caps.CopyDestination, cfg.RefuseConditions})
	if err == nil {
		obj.LastModified = v.modified // CopyObjectResult has it
	}
	return obj, err
}

// Delete implements backend.Writer. Without a version id it leaves a delete marker where
// versions are kept, also for a key that was never there.
func (s *Store) Delete(ctx context.Context, in backend.DeleteInput) error {
	c := call{"DeleteObject", in.Bucket, in.Key}
	if err := c.canceled(ctx); err != nil {
		return err
	}
	if in.Key == "" {
		return c.noEmptyKey()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[in.Bucket]
	if b == nil {
		return c.noBucket()
	}
	if in.IfMatch != "" {
		if s.settings.Capabilities.DeleteIfMatch {
			if v := b.find(in.Key, in.VersionID); v == nil || v.etag != in.IfMatch {
				return c.failedCondition(backend.KindChanged)
			}
		} else if s.settings.RefuseConditions {
			return c.unsupported("conditional delete")
		}
	}
	return s.deleteLocked(c, b, in.VersionID, in.BypassGovernance)
}

// deleteLocked deletes c.key, or a version of it. A lock keeps versions, not keys: what puts a
// marker on top of them is allowed.
func (s *Store) deleteLocked(c call, b *bucket, versionID string, bypass bool) error {
	status := s.statusLocked(b)
	switch {
	case versionID != "":
		if v := b.find(c.key, versionID); v != nil && s.lockLocked(b).Enabled && keeps(v.properties.Lock, bypass, s.nowLocked()) {
			return c.locked()
		}
		b.remove(c.key, versionID)
	case status == versionsOn:
		sequence, id := s.nextVersionLocked()
		b.add(c.key, &version{id: id, sequence: sequence, marker: true, modified: s.nowLocked()})
	case status == versionsOff:
		b.remove(c.key, backend.NullVersion)
	default: // a null marker takes the place of the null version
		sequence, _ := s.nextVersionLocked()
		b.add(c.key, &version{sequence: sequence, marker: true, modified: s.nowLocked()})
	}
	return nil
}

// batchLocked returns the bucket of which a DeleteObjects removes a number of keys or versions.
func (s *Store) batchLocked(ctx context.Context, c call, count int) (*bucket, error) {
	if err := c.canceled(ctx); err != nil {
		return nil, err
	}
	b := s.buckets[c.bucket]
	switch {
	case b == nil:
		return nil, c.noBucket()
	case !s.settings.Capabilities.DeleteMany:
		return nil, c.unsupported("DeleteObjects")
	case count == 0 || count > maxDeletes:
		return nil, c.invalid("MalformedXML", "between 1 and 1000 keys")
	}
	return b, nil
}

// DeleteMany implements backend.Writer.
func (s *Store) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	c := call{op: "DeleteObjects", bucket: bucket}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.batchLocked(ctx, c, len(keys))
	if err != nil {
		return nil, err
	}
	results := make([]backend.DeleteResult, len(keys))
	for i, key := range keys {
		results[i] = backend.DeleteResult{Key: key, Err: s.deleteLocked(call{c.op, bucket, key}, b, "", false)}
	}
	return results, nil
}

// begin checks what every write has in common and returns the settings it works by.
func (s *Store) begin(ctx context.Context, c call) (Settings, backend.Capabilities, error) {
	cfg := s.config()
	if err := c.canceled(ctx); err != nil {
		return cfg, cfg.Capabilities, err
	}
	return cfg, cfg.Capabilities, c.checkKey(cfg.Capabilities)
}

// load reads a body and verifies its checksum.
func (c call) load(ctx context.Context, body io.ReadSeeker, size int64, crc string, caps backend.Capabilities) (content, sums, error) {
	data, sum, err := load(ctx, body, size)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return data, sum, c.cancel(err)
	case errors.Is(err, errShort), errors.Is(err, errLong):
		return data, sum, c.invalid("IncompleteBody", err.Error())
	default: // the caller's reader failed
		return data, sum, &backend.Error{Kind: backend.KindOf(err), Op: c.op, Bucket: c.bucket, Key: c.key, Err: err}
	}
	if crc != "" && caps.ChecksumCRC64 && crc != encodeCRC(sum.crc64) {
		return data, sum, c.error(backend.KindCorrupt, http.StatusBadRequest, "BadDigest", "The CRC64NVME you specified did not match the calculated checksum.")
	}
	return data, sum, nil
}

// source finds what a copy reads. wanted: its ETag is checked.
func (s *Store) source(c call, from backend.Source, wanted, refuse bool) (*version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[from.Bucket]
	if b == nil {
		return nil, call{c.op, from.Bucket, from.Key}.noBucket()
	}
	v := b.find(from.Key, from.VersionID)
	switch {
	case v == nil:
		return nil, call{c.op, from.Bucket, from.Key}.noKey()
	case v.marker:
		return nil, c.invalid("InvalidRequest", "the source is a delete marker")
	case c.checkArchived(v, s.settings, s.nowLocked()) != nil:
		return nil, c.checkArchived(v, s.settings, s.nowLocked())
	case from.ETag != "" && !wanted && refuse:
		return nil, c.unsupported("copy source condition")
	case from.ETag != "" && wanted && from.ETag != v.etag:
		return nil, c.failedCondition(backend.KindChanged)
	}
	return v, nil
}

// store makes v the current version of c.key, if cond holds. It takes over v.
func (s *Store) store(c call, v *version, cond backend.Condition, e enforced) (backend.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkLockLocked(c, v.properties.Lock); err != nil {
		return backend.Object{}, err
	}
	return s.storeLocked(c, v, cond, e)
}

func (s *Store) storeLocked(c call, v *version, cond backend.Condition, e enforced) (backend.Object, error) {
	b := s.buckets[c.bucket]
	if b == nil {
		return backend.Object{}, c.noBucket()
	}
	if err := c.checkLocked(b, cond, e); err != nil {
		return backend.Object{}, err
	}
	if !s.settings.Capabilities.FileAndPrefix && b.clashes(c.key) {
		return backend.Object{}, c.error(backend.KindInvalid, http.StatusConflict, "ObjectParentIsFile", "Object parent already exists as a file.")
	}
	if v.modified.IsZero() {
		v.modified = s.nowLocked()
	}
	sequence, id := s.nextVersionLocked()
	if v.sequence = sequence; s.statusLocked(b) == versionsOn {
		v.id = id
	}
	v.properties.Lock = s.newLockLocked(b, v.properties.Lock, v.modified)
	if v.properties.Encryption == (backend.Encryption{}) {
		v.properties.Encryption = b.settings.Encryption
	}
	v.replication = b.settings.Replication
	b.add(c.key, v)
	obj := s.objectLocked(c, v)
	obj.LastModified = time.Time{} // the answer to a PUT does not say it
	return obj, nil
}
