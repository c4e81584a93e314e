package backend

import "context"

// NullVersion is the id of the version that was stored while its bucket kept no versions.
// Object.VersionID of a GET or HEAD is empty for it: it names whatever has it, not one content.
const NullVersion = "null"

// Version is one version of an object, or a delete marker.
type Version struct {
	// Object has Bucket, Key, VersionID (NullVersion included), LastModified and, unless it is a
	// marker, ETag, Size and StorageClass.
	Object
	Latest       bool
	DeleteMarker bool
	Owner        string // display name or id; empty when the store does not say
}

// ListVersionsInput asks for one page of the versions in a bucket: keys in byte order, the
// versions of a key from the newest to the oldest.
type ListVersionsInput struct {
	Bucket    string
	Prefix    string
	Delimiter string // "" or "/"
	// KeyMarker and VersionMarker are VersionPage's NextKey and NextVersion. A KeyMarker alone
	// starts after all versions of that key (or, with the delimiter, after that prefix).
	KeyMarker, VersionMarker string
	MaxKeys                  int32 // 0: the store's default, 1000
}

// VersionPage is one page of a listing of versions.
type VersionPage struct {
	Versions []Version
	Prefixes []string // common prefixes, each ending in the delimiter
	More     bool     // there are more pages
	// NextKey and NextVersion begin the next page.
	NextKey, NextVersion string
}

// VersionID names one version of one object.
type VersionID struct {
	Key       string
	VersionID string
}

// Versioner lists and removes versions. In a bucket that never kept versions every object is
// its own NullVersion. A store without versions: KindUnsupported.
type Versioner interface {
	ListVersions(ctx context.Context, in ListVersionsInput) (VersionPage, error)
	// DeleteVersions removes up to 1,000 versions (and delete markers) of a bucket in one request,
	// for good. The results are in the order of ids; err is for the request as a whole.
	DeleteVersions(ctx context.Context, bucket string, ids []VersionID, bypassGovernance bool) ([]DeleteResult, error)
}
