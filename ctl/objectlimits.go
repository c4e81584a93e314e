package ctl

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
)

// taking is what the limits of a bucket say of an object that is about to be made there, as a mount keeps to them (backend.BucketLimits).
type taking struct {
	limits backend.BucketLimits
	id     backend.ObjectID
	given  string // content type
}

// takenAt looks at the limits of a bucket, one request, and at the name and the content type of a new object. A bucket that
// does not tell has none.
func (c *call) takenAt(ctx context.Context, to Place, contentType string) (taking, error) {
	limits, err := c.bucketLimits(ctx, to.Bucket)
	t := taking{limits, to.id(), contentType}
	if err == nil {
		err = t.head(nil)
	}
	return t, err
}

func (c *call) bucketLimits(ctx context.Context, bucket string) (backend.BucketLimits, error) {
	tags, err := c.Store.BucketTags(ctx, bucket)
	if err != nil && !untold(err) {
		return backend.BucketLimits{}, err
	}
	limits, _ := backend.LimitsOf(tags) // what is not understood is none
	return limits, nil
}

// size refuses an object of so many bytes, or more.
func (t taking) size(n int64) error { return refusal(contenttype.SizeAllowed(t.limits, t.id, n)) }

// looks tells whether the first bytes matter.
func (t taking) looks() bool { return len(t.limits.Types) > 0 }

// head refuses an object that begins like this; nil: only for its name and what it is given.
func (t taking) head(first []byte) error {
	return refusal(contenttype.Allowed(t.limits, t.id, t.given, first))
}

func refusal(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindLocked, Message: err.Error() + "; nothing was stored"}
}

// pieces refuses an object that is made of pieces of others.
func (t taking) pieces(ctx context.Context, c *call, pieces []piece) error {
	var size int64
	for _, p := range pieces {
		size += p.len
	}
	if err := t.size(size); err != nil || !t.looks() {
		return err
	}
	var first bytes.Buffer
	for _, p := range pieces {
		if p.len = min(p.len, contenttype.HeadSize-int64(first.Len())); p.len == 0 {
			continue
		}
		if err := c.fetch(ctx, p, &first); err != nil {
			return err
		}
	}
	return t.head(first.Bytes())
}

// copyTaken refuses a copy that the limits of a bucket do not take; of one onto itself the bytes and the name are there already.
func (c *call) copyTaken(ctx context.Context, to Place, all piece, props backend.Properties) error {
	if to.Bucket == all.source.Bucket && to.Key == all.source.Key {
		limits, err := c.bucketLimits(ctx, to.Bucket)
		if err != nil {
			return err
		}
		return refusal(contenttype.GivenAllowed(limits, to.id(), props.Headers.ContentType))
	}
	t, err := c.takenAt(ctx, to, props.Headers.ContentType)
	if err != nil {
		return err
	}
	return t.pieces(ctx, c, []piece{all})
}

// first returns the first bytes of a chunk, as many as tell a content type.
func (k *chunk) first() ([]byte, error) {
	body := k.body()
	return readUpTo(body, min(k.size, contenttype.HeadSize), k.size)
}

// unlimited says that who has a link is not held back by the limits of a bucket, where it has some.
func (c *call) unlimited(ctx context.Context, bucket string) error {
	limits, err := c.bucketLimits(ctx, bucket)
	if err != nil {
		return nil // only a note is missed
	}
	var what []string
	if limits.FileSize > 0 {
		what = append(what, fmt.Sprintf("files of up to %d bytes", limits.FileSize))
	}
	if len(limits.Types) > 0 {
		what = append(what, "the types "+strings.Join(limits.Types, ", "))
	}
	if len(what) == 0 {
		return nil
	}
	return c.note("mounts store only " + strings.Join(what, " and ") + " in this bucket; who uploads by this signature is not held to that, because S3 does not know it")
}
