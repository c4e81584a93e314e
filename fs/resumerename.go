package fs

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/objmount/objmount/backend"
)

// resumeRename finishes a directory rename that a crash cut short. What was written under the new name since
// then stays, and so does, under its old name, what would have replaced it.
func (f *FS) resumeRename(ctx context.Context, intent uint64, payload []byte) error {
	var d dirMove
	if err := json.Unmarshal(payload, &d); err != nil {
		return err
	}
	there, err := f.sizesBelow(ctx, d.ToBucket, d.To)
	if err != nil {
		return err
	}
	var done copies
	err = f.eachBelow(ctx, d, func(ctx context.Context, o backend.Object, to backend.ObjectID) error {
		size, before := there[to.Key]
		if !before || size != o.Size {
			made, err := f.copyMissing(ctx, o, to)
			if err != nil {
				return err
			}
			if !made {
				f.log.Warn("an object of a renamed directory stays under its old name: there is another one under the new name",
					slog.String("bucket", o.Bucket), slog.String("key", o.Key))
				return nil
			}
		}
		done.add(o, backend.Object{})
		return nil
	})
	if err != nil {
		return err
	}
	f.cfg.Metadata.PrefixRemoved(d.Bucket, d.From)
	f.cfg.Metadata.PrefixAdded(d.ToBucket, d.To)
	return f.deleteNow(ctx, f.promiseSources(intent, done.all))
}

// copyMissing copies an object to a key that nothing has, here or in the store. It returns whether it did.
func (f *FS) copyMissing(ctx context.Context, o backend.Object, to backend.ObjectID) (made bool, err error) {
	if f.promises.has(to) || f.staged.has(to) {
		return false, nil
	}
	_, err = f.cfg.Store.Head(ctx, to, backend.GetOptions{}) // not every store has a condition for it
	switch {
	case err == nil:
		return false, nil
	case !backend.IsKind(err, backend.KindNotExist):
		return false, err
	}
	_, err = f.copyOne(ctx, o, to, true)
	if raced(err) {
		return false, nil
	}
	return err == nil, err
}

// has tells whether content is staged for a key.
func (s *stagedNodes) has(id backend.ObjectID) bool {
	for _, n := range s.all() {
		n.rlock()
		found := n.staged != nil && !n.doomed && n.staged.Spec().Target == id
		n.runlock()
		if found {
			return true
		}
	}
	return false
}

// sizesBelow lists what a rename had copied before it was cut short: it is not copied again.
func (f *FS) sizesBelow(ctx context.Context, bucket, prefix string) (map[string]int64, error) {
	sizes := make(map[string]int64)
	in := backend.ListInput{Bucket: bucket, Prefix: prefix}
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			sizes[o.Key] = o.Size
		}
		if page.Next == "" {
			return sizes, nil
		}
		in.Token = page.Next
	}
}
