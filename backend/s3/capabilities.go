package s3

import (
	"context"
	"reflect"
	"sync"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Capabilities implements backend.Prober. Without a probe it costs at most three requests,
// two of them at once. A bucket with object lock is not probed: what is written there may be
// impossible to remove. Credentials that may not write give what is known without a probe.
//
// A failure on the way to the store (backend.KindUnreachable, KindTransient, KindCanceled) is
// an error, so that nobody remembers an ability as absent because of it.
func (s *Store) Capabilities(ctx context.Context, bucket, prefix string, probe bool) (backend.Capabilities, error) {
	if err := s.HeadBucket(ctx, bucket); err != nil { // its answer also tells the vendor
		return backend.Capabilities{}, err
	}
	known := s.vendor.Load()
	caps := known.caps
	caps.Vendor = known.name
	if known.liar {
		return caps, nil
	}
	var wg sync.WaitGroup
	if known.versions {
		wg.Go(func() { caps.Versioned = s.versioned(ctx, bucket) })
	}
	if known.objectLock {
		wg.Go(func() { caps.ObjectLock = s.locked(ctx, bucket) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return backend.Capabilities{}, &backend.Error{Kind: backend.KindCanceled, Op: "GetBucketVersioning", Bucket: bucket, Err: err}
	}
	if caps.Versioned && known.versionedKey > 0 {
		caps.Limits.MaxKey = known.versionedKey
	}
	if !probe || caps.ObjectLock {
		return caps, nil
	}
	return s.probe(ctx, bucket, prefix, known, caps)
}

// versioned reports whether a bucket keeps versions. Whoever may not ask is told no.
func (s *Store) versioned(ctx context.Context, bucket string) bool {
	c := call{op: "GetBucketVersioning", bucket: bucket, repeat: repeatHarmless}
	out, err := send(ctx, s, c, s.client.GetBucketVersioning, &awss3.GetBucketVersioningInput{Bucket: &bucket})
	keeps := err == nil && out.Status == types.BucketVersioningStatusEnabled
	if err == nil {
		s.versions.Store(bucket, keeps)
	}
	return keeps
}

// locked reports whether a bucket has object lock.
func (s *Store) locked(ctx context.Context, bucket string) bool {
	c := call{op: "GetObjectLockConfiguration", bucket: bucket, repeat: repeatHarmless}
	out, err := send(ctx, s, c, s.client.GetObjectLockConfiguration, &awss3.GetObjectLockConfigurationInput{Bucket: &bucket})
	return err == nil && out.ObjectLockConfiguration != nil &&
		out.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled
}

// ability returns the field of caps with a name.
func ability(caps *backend.Capabilities, name string) *bool {
	b, _ := reflect.ValueOf(caps).Elem().FieldByName(name).Addr().Interface().(*bool)
	return b
}
