package fs

import (
	"errors"
	"log/slog"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
)

func TestEveryKindHasAnErrno(t *testing.T) {
	t.Parallel()
	for _, kind := range backend.Kinds() {
		if _, ok := errnoOf[kind]; !ok {
			t.Errorf("kind %q has no errno: add a row to errnoOf and to the table in SEMANTICS.md", kind)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	f := &FS{log: slog.New(slog.DiscardHandler)}
	changed := &backend.Error{Kind: backend.KindChanged}
	for _, c := range []struct {
		err  error
		want syscall.Errno
	}{
		{syscall.ENOTEMPTY, syscall.ENOTEMPTY},
		{changed, syscall.ESTALE},
		{errors.Join(errors.New("while closing"), changed), syscall.ESTALE},
		{errors.New("anything"), syscall.EIO},
		{&backend.Error{Kind: backend.KindNoSpace, Err: syscall.ENOSPC}, syscall.ENOSPC},
	} {
		if got := f.status("test", c.err); got != fuse.Status(c.want) {
			t.Errorf("%v: errno %v, want %v", c.err, got, c.want)
		}
	}
	if got := f.status("test", nil); got != fuse.OK {
		t.Errorf("nil: %v", got)
	}
}
