package backend

import "context"

// The grantees of an ACL that are no accounts (S3 user guide, "Amazon S3 predefined groups").
const (
	Everybody   = "everybody" // also without credentials
	EveryUser   = "users"     // who signs with any account of the store
	LogDelivery = "log-delivery"
)

// CannedACLs are the ACLs with a name that every store with ACLs should have; some have others.
func CannedACLs() []string {
	return []string{"private", "public-read", "public-read-write", "authenticated-read"}
}

// Grant is one of an ACL.
type Grant struct {
	Grantee    string // the canonical id of an account, or a group
	Name       string // of an account, where the store tells it
	Permission string // READ, WRITE, READ_ACP, WRITE_ACP or FULL_CONTROL
}

// ACL is who may do what with a bucket, or an object, beside what policies say.
type ACL struct {
	Owner  string // a canonical id; empty: the store does not tell
	Grants []Grant
	// Reaches: what the ACL of a bucket allows holds for its objects as well, which have none of their own. (Of Amazon's, READ
	// only lets somebody list.)
	Reaches bool
}

// AccessControl reads and sets ACLs of buckets (ObjectID without a Key) and of objects. Stores that have none, or none of objects:
// KindUnsupported, without a request.
type AccessControl interface {
	// ACL returns the ACL of a version ("": the current one).
	ACL(ctx context.Context, id ObjectID, versionID string) (ACL, error)
	// SetACL replaces it by one of CannedACLs, or another one that the store knows. KindUnsupported: the store has none, or the
	// bucket none (see AllowACLs). Changes neither ETag nor LastModified.
	SetACL(ctx context.Context, id ObjectID, versionID, canned string) error
	// AllowACLs lets a bucket and its objects have ACLs: new ones of Amazon, and of stores like it, do not (S3 user guide,
	// "Controlling ownership of objects and disabling ACLs"). It opens nothing by itself.
	AllowACLs(ctx context.Context, bucket string) error
}
