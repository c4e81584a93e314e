package xattr

import (
	"encoding/base64"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
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
		if !Reserved(key) && isToken(key) && utf8.ValidString(value) {
			keys = append(keys, key)
		}
	}
	return keys
}

func setMeta(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	switch {
	case Reserved(a.key):
		return Request{}, a.refuse(ErrValue, "these metadata are attributes of the file")
	case !isToken(a.key):
		return Request{}, a.refuse(ErrValue, "the key cannot be (the end of) an HTTP header's name")
	case !utf8.Valid(value):
		return Request{}, a.refuse(ErrValue, "metadata are text in UTF-8")
	case strings.Contains(a.key, "_") && !r.Capabilities.Underscores:
		return Request{}, a.refuse(ErrUnsupported, `the store may change "_" in the key`)
	}
	meta := copyOf(p.Metadata)
	meta[a.key] = string(value)
	return a.replaceMeta(p, meta, r)
}

func removeMeta(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if _, present := p.Metadata[a.key]; !present || Reserved(a.key) {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	p.Metadata = copyOf(p.Metadata)
	delete(p.Metadata, a.key)
	return Request{Change: ChangeProperties}, nil
}

// replaceMeta gives p other metadata if the store takes them.
func (a Attribute) replaceMeta(p *backend.Properties, meta map[string]string, r Rules) (Request, error) {
	if maps.Equal(p.Metadata, meta) {
		return Request{}, nil
	}
	if reason := noRoom(p.Metadata, meta, p.Tags, p.Tags, r.Capabilities); reason != "" {
		return Request{}, a.refuse(ErrNoRoom, reason)
	}
	p.Metadata = meta
	return Request{Change: ChangeProperties}, nil
}

func copyOf(m map[string]string) map[string]string {
	c := make(map[string]string, len(m)+1)
	maps.Copy(c, m)
	return c
}

// metaHeader is the prefix of metadata in HTTP.
const metaHeader = len("x-amz-meta-")

// metaSize is how many bytes of metadata travel, with room for those that objmount adds.
func metaSize(meta map[string]string) int64 {
	total := 0
	for key, value := range meta {
		total += metaHeader + len(key) + len(sent(value))
	}
	for key, length := range reservedKeys {
		if _, there := meta[key]; !there && length > 0 {
			total += metaHeader + len(key) + length
		}
	}
	return int64(total)
}

// sent is a value of metadata as it travels: what is not plain text is an RFC 2047 word.
func sent(value string) string {
	if strings.TrimSpace(value) != value || strings.Contains(value, "=?") {
		return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
	}
	return mime.BEncoding.Encode("UTF-8", value)
}

// noRoom says why metadata and tags do not fit; empty: they do, or they are no more than before.
func noRoom(metaBefore, meta, tagsBefore, tags map[string]string, caps backend.Capabilities) string {
	limit := caps.Limits.MaxMeta
	if limit <= 0 {
		limit = backend.S3Limits().MaxMeta
	}
	if size := metaSize(meta); size > limit && size > metaSize(metaBefore) {
		return fmt.Sprintf("%d bytes of metadata, with what objmount keeps there; the store takes %d", size, limit)
	}
	return ""
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
	meta := copyOf(p.Metadata)
	setPieces(meta, a.key, value)
	req, err := a.replaceMeta(p, meta, r)
	_, annotated := r.Annotations[encodeName(a.key)]
	switch {
	case err != nil && r.Annotations != nil && !r.Staged:
		meta = copyOf(p.Metadata)
		req = Request{Change: ChangeAnnotation, Annotation: encodeName(a.key), Value: slices.Clone(value)}
		if deletePieces(meta, a.key) {
			p.Metadata = meta
			req.Change |= ChangeProperties
		}
		return req, nil
	case err == nil && annotated:
		req.Change |= ChangeNoAnnotation
		req.Annotation = encodeName(a.key)
	}
	return req, err
}

func removeOther(a Attribute, p *backend.Properties, r Rules) (Request, error) {
	var req Request
	if meta := copyOf(p.Metadata); deletePieces(meta, a.key) {
		p.Metadata = meta
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

// isToken reports whether s may be (the end of) a header's name.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}
