package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// bucketVerb makes a row of a verb about a bucket as such, which need not exist. Files that wait to be stored are
// no concern of it.
func bucketVerb[R request](changing bool, do func(ctx context.Context, c *call, bucket string, r R) error) verb {
	return verb{func() any { return *new(R) }, func(ctx context.Context, c *call, body []byte) error {
		var r R
		if err := decodeStrictly(body, &r); err != nil {
			return &Error{Kind: KindInvalid, Message: "the request is not understood: " + err.Error()}
		}
		if changing && c.ReadOnly && !r.target().DryRun {
			return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
		}
		bucket, err := c.bucketOf(ctx, string(r.target().Path), changing && !r.target().DryRun)
		if err != nil {
			return err
		}
		return do(ctx, c, bucket, r)
	}}
}

// bucketOf returns the bucket that a path stands for. A mount of a prefix tells of its bucket, but does not change it.
func (c *call) bucketOf(ctx context.Context, path string, changing bool) (string, error) {
	root, err := c.Tree.Locate(ctx, "")
	if err != nil {
		return "", err
	}
	path = strings.Trim(path, "/")
	depth := 1 // how many names of a path name a bucket
	if c.Remotes {
		depth = 2
	}
	parts := strings.Split(path, "/")
	switch {
	case root.Bucket == "" && path == "":
		return "", &Error{Kind: KindInvalid, Message: "this is the list of buckets; name a bucket"}
	case root.Bucket == "" && len(parts) < depth:
		return "", &Error{Kind: KindInvalid, Message: "this is the list of buckets of a remote; name a bucket"}
	case root.Bucket == "" && len(parts) == depth:
		return path, nil
	case root.Bucket != "" && path == "" && (root.Key == "" || !changing):
		return root.Bucket, nil
	case root.Bucket != "" && path == "":
		return "", &Error{Kind: KindInvalid, Message: fmt.Sprintf("only %s is mounted here, and the bucket is more than that; to change it, name it: s3://%s", root, root.Bucket)}
	}
	bucket := root.Bucket
	if bucket == "" {
		bucket = strings.Join(parts[:depth], "/")
	}
	return "", &Error{Kind: KindInvalid, Message: "this is no bucket but a place in one; the bucket is s3://" + bucket}
}

// ownName is what a bucket is called in its store, which is what documents and requests have: the last part of
// REMOTE/BUCKET.
func ownName(bucket string) string { return bucket[strings.LastIndexByte(bucket, '/')+1:] }

// Bucket is a bucket in a list.
type Bucket struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created,omitzero"`
	Remote  string    `json:"remote,omitempty"` // of the configuration file; in lists, and of a new one
}

// BucketDetails is what a store tells about a bucket. What it does not tell is missing.
type BucketDetails struct {
	Bucket
	Region     string            `json:"region,omitempty"`
	Versioning string            `json:"versioning,omitempty"` // Enabled or Suspended; empty: never switched on
	ObjectLock *BucketLock       `json:"object_lock,omitempty"`
	Encryption string            `json:"encryption,omitempty"` // of new objects: AES256, aws:kms, aws:kms:KEYID
	Public     *bool             `json:"public,omitempty"`     // whether everybody can do anything
	PublicBy   []string          `json:"public_by,omitempty"`  // by what: policy or ACL, and in words what everybody can do
	Tags       map[string]string `json:"tags,omitempty"`
	Bytes      *int64            `json:"bytes,omitempty"` // where the store counts
	Objects    *int64            `json:"objects,omitempty"`
	Documents  []string          `json:"documents,omitempty"` // that it has: policy, lifecycle, ...
	BucketLimits
}

// BucketLock is the object lock of a bucket, with the retention that new objects get.
type BucketLock struct {
	Mode  string `json:"mode,omitempty"` // empty: none
	Days  int    `json:"days,omitempty"`
	Years int    `json:"years,omitempty"`
}

// BucketRequest names a bucket.
type BucketRequest struct{ Target }

// listBuckets shows all buckets of the store, wherever the path is; of several stores those of the one that the path is in, at the
// root those of all: one that has not answered for Verbs.Patience has failed.
func listBuckets(ctx context.Context, c *call, path string) error {
	prefix := ""
	remote, _, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case c.Remotes && remote != "":
		prefix = remote + "/"
	case c.Remotes && c.Patience > 0: // those that answer are not to wait for the others for ever
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(c.Patience, leastLimit))
		defer cancel()
	}
	all, err := c.Store.ListBuckets(ctx, prefix)
	for _, b := range all {
		if err := c.item(Bucket{b.Name, b.Created.UTC(), c.Remote}); err != nil {
			return err
		}
	}
	return err
}

var listBucketsVerb = verb{func() any { return BucketRequest{} }, func(ctx context.Context, c *call, body []byte) error {
	var r BucketRequest
	if err := decodeStrictly(body, &r); err != nil {
		return &Error{Kind: KindInvalid, Message: "the request is not understood: " + err.Error()}
	}
	return listBuckets(ctx, c, string(r.Path))
}}

// untold tells whether an error only means that the store does not say something, at least not to this user.
func untold(err error) bool {
	return backend.IsKind(err, backend.KindUnsupported) || backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindNotExist)
}

func showBucket(ctx context.Context, c *call, bucket string, _ BucketRequest) error {
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	d := BucketDetails{Bucket: Bucket{Name: bucket}}
	for _, ask := range []func() error{
		func() (err error) { d.Region, err = c.Store.BucketRegion(ctx, bucket); return err },
		func() (err error) { d.Versioning, err = c.Store.BucketVersioning(ctx, bucket); return err },
		func() (err error) {
			d.Tags, err = c.Store.BucketTags(ctx, bucket)
			d.BucketLimits = shownLimits(d.Tags)
			return err
		},
		func() error { return d.askLock(ctx, c.Store) },
		func() error { return d.askEncryption(ctx, c.Store) },
		func() error { return d.askPublic(ctx, c) },
		func() error {
			bytes, objects, err := c.Store.BucketUsage(ctx, bucket)
			if err == nil {
				d.Bytes, d.Objects = &bytes, &objects
			}
			return err
		},
		func() error { return d.askCreated(ctx, c.Store) },
		func() error { return d.askDocuments(ctx, c.Store) },
	} {
		if err := ask(); err != nil && !untold(err) {
			return err
		}
	}
	return c.item(d)
}

func (d *BucketDetails) askLock(ctx context.Context, s Store) error {
	lock, err := s.BucketLock(ctx, d.Name)
	if err == nil && lock.Enabled {
		d.ObjectLock = &BucketLock{string(lock.Mode), lock.Days, lock.Years}
	}
	return err
}

func (d *BucketDetails) askEncryption(ctx context.Context, s Store) error {
	e, err := s.BucketEncryption(ctx, d.Name)
	if d.Encryption = e.Algorithm; e.KMSKeyID != "" {
		d.Encryption += ":" + e.KMSKeyID
	}
	return err
}

func (d *BucketDetails) askCreated(ctx context.Context, s Store) error {
	all, err := s.ListBuckets(ctx, d.Name)
	for _, b := range all {
		if b.Name == d.Name {
			d.Created = b.Created.UTC()
		}
	}
	return err
}

func (d *BucketDetails) askDocuments(ctx context.Context, s Store) error {
	for _, doc := range backend.EachBucketDoc() {
		_, err := s.GetBucketDoc(ctx, d.Name, doc)
		if err == nil {
			d.Documents = append(d.Documents, doc.String())
		} else if !untold(err) {
			return err
		}
	}
	return nil
}

func deleteBucket(ctx context.Context, c *call, bucket string, r BucketRequest) error {
	if root, err := c.Tree.Locate(ctx, ""); err != nil {
		return err
	} else if root.Bucket != "" {
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("the bucket %s is what is mounted here; unmount it and delete s3://%s", bucket, bucket)}
	}
	if n := c.Tree.Unsent(Place{bucket, "", Directory}); n > 0 {
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("%s still to be stored in the bucket %s", things(int64(n), "file is", "files are"), bucket)}
	}
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	notEmpty := &Error{Kind: KindConflict, Message: fmt.Sprintf(
		"the bucket %s is not empty: it has objects, or versions of deleted ones; objmount ctl bucket empty --versions removes them", bucket)}
	if r.DryRun {
		page, err := c.Store.List(ctx, backend.ListInput{Bucket: bucket, MaxKeys: 1})
		if err == nil && len(page.Objects) > 0 {
			err = notEmpty
		}
		if err != nil {
			return err
		}
		return c.item(Bucket{Name: bucket})
	}
	err := c.Store.DeleteBucket(ctx, bucket)
	if backend.IsKind(err, backend.KindNotEmpty) {
		return notEmpty
	}
	if err != nil {
		return err
	}
	c.Tree.Changed(bucket, "")
	c.Tree.Shown(ctx)
	return c.item(Bucket{Name: bucket})
}

// VersioningRequest switches versions of a bucket on or off.
type VersioningRequest struct {
	Target
	Status string `json:"status"` // Enabled or Suspended
}

// Versioning is whether a bucket keeps versions.
type Versioning struct {
	Bucket string `json:"bucket"`
	Status string `json:"status"` // Enabled, Suspended; empty: never switched on
}

func getVersioning(ctx context.Context, c *call, bucket string, _ BucketRequest) error {
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	status, err := c.Store.BucketVersioning(ctx, bucket)
	if err != nil {
		return err
	}
	return c.item(Versioning{bucket, status})
}

func setVersioning(ctx context.Context, c *call, bucket string, r VersioningRequest) error {
	if r.Status != "Enabled" && r.Status != "Suspended" {
		return &Error{Kind: KindInvalid, Message: "status must be Enabled or Suspended"}
	}
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	if !r.DryRun {
		if err := c.Store.SetBucketVersioning(ctx, bucket, r.Status); err != nil {
			return err
		}
		c.Tree.Changed(bucket, "")
		c.Tree.Shown(ctx)
	}
	return c.item(Versioning{bucket, r.Status})
}
