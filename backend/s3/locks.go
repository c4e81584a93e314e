package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

const (
	lockModeHeader  = "X-Amz-Object-Lock-Mode"
	lockUntilHeader = "X-Amz-Object-Lock-Retain-Until-Date"
	legalHoldHeader = "X-Amz-Object-Lock-Legal-Hold"
	bypassHeader    = "X-Amz-Bypass-Governance-Retention"
)

// setLock sets the headers that a write gives its lock by. Amazon wants a checksum with them
// (Content-MD5 or one of its own); VersityGW and MinIO take them without.
func setLock(h http.Header, lock backend.ObjectLock) {
	if t := until(lock.Retention); t != nil {
		h.Set(lockModeHeader, string(lock.Retention.Mode))
		h.Set(lockUntilHeader, t.Format(time.RFC3339))
	}
	if lock.LegalHold {
		h.Set(legalHoldHeader, string(types.ObjectLockLegalHoldStatusOn))
	}
}

// until is the date of a retention in the whole seconds that travel, rounded up: nothing is
// free earlier than was asked for.
func until(r backend.Retention) *time.Time {
	if r.Mode == backend.NoRetention {
		return nil
	}
	t := r.Until.UTC().Truncate(time.Second)
	if t.Before(r.Until) {
		t = t.Add(time.Second)
	}
	return &t
}

func holdStatus(on bool, off types.ObjectLockLegalHoldStatus) types.ObjectLockLegalHoldStatus {
	if on {
		return types.ObjectLockLegalHoldStatusOn
	}
	return off
}

// lockOf reads the lock from the header of an answer. Amazon leaves it out for credentials that
// may not ask for it.
func lockOf(h http.Header) backend.ObjectLock {
	lock := backend.ObjectLock{LegalHold: h.Get(legalHoldHeader) == string(types.ObjectLockLegalHoldStatusOn)}
	if mode := h.Get(lockModeHeader); mode != "" {
		if t, err := time.Parse(time.RFC3339, h.Get(lockUntilHeader)); err == nil {
			lock.Retention = backend.Retention{Mode: backend.RetentionMode(mode), Until: t}
		}
	}
	return lock
}

// addLock adds to an answer of VersityGW the lock that it does not show there: with a version id
// a HEAD does not have it. That takes two requests more, in buckets that are known to have
// locks, by Capabilities or BucketLock.
func (s *Store) addLock(ctx context.Context, obj *backend.Object, version string) {
	if !s.vendor.Load().hidesLocks {
		return
	}
	known, _ := s.locks.Load(obj.Bucket)
	lock, _ := known.(backend.BucketLock)
	if lock.Enabled && version != "" && obj.Lock == (backend.ObjectLock{}) {
		if own, err := s.ownLock(ctx, obj.ID(), version); err == nil {
			obj.Lock = own
		}
	}
	addDefault(obj, lock)
}

// addDefault adds the retention that the bucket gave an object by default, where the store
// enforces it without showing it (VersityGW, which counts the time from when the default was
// set, and does not tell when that was). It is S3's: from when the object was written.
func addDefault(obj *backend.Object, lock backend.BucketLock) {
	if obj.Lock.Retention.Mode == backend.NoRetention && lock.Mode != backend.NoRetention {
		obj.Lock.Retention = backend.Retention{Mode: lock.Mode, Until: obj.LastModified.AddDate(lock.Years, 0, lock.Days)}
	}
}

// Lock implements backend.Locker. Where the bucket's default is not shown with an object it is
// asked for too.
func (s *Store) Lock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	lock, err := s.ownLock(ctx, id, version)
	if err != nil || lock.Retention.Mode != backend.NoRetention || !s.vendor.Load().hidesLocks {
		return lock, err
	}
	byDefault, err := s.BucketLock(ctx, id.Bucket)
	if err != nil || byDefault.Mode == backend.NoRetention {
		return lock, err
	}
	told, err := s.head(ctx, id, backend.GetOptions{VersionID: version}, "")
	if err != nil {
		return lock, err
	}
	obj := objectOf(id, s.vendor.Load(), told.header, 0)
	obj.Lock = lock
	addDefault(&obj, byDefault)
	return obj.Lock, nil
}

// ownLock asks for a lock by two requests at once. Unlike the headers of a HEAD they tell
// credentials that may not see the lock from a version that has none.
func (s *Store) ownLock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	c, err := sub(s.vendor.Load().objectLock, call{op: "GetObjectRetention", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless})
	if err != nil {
		return backend.ObjectLock{}, err
	}
	var lock backend.ObjectLock
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		out, err := send(both, s, c, s.client.GetObjectRetention, &awss3.GetObjectRetentionInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
		if err != nil {
			return unlessUnlocked(err)
		}
		if r := out.Retention; r != nil && r.Mode != "" {
			lock.Retention = backend.Retention{Mode: backend.RetentionMode(r.Mode), Until: aws.ToTime(r.RetainUntilDate)}
		}
		return nil
	})
	group.Go(func() error {
		hold := c
		hold.op = "GetObjectLegalHold"
		out, err := send(both, s, hold, s.client.GetObjectLegalHold, &awss3.GetObjectLegalHoldInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
		if err != nil {
			return unlessUnlocked(err)
		}
		lock.LegalHold = out.LegalHold != nil && out.LegalHold.Status == types.ObjectLockLegalHoldStatusOn
		return nil
	})
	if err := group.Wait(); err != nil {
		return backend.ObjectLock{}, err
	}
	return lock, nil
}

// unlessUnlocked is nil when the error says that a version, or all of its bucket, has no lock.
func unlessUnlocked(err error) error {
	var e *backend.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == "NoSuchObjectLockConfiguration", e.Code == "ObjectLockConfigurationNotFoundError":
		return nil
	case e.Code == "InvalidRequest" && strings.HasPrefix(strings.ToLower(e.Message), "bucket is missing"): // "... Object Lock Configuration"
		return nil
	}
	return err
}

// SetRetention implements backend.Locker. On a store that cannot take a retention away
// (VersityGW) it is brought to its end instead, which takes two seconds.
func (s *Store) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, bypass bool) error {
	known := s.vendor.Load()
	c, err := sub(known.objectLock, call{op: "PutObjectRetention", bucket: id.Bucket, key: id.Key, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	if r.Mode == backend.NoRetention && known.keepsRetention {
		return s.endRetention(ctx, c, version, bypass)
	}
	return s.putRetention(ctx, c, version, r, bypass)
}

func (s *Store) putRetention(ctx context.Context, c call, version string, r backend.Retention, bypass bool) error {
	c.options = append(c.options, contentMD5)
	_, err := send(ctx, s, c, s.client.PutObjectRetention, &awss3.PutObjectRetentionInput{
		Bucket: &c.bucket, Key: &c.key, VersionId: some(version), BypassGovernanceRetention: yes(bypass),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionMode(r.Mode), RetainUntilDate: until(r)},
	})
	return err
}

// endRetention sets a date that comes in a moment, by the store's clock, and waits for it.
func (s *Store) endRetention(ctx context.Context, c call, version string, bypass bool) error {
	const moment = 2 * time.Second
	id := backend.ObjectID{Bucket: c.bucket, Key: c.key}
	lock, err := s.Lock(ctx, id, version)
	if err != nil || lock.Retention.Mode == backend.NoRetention {
		return err
	}
	told, err := s.head(ctx, id, backend.GetOptions{VersionID: version}, "")
	if err != nil {
		return err
	}
	now, held := fetchedAt(told.header), lock.Retention
	if !held.Active(now) {
		return nil
	}
	if held.Mode != backend.Governance || !bypass { // one by default could be replaced without it
		return &backend.Error{Kind: backend.KindLocked, Op: c.op, Bucket: c.bucket, Key: c.key}
	}
	end := time.NewTimer(moment)
	defer end.Stop()
	if err := s.putRetention(ctx, c, version, backend.Retention{Mode: held.Mode, Until: now.Add(moment)}, bypass); err != nil {
		return err
	}
	select {
	case <-end.C:
		return nil
	case <-ctx.Done():
		return &backend.Error{Kind: backend.KindCanceled, Op: c.op, Bucket: c.bucket, Key: c.key, Err: ctx.Err()}
	}
}

// SetLegalHold implements backend.Locker.
func (s *Store) SetLegalHold(ctx context.Context, id backend.ObjectID, version string, on bool) error {
	c, err := sub(s.vendor.Load().objectLock, call{op: "PutObjectLegalHold", bucket: id.Bucket, key: id.Key, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.PutObjectLegalHold, &awss3.PutObjectLegalHoldInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version),
		LegalHold: &types.ObjectLockLegalHold{Status: holdStatus(on, types.ObjectLockLegalHoldStatusOff)},
	})
	return err
}

// setLate gives a new version the tags and the lock that its store (Ceph) did not take from the
// write itself. Until then it has none.
func (s *Store) setLate(ctx context.Context, obj backend.Object, p backend.Properties) error {
	if len(p.Tags) > 0 {
		if err := s.PutTags(ctx, obj.ID(), obj.VersionID, p.Tags); err != nil {
			return err
		}
	}
	if p.Lock.Retention.Mode != backend.NoRetention {
		if err := s.SetRetention(ctx, obj.ID(), obj.VersionID, p.Lock.Retention, false); err != nil {
			return err
		}
	}
	if p.Lock.LegalHold {
		return s.SetLegalHold(ctx, obj.ID(), obj.VersionID, true)
	}
	return nil
}

// copyUnlocked is a copy that does not take the lock of its source, which belongs to one
// version. Where the store would copy it, all other properties are named instead.
func (s *Store) copyUnlocked(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if in.Replace != nil || !s.vendor.Load().forgetsLocks || !s.hasLocks(ctx, in.Bucket) {
		return s.copyObject(ctx, in, false)
	}
	source, err := s.sourceOf(ctx, in.Source)
	if err != nil {
		return backend.Object{}, err
	}
	if source.Lock != (backend.ObjectLock{}) {
		props := backend.Properties{Headers: source.Headers, Metadata: source.Metadata}
		if source.TagCount > 0 {
			if props.Tags, err = s.Tags(ctx, backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key}, in.Source.VersionID); err != nil {
				return backend.Object{}, err
			}
		}
		in.Source.ETag, in.Replace = source.ETag, &props
	}
	return s.copyObject(ctx, in, false)
}

// hasLocks reports whether a bucket has object lock, as far as it was asked; it asks once.
func (s *Store) hasLocks(ctx context.Context, bucket string) bool {
	known, ok := s.locks.Load(bucket)
	if !ok {
		lock, err := s.BucketLock(ctx, bucket)
		return err == nil && lock.Enabled
	}
	lock, _ := known.(backend.BucketLock)
	return lock.Enabled
}
