package backend

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// BucketLimits say which files a bucket takes. The zero value takes all. They are kept in tags of the bucket, so
// that every client sees them; S3 itself does not enforce them.
type BucketLimits struct {
	FileSize int64 // the largest size of a file in bytes; 0: no limit
	// Types are the content types of files, "image/png" or, for all of a kind, "image/*": in lower case, sorted, each once. None: any.
	Types []string
}

// The keys of the tags. A value has at most 256 characters, so the types go on in ...-2, ...-3 and so forth.
const (
	FileSizeTag = "objmount-file-size-limit"
	TypesTag    = "objmount-allowed-mime-types"

	typesTags   = 9
	maxTagValue = 256 // S3 API, "Tag"
)

// IsLimitTag tells whether a tag of a bucket with this key is, or would be, about its limits.
func IsLimitTag(key string) bool {
	return key == FileSizeTag || slices.Contains(typesTagNames, key)
}

var typesTagNames = func() []string {
	names := []string{TypesTag}
	for i := 2; i <= typesTags; i++ {
		names = append(names, TypesTag+"-"+strconv.Itoa(i))
	}
	return names
}()

// LimitsOf reads the limits from the tags of a bucket. What is wrong with a tag is an error; the limits then are
// those of the tags that are right, and of the right types among the wrong.
func LimitsOf(tags map[string]string) (BucketLimits, error) {
	var l BucketLimits
	var failed error
	if text, ok := tags[FileSizeTag]; ok {
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size <= 0 {
			size, failed = 0, fmt.Errorf("the tag %s is %q; want a number of bytes above 0", FileSizeTag, text)
		}
		l.FileSize = size
	}
	var words []string
	for _, name := range typesTagNames {
		for word := range strings.FieldsSeq(tags[name]) {
			if strings.HasSuffix(word, "/") { // a star cannot be in a tag
				word += "*"
			}
			words = append(words, word)
		}
		if _, ok := tags[name]; ok && strings.TrimSpace(tags[name]) == "" {
			failed = fmt.Errorf("the tag %s is empty; want content types such as image/png, or image/ for all images", name)
		}
	}
	for _, word := range words {
		one, err := ParseTypes(word)
		if err != nil {
			failed = err
		}
		l.Types = append(l.Types, one...)
	}
	l.Types = sorted(l.Types)
	return l, failed
}

// Tags returns the tags that keep the limits. Types that need more room than the tags have are an error.
func (l BucketLimits) Tags() (map[string]string, error) {
	tags := make(map[string]string)
	if l.FileSize > 0 {
		tags[FileSizeTag] = strconv.FormatInt(l.FileSize, 10)
	}
	var values []string
	for _, t := range l.Types {
		t = strings.TrimSuffix(t, "*")
		if last := len(values) - 1; last >= 0 && len(values[last])+1+len(t) <= maxTagValue {
			values[last] += " " + t
		} else {
			values = append(values, t)
		}
	}
	if len(values) > typesTags {
		return nil, fmt.Errorf("%d content types need more than %d tags of %d characters; name kinds, such as image/*", len(l.Types), typesTags, maxTagValue)
	}
	for i, value := range values {
		tags[typesTagNames[i]] = value
	}
	return tags, nil
}

// SetIn puts the limits into the tags of a bucket, in place of those that are there. Other tags stay.
func (l BucketLimits) SetIn(tags map[string]string) (map[string]string, error) {
	own, err := l.Tags()
	if err != nil {
		return nil, err
	}
	for key, value := range tags {
		if !IsLimitTag(key) {
			own[key] = value
		}
	}
	return own, nil
}

// ParseTypes reads content types that are separated by commas: "image/*,application/pdf". "*/*" is any, as is none.
func ParseTypes(list string) ([]string, error) {
	var types []string
	for word := range strings.SplitSeq(list, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		if word == "" {
			continue
		}
		kind, sub, _ := strings.Cut(word, "/")
		switch {
		case word == "*/*":
			return nil, nil
		case !typeName(kind), sub != "*" && !typeName(sub):
			return nil, fmt.Errorf("%q is no content type; want one such as image/png, or image/* for all images, in letters, digits and + - . _", word)
		}
		types = append(types, word)
	}
	return sorted(types), nil
}

// typeName tells whether s can be one half of a content type (RFC 6838, 4.2), with the characters that tags have.
func typeName(s string) bool {
	const most = 127
	return s != "" && len(s) <= most && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+-._") == "" && !strings.ContainsRune("+-._", rune(s[0]))
}

func sorted(types []string) []string {
	slices.Sort(types)
	return slices.Compact(types)
}

// Takes tells whether a file of this size may be stored.
func (l BucketLimits) Takes(size int64) bool { return l.FileSize == 0 || size <= l.FileSize }

// Room is the largest size of a file.
func (l BucketLimits) Room() int64 {
	if l.FileSize == 0 {
		return math.MaxInt64
	}
	return l.FileSize
}

// Allows tells whether a content type is among the Types, also under another of its names. Parameters ("; charset=utf-8") do not count.
func (l BucketLimits) Allows(contentType string) bool {
	if len(l.Types) == 0 {
		return true
	}
	is := PlainType(contentType)
	return slices.ContainsFunc(l.Types, func(t string) bool {
		kind, all := strings.CutSuffix(t, "*")
		return all && (strings.HasPrefix(is, kind) || strings.HasPrefix(strings.ToLower(contentType), kind)) || PlainType(t) == is
	})
}

// PlainType is a content type in lower case without parameters, and of several names for the same the registered one (IANA, "Media
// Types", or what the web uses).
func PlainType(contentType string) string {
	plain, _, _ := strings.Cut(contentType, ";")
	plain = strings.ToLower(strings.TrimSpace(plain))
	if known, ok := typeNames[plain]; ok {
		return known
	}
	return plain
}

// typeNames are other names of content types: those that net/http finds in content (https://mimesniff.spec.whatwg.org), old ones,
// and those that browsers and people use.
var typeNames = map[string]string{
	"application/csv": "text/csv", "application/gzip-compressed": "application/gzip", "application/javascript": "text/javascript",
	"application/ecmascript": "text/javascript", "application/x-7z": "application/x-7z-compressed", "application/x-gzip": "application/gzip",
	"application/x-javascript": "text/javascript", "application/x-ndjson": "application/jsonl", "application/x-pdf": "application/pdf",
	"application/x-rar-compressed": "application/vnd.rar", "application/x-yaml": "application/yaml", "application/x-zip-compressed": "application/zip",
	"application/xml": "text/xml", "application/x-toml": "application/toml", "application/x-zstd": "application/zstd",
	"audio/mp3": "audio/mpeg", "audio/vnd.wave": "audio/wav", "audio/wave": "audio/wav", "audio/x-aac": "audio/aac", "audio/x-aiff": "audio/aiff",
	"audio/x-flac": "audio/flac", "audio/x-m4a": "audio/mp4", "audio/x-wav": "audio/wav", "binary/octet-stream": "application/octet-stream",
	"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/vnd.microsoft.icon": "image/x-icon", "image/x-ms-bmp": "image/bmp",
	"image/x-png": "image/png", "text/json": "application/json", "text/x-markdown": "text/markdown", "text/yaml": "application/yaml",
	"text/x-yaml": "application/yaml", "video/avi": "video/x-msvideo", "video/msvideo": "video/x-msvideo", "video/x-m4v": "video/mp4",
}
