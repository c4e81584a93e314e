package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Restore implements backend.Restorer.
func (s *Store) Restore(ctx context.Context, id backend.ObjectID, version string, days int, tier string) error {
	c, err := sub(s.vendor.Load().restores, call{op: "RestoreObject", bucket: id.Bucket, key: id.Key, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	if days < 1 || days > 1<<31-1 {
		return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "a restored copy stays for 1 day or more"}
	}
	request := &types.RestoreRequest{Days: aws.Int32(int32(days))}
	if tier != "" {
		request.GlacierJobParameters = &types.GlacierJobParameters{Tier: types.Tier(tier)}
	}
	_, err = send(ctx, s, c, s.client.RestoreObject, &awss3.RestoreObjectInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), RestoreRequest: request})
	if codeOf(err) == "RestoreAlreadyInProgress" {
		return nil
	}
	return err
}

// UpdateEncryption implements backend.Encrypter. Amazon can change to a key of KMS, named in
// full, and to nothing else.
func (s *Store) UpdateEncryption(ctx context.Context, id backend.ObjectID, version string, e backend.Encryption) error {
	c, err := sub(s.vendor.Load().annotates, call{op: "UpdateObjectEncryption", bucket: id.Bucket, key: id.Key, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	if e.Algorithm != string(types.ServerSideEncryptionAwsKms) || !strings.HasPrefix(e.KMSKeyID, "arn:") {
		return &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "only to aws:kms with the ARN of a key"}
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.UpdateObjectEncryption, &awss3.UpdateObjectEncryptionInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version),
		ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{Value: types.SSEKMSEncryption{KMSKeyArn: &e.KMSKeyID, BucketKeyEnabled: yes(e.BucketKey)}},
	})
	return err
}
