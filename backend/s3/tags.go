package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Tags implements backend.Tagger. A server that is not known to have tags is not asked: it
// could take the request for one about the object itself.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	c := call{op: "GetObjectTagging", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return nil, err
	}
	if !s.vendor.Load().tags {
		return nil, &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: id.Bucket, Key: id.Key, Message: "the store is not known to have tags"}
	}
	out, err := send(ctx, s, c, s.client.GetObjectTagging, &awss3.GetObjectTaggingInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
	var e *backend.Error
	if errors.As(err, &e) && e.Code == "NoSuchTagSet" {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(out.TagSet))
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// putTags sets the tags of an object that was just written.
func (s *Store) putTags(ctx context.Context, obj backend.Object, tags map[string]string) error {
	c := call{op: "PutObjectTagging", bucket: obj.Bucket, key: obj.Key, write: true, repeat: repeatHarmless, options: []func(*awss3.Options){contentMD5}}
	in := &awss3.PutObjectTaggingInput{Bucket: &obj.Bucket, Key: &obj.Key, VersionId: some(obj.VersionID), Tagging: &types.Tagging{}}
	for k, v := range tags {
		in.Tagging.TagSet = append(in.Tagging.TagSet, types.Tag{Key: &k, Value: &v})
	}
	_, err := send(ctx, s, c, s.client.PutObjectTagging, in)
	return err
}
