package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Tags implements backend.Tagger. A server that is not known to have tags is not asked: it
// could take the request for one about the object itself.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, version string) (map[string]string, error) {
	c, err := sub(s.vendor.Load().tags, call{op: "GetObjectTagging", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless})
	if err != nil {
		return nil, err
	}
	version = s.idFor(ctx, id.Bucket, version)
	out, err := send(ctx, s, c, s.client.GetObjectTagging, &awss3.GetObjectTaggingInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
	if codeOf(err) == "NoSuchTagSet" {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return tagMap(out.TagSet), nil
}

// PutTags implements backend.Tagger.
func (s *Store) PutTags(ctx context.Context, id backend.ObjectID, version string, tags map[string]string) error {
	known, op := s.vendor.Load(), "PutObjectTagging"
	none := len(tags) == 0 && !known.keepsTags
	if none {
		op = "DeleteObjectTagging"
	}
	c, err := sub(known.tags, call{op: op, bucket: id.Bucket, key: id.Key, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	version = s.idFor(ctx, id.Bucket, version)
	if none {
		_, err := send(ctx, s, c, s.client.DeleteObjectTagging, &awss3.DeleteObjectTaggingInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
		return err
	}
	c.options = append(c.options, contentMD5)
	_, err = send(ctx, s, c, s.client.PutObjectTagging, &awss3.PutObjectTaggingInput{
		Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version), Tagging: &types.Tagging{TagSet: tagSet(tags)},
	})
	return err
}

func tagMap(set []types.Tag) map[string]string {
	tags := make(map[string]string, len(set))
	for _, t := range set {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

func tagSet(tags map[string]string) []types.Tag {
	set := make([]types.Tag, 0, len(tags))
	for k, v := range tags {
		set = append(set, types.Tag{Key: &k, Value: &v})
	}
	return set
}
