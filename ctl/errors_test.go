package ctl

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestWireError: what the store's error says comes before what its cause looks like. A connection that times out is
// context.DeadlineExceeded for package errors.
func TestWireError(t *testing.T) {
	t.Parallel()
	late := fmt.Errorf("dial tcp: %w", context.DeadlineExceeded)
	for _, test := range []struct {
		err  error
		want Kind
	}{
		{late, KindTimeout},
		{&backend.Error{Kind: backend.KindUnreachable, Op: "HeadBucket", Err: late}, KindUnreachable},
		{&backend.Error{Kind: backend.KindCanceled, Op: "HeadBucket", Err: late}, KindTimeout},
		{fmt.Errorf("restore: %w", &Error{Kind: KindBusy, Message: "in use"}), KindBusy},
		{&backend.Error{Kind: backend.KindPermission, Op: "GetObject"}, KindCredentials},
		{errors.New("something"), KindOther},
	} {
		if got := wireError(test.err); got.Kind != test.want {
			t.Errorf("%v is %q, want %q", test.err, got.Kind, test.want)
		}
	}
}
