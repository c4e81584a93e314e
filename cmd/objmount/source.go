package main

import (
	"strings"
)

// source is what is mounted: a bucket, a prefix of it, or (bucket "") every bucket.
type source struct {
	bucket string
	prefix string // "" or ending in "/"
}

// scheme begins every source.
const scheme = "s3://"

// parseSource reads s3://, s3://bucket and s3://bucket/prefix. It is no URL: keys may contain
// "?", "#" and "%", which mean themselves. A prefix is a directory, with or without its "/".
func parseSource(s string) (source, error) {
	rest, ok := strings.CutPrefix(s, scheme)
	if !ok {
		return source{}, usage("SOURCE %q does not begin with s3://; write s3://BUCKET, s3://BUCKET/PREFIX, or s3:// for every bucket", s)
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	if strings.Contains(bucket, "@") { // not repeated: it may be a secret
		return source{}, usage("SOURCE has an \"@\" where the bucket should be: credentials do not belong there; " +
			"use the environment, --profile or --credentials-file, and --endpoint-url for the host")
	}
	if bucket == "" && prefix != "" {
		return source{}, usage("SOURCE %q has a prefix but no bucket; write s3://BUCKET/PREFIX", s)
	}
	if bucket == "" && rest != "" {
		return source{}, usage("SOURCE %q has an empty bucket name; write s3:// for every bucket", s)
	}
	if why := badBucket(bucket); why != "" {
		return source{}, usage("SOURCE %q: the bucket name %q %s", s, bucket, why)
	}
	if strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") {
		return source{}, usage(`SOURCE %q: the prefix has an empty component ("//"), which no store keeps reliably; mount the directory above`, s)
	}
	if strings.ContainsRune(prefix, 0) {
		return source{}, usage("SOURCE %q: the prefix contains a NUL byte", s)
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	const maxKey = 1024
	if len(prefix) > maxKey-2 {
		return source{}, usage("SOURCE: the prefix has %d bytes and leaves no room for names: keys end at %d", len(prefix), maxKey)
	}
	return source{bucket, prefix}, nil
}

// badBucket says what is wrong with a bucket name that no store takes, "" if nothing. It is more
// generous than Amazon's rules: old buckets and other stores have capitals and underscores.
func badBucket(name string) string {
	if name == "" {
		return ""
	}
	const longest = 255
	if len(name) > longest {
		return "is too long"
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		case c == ':':
			return `contains ":"; the endpoint is given by --endpoint-url`
		default:
			return "contains a character that no bucket name has"
		}
	}
	if name == "." || name == ".." {
		return "is no name"
	}
	return ""
}

// String returns the source as it is shown, and as parseSource reads it.
func (s source) String() string {
	if s.bucket == "" {
		return scheme
	}
	if s.prefix == "" {
		return scheme + s.bucket
	}
	return scheme + s.bucket + "/" + s.prefix
}
