package configfile

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Remote returns the remote of a name; nil: there is none.
func (f *File) Remote(name string) *Remote {
	for _, r := range f.Remotes {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Route returns the remote that a bucket belongs to: the first in the file that has a pattern for it, else the default one.
// Nil: none.
func (f *File) Route(bucket string) *Remote {
	for _, r := range f.Remotes {
		if slices.ContainsFunc(r.Buckets, func(pattern string) bool { return matches(pattern, bucket) }) {
			return r
		}
	}
	return f.Remote(f.Default)
}

// Defaults returns what a new object gets that brings nothing of its own. A retention counts from now, in whole seconds. The
// maps are the caller's.
func (r *Remote) Defaults(bucket, key string, now time.Time) backend.Properties {
	var p backend.Properties
	for _, one := range properties {
		if one.give == nil {
			continue
		}
		if rule := r.nearest(bucket, key, one); rule != nil {
			one.give(&p, rule, now)
		}
	}
	return p
}

// CustomerKey returns the key of SSE-C that an object is encrypted with, for reads and writes; nil: none. It is not to be changed.
func (r *Remote) CustomerKey(bucket, key string) *[32]byte {
	if rule := r.nearest(bucket, key, propertyOf(keyEncryption)); rule != nil {
		return rule.Key
	}
	return nil
}

// KeyFileOf returns the file that CustomerKey's answer was read from; "": there is no key.
func (r *Remote) KeyFileOf(bucket, key string) string {
	if rule := r.nearest(bucket, key, propertyOf(keyEncryption)); rule != nil {
		return rule.KeyFile
	}
	return ""
}

// PublicURLOf returns the URL under which everybody can read an object, by the configuration; "": the configuration has none.
func (r *Remote) PublicURLOf(bucket, key string) string {
	base := r.PublicURL
	if rule := r.nearest(bucket, key, propertyOf(keyPublicURL)); rule != nil {
		base, key = rule.PublicURL, strings.TrimPrefix(key, rule.Prefix)
	}
	if base == "" {
		return ""
	}
	return strings.TrimSuffix(strings.ReplaceAll(base, bucketMark, bucket), "/") + "/" + escape(key)
}

// NamespacesOf returns the namespaces of a bucket, in the order of the file.
func (r *Remote) NamespacesOf(bucket string) []Namespace {
	var all []Namespace
	for _, n := range r.Namespaces {
		if matches(n.Bucket, bucket) {
			all = append(all, n)
		}
	}
	return all
}

// nearest returns the rule that decides about a property of an object; nil: none does.
func (r *Remote) nearest(bucket, key string, p property) *Rule {
	var best *Rule
	for i := range r.Rules {
		rule := &r.Rules[i]
		if best != nil && len(rule.Prefix) <= len(best.Prefix) {
			continue
		}
		if strings.HasPrefix(key, rule.Prefix) && (p.has(rule) || slices.Contains(rule.None, p.key)) && matches(rule.Bucket, bucket) {
			best = rule
		}
	}
	return best
}

// matches reports whether a pattern holds for a bucket. Patterns were checked when they were read.
func matches(pattern, bucket string) bool {
	ok, err := path.Match(pattern, bucket)
	return ok && err == nil
}

// bucketMark stands for the bucket in a public URL.
const bucketMark = "{bucket}"

// escape encodes a key for the path of a URL. Everything but the unreserved characters of RFC 3986 and "/" is encoded: what is
// allowed besides, such as "+", is not read the same by all servers.
func escape(key string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// property is one of the things that a rule says. Its key is the one in the file.
type property struct {
	key  string
	has  func(*Rule) bool
	give func(p *backend.Properties, from *Rule, now time.Time) // nil: it is no property of an upload
}

// The keys of properties that are asked for alone.
const (
	keyEncryption = "encryption"
	keyPublicURL  = "public-url"
)

// properties are all that a rule can say.
var properties = []property{
	header("content-type", func(h *backend.Headers) *string { return &h.ContentType }),
	header("cache-control", func(h *backend.Headers) *string { return &h.CacheControl }),
	header("content-disposition", func(h *backend.Headers) *string { return &h.ContentDisposition }),
	header("content-encoding", func(h *backend.Headers) *string { return &h.ContentEncoding }),
	header("content-language", func(h *backend.Headers) *string { return &h.ContentLanguage }),
	header("expires", func(h *backend.Headers) *string { return &h.Expires }),
	{"storage-class", func(r *Rule) bool { return r.Properties.StorageClass != "" },
		func(p *backend.Properties, r *Rule, _ time.Time) { p.StorageClass = r.Properties.StorageClass }},
	{keyEncryption, func(r *Rule) bool { return r.Key != nil || r.Properties.Encryption.Algorithm != "" },
		func(p *backend.Properties, r *Rule, _ time.Time) { p.Encryption = r.Properties.Encryption }},
	{"tags", func(r *Rule) bool { return len(r.Properties.Tags) > 0 },
		func(p *backend.Properties, r *Rule, _ time.Time) { p.Tags = maps.Clone(r.Properties.Tags) }},
	{"metadata", func(r *Rule) bool { return len(r.Properties.Metadata) > 0 },
		func(p *backend.Properties, r *Rule, _ time.Time) { p.Metadata = maps.Clone(r.Properties.Metadata) }},
	{"retention", func(r *Rule) bool { return r.Retention != Period{} }, giveRetention},
	{"legal-hold", func(r *Rule) bool { return r.Properties.Lock.LegalHold },
		func(p *backend.Properties, r *Rule, _ time.Time) { p.Lock.LegalHold = r.Properties.Lock.LegalHold }},
	{keyPublicURL, func(r *Rule) bool { return r.PublicURL != "" }, nil},
}

func header(key string, field func(*backend.Headers) *string) property {
	return property{key, func(r *Rule) bool { return *field(&r.Properties.Headers) != "" },
		func(p *backend.Properties, r *Rule, _ time.Time) { *field(&p.Headers) = *field(&r.Properties.Headers) }}
}

func giveRetention(p *backend.Properties, r *Rule, now time.Time) {
	if r.Retention == (Period{}) {
		return
	}
	p.Lock.Retention = backend.Retention{Mode: r.Properties.Lock.Retention.Mode, Until: r.Retention.After(now.UTC().Truncate(time.Second))}
	if p.Lock.Retention.Mode == backend.NoRetention {
		p.Lock.Retention.Mode = backend.Governance
	}
}

func propertyOf(key string) property {
	return properties[slices.IndexFunc(properties, func(p property) bool { return p.key == key })]
}
