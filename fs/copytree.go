package fs

import (
	"bytes"
	"context"
	"errors"
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
	to   backend.Object // without ETag: it is not known whether the copy was made
}

// copies collects those of a rename.
type copies struct {
	mu  sync.Mutex
	all []copied
}

func (c *copies) add(from, to backend.Object) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, copied{from, to})
	return len(c.all) - 1
}

func (c *copies) made(i int, to backend.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[i].to = to
}

// copyTree copies every object below d.From. With an error it returns also the copies that may have been made:
// none begins after the first error, and those on their way are awaited.
func (f *FS) copyTree(ctx context.Context, d dirMove) ([]copied, error) {
	var done copies
	err := f.eachBelow(ctx, d, func(ctx context.Context, o backend.Object, to backend.ObjectID) error {
		i := done.add(o, backend.Object{Bucket: to.Bucket, Key: to.Key})
		obj, err := f.copyOver(ctx, o, to)
		if err == nil {
			done.made(i, obj)
		}
		return err
	})
	return done.all, err
}

// eachBelow calls fn, in parallel, for every object below d.From whose name is not gone here, with its new key.
func (f *FS) eachBelow(ctx context.Context, d dirMove, fn func(context.Context, backend.Object, backend.ObjectID) error) error {
	return f.eachObject(ctx, place{d.Bucket, d.From}, renameParallel, func(ctx context.Context, o backend.Object) error {
		return fn(ctx, o, backend.ObjectID{Bucket: d.ToBucket, Key: d.To + strings.TrimPrefix(o.Key, d.From)})
	})
}

// eachObject calls fn, limit at a time, for every object in the store whose key begins as at says, but for those whose name
// is gone here. After the first error none begins, and those on their way are awaited.
func (f *FS) eachObject(ctx context.Context, at place, limit int, fn func(context.Context, backend.Object) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	in := backend.ListInput{Bucket: at.bucket, Prefix: at.key}
	gone := f.promises.gone()
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			if waitErr := group.Wait(); waitErr != nil {
				err = waitErr
			}
			return err
		}
		for _, o := range page.Objects {
			o.Bucket = at.bucket
			if gone(o.ID()) {
				continue
			}
			group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return fn(ctx, o)
			})
		}
		if page.Next == "" {
			return group.Wait()
		}
		in.Token = page.Next
	}
}

// copyOver is copyOne to a key that may still have an object that was unlinked while it is open.
func (f *FS) copyOver(ctx context.Context, o backend.Object, to backend.ObjectID) (backend.Object, error) {
	unlinked, err := f.takeBack(to)
	if err != nil {
		return backend.Object{}, err
	}
	f.preserveUnlinked(ctx, unlinked)
	obj, err := f.copyOne(ctx, o, to, false)
	if err != nil && unlinked != nil {
		f.promiseAgain(unlinked)
	}
	return obj, err
}

// copyOne copies an object, by parts where it is larger than one CopyObject may be. A CopyObject on its way is not
// given up when ctx ends: the store might make the copy after we have looked. fresh is a condition, where the store
// has it: nothing is under the key.
func (f *FS) copyOne(ctx context.Context, o backend.Object, to backend.ObjectID, fresh bool) (backend.Object, error) {
	caps := f.cfg.Capabilities(to.Bucket)
	source := backend.Source{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag}
	if len(to.Key) > maxKey {
		return backend.Object{}, syscall.ENAMETOOLONG
	}
	if o.Size == 0 && strings.HasSuffix(o.Key, "/") {
		return f.copyMarker(ctx, o, to, fresh)
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
		return f.copyLarge(ctx, o, to, *props, fresh)
	}
	in := backend.CopyInput{Bucket: to.Bucket, Key: to.Key, Source: source, Size: o.Size, Replace: props}
	in.Condition.IfNoneMatch = fresh && caps.CopyDestination
	obj, err := f.cfg.Store.Copy(f.ctx, in)
	if backend.IsKind(err, backend.KindUnknown) {
		obj, err = f.cfg.Store.Copy(f.ctx, in)
	}
	obj.Bucket, obj.Key, obj.Size = to.Bucket, to.Key, o.Size
	if obj.ETag == "" {
		obj.ETag = o.ETag
	}
	return obj, err
}

// copyMarker stores a directory's marker anew: VersityGW refuses to copy one.
func (f *FS) copyMarker(ctx context.Context, o backend.Object, to backend.ObjectID, fresh bool) (backend.Object, error) {
	props, err := f.carried(ctx, o)
	if err != nil {
		return backend.Object{}, err
	}
	in := backend.PutInput{Bucket: to.Bucket, Key: to.Key, Body: bytes.NewReader(nil), Properties: props}
	in.Condition.IfNoneMatch = fresh && f.cfg.Capabilities(to.Bucket).PutIfNoneMatch
	obj, err := f.cfg.Store.Put(f.ctx, in)
	if backend.IsKind(err, backend.KindUnknown) {
		obj, err = f.cfg.Store.Put(f.ctx, in)
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
		if props.Tags, err = f.cfg.Store.Tags(ctx, o.ID(), ""); err != nil {
			return backend.Properties{}, err
		}
	}
	return props, nil
}

func (f *FS) copyLarge(ctx context.Context, o backend.Object, to backend.ObjectID, props backend.Properties, fresh bool) (backend.Object, error) {
	spec := staging.Spec{Target: to, Properties: props, Content: newVersion(o).remote, Condition: backend.Condition{IfNoneMatch: fresh}}
	file, err := f.cfg.Staging.Create(spec)
	if err != nil {
		return backend.Object{}, err
	}
	snap, err := file.Seal(false)
	if err != nil {
		f.removeStaged(file)
		return backend.Object{}, err
	}
	obj, err := f.queue.Commit(ctx, snap)
	if err == nil {
		return obj, nil
	}
	stored, cancelErr := f.queue.Cancel(f.ctx, file)
	if stored != nil { // after all
		obj = *stored
		obj.Bucket, obj.Key, obj.Size = to.Bucket, to.Key, o.Size
		return obj, nil
	}
	f.removeStaged(file)
	return backend.Object{}, errors.Join(err, cancelErr)
}

// undoCopies removes what a failed rename had copied, but for a key that was there before: the marker of the
// directory that it was to replace.
func (f *FS) undoCopies(copies []copied, before string) {
	for _, c := range copies {
		if c.to.Key == before {
			continue
		}
		if err := f.undoCopy(c); err != nil && !backend.IsKind(err, backend.KindNotExist) {
			f.log.Warn("a copy of a failed rename stays", "key", c.to.Key, "error", err.Error())
		}
	}
}

// undoCopy removes one. If it is not known whether it was made, that is taken for it which has the same bytes.
func (f *FS) undoCopy(c copied) error {
	if c.to.ETag == "" {
		obj, err := f.cfg.Store.Head(f.ctx, c.to.ID(), backend.GetOptions{})
		if err != nil {
			return err
		}
		if obj.ETag != c.from.ETag || obj.Size != c.from.Size {
			return &backend.Error{Kind: backend.KindChanged, Op: "DeleteObject", Bucket: c.to.Bucket, Key: c.to.Key}
		}
		c.to.ETag = obj.ETag
	}
	return f.deleteObject(f.ctx, c.to.ID(), c.to.ETag, look{})
}
