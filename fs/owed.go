package fs

import (
	"context"
	"log/slog"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// markFor writes the markers that a file with attributes of its own needs.
func (f *FS) markFor(ctx context.Context, n *node) error {
	err := f.markKeeping(ctx, f.parentOf(n))
	if backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindLocked) { // the content must not wait for that
		f.log.Warn("attributes are stored, but no marker tells other mounts to look", slog.String("error", err.Error()))
		return nil
	}
	return err
}

// markUpload writes the markers that close, or the mount before a crash, has left to the upload. Write-back calls it without locks, and a
// rename of a directory above waits for it: either before it stops commits, or when it ends the uploads. So this does not wait for that rename.
func (f *FS) markUpload(ctx context.Context, file *staging.File) error {
	n := f.staged.owing(file)
	if n == nil {
		return nil
	}
	err := f.markFor(context.WithValue(ctx, insideKey{}, []*node{f.parentOf(n)}), n)
	switch {
	case ctx.Err() != nil:
		return &backend.Error{Kind: backend.KindCanceled, Op: "PutMarker", Err: context.Cause(ctx)}
	case backend.IsKind(err, backend.KindNoBucket): // the upload will say so
		return nil
	case backend.IsKind(err, backend.KindNotExist): // the marker's own bytes have gone: another client's doing
		err = nil
	case raced(err), backend.IsKind(err, backend.KindUnknown): // no conflict of the file, and no doubt about it
		err = &backend.Error{Kind: backend.KindTransient, Op: "PutMarker", Err: err}
	}
	if err == nil {
		f.staged.owe(file, false)
	}
	return err
}

// owe notes whether the upload of a file has to write a marker first.
func (s *stagedNodes) owe(file *staging.File, marker bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !marker:
		delete(s.unmarked, file.ID())
	case s.nodes[file.ID()] != nil:
		if s.unmarked == nil {
			s.unmarked = make(map[string]bool)
		}
		s.unmarked[file.ID()] = true
	}
}

// owing returns the node of a file whose upload has to write a marker first, else nil.
func (s *stagedNodes) owing(file *staging.File) *node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.unmarked[file.ID()] {
		return nil
	}
	return s.nodes[file.ID()]
}
