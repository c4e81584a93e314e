package s3

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// Capabilities implements backend.Prober.
func (s *Store) Capabilities(ctx context.Context, bucket, prefix string, probe bool) (backend.Capabilities, error) {
	if err := s.HeadBucket(ctx, bucket); err != nil { // also tells the vendor
		return backend.Capabilities{}, err
	}
	known := s.vendor.Load()
	caps := known.caps
	caps.Vendor = known.name
	return caps, nil
}
