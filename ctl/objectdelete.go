package ctl

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// DeleteObjectsRequest removes what is current: of a file, of Keys in a directory, or of all below one. In a bucket with
// versions a delete marker comes on top of each. What is locked stays, as it does for programs.
type DeleteObjectsRequest struct {
	Target
	Keys      []Text `json:"keys,omitempty"`       // whole keys below the directory; at most 1,000
	VersionID string `json:"version_id,omitempty"` // this one, for good
	Recursive bool   `json:"recursive,omitempty"`  // everything below a directory
	Bypass    bool   `json:"bypass_governance,omitempty"`
}

func (DeleteObjectsRequest) anew() {}

// Deleted is what was done about one object.
type Deleted struct {
	OK bool `json:"ok"` // it is gone
	Done
}

func (r DeleteObjectsRequest) check(p Place) error {
	switch {
	case p.Kind == Unknown && r.VersionID == "":
		return &Error{Kind: KindNotFound, Message: "nothing is at " + p.String()}
	case len(r.Keys) > 0 && (r.VersionID != "" || r.Recursive):
		return &Error{Kind: KindInvalid, Message: "keys, a version and everything below are three answers to one question; give one of them"}
	case len(r.Keys) > deletesAtOnce:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%d keys; a request takes %d", len(r.Keys), deletesAtOnce)}
	case len(r.Keys) > 0 && p.Kind != Directory:
		return &Error{Kind: KindInvalid, Message: p.String() + " is no directory; keys are those below one"}
	case r.VersionID != "":
		return p.one()
	case len(r.Keys) == 0:
		return p.tree(r.Recursive)
	}
	for _, key := range r.Keys {
		if key == "" || !strings.HasPrefix(string(key), p.Key) {
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the key %.100q is not below %s; nothing was removed", string(key), p)}
		}
	}
	return nil
}

func deleteObjects(ctx context.Context, c *call, p Place, r DeleteObjectsRequest) error {
	if err := r.check(p); err != nil {
		return err
	}
	c.saysOK = true
	if r.VersionID != "" {
		p.Kind = File
		return purge(ctx, c, p, PurgeRequest{Target: r.Target, VersionID: r.VersionID, Bypass: r.Bypass})
	}
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err != nil {
		return err
	}
	d := &removing{call: c, request: r, caps: caps, tally: &tally{call: c, sum: Summary{DryRun: r.DryRun}}}
	switch {
	case len(r.Keys) > 0:
		objects := make([]backend.Object, len(r.Keys))
		for i, key := range r.Keys {
			objects[i] = backend.Object{Bucket: p.Bucket, Key: string(key)}
		}
		err = d.batch(ctx, objects)
	case p.Kind == File:
		var o backend.Object
		if o, err = c.Store.Head(ctx, p.id(), backend.GetOptions{}); err == nil {
			err = d.batch(ctx, []backend.Object{o})
		}
	default:
		err = d.below(ctx, p)
	}
	if err != nil {
		return err
	}
	return d.tally.end(false)
}

// removing is one run of the verb.
type removing struct {
	*call
	request DeleteObjectsRequest
	caps    backend.Capabilities
	tally   *tally
}

func (d *removing) below(ctx context.Context, p Place) error {
	in := backend.ListInput{Bucket: p.Bucket, Prefix: p.Key}
	for {
		page, err := d.Store.List(ctx, in)
		if err != nil {
			return err
		}
		if err := d.batch(ctx, page.Objects); err != nil {
			return err
		}
		if in.Token = page.Next; in.Token == "" {
			return nil
		}
	}
}

// batch removes objects of one bucket and reports each.
func (d *removing) batch(ctx context.Context, objects []backend.Object) error {
	why := make([]error, len(objects))
	if d.caps.ObjectLock {
		if err := d.findLocked(ctx, objects, why); err != nil {
			return err
		}
	}
	var free []int
	for i := range objects {
		if why[i] == nil {
			free = append(free, i)
		}
	}
	if !d.request.DryRun && len(free) > 0 {
		err := d.remove(ctx, objects, free, why)
		for _, i := range free { // also when the outcome is not known
			d.Tree.Changed(objects[i].Bucket, objects[i].Key)
		}
		if err != nil {
			return err
		}
	}
	for i, o := range objects {
		if err := d.tally.done(Done{Bucket: o.Bucket, Key: Text(o.Key), Action: "deleted", Size: o.Size}, why[i]); err != nil {
			return err
		}
	}
	return nil
}

// findLocked says of which objects the current version is locked. A delete marker on top would not remove it,
// but hide it from those who rely on it.
func (d *removing) findLocked(ctx context.Context, objects []backend.Object, why []error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(headsAtOnce)
	for i := range objects {
		g.Go(func() error {
			o, err := d.Store.Head(ctx, objects[i].ID(), backend.GetOptions{})
			if backend.IsKind(err, backend.KindNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			objects[i].Size = o.Size
			lock := o.Lock
			if d.request.Bypass && lock.Retention.Mode == backend.Governance {
				lock.Retention = backend.Retention{}
			}
			if lock.Active(d.Now()) {
				why[i] = &backend.Error{Kind: backend.KindLocked, Op: "DeleteObject", Bucket: o.Bucket, Key: o.Key}
			}
			return nil
		})
	}
	return g.Wait()
}

// remove deletes the objects with the places free, and says why it could not.
func (d *removing) remove(ctx context.Context, objects []backend.Object, free []int, why []error) error {
	if d.caps.DeleteMany {
		keys := make([]string, len(free))
		for i, at := range free {
			keys[i] = objects[at].Key
		}
		results, err := d.Store.DeleteMany(ctx, objects[0].Bucket, keys)
		for i, r := range results {
			why[free[i]] = r.Err
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	for _, at := range free {
		g.Go(func() error {
			why[at] = d.Store.Delete(ctx, backend.DeleteInput{Bucket: objects[at].Bucket, Key: objects[at].Key})
			return ctx.Err()
		})
	}
	return g.Wait()
}
