package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// about makes the call for a property of a bucket. A store that is not known to have it is not
// asked: it would list the bucket, or make one.
func about(has bool, c call) (call, error) {
	if err := namedBucket(c.op, c.bucket); err != nil {
		return c, err
	}
	if !has {
		return c, lacking(c)
	}
	return c, nil
}

// BucketVersioning implements backend.BucketProperties.
func (s *Store) BucketVersioning(ctx context.Context, bucket string) (string, error) {
	c, err := about(s.vendor.Load().versions, call{op: "GetBucketVersioning", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return "", err
	}
	out, err := send(ctx, s, c, s.client.GetBucketVersioning, &awss3.GetBucketVersioningInput{Bucket: &bucket})
	if err != nil {
		return "", err
	}
	s.versions.Store(bucket, out.Status == types.BucketVersioningStatusEnabled)
	return string(out.Status), nil
}

// SetBucketVersioning implements backend.BucketProperties.
func (s *Store) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	c, err := about(s.vendor.Load().versions, call{op: "PutBucketVersioning", bucket: bucket, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	to := types.BucketVersioningStatus(status)
	if to != types.BucketVersioningStatusEnabled && to != types.BucketVersioningStatusSuspended {
		return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: bucket, Message: `want "Enabled" or "Suspended"`}
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.PutBucketVersioning, &awss3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: to},
	})
	if err != nil {
		return err
	}
	s.versions.Store(bucket, to == types.BucketVersioningStatusEnabled)
	return nil
}

// BucketLock implements backend.BucketProperties.
func (s *Store) BucketLock(ctx context.Context, bucket string) (backend.BucketLock, error) {
	c, err := about(s.vendor.Load().objectLock, call{op: "GetObjectLockConfiguration", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return backend.BucketLock{}, err
	}
	out, err := send(ctx, s, c, s.client.GetObjectLockConfiguration, &awss3.GetObjectLockConfigurationInput{Bucket: &bucket})
	if err != nil && codeOf(err) != "ObjectLockConfigurationNotFoundError" {
		return backend.BucketLock{}, err
	}
	var lock backend.BucketLock
	if err == nil && out.ObjectLockConfiguration != nil {
		conf := out.ObjectLockConfiguration
		lock.Enabled = conf.ObjectLockEnabled == types.ObjectLockEnabledEnabled
		if conf.Rule != nil && conf.Rule.DefaultRetention != nil && conf.Rule.DefaultRetention.Mode != "" {
			rule := conf.Rule.DefaultRetention
			lock.Mode, lock.Days, lock.Years = backend.RetentionMode(rule.Mode), int(aws.ToInt32(rule.Days)), int(aws.ToInt32(rule.Years))
		}
	}
	s.locks.Store(bucket, lock)
	return lock, nil
}
