package mem

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// Settings are how a Store behaves.
type Settings struct {
	// Capabilities are enforced as said, and reported to Prober. A condition or checksum
	// that is false is accepted and ignored; an operation that is false is KindUnsupported.
	// Versioned makes every write add a version, in buckets without BucketSettings.Versioning.
	// ObjectLock gives every bucket object lock (and versions) without a default retention.
	Capabilities backend.Capabilities
	// RefuseConditions answers KindUnsupported to a condition that Capabilities lacks.
	RefuseConditions bool
	// Clock dates objects and answers (LastModified, Fetched), cut to seconds. Nil: time.Now.
	Clock func() time.Time
	// ListMetadata adds the user metadata to listings, as MinIO's extension does.
	ListMetadata bool
	// PageSize is the largest page of a listing; 0 means 1000.
	PageSize int32
	// EmptyLastPage adds an empty page after a last page that is exactly full.
	EmptyLastPage bool
	// OpaqueCopies gives part copies, and copies of multipart objects, ETags that are no MD5,
	// and no CRC64NVME, as encrypting stores do. It saves reading their bytes: for huge objects.
	OpaqueCopies bool
	// Archive keeps GETs and copies from objects of the classes GLACIER and DEEP_ARCHIVE, until
	// they are restored, which takes RestoreTime by the Clock.
	Archive     bool
	RestoreTime time.Duration
	// UpdateEncryption and Annotations switch these abilities of Amazon S3 alone on.
	UpdateEncryption, Annotations bool
	// Owner is of all buckets and objects; empty: the store does not say.
	Owner string
	// CredentialsEnd is when those end that URLs are signed with; zero: they do not.
	CredentialsEnd time.Time
	// EmptyCompleteETag leaves the ETag out of CompleteUpload's answer, as Ceph 16 does.
	EmptyCompleteETag bool
}

// AllCapabilities is a store without versions and object lock that enforces everything,
// with the limits of S3.
func AllCapabilities() backend.Capabilities {
	return backend.Capabilities{
		Vendor:         "mem",
		PutIfNoneMatch: true, PutIfMatch: true, CompleteIfNoneMatch: true, CompleteIfMatch: true,
		CopySourceIfMatch: true, CopyPartIfMatch: true, CopyDestination: true, DeleteIfMatch: true, GetIfMatch: true,
		PartCopy: true, DeleteMany: true, ChecksumCRC64: true, Tagging: true, Classes: true,
		FileAndPrefix: true, AnyKey: true, Underscores: true,
		Limits: backend.S3Limits(),
	}
}

// Store is an object store in memory. It implements backend.Store and is safe for
// concurrent use.
type Store struct {
	backend.Unsupported // Select

	mu       sync.Mutex
	settings Settings
	buckets  map[string]*bucket
	sequence uint64 // of version and upload ids
}

var _ backend.Store = (*Store)(nil)

// New returns a store with AllCapabilities that holds the given, empty buckets.
func New(buckets ...string) *Store {
	s := &Store{settings: Settings{Capabilities: AllCapabilities(), Owner: "owner"}, buckets: map[string]*bucket{}}
	for _, name := range buckets {
		s.buckets[name] = newBucket(s.nowLocked())
	}
	return s
}

// Configure changes the settings. change runs under the store's lock and must not call
// the store; it affects calls that begin later.
func (s *Store) Configure(change func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.settings)
}

// Capabilities implements backend.Prober: always the whole truth.
func (s *Store) Capabilities(ctx context.Context, bucket, _ string, _ bool) (backend.Capabilities, error) {
	c := call{op: "Capabilities", bucket: bucket}
	if err := c.canceled(ctx); err != nil {
		return backend.Capabilities{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil {
		return backend.Capabilities{}, c.noBucket()
	}
	caps := s.settings.Capabilities
	caps.Versioned, caps.ObjectLock = s.statusLocked(b) == versionsOn, s.lockLocked(b).Enabled
	return caps, nil
}

// config returns the settings as they are now.
func (s *Store) config() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

// nowLocked returns the time in whole seconds, which is all that S3 tells.
func (s *Store) nowLocked() time.Time {
	now := time.Now
	if s.settings.Clock != nil {
		now = s.settings.Clock
	}
	return now().UTC().Truncate(time.Second)
}

// nextVersionLocked returns the number of the next event, and the id of a version that it
// makes. Ids hold the characters that those of Amazon S3 may have.
func (s *Store) nextVersionLocked() (sequence uint64, id string) {
	s.sequence++
	return s.sequence, fmt.Sprintf("v%08d/._-+=", s.sequence)
}

// call names what is being done, for errors.
type call struct {
	op, bucket, key string
}

func (c call) error(kind backend.Kind, status int, code, message string) *backend.Error {
	return &backend.Error{Kind: kind, Op: c.op, Bucket: c.bucket, Key: c.key, Code: code, Message: message, Status: status}
}

// canceled returns the KindCanceled error when ctx has ended, else nil.
func (c call) canceled(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return c.cancel(context.Cause(ctx))
}

func (c call) cancel(cause error) error {
	return &backend.Error{Kind: backend.KindCanceled, Op: c.op, Bucket: c.bucket, Key: c.key, Err: cause}
}

func (c call) noBucket() error {
	return c.error(backend.KindNoBucket, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
}

func (c call) noKey() error {
	return c.error(backend.KindNotExist, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
}

func (c call) noUpload() error {
	return c.error(backend.KindNotExist, http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist.")
}

func (c call) invalid(code, message string) error {
	return c.error(backend.KindInvalid, http.StatusBadRequest, code, message)
}

// noEmptyKey refuses a request that would mean the bucket over HTTP.
func (c call) noEmptyKey() error { return c.invalid("InvalidArgument", "empty key") }

func (c call) tooLarge(message string) error {
	return c.error(backend.KindTooLarge, http.StatusBadRequest, "EntityTooLarge", message)
}

func (c call) unsupported(message string) error {
	return c.error(backend.KindUnsupported, http.StatusNotImplemented, "NotImplemented", message)
}

func (c call) failedCondition(kind backend.Kind) error {
	return c.error(kind, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}
