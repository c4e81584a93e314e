package xattr

import (
	"strconv"
	"strings"

	"github.com/objmount/objmount/backend"
)

// limitsOf are the limits of a bucket; what its tags say and is not understood is not there.
func limitsOf(tags map[string]string) backend.BucketLimits {
	limits, _ := backend.LimitsOf(tags)
	return limits
}

func fileSizeLimit(f *Facts) string { return positive(limitsOf(f.Tags).FileSize) }

func allowedTypes(f *Facts) string { return strings.Join(limitsOf(f.Tags).Types, ",") }

func setFileSizeLimit(a Attribute, p *backend.Properties, value []byte, _ Rules) (Request, error) {
	size, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || size <= 0 {
		return Request{}, a.refuse(ErrValue, "a number of bytes above 0; to remove the limit, use setfattr -x")
	}
	return a.limit(p, func(l *backend.BucketLimits) { l.FileSize = size })
}

func setAllowedTypes(a Attribute, p *backend.Properties, value []byte, _ Rules) (Request, error) {
	types, err := backend.ParseTypes(string(value))
	switch {
	case err != nil:
		return Request{}, a.refuse(ErrValue, err.Error())
	case len(types) == 0:
		return Request{}, a.refuse(ErrValue, "content types such as image/*,application/pdf; to allow any, use setfattr -x")
	}
	return a.limit(p, func(l *backend.BucketLimits) { l.Types = types })
}

func removeFileSizeLimit(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if limitsOf(p.Tags).FileSize == 0 {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	return a.limit(p, func(l *backend.BucketLimits) { l.FileSize = 0 })
}

func removeAllowedTypes(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if len(limitsOf(p.Tags).Types) == 0 {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	return a.limit(p, func(l *backend.BucketLimits) { l.Types = nil })
}

// limit changes the limits among the tags of a bucket.
func (a Attribute) limit(p *backend.Properties, change func(*backend.BucketLimits)) (Request, error) {
	limits := limitsOf(p.Tags)
	change(&limits)
	tags, err := limits.SetIn(p.Tags)
	switch {
	case err != nil:
		return Request{}, a.refuse(ErrTooBig, err.Error())
	case len(tags) > maxBucketTags:
		return Request{}, a.refuse(ErrNoRoom, "limits are kept in tags, and the bucket has as many as it can have")
	}
	p.Tags = tags
	return Request{Change: ChangeBucketTags}, nil
}

// checkLimit looks at a tag of a bucket that is about its limits.
func (a Attribute) checkLimit(value string) error {
	if _, err := backend.LimitsOf(map[string]string{a.key: value}); err != nil {
		return a.refuse(ErrValue, err.Error())
	}
	return nil
}
