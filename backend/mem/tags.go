package mem

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// tagText is what keys and values of tags may hold (S3 API, "Tag").
var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// maxBucketTags is how many tags a bucket may have; an object has maxTags.
const maxTags, maxBucketTags = 10, 50

func putTags(tags map[string]string) string {
	if len(tags) == 0 {
		return "DeleteObjectTagging"
	}
	return "PutObjectTagging"
}

func putBucketTags(tags map[string]string) string {
	if len(tags) == 0 {
		return "DeleteBucketTagging"
	}
	return "PutBucketTagging"
}

// Tags implements backend.Tagger.
func (s *Store) Tags(ctx context.Context, id backend.ObjectID, versionID string) (map[string]string, error) {
	c := call{"GetObjectTagging", id.Bucket, id.Key}
	v, _, err := s.open(ctx, c, backend.GetOptions{VersionID: versionID})
	if err != nil {
		return nil, err
	}
	if !s.config().Capabilities.Tagging {
		return nil, c.unsupported("tags")
	}
	return copyTags(v.properties.Tags), nil
}

// PutTags implements backend.Tagger.
func (s *Store) PutTags(ctx context.Context, id backend.ObjectID, versionID string, tags map[string]string) error {
	c := call{putTags(tags), id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(_ *bucket, v *version) error {
		if !s.settings.Capabilities.Tagging {
			return c.unsupported("tags")
		}
		v.properties.Tags = copyTags(tags)
		return c.checkTags(tags, maxTags)
	})
}

// copyTags returns a map that is never nil.
func copyTags(tags map[string]string) map[string]string {
	all := make(map[string]string, len(tags))
	maps.Copy(all, tags)
	return all
}

func (c call) checkTags(tags map[string]string, most int) error {
	if len(tags) > most {
		return c.invalid("BadRequest", fmt.Sprintf("Tags cannot be greater than %d", most))
	}
	for name, value := range tags {
		switch {
		case name == "" || utf8.RuneCountInString(name) > 128 || !tagText.MatchString(name) || strings.HasPrefix(name, "aws:"):
			return c.invalid("InvalidTag", "The TagKey you have provided is invalid")
		case utf8.RuneCountInString(value) > 256 || !tagText.MatchString(value):
			return c.invalid("InvalidTag", "The TagValue you have provided is invalid")
		}
	}
	return nil
}
