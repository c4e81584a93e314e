package ctl

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// directory puts everything below a prefix back to a time.
func (w *restoring) directory(ctx context.Context, p Place) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	var doomed []backend.Version
	err := w.eachKey(gctx, p, func(_ string, versions []backend.Version) error {
		latest := versions[0]
		v := at(versions, *w.request.At)
		switch {
		case v != nil:
			g.Go(func() error { return w.putBack(gctx, v, latest, true) })
		case latest.DeleteMarker, !w.request.Delete:
		default:
			if doomed = append(doomed, latest); len(doomed) == deletesAtOnce {
				batch := doomed
				doomed = nil
				g.Go(func() error { return w.deleteAll(gctx, batch) })
			}
		}
		return nil
	})
	if err == nil && len(doomed) > 0 {
		g.Go(func() error { return w.deleteAll(gctx, doomed) })
	}
	if gerr := g.Wait(); gerr != nil { // the reason why the listing was ended, too
		return gerr
	}
	return err
}

// deleteAll deletes what was not there then. Their versions stay, below delete markers.
func (w *restoring) deleteAll(ctx context.Context, batch []backend.Version) error {
	var keys []string
	var which []backend.Version
	for _, v := range batch {
		if err := w.replaces(v); err != nil {
			if err := w.tally.done(deletedOf(v), err); err != nil {
				return err
			}
			continue
		}
		keys, which = append(keys, v.Key), append(which, v)
	}
	if len(keys) == 0 {
		return nil
	}
	results := make([]backend.DeleteResult, len(keys))
	if !w.request.DryRun {
		var err error
		results, err = w.Store.DeleteMany(ctx, batch[0].Bucket, keys)
		for _, key := range keys { // also when the outcome is not known
			w.Tree.Changed(batch[0].Bucket, key)
		}
		if err != nil {
			return err
		}
	}
	for i, v := range which {
		if err := w.tally.done(deletedOf(v), results[i].Err); err != nil {
			return err
		}
	}
	return nil
}

func deletedOf(v backend.Version) Done {
	return Done{Bucket: v.Bucket, Key: Text(v.Key), Action: "deleted", VersionID: v.VersionID, Size: v.Size}
}
