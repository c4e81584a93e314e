package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/objmount/objmount/backend"
)

// CreateBucketRequest makes a bucket.
type CreateBucketRequest struct {
	Target
	Region     string `json:"region,omitempty"` // empty: that of the credentials' configuration
	ObjectLock bool   `json:"object_lock,omitempty"`
	Versioning bool   `json:"versioning,omitempty"`
	// Namespaces are directories that it has from the beginning, with the lifecycle rules of those that expire: of the configuration,
	// or data, tmp and result.
	Namespaces []string `json:"namespaces,omitempty"`
	BucketLimits
	ACL     string `json:"acl,omitempty"`     // private, public-read, public-read-write or authenticated-read; empty: private
	Public  bool   `json:"public,omitempty"`  // everybody may read its objects, by a policy
	Unblock bool   `json:"unblock,omitempty"` // lift what of the public access block is in the way of ACL and Public
}

// bucketStep is one of several things that are done to a bucket, each by requests of its own.
type bucketStep struct {
	what string // in an error: "versions"
	do   func(ctx context.Context) error
}

// takeSteps does one thing after the other. The error says what was done, what was not, and why. before is what was done already; empty: nothing.
func takeSteps(ctx context.Context, bucket, before string, steps []bucketStep) error {
	var done []string
	if before != "" {
		done = append(done, before)
	}
	for i, step := range steps {
		err := step.do(ctx)
		if err == nil {
			done = append(done, step.what)
			continue
		}
		var rest []string
		for _, s := range steps[i:] {
			rest = append(rest, s.what)
		}
		if len(done) == 0 {
			return err
		}
		return fmt.Errorf("bucket %s: done: %s; not done: %s: %w", bucket, strings.Join(done, ", "), strings.Join(rest, ", "), err)
	}
	return nil
}

func createBucket(ctx context.Context, c *call, bucket string, r CreateBucketRequest) error {
	limits, err := r.limits()
	if err != nil {
		return err
	}
	// The answer tells what kind of store it is, so that what it lacks is refused.
	switch err := c.Store.HeadBucket(ctx, bucket); {
	case err == nil:
		return &Error{Kind: KindConflict, Message: "the bucket " + bucket + " exists already"}
	case r.DryRun && !backend.IsKind(err, backend.KindNoBucket):
		return err
	}
	if r.limited() {
		if err := c.keepsLimits(ctx, bucket); err != nil {
			return err
		}
	}
	if r.Public {
		if err := c.canPublish(ctx, bucket); err != nil {
			return err
		}
	}
	if err := c.canHaveACL(ctx, bucket, r.ACL); err != nil {
		return err
	}
	namespaces, err := c.namespacesOfNew(ctx, bucket, r.Namespaces)
	if err != nil {
		return err
	}
	if r.DryRun {
		return c.item(Bucket{Name: bucket, Remote: c.Remote})
	}
	err = c.Store.MakeBucket(ctx, backend.MakeBucketInput{Name: bucket, Region: r.Region, ObjectLock: r.ObjectLock})
	if backend.IsKind(err, backend.KindExist) {
		return &Error{Kind: KindConflict, Message: "the bucket " + bucket + " exists already, or somebody else has one of that name"}
	}
	if err != nil {
		return err
	}
	c.Tree.Changed(bucket, "")
	defer c.Tree.Shown(ctx)
	if err := takeSteps(ctx, bucket, "it was made", append(c.stepsOfNew(bucket, r, limits), c.stepsOfNamespaces(bucket, namespaces)...)); err != nil {
		return err
	}
	return c.item(Bucket{Name: bucket, Remote: c.Remote})
}

// stepsOfNew are what is done to a bucket after it was made.
func (c *call) stepsOfNew(bucket string, r CreateBucketRequest, limits backend.BucketLimits) (steps []bucketStep) {
	if r.Versioning && !r.ObjectLock { // with object lock it keeps them anyway
		steps = append(steps, bucketStep{"versions", func(ctx context.Context) error {
			return c.Store.SetBucketVersioning(ctx, bucket, "Enabled")
		}})
	}
	if r.limited() {
		steps = append(steps, bucketStep{"limits", func(ctx context.Context) error {
			return c.setLimits(ctx, bucket, func(backend.BucketLimits) backend.BucketLimits { return limits })
		}})
	}
	return append(steps, c.stepsOfAccess(bucket, r)...)
}
