package past

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// Config says which time of which store is shown.
type Config struct {
	Store backend.Store
	// At is the time. What happens in the store up to it, but after the first question about it,
	// may or may not be seen: it should be over by the store's clock.
	At time.Time
	// Entries bounds the keys whose version is remembered, at about 300 bytes each; 0: 20,000.
	Entries int
}

const defaultEntries = 20_000

// Store shows buckets as they were. It is safe for concurrent use.
type Store struct {
	backend.Unsupported // what changes something, and what cannot be asked of a version
	store               backend.Store
	at                  time.Time
	memory              memory
	slots               chan struct{} // requests that look into prefixes

	mu      sync.Mutex
	buckets map[string]error // what Keeps found out; nil: the bucket has versions
}

var _ backend.Store = (*Store)(nil)

// New returns a view of c.Store.
func New(c Config) *Store {
	if c.Entries <= 0 {
		c.Entries = defaultEntries
	}
	return &Store{
		store: c.Store, at: c.At, memory: memory{limit: max(c.Entries/2, 1)},
		slots: make(chan struct{}, lookAtOnce), buckets: map[string]error{},
	}
}

// Keeps returns nil when a bucket keeps versions, or did once. One that never did has no past
// that could be shown: KindUnsupported, for as long as this Store lives. Where the bucket's
// setting may not be read, versions below prefix are taken as the proof.
func (s *Store) Keeps(ctx context.Context, bucket, prefix string) error {
	s.mu.Lock()
	verdict, known := s.buckets[bucket]
	s.mu.Unlock()
	if known {
		return verdict
	}
	kept, err := s.keeps(ctx, bucket, prefix)
	if err != nil {
		return err
	}
	if !kept {
		verdict = &backend.Error{
			Kind: backend.KindUnsupported, Op: "GetBucketVersioning", Bucket: bucket,
			Message: "the bucket never kept versions, so it cannot be shown as it was",
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket] = verdict
	return verdict
}

func (s *Store) keeps(ctx context.Context, bucket, prefix string) (bool, error) {
	status, err := s.store.BucketVersioning(ctx, bucket)
	if err == nil {
		return status != "", nil
	}
	if !backend.IsKind(err, backend.KindPermission) && !backend.IsKind(err, backend.KindUnsupported) {
		return false, err
	}
	page, lerr := s.store.ListVersions(ctx, backend.ListVersionsInput{Bucket: bucket, Prefix: prefix})
	if lerr != nil {
		return false, lerr
	}
	for i := range page.Versions {
		if v := &page.Versions[i]; v.DeleteMarker || !isNull(v.VersionID) {
			return true, nil
		}
	}
	return false, fmt.Errorf("whether bucket %q keeps versions: %w", bucket, err)
}

// Capabilities implements backend.Prober. Nothing is probed, for that would change the store.
func (s *Store) Capabilities(ctx context.Context, bucket, prefix string, _ bool) (backend.Capabilities, error) {
	caps, err := s.store.Capabilities(ctx, bucket, prefix, false)
	return Without(caps), err
}

// Without takes off what the past of a bucket does not have: versions of its own.
func Without(c backend.Capabilities) backend.Capabilities {
	c.Versioned = false
	return c
}

// ListBuckets implements backend.Buckets: those of today. When one was made cannot be relied upon.
func (s *Store) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	return s.store.ListBuckets(ctx, prefix)
}

// HeadBucket implements backend.Buckets; a bucket without versions is KindUnsupported.
func (s *Store) HeadBucket(ctx context.Context, bucket string) error {
	if err := s.store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	return s.Keeps(ctx, bucket, "")
}
