package xattr

import (
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// Annotations whose names begin with keyPrefix are values of user.NAME that found no room.

func annotationName(a Attribute, _ *Facts) string {
	if strings.HasPrefix(a.key, keyPrefix) {
		return ""
	}
	return a.key
}

func annotationValue(a Attribute, f *Facts) ([]byte, bool) {
	value, present := f.AnnotationValues[annotationName(a, f)]
	return value, present
}

func annotationKeys(f *Facts) (keys []string) {
	for name, size := range f.Annotations {
		if name != "" && size <= MaxValue && !strings.HasPrefix(name, keyPrefix) {
			keys = append(keys, name)
		}
	}
	return keys
}

func setAnnotation(a Attribute, _ *backend.Properties, value []byte, r Rules) (Request, error) {
	switch {
	case strings.HasPrefix(a.key, keyPrefix):
		return Request{}, a.refuse(ErrValue, "these annotations are values of user.NAME")
	case r.Annotations == nil:
		return Request{}, a.refuse(ErrUnsupported, "the store has no annotations")
	case r.Staged:
		return Request{}, a.refuse(ErrUnsupported, "annotations belong to objects, and the file is not stored yet")
	}
	return Request{Change: ChangeAnnotation, Annotation: a.key, Value: slices.Clone(value)}, nil
}

func removeAnnotation(a Attribute, _ *backend.Properties, r Rules) (Request, error) {
	if _, present := r.Annotations[a.key]; !present || strings.HasPrefix(a.key, keyPrefix) {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	return Request{Change: ChangeNoAnnotation, Annotation: a.key}, nil
}
