package backend

import (
	"io"
	"maps"
	"strings"
	"time"
)

// MetaGeneration is the user-metadata key under which every upload of objmount
// carries its generation id, so that a repeat after a lost reply recognises its own
// success. It is not shown to users.
const MetaGeneration = "objmount-generation"

// IsMetadataKey reports whether a key of user metadata can travel: it is the end of a header's name,
// so a token (RFC 9110, section 5.6.2).
func IsMetadataKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return key != ""
}

// ObjectID names an object: no version, no content.
type ObjectID struct {
	Bucket string
	Key    string
}

// Object is what a HEAD, GET, PUT or listing told about one object (one version of it).
type Object struct {
	Bucket       string
	Key          string
	ETag         string // unquoted; empty when the store did not say
	VersionID    string // empty in a bucket without versions and in listings
	Size         int64  // bytes
	LastModified time.Time
	StorageClass string // empty means STANDARD
	Headers      Headers
	// Metadata is the user metadata, keys in lower case without "x-amz-meta-".
	// It is meaningful only when HasMetadata is set: plain listings do not carry it.
	Metadata    map[string]string
	HasMetadata bool
	TagCount    int        // -1 when unknown
	Encryption  Encryption // zero when unknown or none of its own
	CRC64NVME   string     // base64, of the whole object; empty when the store has none
	Lock        ObjectLock // zero: none, or not shown to these credentials
	Restore     string     // x-amz-restore as the store gives it; empty: not archived, or no restore was asked for
	Replication string     // x-amz-replication-status; empty: none
	// Fetched is when the answer arrived, by the store's clock (its Date header) where it
	// has one. Zero for listings.
	Fetched time.Time
}

// ID returns the object's name.
func (o Object) ID() ObjectID { return ObjectID{o.Bucket, o.Key} }

// Headers are the content headers that a client can set on an object.
type Headers struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // as the store gives it (an HTTP date)
	WebsiteRedirect    string
}

// Encryption is an object's own server-side encryption.
type Encryption struct {
	Algorithm string // "", "AES256", "aws:kms", "aws:kms:dsse", CustomerEncryption
	KMSKeyID  string
	BucketKey bool
}

// CustomerEncryption is the algorithm of an object that its users encrypt with a key of their own
// (SSE-C). It comes with the place that an object is written to and is no property that a write
// can ask for: there it counts as none.
const CustomerEncryption = "SSE-C"

// Properties are everything but the bytes that a write gives to an object.
type Properties struct {
	Headers      Headers
	Metadata     map[string]string // keys in lower case
	Tags         map[string]string // nil: none
	StorageClass string            // empty: the bucket's default
	Encryption   Encryption        // zero: the bucket's default
	Lock         ObjectLock        // zero: the bucket's default
}

// Clone returns a deep copy.
func (p Properties) Clone() Properties {
	p.Metadata, p.Tags = maps.Clone(p.Metadata), maps.Clone(p.Tags)
	return p
}

// PropertiesOf returns the properties of an object that was read by HEAD or GET, ready
// to be written again. Tags are not part of a HEAD and stay nil; a lock belongs to one
// version and is not carried, nor is SSE-C, which belongs to the place.
func PropertiesOf(o Object) Properties {
	if o.Encryption.Algorithm == CustomerEncryption {
		o.Encryption = Encryption{}
	}
	return Properties{Headers: o.Headers, Metadata: maps.Clone(o.Metadata), StorageClass: o.StorageClass, Encryption: o.Encryption}
}

// Range is a range of bytes.
type Range struct {
	Off int64 // >= 0
	Len int64 // > 0, or < 0 for "to the end"
}

// Condition makes a write conditional on what is stored under the key.
type Condition struct {
	IfMatch     string // the ETag that must be there; empty: no such condition
	IfNoneMatch bool   // nothing may be there
}

// IsZero reports whether there is no condition.
func (c Condition) IsZero() bool { return c == Condition{} }

// GetOptions select what a GET or HEAD answers.
type GetOptions struct {
	Range       *Range // nil: the whole object; ignored by Head
	IfMatch     string // KindChanged when the object has another ETag, KindNotExist when gone
	IfNoneMatch string // KindNotModified when the object has this ETag
	VersionID   string
}

// Body is an open GET. Close it; reading to io.EOF lets the connection be reused. A
// body that ends early gives io.ErrUnexpectedEOF, never a silent short read.
type Body struct {
	io.ReadCloser
	Object Object // Object.Size is the size of the whole object, also for a range
	Range  Range  // what the body holds; Len is never negative
}

// PutInput is one whole object.
type PutInput struct {
	Bucket, Key string
	Body        io.ReadSeeker // exactly Size bytes
	Size        int64
	CRC64NVME   string // base64; empty: none is sent
	Properties  Properties
	Condition   Condition
}

// Source is (one version of) an object that a copy reads.
type Source struct {
	Bucket, Key string
	ETag        string // sent as CopySourceIfMatch when not empty
	VersionID   string // empty: the current one
}

// CopyInput is a server-side copy of a whole object of at most Limits.MaxCopy bytes.
type CopyInput struct {
	Bucket, Key string
	Source      Source
	Size        int64 // of the source; timeouts grow with it
	// Replace gives the destination's properties; nil copies headers and metadata of the
	// source (S3 then still drops its class, encryption and ACL).
	Replace   *Properties
	Condition Condition // on the destination; only where Capabilities.CopyDestination
}

// DeleteInput removes one object (or one version of it).
type DeleteInput struct {
	Bucket, Key string
	VersionID   string
	IfMatch     string // only where Capabilities.DeleteIfMatch
	// BypassGovernance removes a version under governance retention, where the credentials may.
	BypassGovernance bool
}

// DeleteResult is the outcome for one key of DeleteMany.
type DeleteResult struct {
	Key string
	Err error // nil: deleted, or it was not there
}

// CreateUploadInput begins a multipart upload.
type CreateUploadInput struct {
	Bucket, Key string
	Properties  Properties
}

// PartInput is one part of a multipart upload.
type PartInput struct {
	Bucket, Key, UploadID string
	Number                int32 // 1..Limits.MaxParts
	Body                  io.ReadSeeker
	Size                  int64
	CRC64NVME             string // base64; empty: none is sent
}

// CopyPartInput makes a part of a range of an object, without moving bytes here.
type CopyPartInput struct {
	Bucket, Key, UploadID string
	Number                int32
	Source                Source
	Range                 Range // within the source; Len > 0
}

// Part is a part that the store has.
type Part struct {
	Number int32
	ETag   string
	Size   int64
}

// CompleteInput ends a multipart upload. Parts are in ascending order of Number.
type CompleteInput struct {
	Bucket, Key, UploadID string
	Parts                 []Part
	Size                  int64 // of the whole object; timeouts grow with it
	Condition             Condition
}

// Upload is an unfinished multipart upload.
type Upload struct {
	Bucket, Key, UploadID string
	Initiated             time.Time
}

// ListInput asks for one page of a listing, in byte order of keys.
type ListInput struct {
	Bucket     string
	Prefix     string
	Delimiter  string // "" or "/"
	StartAfter string // only keys (and prefixes) after this; ignored with Token
	Token      string // from the page before
	MaxKeys    int32  // 0: the store's default, 1000
}

// Page is one page of a listing.
type Page struct {
	Objects  []Object // without Metadata, unless HasMetadata
	Prefixes []string // common prefixes, each ending in the delimiter
	Next     string   // Token of the next page; empty: this was the last
}

// Bucket is one bucket of a listing of buckets.
type Bucket struct {
	Name    string
	Created time.Time
}
