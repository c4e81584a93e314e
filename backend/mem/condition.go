package mem

import (
	"cmp"
	"strings"

	"github.com/objmount/objmount/backend"
)

// enforced says which conditions of a write the store honours.
type enforced struct {
	ifMatch, ifNoneMatch bool
	refuse               bool // answer KindUnsupported to the others
}

// checkLocked decides about cond on what is stored in b under c.key.
func (c call) checkLocked(b *bucket, cond backend.Condition, e enforced) error {
	if e.refuse && (cond.IfMatch != "" && !e.ifMatch || cond.IfNoneMatch && !e.ifNoneMatch) {
		return c.unsupported("conditional request")
	}
	if cond.IfMatch != "" && cond.IfNoneMatch {
		return c.invalid("InvalidRequest", "If-Match and If-None-Match exclude each other")
	}
	current := b.current(c.key)
	if cond.IfNoneMatch && e.ifNoneMatch && current != nil {
		return c.failedCondition(backend.KindExist)
	}
	if cond.IfMatch != "" && e.ifMatch && (current == nil || current.etag != cond.IfMatch) {
		return c.failedCondition(backend.KindChanged)
	}
	return nil
}

// checkKey decides whether the store can hold the key at all.
func (c call) checkKey(caps backend.Capabilities) error {
	switch {
	case c.key == "":
		return c.noEmptyKey()
	case int64(len(c.key)) > cmp.Or(caps.Limits.MaxKey, backend.KiB):
		return c.error(backend.KindNameTooLong, 400, "KeyTooLongError", "Your key is too long")
	case caps.AnyKey:
		return nil
	}
	components := strings.Split(c.key, "/")
	if last := len(components) - 1; last > 0 && components[last] == "" {
		components = components[:last] // a directory marker
	}
	for _, name := range components {
		if name == "" || name == "." || name == ".." {
			return c.invalid("XMinioInvalidObjectName", "Object name contains unsupported characters.")
		}
	}
	return nil
}

// checkProperties returns the properties as the store keeps them, or why it cannot: what
// does not travel in a HTTP header is refused rather than changed on the way.
func (c call) checkProperties(p backend.Properties, caps backend.Capabilities) (backend.Properties, error) {
	kept := p.Clone()
	kept.Metadata = make(map[string]string, len(p.Metadata))
	var total int64
	for name, value := range p.Metadata {
		if !token(name) {
			return kept, c.invalid("InvalidArgument", "metadata name "+name+" is not a header name")
		}
		if strings.Contains(name, "_") && !caps.Underscores {
			return kept, c.invalid("InvalidArgument", "metadata name "+name+" has an underscore")
		}
		if !printable(value) || value != strings.TrimSpace(value) {
			return kept, c.invalid("InvalidArgument", "metadata value of "+name+" is not printable ASCII without outer blanks")
		}
		total += int64(len(name) + len(value))
		kept.Metadata[strings.ToLower(name)] = value
	}
	if limit := caps.Limits.MaxMeta; limit > 0 && total > limit {
		return kept, c.error(backend.KindTooLarge, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
	}
	h := p.Headers
	for _, value := range []string{h.ContentType, h.CacheControl, h.ContentDisposition, h.ContentEncoding, h.ContentLanguage, h.Expires, h.WebsiteRedirect} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return kept, c.invalid("InvalidArgument", "a header has control characters")
		}
	}
	if err := c.checkTags(p.Tags, maxTags); err != nil {
		return kept, err
	}
	if !caps.Tagging {
		kept.Tags = nil
	}
	if kept.StorageClass == "STANDARD" {
		kept.StorageClass = ""
	}
	if !caps.Classes {
		kept.StorageClass, kept.Encryption = "", backend.Encryption{}
	}
	return kept, nil
}

// token reports whether s can be part of a header's name.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
