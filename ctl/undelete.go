package ctl

import (
	"context"
	"fmt"

	"github.com/objmount/objmount/backend"
)

// UndeleteRequest brings deleted files back, by removing the delete markers on top of them.
type UndeleteRequest struct {
	Target
	Recursive bool `json:"recursive,omitempty"` // everything below a directory
}

func undelete(ctx context.Context, c *call, p Place, r UndeleteRequest) error {
	if err := p.tree(r.Recursive); err != nil {
		return err
	}
	b := &deleting{call: c, bucket: p.Bucket, dry: r.DryRun, tally: &tally{call: c, sum: Summary{DryRun: r.DryRun}}}
	found := false
	err := c.eachKey(ctx, p, func(_ string, versions []backend.Version) error {
		found = true
		markers, below := onTop(versions)
		if len(markers) == 0 {
			if p.Kind == Directory {
				return nil
			}
			return b.tally.done(Done{Bucket: p.Bucket, Key: Text(p.Key), Action: "unchanged", VersionID: versions[0].VersionID, Size: versions[0].Size}, nil)
		}
		if below == nil {
			if p.Kind == Directory {
				return nil
			}
			return &Error{Kind: KindNotFound, Message: fmt.Sprintf("of %s only delete markers are left", p)}
		}
		back := Done{Bucket: p.Bucket, Key: Text(below.Key), Action: "undeleted", VersionID: below.VersionID, Size: below.Size}
		return b.add(ctx, markers, back)
	})
	if err == nil {
		err = b.flush(ctx)
	}
	if err == nil && !found && p.Kind == File {
		err = notFound(p)
	}
	if err != nil {
		return err
	}
	return b.tally.end(p.Kind == File)
}

// onTop returns the delete markers that hide an object, and the version that they hide; nil: there is none.
func onTop(versions []backend.Version) (markers []backend.Version, below *backend.Version) {
	for i := range versions {
		if !versions[i].DeleteMarker {
			return versions[:i], &versions[i]
		}
	}
	return versions, nil
}

// deleting removes versions in batches. Each group of versions is one thing to report.
type deleting struct {
	*call
	bucket string
	bypass bool // of governance retention
	dry    bool
	tally  *tally
	ids    []backend.VersionID
	groups []group
}

// group is what one report stands for: n versions.
type group struct {
	n    int
	done Done
}

// add takes versions that are reported as one thing.
func (b *deleting) add(ctx context.Context, versions []backend.Version, d Done) error {
	if len(b.ids)+len(versions) > deletesAtOnce {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	for _, v := range versions {
		b.ids = append(b.ids, backend.VersionID{Key: v.Key, VersionID: v.VersionID})
	}
	b.groups = append(b.groups, group{len(versions), d})
	return nil
}

// flush removes what was added and reports it.
func (b *deleting) flush(ctx context.Context) error {
	ids, groups := b.ids, b.groups
	b.ids, b.groups = nil, nil
	errs, err := b.remove(ctx, ids)
	for _, g := range groups { // also when the outcome is not known
		if !b.dry {
			b.Tree.Changed(b.bucket, string(g.done.Key))
		}
	}
	if err != nil {
		return err
	}
	for _, g := range groups {
		var failure error
		for _, err := range errs[:g.n] {
			if err != nil {
				failure = err
			}
		}
		errs = errs[g.n:]
		if err := b.tally.done(g.done, failure); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes versions for good. The errors are in the order of ids.
func (b *deleting) remove(ctx context.Context, ids []backend.VersionID) ([]error, error) {
	errs := make([]error, len(ids))
	if b.dry {
		return errs, nil
	}
	for from := 0; from < len(ids); from += deletesAtOnce {
		to := min(from+deletesAtOnce, len(ids))
		results, err := b.Store.DeleteVersions(ctx, b.bucket, ids[from:to], b.bypass)
		if err != nil {
			return nil, err
		}
		for i, r := range results {
			errs[from+i] = r.Err
		}
	}
	return errs, nil
}
