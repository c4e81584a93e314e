package ctl

import (
	"context"
	"fmt"

	"github.com/objmount/objmount/backend"
)

// EmptyRequest removes everything in a bucket.
type EmptyRequest struct {
	Target
	Versions bool `json:"versions,omitempty"` // old versions and delete markers as well: for good
	Bypass   bool `json:"bypass_governance,omitempty"`
}

// emptying counts what is removed. Only what stays is an item: a bucket may have millions.
type emptying struct {
	*call
	bucket string
	sum    Summary
}

func emptyBucket(ctx context.Context, c *call, p Place, r EmptyRequest) error {
	if p.Kind != Directory || p.Key != "" {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s is no bucket but a place in one; rm -r and versions purge remove what is there", p)}
	}
	e := &emptying{call: c, bucket: p.Bucket, sum: Summary{DryRun: r.DryRun}}
	err := e.objects(ctx, r)
	if r.Versions {
		err = e.versions(ctx, p, r)
	}
	if err == nil {
		err = e.uploads(ctx, p)
	}
	if err != nil {
		return err
	}
	if !r.Versions {
		if status, err := c.Store.BucketVersioning(ctx, p.Bucket); err == nil && status != "" {
			if err := c.note("the bucket keeps versions: what was removed is still there as old versions; --versions removes them"); err != nil {
				return err
			}
		}
	}
	if err := c.result(e.sum); err != nil {
		return err
	}
	if e.sum.Failed > 0 {
		return &Error{Kind: KindPartial, Message: fmt.Sprintf("%d of %d could not be removed", e.sum.Failed, e.sum.Failed+e.sum.Done)}
	}
	return nil
}

// objects removes what is current, page by page. With versions they are removed one by one instead.
func (e *emptying) objects(ctx context.Context, r EmptyRequest) error {
	if r.Versions {
		return nil
	}
	caps, err := e.Capabilities(ctx, e.bucket)
	if err != nil {
		return err
	}
	in := backend.ListInput{Bucket: e.bucket}
	for {
		page, err := e.Store.List(ctx, in)
		if err != nil {
			return err
		}
		keys := make([]string, len(page.Objects))
		var size int64
		for i, o := range page.Objects {
			keys[i] = o.Key
			size += o.Size
		}
		var results []backend.DeleteResult
		if !r.DryRun {
			if results, err = e.remove(ctx, keys, caps.DeleteMany); err != nil {
				return err
			}
		}
		for i, o := range page.Objects {
			var failure error
			if results != nil {
				failure = results[i].Err
			}
			if err := e.done(Done{Bucket: e.bucket, Key: Text(o.Key), Size: o.Size}, failure); err != nil {
				return err
			}
		}
		if in.Token = page.Next; in.Token == "" {
			return nil
		}
	}
}

// remove deletes keys in as few requests as the store allows.
func (e *emptying) remove(ctx context.Context, keys []string, many bool) (results []backend.DeleteResult, err error) {
	for len(keys) > 0 {
		n := 1
		if many {
			n = min(len(keys), deletesAtOnce)
			some, err := e.Store.DeleteMany(ctx, e.bucket, keys[:n])
			if err != nil {
				return nil, err
			}
			results = append(results, some...)
		} else {
			err := e.Store.Delete(ctx, backend.DeleteInput{Bucket: e.bucket, Key: keys[0]})
			if err != nil && ctx.Err() != nil {
				return nil, err
			}
			results = append(results, backend.DeleteResult{Key: keys[0], Err: err})
		}
		for _, key := range keys[:n] {
			e.Tree.Changed(e.bucket, key)
		}
		keys = keys[n:]
	}
	return results, nil
}

// versions removes every version and delete marker.
func (e *emptying) versions(ctx context.Context, p Place, r EmptyRequest) error {
	b := &deleting{call: e.call, bucket: e.bucket, bypass: r.Bypass, dry: r.DryRun}
	var batch []backend.Version
	flush := func() error {
		ids := make([]backend.VersionID, len(batch))
		for i, v := range batch {
			ids[i] = backend.VersionID{Key: v.Key, VersionID: v.VersionID}
		}
		errs, err := b.remove(ctx, ids)
		for _, v := range batch {
			if !r.DryRun {
				e.Tree.Changed(e.bucket, v.Key)
			}
		}
		if err != nil {
			return err
		}
		for i, v := range batch {
			d := Done{Bucket: v.Bucket, Key: Text(v.Key), VersionID: v.VersionID, DeleteMarker: v.DeleteMarker, Size: v.Size}
			if err := e.done(d, errs[i]); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	err := e.eachKey(ctx, p, func(_ string, versions []backend.Version) error {
		for _, v := range versions {
			if batch = append(batch, v); len(batch) == deletesAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// uploads ends what was begun and never finished: it costs money, and some stores do not let the bucket be deleted.
func (e *emptying) uploads(ctx context.Context, p Place) error {
	if n := e.Tree.Unsent(p); n > 0 { // an upload may have the only copy of what a program has written
		return e.note(fmt.Sprintf("%s being written here, so unfinished uploads were not ended", things(int64(n), "file is", "files are")))
	}
	all, err := e.Store.ListUploads(ctx, backend.ObjectID{Bucket: e.bucket})
	if untold(err) {
		return e.note("unfinished uploads were not ended: " + err.Error())
	}
	if err != nil {
		return err
	}
	failed := make([]error, len(all))
	if !e.sum.DryRun {
		if failed = e.abortAll(ctx, all); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i, up := range all {
		if failed[i] == nil {
			e.sum.Uploads++
			continue
		}
		e.sum.Failed++
		d := Done{Bucket: up.Bucket, Key: Text(up.Key), Action: "kept", Error: "an unfinished upload: " + failed[i].Error()}
		if err := e.item(d); err != nil {
			return err
		}
	}
	return nil
}

// done counts one thing, and reports it when it stays.
func (e *emptying) done(d Done, failure error) error {
	if failure != nil {
		e.sum.Failed++
		d.Action, d.Error = "kept", failure.Error()
		return e.item(d)
	}
	e.sum.Done++
	e.sum.Bytes += d.Size
	sum := e.sum
	return e.progress(func(s *Step) { s.Done, s.Bytes = sum.Done, sum.Bytes })
}
