package ctl

import (
	"context"
	"fmt"
	"maps"

	"github.com/objmount/objmount/backend"
)

// SetTagsRequest sets tags of a version of a file, or of a bucket.
type SetTagsRequest struct {
	Target
	VersionID string            `json:"version_id,omitempty"` // empty: the current one
	Tags      map[string]string `json:"tags"`
	Replace   bool              `json:"replace,omitempty"` // remove all others
	Each
}

// DeleteTagsRequest removes tags of a version of a file, or of a bucket.
type DeleteTagsRequest struct {
	Target
	VersionID string   `json:"version_id,omitempty"` // empty: the current one
	Keys      []string `json:"keys,omitempty"`       // none: all
	Each
}

func (r SetTagsRequest) ofBucket(p Place) bool    { return p.isBucket() && len(r.objects()) == 0 }
func (r DeleteTagsRequest) ofBucket(p Place) bool { return p.isBucket() && len(r.objects()) == 0 }

func (p Place) isBucket() bool { return p.Kind == Directory && p.Key == "" }

// Tags are all tags of a version of a file, or of a bucket.
type Tags struct {
	Bucket    string            `json:"bucket"`
	Key       Text              `json:"key"` // empty: of the bucket
	VersionID string            `json:"version_id,omitempty"`
	Tags      map[string]string `json:"tags"`
	Removed   map[string]string `json:"removed,omitempty"` // of delete: those that are gone; with DryRun, that would go
}

// The limits of Amazon S3 (user guide, "Categorizing your storage using tags", "Using cost allocation
// S3 bucket tags"), in tags and characters.
const (
	maxObjectTags = 10
	maxBucketTags = 50
	maxTagKey     = 128
	maxTagValue   = 256
)

// tagged is what has tags: a version of a file, or a bucket.
type tagged struct {
	*call
	place   Place
	version string
	bucket  bool
}

func (c *call) tagged(ctx context.Context, p Place, version string) (tagged, error) {
	t := tagged{call: c, place: p, version: version, bucket: p.isBucket()}
	if t.bucket {
		if version != "" {
			return t, &Error{Kind: KindInvalid, Message: "a bucket has no versions"}
		}
		return t, nil
	}
	if err := p.one(); err != nil {
		return t, err
	}
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err == nil && !caps.Tagging { // some stores take the request for a plain write
		err = &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have tags of objects", c.Endpoint)}
	}
	return t, err
}

func (t tagged) get(ctx context.Context) (map[string]string, error) {
	if t.bucket {
		return t.Store.BucketTags(ctx, t.place.Bucket)
	}
	return t.Store.Tags(ctx, t.place.id(), t.version)
}

func (t tagged) put(ctx context.Context, tags map[string]string) error {
	if t.bucket {
		return t.Store.PutBucketTags(ctx, t.place.Bucket, tags)
	}
	return t.Store.PutTags(ctx, t.place.id(), t.version, tags)
}

func (t tagged) show(tags, removed map[string]string) error {
	if tags == nil {
		tags = map[string]string{}
	}
	return t.item(Tags{Bucket: t.place.Bucket, Key: Text(t.key()), VersionID: t.version, Tags: tags, Removed: removed})
}

func (t tagged) key() string {
	if t.bucket {
		return ""
	}
	return t.place.Key
}

// check refuses what no store takes, before anything is changed.
func (t tagged) check(tags map[string]string) error {
	most := maxObjectTags
	if t.bucket {
		most = maxBucketTags
	}
	return checkTags(tags, most)
}

func getTags(ctx context.Context, c *call, p Place, r VersionRequest) error {
	t, err := c.tagged(ctx, p, r.VersionID)
	if err != nil {
		return err
	}
	tags, err := t.get(ctx)
	if err != nil {
		return err
	}
	return t.show(tags, nil)
}

// change stores other tags and shows them. What edit takes out of them it returns, too.
func (t tagged) change(ctx context.Context, dry bool, edit func(tags map[string]string) (then, removed map[string]string)) error {
	tags, err := t.get(ctx)
	if err != nil && !backend.IsKind(err, backend.KindNotExist) || err != nil && !t.bucket {
		return err
	}
	if tags == nil {
		tags = map[string]string{}
	}
	tags, removed := edit(tags)
	if err := t.check(tags); err != nil {
		return err
	}
	if !dry {
		if err := t.put(ctx, tags); err != nil {
			return err
		}
		t.Tree.Changed(t.place.Bucket, t.key())
	}
	return t.show(tags, removed)
}

// others splits tags into those that stay when all are to go, because they keep the limits of a bucket, and the rest.
func (t tagged) others(tags map[string]string) (stay, rest map[string]string) {
	stay, rest = map[string]string{}, map[string]string{}
	for key, value := range tags {
		if t.bucket && backend.IsLimitTag(key) {
			stay[key] = value
		} else {
			rest[key] = value
		}
	}
	return stay, rest
}

func setTags(ctx context.Context, c *call, p Place, r SetTagsRequest) error {
	t, err := c.tagged(ctx, p, r.VersionID)
	if err != nil {
		return err
	}
	if t.bucket {
		if err := checkLimitTags(r.Tags); err != nil {
			return err
		}
	}
	return t.change(ctx, r.DryRun, func(tags map[string]string) (then, removed map[string]string) {
		if r.Replace {
			then, _ = t.others(tags)
			maps.Copy(then, r.Tags)
			return then, nil
		}
		maps.Copy(tags, r.Tags)
		return tags, nil
	})
}

func deleteTags(ctx context.Context, c *call, p Place, r DeleteTagsRequest) error {
	t, err := c.tagged(ctx, p, r.VersionID)
	if err != nil {
		return err
	}
	return t.change(ctx, r.DryRun, func(tags map[string]string) (then, removed map[string]string) {
		if len(r.Keys) == 0 {
			return t.others(tags)
		}
		removed = map[string]string{}
		for _, key := range r.Keys {
			if value, ok := tags[key]; ok {
				removed[key] = value
				delete(tags, key)
			}
		}
		return tags, removed
	})
}
