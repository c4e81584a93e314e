package xattr

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// reservedKeys are the metadata that are shown as attributes of the file instead, and how long
// their values are where objmount writes them (0: another program's). A test compares them with
// package fs/attributes.
var reservedKeys = map[string]int{
	"file-permissions": 7, "file-owner": 10, "file-group": 10, "file-mtime": 21, "file-atime": 21,
	"file-rdev": 0, "symlink-target": 0, "--symlink-target": 0,
	"mode": 0, "uid": 0, "gid": 0, "mtime": 0, "atime": 0, "ctime": 0, "rdev": 0,
	backend.MetaGeneration: 64,
}

// Reserved reports whether user metadata of this key (lower case) are an attribute of the file, or
// objmount's own: they are not shown as user.s3.meta.KEY and cannot be set so.
func Reserved(key string) bool {
	if _, found := reservedKeys[key]; found {
		return true
	}
	return strings.HasPrefix(key, keyPrefix) || strings.HasPrefix(key, "objmount-") || strings.HasPrefix(key, "symlink-target-")
}

func metaValue(a Attribute, f *Facts) ([]byte, bool) {
	value, present := f.Object.Metadata[a.key]
	if Reserved(a.key) {
		return nil, false
	}
	return []byte(value), present
}

func metaKeys(f *Facts) (keys []string) {
	for key, value := range f.Object.Metadata {
		if !Reserved(key) && backend.IsMetadataKey(key) && metaText(value) {
			keys = append(keys, key)
		}
	}
	return keys
}

func setMeta(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	switch {
	case Reserved(a.key):
		return Request{}, a.refuse(ErrValue, "these metadata are attributes of the file")
	case !backend.IsMetadataKey(a.key):
		return Request{}, a.refuse(ErrValue, "the key cannot be (the end of) an HTTP header's name")
	case !metaText(string(value)):
		return Request{}, a.refuse(ErrValue, "metadata are text in UTF-8, without control characters")
	case strings.Contains(a.key, "_") && !r.Capabilities.Underscores:
		return Request{}, a.refuse(ErrUnsupported, `the store may change "_" in the key`)
	}
	if old, present := p.Metadata[a.key]; present && old == string(value) {
		return Request{}, nil
	}
	if p.Metadata == nil {
		p.Metadata = map[string]string{}
	}
	p.Metadata[a.key] = string(value)
	return Request{Change: ChangeProperties}, nil
}

func removeMeta(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if _, present := p.Metadata[a.key]; !present || Reserved(a.key) {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	delete(p.Metadata, a.key)
	return Request{Change: ChangeProperties}, nil
}

// metaText reports whether a value can be metadata of its own: text without control characters,
// of which a tab makes the signature of a request wrong (tried on MinIO).
func metaText(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

func otherValue(a Attribute, f *Facts) ([]byte, bool) {
	if value, found := joinPieces(f.Object.Metadata, a.key); found {
		return value, true
	}
	value, found := f.AnnotationValues[encodeName(a.key)]
	return value, found
}

func otherAnnotation(a Attribute, f *Facts) string {
	if _, found := joinPieces(f.Object.Metadata, a.key); found {
		return ""
	}
	return encodeName(a.key)
}

func otherKeys(f *Facts) (keys []string) {
	for key := range f.Object.Metadata {
		if name, piece, ok := decodeName(key); ok && piece == 1 && keptName(name) {
			keys = append(keys, name)
		}
	}
	for annotation := range f.Annotations {
		if name, piece, ok := decodeName(annotation); ok && piece == 1 && keptName(name) && !slices.Contains(keys, name) {
			keys = append(keys, name)
		}
	}
	return keys
}

// keptName reports whether a name is one that Parse gives to other.
func keptName(name string) bool {
	return name != "" && strings.IndexByte(name, 0) < 0 && user+name != Root && !strings.HasPrefix(user+name, Prefix)
}

func setOther(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	before := p.Clone()
	if p.Metadata == nil {
		p.Metadata = map[string]string{}
	}
	setPieces(p.Metadata, a.key, value)
	var req Request
	if !maps.Equal(before.Metadata, p.Metadata) {
		req.Change |= ChangeProperties
	}
	if r.Annotations == nil {
		return req, nil
	}
	_, annotated := r.Annotations[encodeName(a.key)]
	switch full := noRoom(&before, p, a.scope, r.Capabilities) != ""; {
	case full && !r.Staged:
		req = Request{Change: ChangeAnnotation, Annotation: encodeName(a.key), Value: slices.Clone(value)}
		if deletePieces(p.Metadata, a.key); !maps.Equal(before.Metadata, p.Metadata) {
			req.Change |= ChangeProperties
		}
	case !full && annotated:
		req.Change |= ChangeNoAnnotation
		req.Annotation = encodeName(a.key)
	}
	return req, nil
}

func removeOther(a Attribute, p *backend.Properties, r Rules) (Request, error) {
	var req Request
	if deletePieces(p.Metadata, a.key) {
		req.Change |= ChangeProperties
	}
	if _, annotated := r.Annotations[encodeName(a.key)]; annotated {
		req.Change |= ChangeNoAnnotation
		req.Annotation = encodeName(a.key)
	}
	if req.Change == 0 {
		return req, a.refuse(ErrAbsent, "")
	}
	return req, nil
}
