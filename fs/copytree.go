package fs

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// copied is one object of a directory rename.
type copied struct {
	from backend.Object
	to   backend.Object
}

// copyTree copies every object below d.From. Those of which copiedBefore is true are only returned.
func (f *FS) copyTree(ctx context.Context, d dirMove, copiedBefore func(key string) bool) ([]copied, error) {
	var mu sync.Mutex
	var done []copied
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(renameParallel)
	in := backend.ListInput{Bucket: d.Bucket, Prefix: d.From}
	gone := f.promises.gone()
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			if waitErr := group.Wait(); waitErr != nil {
				err = waitErr
			}
			return done, err
		}
		for _, o := range page.Objects {
			o.Bucket = d.Bucket
			if gone(o.ID()) {
				continue
			}
			if copiedBefore != nil && copiedBefore(o.Key) {
				mu.Lock()
				done = append(done, copied{from: o})
				mu.Unlock()
				continue
			}
			group.Go(func() error {
				to, err := f.copyOver(ctx, o, backend.ObjectID{Bucket: d.ToBucket, Key: d.To + strings.TrimPrefix(o.Key, d.From)})
				if err != nil {
					return err
				}
				mu.Lock()
				done = append(done, copied{o, to})
				mu.Unlock()
				return nil
			})
		}
		if page.Next == "" {
			break
		}
		in.Token = page.Next
	}
	return done, group.Wait()
}

// copyOver is copyOne to a key that may still have an object that was unlinked while it is open.
func (f *FS) copyOver(ctx context.Context, o backend.Object, to backend.ObjectID) (backend.Object, error) {
	unlinked, err := f.takeBack(to)
	if err != nil {
		return backend.Object{}, err
	}
	f.preserveUnlinked(ctx, unlinked)
	obj, err := f.copyOne(ctx, o, to)
	if err != nil && unlinked != nil {
		f.promiseAgain(unlinked)
	}
	return obj, err
}

// copyOne copies an object, by parts where it is larger than one CopyObject may be.
func (f *FS) copyOne(ctx context.Context, o backend.Object, to backend.ObjectID) (backend.Object, error) {
	caps := f.cfg.Capabilities(to.Bucket)
	source := backend.Source{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag}
	if len(to.Key) > maxKey {
		return backend.Object{}, syscall.ENAMETOOLONG
	}
	if o.Size == 0 && strings.HasSuffix(o.Key, "/") {
		return f.copyMarker(ctx, o, to)
	}
	var props *backend.Properties
	if caps.Classes || o.Size > caps.Limits.MaxCopy {
		own, err := f.carried(ctx, o)
		if err != nil {
			return backend.Object{}, err
		}
		if own.StorageClass != "" || own.Encryption != (backend.Encryption{}) || o.Size > caps.Limits.MaxCopy {
			props = &own
		}
	}
	if o.Size > caps.Limits.MaxCopy {
		return f.copyLarge(ctx, o, to, *props)
	}
	in := backend.CopyInput{Bucket: to.Bucket, Key: to.Key, Source: source, Size: o.Size, Replace: props}
	obj, err := f.cfg.Store.Copy(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) {
		obj, err = f.cfg.Store.Copy(ctx, in)
	}
	obj.Bucket, obj.Key, obj.Size = to.Bucket, to.Key, o.Size
	if obj.ETag == "" {
		obj.ETag = o.ETag
	}
	return obj, err
}

// copyMarker stores a directory's marker anew: VersityGW refuses to copy one.
func (f *FS) copyMarker(ctx context.Context, o backend.Object, to backend.ObjectID) (backend.Object, error) {
	props, err := f.carried(ctx, o)
	if err != nil {
		return backend.Object{}, err
	}
	in := backend.PutInput{Bucket: to.Bucket, Key: to.Key, Body: bytes.NewReader(nil), Properties: props}
	obj, err := f.cfg.Store.Put(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) {
		obj, err = f.cfg.Store.Put(ctx, in)
	}
	obj.Bucket, obj.Key = to.Bucket, to.Key
	return obj, err
}

// carried returns what a copy that sends properties must send.
func (f *FS) carried(ctx context.Context, o backend.Object) (backend.Properties, error) {
	full, err := f.cfg.Store.Head(ctx, o.ID(), backend.GetOptions{IfMatch: o.ETag})
	if err != nil {
		return backend.Properties{}, err
	}
	props := backend.PropertiesOf(full)
	if full.TagCount > 0 && f.cfg.Capabilities(o.Bucket).Tagging {
		if props.Tags, err = f.cfg.Store.Tags(ctx, o.ID()); err != nil {
			return backend.Properties{}, err
		}
	}
	return props, nil
}

func (f *FS) copyLarge(ctx context.Context, o backend.Object, to backend.ObjectID, props backend.Properties) (backend.Object, error) {
	file, err := f.cfg.Staging.Create(staging.Spec{Target: to, Properties: props, Content: newVersion(o).remote})
	if err != nil {
		return backend.Object{}, err
	}
	snap, err := file.Seal(false)
	if err != nil {
		return backend.Object{}, err
	}
	return f.queue.Commit(ctx, snap)
}

// undoCopies removes what a failed rename had copied, but for a key that was there before: the marker of the
// directory that it was to replace.
func (f *FS) undoCopies(copies []copied, before string) {
	for _, c := range copies {
		if c.to.Key == before {
			continue
		}
		if err := f.deleteObject(f.ctx, c.to.ID(), c.to.ETag); err != nil {
			f.log.Warn("a copy of a failed rename stays", "key", c.to.Key, "error", err.Error())
		}
	}
}
