package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind says what an error means to a caller. The set is closed: fs has one table
// from every Kind to an errno, and a test that fails on a missing row.
type Kind uint8

// The kinds of failure.
const (
	// KindOther is a failure that no other kind describes.
	KindOther Kind = iota
	// KindNotExist: no such key (or version, or upload id).
	KindNotExist
	// KindNoBucket: no such bucket.
	KindNoBucket
	// KindExist: If-None-Match failed, or the bucket exists already.
	KindExist
	// KindChanged: If-Match (or CopySourceIfMatch) failed: the object is another one now.
	KindChanged
	// KindNotModified: a GET or HEAD with If-None-Match found the same ETag (304).
	KindNotModified
	// KindPermission: the credentials are good but not allowed to do this (403).
	KindPermission
	// KindCredentials: no credentials, wrong ones, or expired ones.
	KindCredentials
	// KindInvalid: the store refuses the argument (a key it cannot hold, a bad part order).
	KindInvalid
	// KindNameTooLong: the key or one of its components is longer than the store takes.
	KindNameTooLong
	// KindRange: the requested range lies beyond the end of the object (416).
	KindRange
	// KindTooLarge: over the store's largest object, part, or number of parts.
	KindTooLarge
	// KindNoSpace: the store or the local disk is full, or a quota is used up.
	KindNoSpace
	// KindUnsupported: the store does not have this operation (501, 405).
	KindUnsupported
	// KindLocked: retention or a legal hold forbids it.
	KindLocked
	// KindArchived: the object must be restored from an archive class first.
	KindArchived
	// KindNotEmpty: the bucket still holds objects.
	KindNotEmpty
	// KindCanceled: the caller's context ended.
	KindCanceled
	// KindUnknown: a write whose outcome is not known (lost reply, 500 on a conditional
	// write, 409 of racing writers). Look before repeating.
	KindUnknown
	// KindTransient: the store is overloaded or failing (429, 5xx, reset connection) and
	// the repeats are used up. Nothing was changed.
	KindTransient
	// KindUnreachable: no connection to the endpoint (refused, no route, no such host, TLS).
	KindUnreachable
	// KindCorrupt: bytes do not match their checksum.
	KindCorrupt
	// KindBusy: it cannot be done while an upload is under way that has the only copy of bytes.
	KindBusy
	// KindElsewhere: source and destination of a copy are in different stores.
	KindElsewhere
	// KindRefused: the bucket does not take files of this type (BucketLimits).
	KindRefused

	kindEnd // the number of kinds; keep last
)

var kindNames = [kindEnd]string{
	KindOther: "other", KindNotExist: "not found", KindNoBucket: "no such bucket", KindExist: "exists already",
	KindChanged: "changed by another client", KindNotModified: "not modified", KindPermission: "permission denied",
	KindCredentials: "bad credentials", KindInvalid: "invalid argument", KindNameTooLong: "name too long",
	KindRange: "range beyond the end", KindTooLarge: "too large", KindNoSpace: "no space left",
	KindUnsupported: "not supported by the store", KindLocked: "locked by retention or legal hold",
	KindArchived: "archived, restore it first", KindNotEmpty: "not empty", KindCanceled: "canceled",
	KindUnknown: "outcome unknown", KindTransient: "temporary failure of the store", KindUnreachable: "endpoint unreachable",
	KindCorrupt: "checksum mismatch", KindBusy: "busy", KindElsewhere: "in another store",
	KindRefused: "type not allowed in the bucket",
}

// String returns a short lower-case phrase.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Kinds returns every kind, for tables that must be exhaustive.
func Kinds() []Kind {
	all := make([]Kind, kindEnd)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is what every store method returns on failure.
type Error struct {
	Kind      Kind
	Op        string // the operation in the store's own words: "PutObject"
	Bucket    string
	Key       string
	Code      string // the store's error code: "NoSuchKey"; empty when there was no answer
	Message   string // the store's own message
	Status    int    // HTTP status; 0 when there was no answer
	RequestID string
	Err       error // the cause; may be nil
}

// Error says what failed, on which key, and why, in one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + " ")
	}
	switch {
	case e.Key != "":
		fmt.Fprintf(&b, "%q in bucket %q: ", e.Key, e.Bucket)
	case e.Bucket != "":
		fmt.Fprintf(&b, "bucket %q: ", e.Bucket)
	}
	b.WriteString(e.Kind.String())
	switch {
	case e.Code != "" && e.Message != "":
		fmt.Fprintf(&b, " (%s: %s)", e.Code, e.Message)
	case e.Code != "":
		fmt.Fprintf(&b, " (%s)", e.Code)
	case e.Message != "":
		fmt.Fprintf(&b, " (%s)", e.Message)
	case e.Err != nil:
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [request %s]", e.RequestID)
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err: that of the outermost *Error in its chain,
// KindCanceled for a context's end, else KindOther. It must not be called with nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindCanceled
	}
	return KindOther
}

// IsKind reports whether err is not nil and has kind k.
func IsKind(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Temporary reports whether the same request may succeed later without any change:
// the queue of uploads repeats these with back-off.
func Temporary(err error) bool {
	if err == nil {
		return false
	}
	switch KindOf(err) {
	case KindTransient, KindUnreachable, KindUnknown, KindCredentials, KindOther, KindNoSpace:
		return true
	default:
		return false
	}
}
