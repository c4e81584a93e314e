package backendtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// Option tells Run more about a store.
type Option func(*options)

type options struct {
	lockBucket func(ctx context.Context, bucket string) error
	again      bool
}

// Again says that the suite has run on the same server in another way: what takes a thousand objects and is about the server's
// pages alone is left out, unless OBJMOUNT_SOAK is set.
func Again() Option {
	return func(o *options) { o.again = os.Getenv("OBJMOUNT_SOAK") == "" }
}

// LockBuckets lets the suite try locks on a store whose bucket has none: create makes a new
// bucket with object lock. What Run makes with it is removed again, but for the bucket of the
// subtest Lock/Compliance, whose object nobody can remove for some minutes.
func LockBuckets(create func(ctx context.Context, bucket string) error) Option {
	return func(o *options) { o.lockBucket = create }
}

// own moves the subtest to a new bucket, which is removed at its end. It is skipped where none
// can be made.
func (e *env) own(create func(context.Context, string) error) {
	e.Helper()
	name := e.beside("objmount-conformance-")
	err := create(e.ctx, name)
	if backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindUnsupported) {
		e.Skipf("no such bucket can be made: %v", err)
	}
	e.ok("making a bucket", err)
	e.Cleanup(func() { removeBucket(e.T, e.store, name) })
	e.bucket = name
	e.caps, err = e.store.Capabilities(e.ctx, name, e.prefix, true)
	e.ok("Capabilities", err)
}

// unversioned moves the subtest to a new bucket that has never kept versions.
func (e *env) unversioned() {
	e.Helper()
	e.own(e.store.CreateBucket)
	status, err := e.store.BucketVersioning(e.ctx, e.bucket)
	e.optional("BucketVersioning", err)
	if status != "" {
		e.Skipf("versioning of a new bucket is %q", status)
	}
}

// setVersioning switches versions on or off.
func (e *env) setVersioning(status string) {
	e.Helper()
	e.optional("SetBucketVersioning", e.store.SetBucketVersioning(e.ctx, e.bucket, status))
}

// optional skips the subtest when the store does not have the role, and ends it on another error.
func (e *env) optional(what string, err error) {
	e.Helper()
	if backend.IsKind(err, backend.KindUnsupported) {
		e.Skipf("%s: the store does not have it: %v", what, err)
	}
	e.ok(what, err)
}

// removeBucket removes a bucket of one subtest, as far as that can be done.
func removeBucket(t *testing.T, store backend.Store, bucket string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := purge(ctx, store, bucket, "")
	if backend.IsKind(err, backend.KindUnsupported) {
		err = sweep(ctx, store, bucket, "", false)
	}
	if err == nil {
		err = store.DeleteBucket(ctx, bucket)
	}
	if err != nil {
		t.Logf("the bucket %s stays: %v", bucket, err)
	}
}

// purge removes all versions below a prefix, those under governance and legal holds too.
func purge(ctx context.Context, store backend.Store, bucket, prefix string) error {
	in := backend.ListVersionsInput{Bucket: bucket, Prefix: prefix}
	for {
		page, err := store.ListVersions(ctx, in)
		if err != nil {
			return err
		}
		var ids []backend.VersionID
		for _, v := range page.Versions {
			ids = append(ids, backend.VersionID{Key: v.Key, VersionID: v.VersionID})
		}
		if err := purgeSome(ctx, store, bucket, ids); err != nil || !page.More {
			return err
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

func purgeSome(ctx context.Context, store backend.Store, bucket string, ids []backend.VersionID) error {
	if len(ids) == 0 {
		return nil
	}
	results, err := store.DeleteVersions(ctx, bucket, ids, false)
	if err != nil {
		return err
	}
	for i, r := range results {
		if backend.IsKind(r.Err, backend.KindLocked) || backend.IsKind(r.Err, backend.KindPermission) {
			id := backend.ObjectID{Bucket: bucket, Key: ids[i].Key}
			if err := store.SetLegalHold(ctx, id, ids[i].VersionID, false); err != nil {
				return err
			}
			r.Err = store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: id.Key, VersionID: ids[i].VersionID, BypassGovernance: true})
		}
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// later is a date in the future that a retention can have.
func later(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }
