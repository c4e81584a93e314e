package backend

// Capabilities is what one bucket of one store can do, as data. A false field has a defined
// fallback (fs/SEMANTICS.md, "Stores that lack something").
type Capabilities struct {
	Vendor string `json:"vendor"` // "aws", "minio", "versitygw", "ceph", "swift", "r2", "gcs", "mem", "unknown"

	// Conditions that are enforced, not only accepted.
	PutIfNoneMatch      bool `json:"put_if_none_match"`
	PutIfMatch          bool `json:"put_if_match"`
	CompleteIfNoneMatch bool `json:"complete_if_none_match"`
	CompleteIfMatch     bool `json:"complete_if_match"`
	CopySourceIfMatch   bool `json:"copy_source_if_match"`
	CopyPartIfMatch     bool `json:"copy_part_if_match"`
	CopyDestination     bool `json:"copy_destination"` // If-Match, If-None-Match on CopyObject's destination
	DeleteIfMatch       bool `json:"delete_if_match"`
	GetIfMatch          bool `json:"get_if_match"`

	PartCopy      bool `json:"part_copy"`      // UploadPartCopy with a range
	DeleteMany    bool `json:"delete_many"`    // DeleteObjects
	ChecksumCRC64 bool `json:"checksum_crc64"` // x-amz-checksum-crc64nvme is verified
	Tagging       bool `json:"tagging"`
	Versioned     bool `json:"versioned"`   // the bucket keeps versions
	ObjectLock    bool `json:"object_lock"` // the bucket has object lock
	Classes       bool `json:"classes"`     // objects may have a storage class or encryption of their own

	// FileAndPrefix: the keys "a" and "a/b" may both exist, and a listing shows both.
	FileAndPrefix bool `json:"file_and_prefix"`
	// AnyKey: keys with "//", "." and ".." components are kept as they are.
	AnyKey bool `json:"any_key"`
	// Underscores: "_" in the keys of user metadata is kept. Where it is not, a write that has
	// one is KindInvalid, so objmount's own keys have none.
	Underscores bool `json:"underscores"`

	Limits Limits `json:"limits"`
}

// Limits are the sizes of a store, in bytes unless said otherwise.
type Limits struct {
	MinPart    int64 `json:"min_part"`    // every part but the last
	MaxPart    int64 `json:"max_part"`    // also of a part copy
	MaxParts   int32 `json:"max_parts"`   // count
	EqualParts bool  `json:"equal_parts"` // every part but the last must have the same size (R2)
	MaxPut     int64 `json:"max_put"`     // of a single PUT
	MaxCopy    int64 `json:"max_copy"`    // of a single CopyObject
	MaxObject  int64 `json:"max_object"`
	MaxMeta    int64 `json:"max_meta"` // user metadata, keys and values together
	MaxKey     int64 `json:"max_key"`  // of a key; 0: 1,024
}

// Byte counts.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
	TiB int64 = 1 << 40
)

// S3Limits are those of Amazon S3 (user guide, "Amazon S3 multipart upload limits").
func S3Limits() Limits {
	return Limits{
		MinPart: 5 * MiB, MaxPart: 5 * GiB, MaxParts: 10_000,
		MaxPut: 5 * GiB, MaxCopy: 5 * GiB, MaxObject: 50 * TiB, MaxMeta: 2 * KiB, MaxKey: KiB,
	}
}
