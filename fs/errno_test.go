package fs

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
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

// TestFewFilesAreSaidOnce: that the mount may not open more files is no fault of the program's, and is one warning however often.
func TestFewFilesAreSaidOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := &FS{log: slog.New(slog.NewTextHandler(&log, nil)), ctx: t.Context()}
	staged := &backend.Error{Kind: backend.KindOther, Err: &os.PathError{Op: "open", Path: "data", Err: syscall.EMFILE}}
	for _, err := range []error{staged, syscall.EMFILE, syscall.ENFILE} {
		if got := f.status("Write", err); got != fuse.Status(syscall.ENFILE) {
			t.Errorf("%v: errno %v", err, got)
		}
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || strings.Count(text, "LimitNOFILE") != 3 {
		t.Errorf("the log says %s", text)
	}
}
