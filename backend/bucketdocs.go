package backend

import "context"

// BucketDoc is a kind of document that a bucket carries.
type BucketDoc uint8

// The documents. Their forms are those of package documents.
const (
	PolicyDoc BucketDoc = iota
	LifecycleDoc
	NotificationDoc
	EncryptionDoc
	ReplicationDoc
	ObjectLockDoc
	CORSDoc
	PublicAccessDoc // what of policies and ACLs is without effect when it opens the bucket to everybody

	bucketDocEnd // the number of documents; keep last
)

// bucketDocNames are what the documents are called in commands.
var bucketDocNames = [bucketDocEnd]string{
	PolicyDoc: "policy", LifecycleDoc: "lifecycle", NotificationDoc: "notification", EncryptionDoc: "encryption",
	ReplicationDoc: "replication", ObjectLockDoc: "lock", CORSDoc: "cors", PublicAccessDoc: "public-access",
}

// String returns a lower-case word.
func (d BucketDoc) String() string {
	if d < bucketDocEnd {
		return bucketDocNames[d]
	}
	return "unknown document"
}

// BucketDocNamed is the reverse of String.
func BucketDocNamed(name string) (BucketDoc, bool) {
	for d, n := range bucketDocNames {
		if n == name {
			return BucketDoc(d), true
		}
	}
	return 0, false
}

// EachBucketDoc returns all documents, for tables that must be exhaustive.
func EachBucketDoc() []BucketDoc {
	all := make([]BucketDoc, bucketDocEnd)
	for i := range all {
		all[i] = BucketDoc(i)
	}
	return all
}

// BucketDocs reads and changes the documents of buckets, in the JSON that the AWS CLI takes. A store that is not
// known to have a document: KindUnsupported, without a request.
type BucketDocs interface {
	// GetBucketDoc returns a document; KindNotExist when the bucket has none.
	GetBucketDoc(ctx context.Context, bucket string, doc BucketDoc) ([]byte, error)
	// PutBucketDoc replaces a document. One that cannot be right is KindInvalid, without a request.
	PutBucketDoc(ctx context.Context, bucket string, doc BucketDoc, text []byte) error
	// DeleteBucketDoc removes a document; of object lock, which stays, the default retention. One that is not
	// there is no error.
	DeleteBucketDoc(ctx context.Context, bucket string, doc BucketDoc) error
}
