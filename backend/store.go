package backend

import "context"

// Reader reads objects. Missing key: KindNotExist; missing bucket: KindNoBucket.
type Reader interface {
	// Head returns what is known about an object without its bytes. GetOptions.Range is ignored.
	Head(ctx context.Context, id ObjectID, opt GetOptions) (Object, error)
	// Get opens an object or a range of it. A range beyond the end is KindRange; one that
	// reaches over the end is cut. The caller closes the body.
	Get(ctx context.Context, id ObjectID, opt GetOptions) (*Body, error)
}

// Lister lists keys.
type Lister interface {
	// List returns one page. An empty last page is legal.
	List(ctx context.Context, in ListInput) (Page, error)
}

// Writer changes objects. A failed condition is KindExist (If-None-Match) or KindChanged
// (If-Match, also when the object is gone); nothing was changed then.
type Writer interface {
	// Put stores a whole object. The Object returned has ETag, VersionID and Size; LastModified
	// is zero when the store does not say it.
	Put(ctx context.Context, in PutInput) (Object, error)
	// Copy copies an object inside the store; Object as for Put. A source that changed is KindChanged.
	Copy(ctx context.Context, in CopyInput) (Object, error)
	// Delete removes an object. One that is not there is no error, unless IfMatch is given.
	Delete(ctx context.Context, in DeleteInput) error
	// DeleteMany removes up to 1,000 keys of a bucket in one request, without conditions.
	// The results are in the order of keys; err is for the request as a whole.
	DeleteMany(ctx context.Context, bucket string, keys []string) ([]DeleteResult, error)
}

// Multipart uploads objects in parts. An upload id that the store no longer knows is KindNotExist.
type Multipart interface {
	CreateUpload(ctx context.Context, in CreateUploadInput) (uploadID string, err error)
	UploadPart(ctx context.Context, in PartInput) (Part, error)
	// CopyPart fails with KindChanged when the source is another object now.
	CopyPart(ctx context.Context, in CopyPartInput) (Part, error)
	// CompleteUpload makes the object; conditions as for Put.
	CompleteUpload(ctx context.Context, in CompleteInput) (Object, error)
	// AbortUpload forgets an upload and its parts. An unknown id is no error.
	AbortUpload(ctx context.Context, up Upload) error
	// ListParts returns all parts of an upload, in order.
	ListParts(ctx context.Context, up Upload) ([]Part, error)
	// ListUploads returns the unfinished uploads of exactly this key. Without a key: all of the bucket.
	ListUploads(ctx context.Context, id ObjectID) ([]Upload, error)
}

// Tagger reads and writes the tags of objects. Only for stores with Capabilities.Tagging: others
// may answer the request with something else, or take it for a plain GET or PUT.
type Tagger interface {
	// Tags returns the tags of a version ("": the current one); an empty map when there are none.
	Tags(ctx context.Context, id ObjectID, versionID string) (map[string]string, error)
	// PutTags replaces all tags of a version ("": the current one); none removes them. It changes
	// neither ETag nor LastModified (but on Ceph the date). At most 10 tags, keys of 1..128 and values of 0..256 characters.
	PutTags(ctx context.Context, id ObjectID, versionID string, tags map[string]string) error
}

// Buckets lists and changes buckets.
type Buckets interface {
	// ListBuckets returns the buckets whose names begin with prefix, which may be empty. A store of several stores
	// may return those of some with an error about the others.
	ListBuckets(ctx context.Context, prefix string) ([]Bucket, error)
	// HeadBucket is nil when the bucket exists and may be used.
	HeadBucket(ctx context.Context, bucket string) error
	// CreateBucket fails with KindExist when the bucket is there, also when it is one's own.
	CreateBucket(ctx context.Context, bucket string) error
	// DeleteBucket fails with KindNotEmpty when objects or versions remain.
	DeleteBucket(ctx context.Context, bucket string) error
}

// MakeBucketInput describes a bucket to be.
type MakeBucketInput struct {
	Name       string
	Region     string // empty: the client's
	ObjectLock bool   // so it keeps versions, too; it cannot be taken away again
}

// BucketMaker makes buckets with properties that they only get when they are made.
type BucketMaker interface {
	// MakeBucket fails with KindExist as CreateBucket does, and with KindUnsupported where the store is not known to
	// have what is asked for.
	MakeBucket(ctx context.Context, in MakeBucketInput) error
}

// Prober finds out what a store can do.
type Prober interface {
	// Capabilities returns what is known about the store that holds the bucket. With probe, it
	// tries what the vendor's name does not answer on a scratch key that begins with prefix, and
	// removes it; without, unknown abilities are reported as absent.
	Capabilities(ctx context.Context, bucket, prefix string, probe bool) (Capabilities, error)
}

// Store is the union of the roles. Only the wiring and the conformance suite name it; every
// other consumer takes the role it needs.
type Store interface {
	Reader
	Lister
	Writer
	Multipart
	Tagger
	Buckets
	Prober
	Locker
	Versioner
	Describer
	Restorer
	Encrypter
	Annotator
	Presigner
	Selector
	BucketProperties
	BucketDocs
	BucketMaker
	AccessControl
}
