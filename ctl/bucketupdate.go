package ctl

import (
	"context"
	"strings"

	"github.com/objmount/objmount/backend"
)

// UpdateBucketRequest changes what is given of a bucket; the rest stays.
type UpdateBucketRequest struct {
	Target
	Versioning       *bool     `json:"versioning,omitempty"`         // false: keep no more versions; those that there are stay
	FileSizeLimit    *int64    `json:"file_size_limit,omitempty"`    // bytes; 0: none
	AllowedMIMETypes *[]string `json:"allowed_mime_types,omitempty"` // empty: any
	Public           *bool     `json:"public,omitempty"`             // whether everybody may read its objects, by a statement of the policy; others stay
	Unblock          bool      `json:"unblock,omitempty"`            // lift what of the public access block is in the way of Public
}

// over returns the limits as they are after the change.
func (r UpdateBucketRequest) over(l backend.BucketLimits) backend.BucketLimits {
	if r.FileSizeLimit != nil {
		l.FileSize = *r.FileSizeLimit
	}
	if r.AllowedMIMETypes != nil {
		l.Types, _ = backend.ParseTypes(strings.Join(*r.AllowedMIMETypes, ",")) // checked before
	}
	return l
}

// check refuses what cannot be right, before anything is changed.
func (r UpdateBucketRequest) check() error {
	var asked BucketLimits
	if r.FileSizeLimit != nil {
		asked.FileSizeLimit = *r.FileSizeLimit
	}
	if r.AllowedMIMETypes != nil {
		asked.AllowedMIMETypes = *r.AllowedMIMETypes
	}
	_, err := asked.limits()
	return err
}

func updateBucket(ctx context.Context, c *call, bucket string, r UpdateBucketRequest) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	steps := c.stepsOfUpdate(bucket, r)
	if len(steps) == 0 {
		return &Error{Kind: KindInvalid, Message: "nothing to change is named"}
	}
	if r.FileSizeLimit != nil || r.AllowedMIMETypes != nil {
		if err := c.keepsLimits(ctx, bucket); err != nil {
			return err
		}
	}
	if r.Public != nil && *r.Public {
		if err := c.canPublish(ctx, bucket); err != nil {
			return err
		}
	}
	if !r.DryRun {
		err := takeSteps(ctx, bucket, "", steps)
		c.Tree.Changed(bucket, "")
		c.Tree.Shown(ctx)
		if err != nil {
			return err
		}
	}
	return c.showUpdated(ctx, bucket, r)
}

// stepsOfUpdate are what is done to a bucket, in this order.
func (c *call) stepsOfUpdate(bucket string, r UpdateBucketRequest) (steps []bucketStep) {
	if r.FileSizeLimit != nil || r.AllowedMIMETypes != nil {
		steps = append(steps, bucketStep{"limits", func(ctx context.Context) error { return c.setLimits(ctx, bucket, r.over) }})
	}
	if r.Versioning != nil {
		status := map[bool]string{true: "Enabled", false: "Suspended"}[*r.Versioning]
		steps = append(steps, bucketStep{"versions", func(ctx context.Context) error { return c.Store.SetBucketVersioning(ctx, bucket, status) }})
	}
	if r.Public != nil {
		steps = append(steps, bucketStep{"public", func(ctx context.Context) error {
			return c.publish(ctx, Place{bucket, "", Directory}, *r.Public, r.Unblock, false)
		}})
	}
	return steps
}

// showUpdated answers with what can be updated, as it is then or, with DryRun, would be.
func (c *call) showUpdated(ctx context.Context, bucket string, r UpdateBucketRequest) error {
	d := BucketDetails{Bucket: Bucket{Name: bucket}}
	tags, tagsErr := c.Store.BucketTags(ctx, bucket)
	status, statusErr := c.Store.BucketVersioning(ctx, bucket)
	for _, err := range []error{tagsErr, statusErr} {
		if err != nil && !untold(err) {
			return err
		}
	}
	d.Tags, d.Versioning = tags, status
	limits, _ := backend.LimitsOf(tags)
	if r.DryRun {
		limits = r.over(limits)
		if r.Versioning != nil {
			d.Versioning = map[bool]string{true: "Enabled", false: "Suspended"}[*r.Versioning]
		}
		if next, err := limits.SetIn(tags); err == nil {
			d.Tags = next
		}
	}
	d.BucketLimits = BucketLimits{limits.FileSize, limits.Types}
	if r.Public != nil && r.DryRun {
		d.Public = r.Public
	} else if r.Public != nil {
		if err := d.askPublic(ctx, c); err != nil && !untold(err) {
			return err
		}
	}
	return c.item(d)
}
