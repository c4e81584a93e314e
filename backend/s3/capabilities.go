package s3

import (
	"context"
	"reflect"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Capabilities implements backend.Prober. Without a probe it costs at most three requests,
// two of them at once. A bucket with object lock, or one of which only its versions are known, is
// not probed: what is written there may be impossible to remove. Credentials that may not write give what is known without a probe.
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
	var versions, lock error // why it is not known
	if known.versions {
		wg.Go(func() { caps.Versioned, versions = s.versioned(ctx, bucket) })
	}
	if known.objectLock {
		wg.Go(func() { caps.ObjectLock, lock = s.locked(ctx, bucket) })
	}
	wg.Wait()
	for _, err := range []error{versions, lock} {
		if err == nil {
			continue
		}
		switch backend.KindOf(err) {
		case backend.KindCanceled, backend.KindUnreachable, backend.KindTransient:
			return backend.Capabilities{}, err
		}
	}
	if caps.Versioned && known.versionedKey > 0 {
		caps.Limits.MaxKey = known.versionedKey
	}
	if mayLock := lock != nil && (caps.Versioned || versions != nil); !probe || caps.ObjectLock || mayLock {
		return caps, nil // a bucket without versions has no lock
	}
	return s.probe(ctx, bucket, prefix, known, caps)
}

// versioned reports whether a bucket keeps versions. Whoever may not ask, or got no answer, gets
// an error.
func (s *Store) versioned(ctx context.Context, bucket string) (bool, error) {
	status, err := s.BucketVersioning(ctx, bucket)
	if err != nil {
		return false, unlessAbsent(err)
	}
	return status == string(types.BucketVersioningStatusEnabled), nil
}

// unlessAbsent returns the error of a question about a bucket that is there, unless it means
// that the bucket does not have what was asked for.
func unlessAbsent(err error) error {
	switch backend.KindOf(err) {
	case backend.KindNoBucket, backend.KindNotExist, backend.KindUnsupported, backend.KindInvalid, backend.KindOther:
		return nil
	default:
		return err
	}
}

// locked reports whether a bucket has object lock; errors as for versioned.
func (s *Store) locked(ctx context.Context, bucket string) (bool, error) {
	lock, err := s.BucketLock(ctx, bucket)
	if err != nil {
		return false, unlessAbsent(err)
	}
	return lock.Enabled, nil
}

// ability returns the field of caps with a name.
func ability(caps *backend.Capabilities, name string) *bool {
	b, _ := reflect.ValueOf(caps).Elem().FieldByName(name).Addr().Interface().(*bool)
	return b
}
