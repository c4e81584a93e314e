package main

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// The roles that not every store has, waiting like the others: each of these calls may be made twice and means
// the same. Select is not here: rows of a first answer may have been written already.

// Lock implements backend.Locker.
func (p *patient) Lock(ctx context.Context, id backend.ObjectID, version string) (backend.ObjectLock, error) {
	return waitFor(ctx, p, func() (backend.ObjectLock, error) { return p.Store.Lock(ctx, id, version) })
}

// SetRetention implements backend.Locker.
func (p *patient) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, bypass bool) error {
	return p.again(ctx, func() error { return p.Store.SetRetention(ctx, id, version, r, bypass) })
}

// SetLegalHold implements backend.Locker.
func (p *patient) SetLegalHold(ctx context.Context, id backend.ObjectID, version string, on bool) error {
	return p.again(ctx, func() error { return p.Store.SetLegalHold(ctx, id, version, on) })
}

// ListVersions implements backend.Versioner.
func (p *patient) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	return waitFor(ctx, p, func() (backend.VersionPage, error) { return p.Store.ListVersions(ctx, in) })
}

// DeleteVersions implements backend.Versioner.
func (p *patient) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypass bool) ([]backend.DeleteResult, error) {
	return waitFor(ctx, p, func() ([]backend.DeleteResult, error) { return p.Store.DeleteVersions(ctx, bucket, ids, bypass) })
}

// Describe implements backend.Describer.
func (p *patient) Describe(ctx context.Context, id backend.ObjectID, version string) (backend.Description, error) {
	return waitFor(ctx, p, func() (backend.Description, error) { return p.Store.Describe(ctx, id, version) })
}

// Owner implements backend.Describer.
func (p *patient) Owner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	return waitFor(ctx, p, func() (string, error) { return p.Store.Owner(ctx, id, version) })
}

// Restore implements backend.Restorer: one that was begun already is no error.
func (p *patient) Restore(ctx context.Context, id backend.ObjectID, version string, days int, tier string) error {
	return p.again(ctx, func() error { return p.Store.Restore(ctx, id, version, days, tier) })
}

// UpdateEncryption implements backend.Encrypter.
func (p *patient) UpdateEncryption(ctx context.Context, id backend.ObjectID, version string, e backend.Encryption) error {
	return p.again(ctx, func() error { return p.Store.UpdateEncryption(ctx, id, version, e) })
}

// Annotations implements backend.Annotator.
func (p *patient) Annotations(ctx context.Context, id backend.ObjectID, version string) (map[string]int64, error) {
	return waitFor(ctx, p, func() (map[string]int64, error) { return p.Store.Annotations(ctx, id, version) })
}

// Annotation implements backend.Annotator.
func (p *patient) Annotation(ctx context.Context, id backend.ObjectID, version, name string) ([]byte, error) {
	return waitFor(ctx, p, func() ([]byte, error) { return p.Store.Annotation(ctx, id, version, name) })
}

// PutAnnotation implements backend.Annotator.
func (p *patient) PutAnnotation(ctx context.Context, id backend.ObjectID, version, name string, value []byte) error {
	return p.again(ctx, func() error { return p.Store.PutAnnotation(ctx, id, version, name, value) })
}

// DeleteAnnotation implements backend.Annotator. What a repeat finds gone, the first call may have deleted: nothing
// is repeated whose first call may have come through.
func (p *patient) DeleteAnnotation(ctx context.Context, id backend.ObjectID, version, name string) error {
	return p.wait(ctx, func() error { return p.Store.DeleteAnnotation(ctx, id, version, name) })
}

// BucketVersioning implements backend.BucketProperties.
func (p *patient) BucketVersioning(ctx context.Context, bucket string) (string, error) {
	return waitFor(ctx, p, func() (string, error) { return p.Store.BucketVersioning(ctx, bucket) })
}

// SetBucketVersioning implements backend.BucketProperties.
func (p *patient) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	return p.again(ctx, func() error { return p.Store.SetBucketVersioning(ctx, bucket, status) })
}

// BucketRegion implements backend.BucketProperties.
func (p *patient) BucketRegion(ctx context.Context, bucket string) (string, error) {
	return waitFor(ctx, p, func() (string, error) { return p.Store.BucketRegion(ctx, bucket) })
}

// BucketLock implements backend.BucketProperties.
func (p *patient) BucketLock(ctx context.Context, bucket string) (backend.BucketLock, error) {
	return waitFor(ctx, p, func() (backend.BucketLock, error) { return p.Store.BucketLock(ctx, bucket) })
}

// BucketEncryption implements backend.BucketProperties.
func (p *patient) BucketEncryption(ctx context.Context, bucket string) (backend.Encryption, error) {
	return waitFor(ctx, p, func() (backend.Encryption, error) { return p.Store.BucketEncryption(ctx, bucket) })
}

// BucketPublic implements backend.BucketProperties.
func (p *patient) BucketPublic(ctx context.Context, bucket string) (bool, error) {
	return waitFor(ctx, p, func() (bool, error) { return p.Store.BucketPublic(ctx, bucket) })
}

// BucketTags implements backend.BucketProperties.
func (p *patient) BucketTags(ctx context.Context, bucket string) (map[string]string, error) {
	return waitFor(ctx, p, func() (map[string]string, error) { return p.Store.BucketTags(ctx, bucket) })
}

// PutBucketTags implements backend.BucketProperties.
func (p *patient) PutBucketTags(ctx context.Context, bucket string, tags map[string]string) error {
	return p.again(ctx, func() error { return p.Store.PutBucketTags(ctx, bucket, tags) })
}

// BucketUsage implements backend.BucketProperties.
func (p *patient) BucketUsage(ctx context.Context, bucket string) (bytes, objects int64, err error) {
	err = p.wait(ctx, func() (err error) {
		bytes, objects, err = p.Store.BucketUsage(ctx, bucket)
		return err
	})
	return bytes, objects, err
}

// ACL implements backend.AccessControl.
func (p *patient) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	return waitFor(ctx, p, func() (backend.ACL, error) { return p.Store.ACL(ctx, id, version) })
}

// SetACL implements backend.AccessControl.
func (p *patient) SetACL(ctx context.Context, id backend.ObjectID, version, canned string) error {
	return p.again(ctx, func() error { return p.Store.SetACL(ctx, id, version, canned) })
}

// AllowACLs implements backend.AccessControl.
func (p *patient) AllowACLs(ctx context.Context, bucket string) error {
	return p.again(ctx, func() error { return p.Store.AllowACLs(ctx, bucket) })
}
