package ctl

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// Each makes one request about many objects below a directory. What fails with one of them is an item with an error, and stops
// nothing else; a Summary comes at the end. Items come in the order of the keys.
type Each struct {
	Objects []Text `json:"objects,omitempty"` // whole keys below the directory; at most 1,000
}

func (e Each) objects() []Text { return e.Objects }

// Failed is an object of many with which a request failed.
type Failed struct {
	Bucket string `json:"bucket"`
	Key    Text   `json:"key"`
	Error  *Error `json:"error"`
}

// perObject lets a verb be about many objects.
func perObject[R interface{ objects() []Text }](do func(ctx context.Context, c *call, p Place, r R) error) func(ctx context.Context, c *call, p Place, r R) error {
	return func(ctx context.Context, c *call, p Place, r R) error {
		if len(r.objects()) == 0 {
			return do(ctx, c, p, r)
		}
		return c.eachObject(ctx, p, r.objects(), func(ctx context.Context, one *call, p Place) error { return do(ctx, one, p, r) })
	}
}

// eachObject does something with objects below a place, some at once.
func (c *call) eachObject(ctx context.Context, p Place, keys []Text, do func(ctx context.Context, one *call, p Place) error) error {
	switch {
	case p.Kind != Directory:
		return &Error{Kind: KindInvalid, Message: p.String() + " is no directory; objects are those below one"}
	case len(keys) > deletesAtOnce:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%d objects; a request takes %d", len(keys), deletesAtOnce)}
	}
	for _, key := range keys {
		if key == "" || !strings.HasPrefix(string(key), p.Key) {
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the key %.100q is not below %s; nothing was done", string(key), p)}
		}
	}
	lines, ends := make([][]Line, len(keys)), make([]chan struct{}, len(keys))
	for i := range ends {
		ends[i] = make(chan struct{})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce + 1) // and who sends
	var sum Summary
	g.Go(func() error {
		for i := range keys {
			select {
			case <-ends[i]:
			case <-ctx.Done():
				return ctx.Err()
			}
			for _, l := range lines[i] {
				if l.Error == nil {
					if err := c.send(l); err != nil {
						return err
					}
					continue
				}
				sum.Failed++
				if err := c.item(Failed{p.Bucket, keys[i], l.Error}); err != nil {
					return err
				}
			}
			lines[i] = nil
		}
		return nil
	})
	for i, key := range keys {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			defer close(ends[i])
			one := &call{Verbs: c.Verbs, each: func(l Line) error {
				if l.Progress == nil {
					lines[i] = append(lines[i], l)
				}
				return nil
			}}
			if err := do(ctx, one, Place{p.Bucket, string(key), File}); err != nil {
				lines[i] = append(lines[i], Line{Error: wireError(err)})
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sum.Done = int64(len(keys)) - sum.Failed
	if err := c.result(sum); err != nil {
		return err
	}
	if sum.Failed > 0 {
		return &Error{Kind: KindPartial, Message: fmt.Sprintf("%d of %d failed", sum.Failed, len(keys))}
	}
	return nil
}

// copyAll copies objects to where they lie below another directory.
func copyAll(ctx context.Context, c *call, p Place, r CopyRequest) error {
	if len(r.Objects) == 0 {
		return copyObject(ctx, c, p, r)
	}
	to, err := c.Tree.Locate(ctx, string(r.To))
	if err != nil {
		return err
	}
	if to.Kind == Unknown && strings.HasSuffix(string(r.To), "/") {
		to.Key, to.Kind = strings.TrimSuffix(to.Key, "/")+"/", Directory
	}
	if to.Kind != Directory || to.Bucket == "" {
		return &Error{Kind: KindInvalid, Message: to.String() + " is no directory; several objects are copied into one"}
	}
	return c.eachObject(ctx, p, r.Objects, func(ctx context.Context, one *call, from Place) error {
		file := Place{to.Bucket, to.Key + strings.TrimPrefix(from.Key, p.Key), File}
		if err := one.writable(ctx, file); err != nil {
			return err
		}
		return one.copyFile(ctx, from, file, r)
	})
}

// RestoreObjectRequest asks for a readable copy of an archived version; without Days, how far that is.
type RestoreObjectRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	Days      int    `json:"days,omitempty"`       // that the copy stays
	Tier      string `json:"tier,omitempty"`       // Standard, Bulk or Expedited; empty: the store's default
	Each
}

// Restoration is how far a restore is.
type Restoration struct {
	Bucket       string `json:"bucket"`
	Key          Text   `json:"key"`
	VersionID    string `json:"version_id,omitempty"`
	StorageClass string `json:"storage_class,omitempty"` // empty: STANDARD
	Ongoing      bool   `json:"ongoing"`
	Restore      string `json:"restore,omitempty"` // in the words of the store; empty: none was asked for, or it is over
}

func restoreObject(ctx context.Context, c *call, p Place, r RestoreObjectRequest) error {
	if err := p.one(); err != nil {
		return err
	}
	switch {
	case r.Days < 0:
		return &Error{Kind: KindInvalid, Message: "a restored copy stays for 1 day or more"}
	case r.Tier != "" && r.Tier != "Standard" && r.Tier != "Bulk" && r.Tier != "Expedited":
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the tier %.40q is none of Standard, Bulk, Expedited", r.Tier)}
	case r.Tier != "" && r.Days == 0:
		return &Error{Kind: KindInvalid, Message: "a tier goes with days"}
	case r.Days > 0 && c.ReadOnly && !r.DryRun:
		return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
	}
	if r.Days > 0 && !r.DryRun {
		if err := c.Store.Restore(ctx, p.id(), r.VersionID, r.Days, r.Tier); err != nil {
			return err
		}
		c.Tree.Changed(p.Bucket, p.Key)
		c.Tree.Shown(ctx)
	}
	o, err := c.Store.Head(ctx, p.id(), backend.GetOptions{VersionID: r.VersionID})
	if err != nil {
		return err
	}
	out := Restoration{
		Bucket: p.Bucket, Key: Text(p.Key), VersionID: o.VersionID, StorageClass: o.StorageClass, Restore: o.Restore,
		Ongoing: strings.Contains(o.Restore, `ongoing-request="true"`),
	}
	if r.VersionID != "" {
		out.VersionID = r.VersionID
	}
	return c.item(out)
}
