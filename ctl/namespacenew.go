package ctl

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/objmount/objmount/backend"
)

// namespacesOfNew looks up which namespaces a new bucket is to have, and refuses a store that cannot let them expire before the
// bucket is made.
func (c *call) namespacesOfNew(ctx context.Context, bucket string, names []string) ([]Namespace, error) {
	if len(names) == 0 {
		return nil, nil
	}
	all := slices.Clone(c.configured(bucket))
	for _, n := range UsualNamespaces() {
		if !slices.ContainsFunc(all, func(known Namespace) bool { return known.Name == n.Name }) {
			all = append(all, n)
		}
	}
	chosen, err := choose(all, names, "there is no namespace %q")
	if err != nil || !slices.ContainsFunc(chosen, func(n Namespace) bool { return n.Expire > 0 }) {
		return chosen, err
	}
	if _, err := c.Store.GetBucketDoc(ctx, bucket, backend.LifecycleDoc); backend.IsKind(err, backend.KindUnsupported) {
		return nil, &Error{Kind: KindUnsupported, Message: fmt.Sprintf("namespaces expire by lifecycle rules, and the store %s is not known to have any; nothing was made", c.Endpoint)}
	}
	return chosen, nil
}

// stepsOfNamespaces make a directory for each namespace of a new bucket, so that everybody sees it, and the lifecycle rules.
func (c *call) stepsOfNamespaces(bucket string, all []Namespace) (steps []bucketStep) {
	if len(all) == 0 {
		return nil
	}
	return append(steps,
		bucketStep{"lifecycle rules", func(ctx context.Context) error {
			_, err := (&document{c, bucket, backend.LifecycleDoc}).install(ctx, all, false)
			return err
		}},
		bucketStep{"directories of namespaces", func(ctx context.Context) error {
			for _, n := range all {
				in := backend.PutInput{Bucket: bucket, Key: n.Prefix, Body: bytes.NewReader(nil)}
				in.Properties.Headers.ContentType = "application/x-directory"
				if c.Defaults != nil {
					in.Properties.Encryption = c.Defaults(backend.ObjectID{Bucket: bucket, Key: n.Prefix}).Encryption
				}
				if _, err := c.Store.Put(ctx, in); err != nil {
					return err
				}
			}
			return nil
		}})
}
