package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/objmount/objmount/backend"
)

// BucketLimits say which files a bucket takes. They are kept with it, and mounts keep to them.
type BucketLimits struct {
	FileSizeLimit    int64    `json:"file_size_limit,omitempty"`    // bytes; 0: none
	AllowedMIMETypes []string `json:"allowed_mime_types,omitempty"` // image/png, image/*; none: any
}

func (l BucketLimits) limited() bool { return l.FileSizeLimit != 0 || len(l.AllowedMIMETypes) > 0 }

// limits checks what is asked for, before anything is changed.
func (l BucketLimits) limits() (backend.BucketLimits, error) {
	if l.FileSizeLimit < 0 {
		return backend.BucketLimits{}, &Error{Kind: KindInvalid, Message: fmt.Sprintf("file_size_limit is %d; want a number of bytes above 0, or 0 for none", l.FileSizeLimit)}
	}
	types, err := backend.ParseTypes(strings.Join(l.AllowedMIMETypes, ","))
	out := backend.BucketLimits{FileSize: l.FileSizeLimit, Types: types}
	if err == nil {
		_, err = out.Tags()
	}
	if err != nil {
		return out, &Error{Kind: KindInvalid, Message: err.Error()}
	}
	return out, nil
}

// shownLimits reads the limits from the tags of a bucket; what is not understood is not there.
func shownLimits(tags map[string]string) BucketLimits {
	limits, _ := backend.LimitsOf(tags)
	return BucketLimits{limits.FileSize, limits.Types}
}

// keepsLimits refuses a store that has no tags of buckets.
func (c *call) keepsLimits(ctx context.Context, bucket string) error {
	_, err := c.Store.BucketTags(ctx, bucket)
	if !backend.IsKind(err, backend.KindUnsupported) {
		return nil // what else is wrong the request itself will meet
	}
	return &Error{Kind: KindUnsupported, Message: fmt.Sprintf(
		"limits are kept in tags of the bucket, and the store %s is not known to have any; nothing was changed", c.Endpoint)}
}

// setLimits changes the limits of a bucket; its other tags stay.
func (c *call) setLimits(ctx context.Context, bucket string, change func(backend.BucketLimits) backend.BucketLimits) error {
	tags, err := c.Store.BucketTags(ctx, bucket)
	if err != nil && !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	before, _ := backend.LimitsOf(tags) // what is not understood is replaced
	next, err := change(before).SetIn(tags)
	if err == nil && len(next) > maxBucketTags {
		err = fmt.Errorf("the bucket has %d tags already, and the limits need %d of the %d that S3 keeps", len(tags), len(next)-len(tags), maxBucketTags)
	}
	if err != nil {
		return &Error{Kind: KindInvalid, Message: err.Error()}
	}
	if err := c.Store.PutBucketTags(ctx, bucket, next); err != nil {
		return err
	}
	c.Tree.Changed(bucket, "")
	return nil
}

// checkLimitTags refuses tags of a bucket that are named like those of limits and say something else.
func checkLimitTags(tags map[string]string) error {
	if _, err := backend.LimitsOf(tags); err != nil {
		return &Error{Kind: KindInvalid, Message: err.Error()}
	}
	return nil
}
