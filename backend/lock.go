package backend

import (
	"context"
	"time"
)

// RetentionMode says who may shorten a retention.
type RetentionMode string

// The modes of retention (S3 user guide, "Locking objects with Object Lock").
const (
	NoRetention RetentionMode = ""
	Governance  RetentionMode = "GOVERNANCE" // whoever has the right to bypass it
	Compliance  RetentionMode = "COMPLIANCE" // nobody, before the date
)

// Retention keeps one version of an object until a date.
type Retention struct {
	Mode  RetentionMode
	Until time.Time // zero without a mode; whole seconds travel
}

// Active reports whether the retention still forbids a deletion at the time now.
func (r Retention) Active(now time.Time) bool { return r.Mode != NoRetention && r.Until.After(now) }

// ObjectLock is what keeps one version of an object from being deleted.
type ObjectLock struct {
	Retention Retention
	LegalHold bool
}

// Active reports whether a version with this lock cannot be deleted at the time now.
func (l ObjectLock) Active(now time.Time) bool { return l.LegalHold || l.Retention.Active(now) }

// BucketLock is the object lock of a bucket and the retention that new objects get.
type BucketLock struct {
	Enabled     bool
	Mode        RetentionMode // NoRetention: new objects get none
	Days, Years int           // one of them is set with a mode
}

// Locker reads and sets what keeps versions from being deleted. Only for buckets with
// Capabilities.ObjectLock: other stores take the request for a plain PUT.
type Locker interface {
	// Lock returns the lock of a version ("": the current one). A version without one: zero.
	Lock(ctx context.Context, id ObjectID, versionID string) (ObjectLock, error)
	// SetRetention sets the retention of a version; one without a mode removes it. To shorten or
	// remove one of governance needs bypass and the right to it, else KindLocked.
	SetRetention(ctx context.Context, id ObjectID, versionID string, r Retention, bypass bool) error
	// SetLegalHold sets or removes the legal hold of a version.
	SetLegalHold(ctx context.Context, id ObjectID, versionID string, on bool) error
}
