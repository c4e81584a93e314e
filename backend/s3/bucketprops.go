package s3

import (
	"context"
	"net/http"
	"strconv"

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

// BucketRegion implements backend.BucketProperties: what a HEAD tells, else GetBucketLocation.
func (s *Store) BucketRegion(ctx context.Context, bucket string) (string, error) {
	resp, err := s.headBucket(ctx, bucket, "")
	if err != nil {
		return "", err
	}
	if region := resp.Get("X-Amz-Bucket-Region"); region != "" {
		return region, nil
	}
	c, err := about(s.vendor.Load().location, call{op: "GetBucketLocation", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return "", err
	}
	out, err := send(ctx, s, c, s.client.GetBucketLocation, &awss3.GetBucketLocationInput{Bucket: &bucket})
	if err != nil {
		return "", err
	}
	switch region := string(out.LocationConstraint); region {
	case "":
		return "us-east-1", nil
	case "EU":
		return "eu-west-1", nil
	default:
		return region, nil
	}
}

// headBucket returns the header of the answer to a HEAD of a bucket.
func (s *Store) headBucket(ctx context.Context, bucket, query string) (http.Header, error) {
	c, err := about(true, call{op: "HeadBucket", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return nil, err
	}
	resp, err := s.direct(ctx, c, http.MethodHead, query, make(http.Header, 4))
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // there is none
	return resp.Header, nil
}

// BucketEncryption implements backend.BucketProperties.
func (s *Store) BucketEncryption(ctx context.Context, bucket string) (backend.Encryption, error) {
	c, err := about(s.vendor.Load().encryption, call{op: "GetBucketEncryption", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return backend.Encryption{}, err
	}
	out, err := send(ctx, s, c, s.client.GetBucketEncryption, &awss3.GetBucketEncryptionInput{Bucket: &bucket})
	if codeOf(err) == "ServerSideEncryptionConfigurationNotFoundError" {
		return backend.Encryption{}, nil
	}
	if err != nil || out.ServerSideEncryptionConfiguration == nil {
		return backend.Encryption{}, err
	}
	for _, rule := range out.ServerSideEncryptionConfiguration.Rules {
		if by := rule.ApplyServerSideEncryptionByDefault; by != nil {
			return backend.Encryption{
				Algorithm: string(by.SSEAlgorithm), KMSKeyID: aws.ToString(by.KMSMasterKeyID), BucketKey: aws.ToBool(rule.BucketKeyEnabled),
			}, nil
		}
	}
	return backend.Encryption{}, nil
}

// BucketTags implements backend.BucketProperties.
func (s *Store) BucketTags(ctx context.Context, bucket string) (map[string]string, error) {
	c, err := about(s.vendor.Load().bucketTags, call{op: "GetBucketTagging", bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return nil, err
	}
	out, err := send(ctx, s, c, s.client.GetBucketTagging, &awss3.GetBucketTaggingInput{Bucket: &bucket})
	if codeOf(err) == "NoSuchTagSet" || codeOf(err) == "NoSuchTagSetError" { // the second is Ceph's
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return tagMap(out.TagSet), nil
}

// PutBucketTags implements backend.BucketProperties.
func (s *Store) PutBucketTags(ctx context.Context, bucket string, tags map[string]string) error {
	op := "PutBucketTagging"
	if len(tags) == 0 {
		op = "DeleteBucketTagging"
	}
	c, err := about(s.vendor.Load().bucketTags, call{op: op, bucket: bucket, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	if len(tags) == 0 {
		_, err := send(ctx, s, c, s.client.DeleteBucketTagging, &awss3.DeleteBucketTaggingInput{Bucket: &bucket})
		return err
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.PutBucketTagging, &awss3.PutBucketTaggingInput{Bucket: &bucket, Tagging: &types.Tagging{TagSet: tagSet(tags)}})
	return err
}

// BucketUsage implements backend.BucketProperties. Ceph's newer releases count only when they
// are asked to; older ones do not mind.
func (s *Store) BucketUsage(ctx context.Context, bucket string) (bytes, objects int64, err error) {
	c, err := about(s.vendor.Load().usage, call{op: "HeadBucket", bucket: bucket})
	if err != nil {
		return 0, 0, err
	}
	header, err := s.headBucket(ctx, bucket, "read-stats=true")
	if err != nil {
		return 0, 0, err
	}
	bytes, err = strconv.ParseInt(header.Get("X-Rgw-Bytes-Used"), 10, 64)
	if err == nil {
		objects, err = strconv.ParseInt(header.Get("X-Rgw-Object-Count"), 10, 64)
	}
	if err != nil {
		return 0, 0, lacking(c)
	}
	return bytes, objects, nil
}
