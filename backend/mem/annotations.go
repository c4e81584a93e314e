package mem

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// maxAnnotations is how many annotations a version may have (S3 user guide, "annotations-overview").
const maxAnnotations = 1000

var annotationName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,512}$`)

// UpdateEncryption implements backend.Encrypter: to KMS keys only, as Amazon S3, whose other
// ways to encrypt need a copy. ETag and date stay.
func (s *Store) UpdateEncryption(ctx context.Context, id backend.ObjectID, versionID string, e backend.Encryption) error {
	c := call{"UpdateObjectEncryption", id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(_ *bucket, v *version) error {
		if !s.settings.UpdateEncryption || e.Algorithm != "aws:kms" {
			return c.unsupported("UpdateObjectEncryption")
		}
		v.properties.Encryption = e
		return nil
	})
}

// annotated finds a version, for who may read or write annotations.
func (s *Store) annotated(ctx context.Context, c call, versionID string) (*version, error) {
	v, _, err := s.open(ctx, c, backend.GetOptions{VersionID: versionID})
	if err == nil && !s.config().Annotations {
		return nil, c.unsupported("annotations")
	}
	return v, err
}

// Annotations implements backend.Annotator.
func (s *Store) Annotations(ctx context.Context, id backend.ObjectID, versionID string) (map[string]int64, error) {
	v, err := s.annotated(ctx, call{"ListObjectAnnotations", id.Bucket, id.Key}, versionID)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for name, content := range v.annotations {
		sizes[name] = int64(len(content))
	}
	return sizes, nil
}

// Annotation implements backend.Annotator.
func (s *Store) Annotation(ctx context.Context, id backend.ObjectID, versionID, name string) ([]byte, error) {
	c := call{"GetObjectAnnotation", id.Bucket, id.Key}
	v, err := s.annotated(ctx, c, versionID)
	if err != nil {
		return nil, err
	}
	content, found := v.annotations[name]
	if !found {
		return nil, c.error(backend.KindNotExist, http.StatusNotFound, "NoSuchAnnotation", "The specified annotation does not exist.")
	}
	return bytes.Clone(content), nil
}

// PutAnnotation implements backend.Annotator. S3 takes 1 byte to 1 MiB of valid UTF-8.
func (s *Store) PutAnnotation(ctx context.Context, id backend.ObjectID, versionID, name string, content []byte) error {
	c := call{"PutObjectAnnotation", id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(_ *bucket, v *version) error {
		lower := strings.ToLower(name)
		_, known := v.annotations[name]
		switch {
		case !s.settings.Annotations:
			return c.unsupported("annotations")
		case !annotationName.MatchString(name) || strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "s3"):
			return c.invalid("InvalidArgument", "bad name of an annotation")
		case len(content) == 0 || !utf8.Valid(content):
			return c.invalid("InvalidArgument", "an annotation is UTF-8 text of at least one byte")
		case int64(len(content)) > backend.MiB:
			return c.tooLarge("an annotation has at most 1 MiB")
		case !known && len(v.annotations) >= maxAnnotations:
			return c.invalid("TooManyAnnotations", "an object has at most 1000 annotations")
		}
		v.annotations = withAnnotation(v.annotations, name, bytes.Clone(content))
		return nil
	})
}

// DeleteAnnotation implements backend.Annotator. A lock keeps annotations.
func (s *Store) DeleteAnnotation(ctx context.Context, id backend.ObjectID, versionID, name string) error {
	c := call{"DeleteObjectAnnotation", id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(b *bucket, v *version) error {
		switch {
		case !s.settings.Annotations:
			return c.unsupported("annotations")
		case s.lockLocked(b).Enabled && keeps(v.properties.Lock, false, s.nowLocked()):
			return c.locked()
		}
		v.annotations = withAnnotation(v.annotations, name, nil)
		return nil
	})
}

// withAnnotation returns a changed copy; without content, the name is removed.
func withAnnotation(old map[string][]byte, name string, content []byte) map[string][]byte {
	all := make(map[string][]byte, len(old)+1)
	maps.Copy(all, old)
	if all[name] = content; content == nil {
		delete(all, name)
	}
	return all
}
