package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// ListBuckets implements backend.Buckets. The prefix is looked at here: few stores know it as a parameter.
func (s *Store) ListBuckets(ctx context.Context, prefix string) ([]backend.Bucket, error) {
	c := call{op: "ListBuckets", repeat: repeatHarmless}
	var buckets []backend.Bucket
	in := &awss3.ListBucketsInput{}
	for {
		out, err := send(ctx, s, c, s.client.ListBuckets, in)
		if err != nil {
			return nil, err
		}
		for _, b := range out.Buckets {
			if name := aws.ToString(b.Name); strings.HasPrefix(name, prefix) {
				buckets = append(buckets, backend.Bucket{Name: name, Created: aws.ToTime(b.CreationDate)})
			}
		}
		if aws.ToString(out.ContinuationToken) == "" {
			return buckets, nil
		}
		in.ContinuationToken = out.ContinuationToken
	}
}

// HeadBucket implements backend.Buckets. The answer to a HEAD has no body that could tell a
// wrong key from a missing permission; a short listing then explains.
func (s *Store) HeadBucket(ctx context.Context, bucket string) error {
	c := call{op: "HeadBucket", bucket: bucket, repeat: repeatHarmless}
	if err := namedBucket(c.op, bucket); err != nil {
		return err
	}
	_, err := send(ctx, s, c, s.client.HeadBucket, &awss3.HeadBucketInput{Bucket: &bucket})
	var e *backend.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMovedPermanently:
		_, listed := s.List(ctx, backend.ListInput{Bucket: bucket, MaxKeys: 1})
		var said *backend.Error
		if listed == nil || errors.As(listed, &said) && said.Status != 0 {
			return listed
		}
	}
	return err
}

// CreateBucket implements backend.Buckets.
func (s *Store) CreateBucket(ctx context.Context, bucket string) error {
	return s.MakeBucket(ctx, backend.MakeBucketInput{Name: bucket})
}

// MakeBucket implements backend.BucketMaker. A region is sent whatever the vendor: who names one wants it, or a refusal.
func (s *Store) MakeBucket(ctx context.Context, wanted backend.MakeBucketInput) error {
	bucket := wanted.Name
	c := call{op: "CreateBucket", bucket: bucket, write: true}
	if err := namedBucket(c.op, bucket); err != nil {
		return err
	}
	// Amazon answers 200 in us-east-1 when the bucket is one's own, as do imitations of it;
	// only a look tells. Before the first answer nothing is known of the server, and some are
	// not to be trusted with a connection after a HEAD that failed (vendor.headsTrail).
	look := call{op: "HeadBucket", bucket: bucket, repeat: repeatHarmless}
	if _, err := send(withoutReuse(ctx), s, look, s.client.HeadBucket, &awss3.HeadBucketInput{Bucket: &bucket}); err == nil {
		return &backend.Error{Kind: backend.KindExist, Op: c.op, Bucket: bucket, Code: "BucketAlreadyOwnedByYou"}
	}
	in := &awss3.CreateBucketInput{Bucket: &bucket}
	if wanted.ObjectLock {
		if !s.vendor.Load().objectLock {
			return lacking(c)
		}
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	region := wanted.Region
	if region == "" && s.vendor.Load().regions {
		region = s.region
	}
	if region != "" && region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	if wanted.Region != "" && s.vendor.Load().name == vendorAWS { // Amazon takes such a request in that region only
		c.options = append(c.options, func(o *awss3.Options) { o.Region = wanted.Region })
	}
	_, err := send(ctx, s, c, s.client.CreateBucket, in)
	if err == nil && wanted.ObjectLock {
		s.versions.Delete(bucket)
		s.locks.Delete(bucket)
	}
	return err
}

// DeleteBucket implements backend.Buckets.
func (s *Store) DeleteBucket(ctx context.Context, bucket string) error {
	c := call{op: "DeleteBucket", bucket: bucket, write: true}
	if err := namedBucket(c.op, bucket); err != nil {
		return err
	}
	_, err := send(ctx, s, c, s.client.DeleteBucket, &awss3.DeleteBucketInput{Bucket: &bucket})
	return err
}
