package xattr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// The limits of tags (S3 user guide, "Categorizing your objects using tags" and "Tagging for
// buckets"): counts, and characters, not bytes.
const (
	maxTags       = 10
	maxBucketTags = 50
	maxTagKey     = 128
	maxTagValue   = 256
)

func tagValue(a Attribute, f *Facts) ([]byte, bool) {
	value, present := f.Tags[a.key]
	return []byte(value), present
}

func tagKeys(f *Facts) []string { return slices.Collect(maps.Keys(f.Tags)) }

func setTag(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	if err := a.checkTag(string(value), r); err != nil {
		return Request{}, err
	}
	old, present := p.Tags[a.key]
	most := maxTags
	if a.scope == Bucket {
		most = maxBucketTags
	}
	switch {
	case present && old == string(value):
		return Request{}, nil
	case !present && len(p.Tags) >= most:
		return Request{}, a.refuse(ErrNoRoom, fmt.Sprintf("there are %d tags already", len(p.Tags)))
	}
	if p.Tags == nil {
		p.Tags = map[string]string{}
	}
	p.Tags[a.key] = string(value)
	return a.tagRequest(), nil
}

// checkTag looks at one tag alone.
func (a Attribute) checkTag(value string, r Rules) error {
	switch {
	case a.scope != Bucket && !r.Capabilities.Tagging:
		return a.refuse(ErrUnsupported, "the store keeps no tags of objects")
	case utf8.RuneCountInString(a.key) > maxTagKey:
		return a.refuse(ErrTooBig, "the key of a tag has at most 128 characters")
	case utf8.RuneCountInString(value) > maxTagValue:
		return a.refuse(ErrTooBig, "the value of a tag has at most 256 characters")
	case strings.HasPrefix(a.key, "aws:"):
		return a.refuse(ErrValue, `tags that begin with "aws:" are Amazon's own`)
	case a.scope == Bucket && backend.IsLimitTag(a.key) && a.checkLimit(value) != nil:
		return a.checkLimit(value)
	case !tagText(a.key) || !tagText(value):
		return a.refuse(ErrValue, "tags have letters, digits, blanks and + - = . _ : / @ only")
	}
	habit := habits[r.Capabilities.Vendor]
	switch {
	case habit.asciiTags && !plainASCII(a.key+value):
		return a.refuse(ErrUnsupported, "this store's tags are ASCII only")
	case habit.encodedTags && len(percent(a.key)) > maxTagKey:
		return a.refuse(ErrTooBig, "this store's keys of tags have at most 128 bytes in percent encoding")
	case habit.encodedTags && len(percent(value)) > maxTagValue:
		return a.refuse(ErrTooBig, "this store's values of tags have at most 256 bytes in percent encoding")
	}
	return nil
}

// tagText reports whether s has only the characters that tags may have.
func tagText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("+-=._:/@", r)
	})
}

func removeTag(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if _, present := p.Tags[a.key]; !present {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	delete(p.Tags, a.key)
	return a.tagRequest(), nil
}

func (a Attribute) tagRequest() Request {
	if a.scope == Bucket {
		return Request{Change: ChangeBucketTags}
	}
	return Request{Change: ChangeTags}
}
