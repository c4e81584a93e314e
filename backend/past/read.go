package past

import (
	"context"

	"github.com/objmount/objmount/backend"
)

// Head implements backend.Reader for the version of the time, or the one that opt names.
func (s *Store) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (obj backend.Object, err error) {
	if opt.VersionID != "" {
		return s.store.Head(ctx, id, opt)
	}
	n, err := s.find(ctx, "HeadObject", id)
	if err != nil {
		return backend.Object{}, err
	}
	err = n.read("HeadObject", id, opt, func(opt backend.GetOptions) (bool, error) {
		obj, err = s.store.Head(ctx, id, opt)
		return n.is(obj), err
	})
	if err != nil {
		return backend.Object{}, err
	}
	obj.LastModified = n.modified
	return obj, nil
}

// Get implements backend.Reader, as Head.
func (s *Store) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (body *backend.Body, err error) {
	if opt.VersionID != "" {
		return s.store.Get(ctx, id, opt)
	}
	n, err := s.find(ctx, "GetObject", id)
	if err != nil {
		return nil, err
	}
	err = n.read("GetObject", id, opt, func(opt backend.GetOptions) (bool, error) {
		if body, err = s.store.Get(ctx, id, opt); err != nil {
			return false, err
		}
		if opt.VersionID == n.version && n.version != backend.NullVersion || n.is(body.Object) {
			return true, nil
		}
		return false, body.Close()
	})
	if err != nil {
		return nil, err
	}
	body.Object.LastModified = n.modified
	return body, nil
}

// read asks for the version n; ask reports whether the answer was about it, where its id does not say so.
//
// The version "null" is whatever was stored last without versions, so its ETag goes along. VersityGW
// 1.8.0 does not find it by that id in a HEAD (nor in other requests than GET) while it is the current
// one, so it is asked for as that first.
func (n note) read(op string, id backend.ObjectID, opt backend.GetOptions, ask func(backend.GetOptions) (bool, error)) error {
	if n.version != backend.NullVersion {
		opt.VersionID = n.version
		_, err := ask(opt)
		return err
	}
	if opt.IfMatch != "" && opt.IfMatch != n.etag {
		return &backend.Error{Kind: backend.KindChanged, Op: op, Bucket: id.Bucket, Key: id.Key}
	}
	if opt.IfNoneMatch != n.etag { // else: not modified, or another object, which is seen by its ETag
		opt.IfMatch, opt.IfNoneMatch = n.etag, ""
	}
	names := []string{"", backend.NullVersion}
	if !n.latest {
		names[0], names[1] = names[1], names[0]
	}
	for _, opt.VersionID = range names {
		same, err := ask(opt)
		switch {
		case err == nil && same:
			return nil
		case err != nil && !backend.IsKind(err, backend.KindNotExist) && !backend.IsKind(err, backend.KindChanged):
			return err
		}
	}
	return gone(op, id, "it was stored without versions and has been replaced since")
}

// named runs do with the version of the time, or the one that is given.
func (s *Store) named(ctx context.Context, op string, id backend.ObjectID, version string, do func(version string) error) error {
	if version != "" {
		return do(version)
	}
	n, err := s.find(ctx, op, id)
	if err != nil {
		return err
	}
	err = do(n.version)
	if n.version != backend.NullVersion || !n.latest || !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	obj, herr := s.store.Head(ctx, id, backend.GetOptions{IfMatch: n.etag})
	if herr != nil || !n.is(obj) {
		return err
	}
	return do("")
}

// value is named for calls that return something.
func value[T any](ctx context.Context, s *Store, op string, id backend.ObjectID, version string, do func(version string) (T, error)) (out T, err error) {
	err = s.named(ctx, op, id, version, func(version string) (err error) {
		out, err = do(version)
		return err
	})
	return out, err
}
