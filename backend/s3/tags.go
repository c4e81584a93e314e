package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/objmount/objmount/backend"
)

// Tags implements backend.Tagger by GetObjectTagging.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID) (map[string]string, error) {
	c := call{op: "GetObjectTagging", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return nil, err
	}
	out, err := send(ctx, s, c, s.client.GetObjectTagging, &awss3.GetObjectTaggingInput{Bucket: &id.Bucket, Key: &id.Key})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(out.TagSet))
	for _, tag := range out.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags, nil
}
