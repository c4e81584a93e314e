package mem

import (
	"context"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Action is one thing that goes wrong, or happens, with a call. The zero value does nothing.
type Action struct {
	before  func(context.Context, Call) error // an error ends the call; the store does not see it
	after   func(context.Context, Call)
	lose    bool
	cut     *int64
	stall   *int64
	flip    *int64
	refused func(key string) error
}

// Fail makes the call fail with the kind; the store does not see it.
func Fail(kind backend.Kind) Action {
	return Action{before: func(_ context.Context, c Call) error { return c.fault(kind, "a fault by rule") }}
}

// Delay waits before the call is done, at most until its context ends.
func Delay(d time.Duration) Action {
	return Action{before: func(ctx context.Context, c Call) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return c.name().cancel(context.Cause(ctx))
		}
	}}
}

// Stall never does the call: it waits until the context ends and fails with KindCanceled.
func Stall() Action {
	return Action{before: func(ctx context.Context, c Call) error {
		<-ctx.Done()
		return c.name().cancel(context.Cause(ctx))
	}}
}

// Before runs f before the store sees the call, for example to let another client win a race
// or to wait for a gate. f may use the store.
func Before(f func(context.Context, Call)) Action {
	return Action{before: func(ctx context.Context, c Call) error {
		f(ctx, c)
		return nil
	}}
}

// After runs f when the call was done, before the caller knows. f may use the store.
func After(f func(context.Context, Call)) Action { return Action{after: f} }

// LoseReply does the call, then hides its outcome: a write fails with KindUnknown, what is
// harmless to repeat (reads, listings, parts) with KindTransient.
func LoseReply() Action { return Action{lose: true} }

// Cut breaks the connection after n bytes of object data: the body of a GET ends with
// io.ErrUnexpectedEOF; a PutObject or UploadPart stores nothing and fails as with LoseReply.
// A body of at most n bytes is not cut, nor a call without one.
func Cut(n int64) Action { return Action{cut: &n} }

// StallAfter stops after n bytes of object data, in either direction, until the context
// ends (KindCanceled) or a GET's body is closed.
func StallAfter(n int64) Action { return Action{stall: &n} }

// Flip changes the lowest bit of the byte at off of the body, in either direction.
func Flip(off int64) Action { return Action{flip: &off} }

// RefuseKeys makes DeleteObjects leave those keys alone and report the kind for each.
func RefuseKeys(kind backend.Kind, which func(key string) bool) Action {
	return Action{refused: func(key string) error {
		if !which(key) {
			return nil
		}
		return Call{Op: "DeleteObjects", Key: key}.fault(kind, "a fault by rule")
	}}
}

func (c Call) name() call { return call{c.Op, c.Bucket, c.Key} }

func (c Call) fault(kind backend.Kind, message string) error {
	return c.name().error(kind, 0, "", message)
}

// lost is the error of a call whose reply did not come.
func (c Call) lost() error {
	for _, harmless := range []string{"Get", "Head", "List", "Select", "UploadPart"} {
		if strings.HasPrefix(c.Op, harmless) {
			return c.fault(backend.KindTransient, "connection reset")
		}
	}
	return c.fault(backend.KindUnknown, "connection reset")
}
