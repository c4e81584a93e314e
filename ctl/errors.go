package ctl

import (
	"errors"
	"net/http"
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
)

var httpStatus = map[Kind]int{
	KindOther: http.StatusInternalServerError, KindPermission: http.StatusForbidden, KindBusy: http.StatusConflict,
	KindInvalid: http.StatusBadRequest, KindGone: http.StatusGone, KindTimeout: http.StatusGatewayTimeout,
	KindFailed: http.StatusBadGateway, KindConflict: http.StatusPreconditionFailed,
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
