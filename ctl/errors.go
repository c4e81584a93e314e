package ctl

import (
	"context"
	"errors"
	"net/http"

	"github.com/objmount/objmount/backend"
)

// Kind says what a failed request means to the caller.
type Kind string

// The kinds of failure. Each has one HTTP status.
const (
	KindOther      Kind = "other"
	KindPermission Kind = "permission" // the caller is not the user who mounted, nor root
	KindBusy       Kind = "busy"       // programs use the mount
	KindInvalid    Kind = "invalid"    // the request is not understood
	KindGone       Kind = "gone"       // nobody answers any more
	KindTimeout    Kind = "timeout"    // no answer in time
	KindFailed     Kind = "failed"     // some files cannot be stored as things are; they are kept and tried again
	KindConflict   Kind = "conflict"   // some files lost against other clients; they are kept, everything else is stored

	KindNotFound    Kind = "not-found"   // no such file, version or bucket
	KindNoBucket    Kind = "no-bucket"   // no such bucket
	KindUnsupported Kind = "unsupported" // the store cannot do this
	KindLocked      Kind = "locked"      // retention, a legal hold or a limit of the bucket forbids it
	KindCredentials Kind = "credentials" // the store does not know them, or does not allow this
	KindUnreachable Kind = "unreachable" // the store cannot be reached, or fails
	KindPartial     Kind = "partial"     // some of many things could not be done; each has its own error
)

var httpStatus = map[Kind]int{
	KindOther: http.StatusInternalServerError, KindPermission: http.StatusForbidden, KindBusy: http.StatusConflict,
	KindInvalid: http.StatusBadRequest, KindGone: http.StatusGone, KindTimeout: http.StatusGatewayTimeout,
	KindFailed: http.StatusBadGateway, KindConflict: http.StatusPreconditionFailed,
	KindNotFound: http.StatusNotFound, KindNoBucket: http.StatusNotFound, KindUnsupported: http.StatusNotImplemented,
	KindLocked: http.StatusForbidden, KindCredentials: http.StatusForbidden, KindUnreachable: http.StatusBadGateway,
	KindPartial: http.StatusMultiStatus,
}

// ofStore are the kinds of a store's failures that mean something to a caller.
var ofStore = map[backend.Kind]Kind{
	backend.KindNotExist: KindNotFound, backend.KindNoBucket: KindNoBucket,
	backend.KindExist: KindConflict, backend.KindChanged: KindConflict, backend.KindArchived: KindConflict, backend.KindNotEmpty: KindConflict,
	backend.KindPermission: KindCredentials, backend.KindCredentials: KindCredentials,
	backend.KindInvalid: KindInvalid, backend.KindNameTooLong: KindInvalid, backend.KindRange: KindInvalid, backend.KindTooLarge: KindInvalid,
	backend.KindUnsupported: KindUnsupported, backend.KindElsewhere: KindUnsupported, backend.KindLocked: KindLocked, backend.KindRefused: KindLocked, backend.KindBusy: KindBusy,
	backend.KindUnknown: KindUnreachable, backend.KindTransient: KindUnreachable, backend.KindUnreachable: KindUnreachable,
}

// Error is a failure with its kind; it crosses the socket.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"` // one line
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// KindOf returns the kind of err, KindOther when it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindOther
}

// wireError gives an error the form in which it crosses the socket.
func wireError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*backend.Error](err); ok {
		if k, ok := ofStore[e.Kind]; ok {
			return &Error{Kind: k, Message: err.Error()}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) { // so is a connection that was not made in time, which the store's error explains
		return &Error{Kind: KindTimeout, Message: err.Error()}
	}
	return &Error{Kind: KindOther, Message: err.Error()}
}
