package ctl

import (
	"context"
	"time"

	"github.com/objmount/objmount/backend"
)

// replaceable refuses to write over what retention or a legal hold keeps, as the files of a mount do, though S3 would put
// another version on top. It costs nothing in a bucket without object lock, a HEAD in others, and two more requests where
// that shows no lock though the bucket gives one to new objects.
func (c *call) replaceable(ctx context.Context, p Place, overLocked bool) error {
	if overLocked {
		return nil
	}
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err != nil || !caps.ObjectLock {
		return err
	}
	obj, err := c.Store.Head(ctx, p.id(), backend.GetOptions{})
	if backend.IsKind(err, backend.KindNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lock := obj.Lock
	if lock == (backend.ObjectLock{}) {
		if lock, err = c.hiddenLock(ctx, obj); err != nil {
			return err
		}
	}
	now := obj.Fetched // dates are the store's
	if now.IsZero() {
		now = c.Now()
	}
	if !lock.Active(now) {
		return nil
	}
	why := "a legal hold is on it"
	if !lock.LegalHold {
		why = string(lock.Retention.Mode) + " retention until " + lock.Retention.Until.UTC().Format(time.RFC3339)
	}
	return &Error{Kind: KindLocked, Message: p.String() + " is not replaced: " + why + "; --over-locked puts another version on top of it"}
}

// hiddenLock looks for a lock that a HEAD does not show, as Amazon does for credentials that may not ask for it: then an object
// that is young enough for its bucket's rule counts as retained.
func (c *call) hiddenLock(ctx context.Context, o backend.Object) (backend.ObjectLock, error) {
	rule, err := c.Store.BucketLock(ctx, o.Bucket)
	switch {
	case err != nil && !untold(err):
		return backend.ObjectLock{}, err
	case err != nil, rule.Mode == backend.NoRetention:
		return backend.ObjectLock{}, nil
	}
	byRule := backend.ObjectLock{Retention: backend.Retention{Mode: rule.Mode, Until: o.LastModified.AddDate(rule.Years, 0, rule.Days)}}
	if !byRule.Active(c.Now()) {
		return backend.ObjectLock{}, nil
	}
	lock, err := c.Store.Lock(ctx, o.ID(), o.VersionID)
	switch {
	case lacked(err):
		return byRule, nil
	case backend.IsKind(err, backend.KindNotExist):
		return backend.ObjectLock{}, nil
	}
	return lock, err
}
