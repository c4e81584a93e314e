package s3

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// unquote takes the quotes off an ETag. A weak one ("W/...") is a proxy's: its strong part
// is the store's.
func unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
}

// some returns nil for the empty string, so that no header is sent.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// copySource is the x-amz-copy-source header.
func copySource(src backend.Source) string {
	s := src.Bucket + "/" + escapeKey(src.Key)
	if src.VersionID != "" {
		s += "?versionId=" + url.QueryEscape(src.VersionID)
	}
	return s
}

// escape keeps only the characters that no URL parser gives a meaning to.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// nameDecoder returns what undoes the encoding of keys in a listing.
func nameDecoder(encoding types.EncodingType) func(string) (string, error) {
	if encoding == types.EncodingTypeUrl {
		return url.QueryUnescape
	}
	return func(s string) (string, error) { return s, nil }
}

// rangeHeader is the Range of a request; Len < 0 is to the end.
func rangeHeader(r backend.Range) string {
	if r.Len < 0 {
		return fmt.Sprintf("bytes=%d-", r.Off)
	}
	return fmt.Sprintf("bytes=%d-%d", r.Off, r.Off+r.Len-1)
}

// parseContentRange takes "bytes 5-9/20" apart.
func parseContentRange(s string) (r backend.Range, size int64, err error) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if ok && ok2 && ok3 {
		var end int64
		if r.Off, err = strconv.ParseInt(first, 10, 64); err == nil {
			if end, err = strconv.ParseInt(last, 10, 64); err == nil {
				size, err = strconv.ParseInt(total, 10, 64)
			}
		}
		r.Len = end - r.Off + 1
	}
	if !ok || !ok2 || !ok3 || err != nil || r.Off < 0 || r.Len <= 0 || r.Off+r.Len > size {
		return backend.Range{}, 0, fmt.Errorf("bad Content-Range %q", s)
	}
	return r, size, nil
}

// encodeTags makes the x-amz-tagging header. Blanks are "%20": Ceph keeps a "+" as it is.
func encodeTags(tags map[string]string) *string {
	if len(tags) == 0 {
		return nil
	}
	pairs := make([]string, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, escape(k)+"="+escape(tags[k]))
	}
	s := strings.Join(pairs, "&")
	return &s
}

// wholeChecksum returns a CRC64NVME if it is one of a whole object.
func wholeChecksum(value string) string {
	if sum, err := base64.StdEncoding.DecodeString(value); err != nil || len(sum) != 8 {
		return ""
	}
	return value
}

// fetchedAt is the store's time of an answer.
func fetchedAt(h http.Header) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// encodeMetadata makes user metadata safe for HTTP headers: what is not plain text, or would
// be changed on its way, travels as RFC 2047 words, which Amazon demands and all others keep.
func encodeMetadata(meta map[string]string) (map[string]string, error) {
	if len(meta) == 0 {
		return nil, nil
	}
	encoded := make(map[string]string, len(meta))
	for k, v := range meta {
		if !backend.IsMetadataKey(k) {
			return nil, fmt.Errorf("metadata key %q", k)
		}
		switch {
		case strings.TrimSpace(v) != v || strings.Contains(v, "=?") || strings.Contains(v, "\t"): // a signature of a tab is refused
			encoded[k] = "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
		case strings.ToValidUTF8(v, "") != v:
			return nil, errors.New("metadata value is not UTF-8")
		default:
			encoded[k] = mime.BEncoding.Encode("UTF-8", v)
		}
	}
	return encoded, nil
}

func decodeMetadata(value string) string {
	if strings.Contains(value, "=?") {
		if plain, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
			return plain
		}
	}
	return value
}
