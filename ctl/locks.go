package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/objmount/objmount/backend"
)

// VersionRequest names one version of a file.
type VersionRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	Each
}

// RetentionRequest sets the retention of a version, or removes it.
type RetentionRequest struct {
	Target
	VersionID string    `json:"version_id,omitempty"`
	Mode      string    `json:"mode,omitempty"` // "GOVERNANCE" or "COMPLIANCE"; to set
	Until     time.Time `json:"until,omitzero"` // to set
	Bypass    bool      `json:"bypass_governance,omitempty"`
	Each
}

// LegalHoldRequest sets or removes the legal hold of a version.
type LegalHoldRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"`
	On        bool   `json:"on"`
	Each
}

// Lock is what keeps a version from being deleted.
type Lock struct {
	Bucket    string    `json:"bucket"`
	Key       Text      `json:"key"`
	VersionID string    `json:"version_id,omitempty"` // empty: the current one was meant
	Mode      string    `json:"mode"`                 // "GOVERNANCE", "COMPLIANCE", or empty: no retention
	Until     time.Time `json:"until,omitzero"`
	LegalHold bool      `json:"legal_hold"`
}

// lockable refuses what has no locks: some stores take such requests for plain writes.
func (c *call) lockable(ctx context.Context, p Place) error {
	if err := p.one(); err != nil {
		return err
	}
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err != nil {
		return err
	}
	if caps.ObjectLock {
		return nil
	}
	// What is known may be of a time before it was switched on.
	if lock, err := c.Store.BucketLock(ctx, p.Bucket); err != nil || !lock.Enabled {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("bucket %s has no object lock", p.Bucket)}
	}
	return nil
}

func (c *call) showLock(ctx context.Context, p Place, versionID string) error {
	l, err := c.Store.Lock(ctx, p.id(), versionID)
	if err != nil {
		return err
	}
	return c.tellLock(p, versionID, l)
}

func (c *call) tellLock(p Place, versionID string, l backend.ObjectLock) error {
	out := Lock{Bucket: p.Bucket, Key: Text(p.Key), VersionID: versionID, Mode: string(l.Retention.Mode), LegalHold: l.LegalHold}
	if l.Retention.Mode != backend.NoRetention {
		out.Until = l.Retention.Until.UTC()
	}
	return c.item(out)
}

func showLock(ctx context.Context, c *call, p Place, r VersionRequest) error {
	if err := c.lockable(ctx, p); err != nil {
		return err
	}
	return c.showLock(ctx, p, r.VersionID)
}

func setRetention(ctx context.Context, c *call, p Place, r RetentionRequest) error {
	mode := backend.RetentionMode(r.Mode)
	switch {
	case mode != backend.Governance && mode != backend.Compliance:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the mode %q is neither GOVERNANCE nor COMPLIANCE", r.Mode)}
	case !r.Until.After(c.Now()):
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s is not in the future", r.Until.UTC().Format(time.RFC3339))}
	}
	return c.retain(ctx, p, r, backend.Retention{Mode: mode, Until: r.Until.UTC().Truncate(time.Second)})
}

func clearRetention(ctx context.Context, c *call, p Place, r RetentionRequest) error {
	if r.Mode != "" || !r.Until.IsZero() {
		return &Error{Kind: KindInvalid, Message: "a retention that is removed has no mode and no date"}
	}
	return c.retain(ctx, p, r, backend.Retention{})
}

func (c *call) retain(ctx context.Context, p Place, r RetentionRequest, to backend.Retention) error {
	if err := c.lockable(ctx, p); err != nil {
		return err
	}
	if r.DryRun {
		return c.showLock(ctx, p, r.VersionID)
	}
	if err := c.Store.SetRetention(ctx, p.id(), r.VersionID, to, r.Bypass); err != nil {
		return err
	}
	c.Tree.Changed(p.Bucket, p.Key)
	l, err := c.Store.Lock(ctx, p.id(), r.VersionID)
	if err != nil {
		return err
	}
	// A store that can only bring it to its end may have another clock.
	if to.Mode == backend.NoRetention && l.Retention.Active(c.Now().Add(time.Minute)) {
		return &Error{Kind: KindLocked, Message: fmt.Sprintf("the store has kept the retention of %s (%s until %s)", p, l.Retention.Mode, l.Retention.Until.UTC().Format(time.RFC3339))}
	}
	return c.tellLock(p, r.VersionID, l)
}

func setLegalHold(ctx context.Context, c *call, p Place, r LegalHoldRequest) error {
	if err := c.lockable(ctx, p); err != nil {
		return err
	}
	if r.DryRun {
		return c.showLock(ctx, p, r.VersionID)
	}
	if err := c.Store.SetLegalHold(ctx, p.id(), r.VersionID, r.On); err != nil {
		return err
	}
	c.Tree.Changed(p.Bucket, p.Key)
	return c.showLock(ctx, p, r.VersionID)
}
