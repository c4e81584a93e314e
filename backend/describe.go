package backend

import (
	"context"
	"io"
)

// Description is what a store tells about a version beyond a HEAD.
type Description struct {
	// Checksums by algorithm in lower case ("crc64nvme", "crc32c", "sha256", ...), as the store
	// gives them: base64, with "-N" where it is a checksum of the checksums of N parts.
	Checksums    map[string]string
	ChecksumType string // "FULL_OBJECT", "COMPOSITE" or empty
	Parts        int    // how many parts it was uploaded in; 0: not in parts, or not known
	PartSize     int64  // bytes of the first part; 0: not known
}

// Describer tells what is asked for by name only.
type Describer interface {
	// Describe costs one or two requests.
	Describe(ctx context.Context, id ObjectID, versionID string) (Description, error)
	// Owner returns the display name or id of an object's owner.
	Owner(ctx context.Context, id ObjectID, versionID string) (string, error)
}

// Restorer brings objects back from archive classes.
type Restorer interface {
	// Restore asks for a readable copy for some days (1 or more), with a tier ("Standard", "Bulk", "Expedited";
	// empty: the store's default). The answer comes at once, the copy later: Object.Restore tells.
	// An object that is not archived is KindInvalid; one that is being restored already is no error.
	Restore(ctx context.Context, id ObjectID, versionID string, days int, tier string) error
}

// Encrypter changes how a stored object is encrypted without a copy. Stores that cannot:
// KindUnsupported, and a copy onto itself does it.
type Encrypter interface {
	UpdateEncryption(ctx context.Context, id ObjectID, versionID string, e Encryption) error
}

// Annotator keeps named values of up to 1 MiB beside an object, which no write of the object
// changes (S3 API, "PutObjectAnnotation"). Stores that cannot: KindUnsupported.
type Annotator interface {
	// Annotations returns names and sizes in bytes.
	Annotations(ctx context.Context, id ObjectID, versionID string) (map[string]int64, error)
	// Annotation returns a value; KindNotExist when there is none of this name.
	Annotation(ctx context.Context, id ObjectID, versionID, name string) ([]byte, error)
	PutAnnotation(ctx context.Context, id ObjectID, versionID, name string, value []byte) error
	DeleteAnnotation(ctx context.Context, id ObjectID, versionID, name string) error
}

// SelectInput is a query over the rows of one object (S3 API, "SelectObjectContent").
type SelectInput struct {
	Object     ObjectID
	Expression string
	// Input is "CSV", "JSON" or "Parquet".
	Input       string
	Compression string // "", "GZIP" or "BZIP2"
	// Header is "USE" (names from the first row), "IGNORE" or "NONE". CSV only.
	Header                    string
	Delimiter, Quote, Comment string // CSV; empty: the defaults of S3
	Lines                     bool   // JSON: one document a line instead of one document
	Output                    string // "CSV" or "JSON"
	OutputDelimiter           string
	ScanStart, ScanEnd        int64 // bytes; 0, 0: everything
	Progress                  func(SelectStats)
}

// SelectStats counts bytes.
type SelectStats struct{ Scanned, Processed, Returned int64 }

// Selector runs queries inside the store. Stores that cannot: KindUnsupported.
type Selector interface {
	// Select writes the rows to w as they arrive. A query that the store refuses is KindInvalid
	// with the store's own words.
	Select(ctx context.Context, in SelectInput, w io.Writer) (SelectStats, error)
}

// BucketProperties are what a bucket carries besides its objects.
type BucketProperties interface {
	// BucketVersioning is "Enabled", "Suspended", or empty: never switched on.
	BucketVersioning(ctx context.Context, bucket string) (string, error)
	// SetBucketVersioning takes "Enabled" or "Suspended".
	SetBucketVersioning(ctx context.Context, bucket, status string) error
	BucketRegion(ctx context.Context, bucket string) (string, error)
	BucketLock(ctx context.Context, bucket string) (BucketLock, error)
	// BucketEncryption is the default of new objects; zero: none.
	BucketEncryption(ctx context.Context, bucket string) (Encryption, error)
	// BucketPublic reports whether the bucket's policy opens it to everybody.
	BucketPublic(ctx context.Context, bucket string) (bool, error)
	// BucketTags returns an empty map when there are none.
	BucketTags(ctx context.Context, bucket string) (map[string]string, error)
	// PutBucketTags replaces all; none removes them.
	PutBucketTags(ctx context.Context, bucket string, tags map[string]string) error
	// BucketUsage returns bytes and number of objects where one request tells (Ceph), else KindUnsupported.
	BucketUsage(ctx context.Context, bucket string) (bytes, objects int64, err error)
}
