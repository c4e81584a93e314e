package main

import (
	"regexp"
	"strings"
)

// source is what is mounted: a bucket, a prefix of it, or (bucket "") every bucket.
type source struct {
	// remote of the configuration file; allRemotes; empty: the one that the bucket's name leads to, if any.
	remote string
	bucket string
	prefix string // "" or ending in "/"
}

const (
	scheme     = "s3://" // begins the sources that name no remote
	allRemotes = "all"   // is no remote's name: "all:" stands for every one, each a directory
)

// remoteText cuts NAME: off a source or a path of ctl.
var remoteText = regexp.MustCompile(`(?s)^([a-z0-9][a-z0-9_-]*):(.*)$`)

// cutRemote cuts the name of a remote off: NAME:REST. What begins with another scheme (http://) names no remote.
func cutRemote(text string) (name, rest string, ok bool) {
	part := remoteText.FindStringSubmatch(text)
	if part == nil || part[1] == "s3" || strings.HasPrefix(part[2], "//") {
		return "", text, false
	}
	return part[1], part[2], true
}

// parseSource reads s3://, s3://bucket and s3://bucket/prefix, the same with NAME: instead of s3://, and all:. It is no URL: keys
// may contain "?", "#" and "%", which mean themselves. A prefix is a directory, with or without its "/". Whether there is such a remote
// is not known here.
func parseSource(s string) (source, error) {
	rest, ok := strings.CutPrefix(s, scheme)
	src, begin := source{}, scheme
	if !ok {
		if src.remote, rest, ok = cutRemote(s); !ok {
			return src, usage("SOURCE %q does not begin with s3:// or the name of a remote; write s3://BUCKET, s3://BUCKET/PREFIX, s3:// for every bucket, "+
				"or REMOTE:BUCKET with a remote of the configuration file", s)
		}
		begin = src.remote + ":"
	}
	if src.remote == allRemotes && rest != "" {
		return source{}, usage("SOURCE %q: all: stands for every remote; write all: alone, or REMOTE:BUCKET", s)
	}
	src.bucket, src.prefix, _ = strings.Cut(rest, "/")
	if strings.Contains(src.bucket, "@") { // not repeated: it may be a secret
		return source{}, usage("SOURCE has an \"@\" where the bucket should be: credentials do not belong there; " +
			"use the environment, --profile or --credentials-file, and --endpoint-url for the host")
	}
	if src.bucket == "" && src.prefix != "" {
		return source{}, usage("SOURCE %q has a prefix but no bucket; write %sBUCKET/PREFIX", s, begin)
	}
	if src.bucket == "" && rest != "" {
		return source{}, usage("SOURCE %q has an empty bucket name; write %s for every bucket", s, begin)
	}
	if why := badBucket(src.bucket); why != "" {
		return source{}, usage("SOURCE %q: the bucket name %q %s", s, src.bucket, why)
	}
	if strings.HasPrefix(src.prefix, "/") || strings.Contains(src.prefix, "//") {
		return source{}, usage(`SOURCE %q: the prefix has an empty component ("//"), which no store keeps reliably; mount the directory above`, s)
	}
	if strings.ContainsRune(src.prefix, 0) {
		return source{}, usage("SOURCE %q: the prefix contains a NUL byte", s)
	}
	if src.prefix != "" && !strings.HasSuffix(src.prefix, "/") {
		src.prefix += "/"
	}
	const maxKey = 1024
	if len(src.prefix) > maxKey-2 {
		return source{}, usage("SOURCE: the prefix has %d bytes and leaves no room for names: keys end at %d", len(src.prefix), maxKey)
	}
	return src, nil
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
	begin := scheme
	if s.remote != "" {
		begin = s.remote + ":"
	}
	if s.prefix == "" {
		return begin + s.bucket
	}
	return begin + s.bucket + "/" + s.prefix
}

// isSource reports whether an argument can only be a source: objmount s3://b /mnt is how
// mount.fuse3 calls.
func isSource(arg string) bool {
	_, _, remote := cutRemote(arg)
	return remote || strings.HasPrefix(arg, scheme)
}
