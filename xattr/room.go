package xattr

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/objmount/objmount/backend"
)

// habit is how one vendor differs from S3 in what only attributes care about. A store that
// refuses a deferred change would do so long after setxattr has returned, so that it is known here.
// All of these were found by trying.
type habit struct {
	asciiTags bool // letters in tags are those of ASCII
	// encodedTags: the limits of a tag count the bytes of its percent encoding, as it travels with
	// an upload (PutObjectTagging: the bytes of its UTF-8).
	encodedTags bool
	classes     []string // the storage classes there are; nil: not known
	drops       []string // headers, by name, that are accepted and not kept
	// fileRoom: everything about an object is in the extended attributes of one file, metadata and
	// tags as JSON. Ext4 has one block for them (4 KiB; 3,730 bytes were left for the two by an object
	// without anything else), and what does not fit is a server error that leaves half of it. 0: no limit.
	fileRoom int
}

var habits = map[string]habit{
	"minio":     {asciiTags: true, classes: []string{standard, "REDUCED_REDUNDANCY"}, drops: []string{"website-redirect"}},
	"versitygw": {encodedTags: true, fileRoom: 3400},
}

// headerRoom is how many bytes of headers the properties of an object may become: S3, MinIO and
// VersityGW take 8 KiB in all (S3 API, "PutObject"), of which the rest of a request needs some.
const headerRoom = 6500

// metaHeader is the prefix of metadata in HTTP. MinIO counts it, others do not.
const metaHeader = "x-amz-meta-"

// noRoom says why properties do not fit; empty: they do, or they are no more than before.
func noRoom(before, after *backend.Properties, scope Scope, caps backend.Capabilities) string {
	limit := caps.Limits.MaxMeta
	if limit <= 0 {
		limit = backend.S3Limits().MaxMeta
	}
	if size := metaSize(after.Metadata); size > limit && size > metaSize(before.Metadata) {
		return fmt.Sprintf("%d bytes of metadata, with what objmount keeps there; the store takes %d", size, limit)
	}
	if scope == Bucket {
		return ""
	}
	if size := headerSize(after); size > headerRoom && size > headerSize(before) {
		return fmt.Sprintf("%d bytes of metadata, tags and headers as they travel with an upload; there is room for %d", size, headerRoom)
	}
	if room := habits[caps.Vendor].fileRoom; room > 0 {
		if size := fileSize(after); size > room && size > fileSize(before) {
			return fmt.Sprintf("%d bytes of metadata, tags and headers in a file of the store; there may be room for %d only", size, room)
		}
	}
	return ""
}

// metaSize is how many bytes of metadata a store counts, with room for those that objmount adds.
func metaSize(meta map[string]string) int64 {
	total := 0
	for key, value := range withReserved(meta) {
		total += len(metaHeader) + len(key) + len(value)
	}
	return int64(total)
}

// withReserved is metadata as it travels, with stand-ins for what objmount adds at any time.
func withReserved(meta map[string]string) map[string]string {
	all := make(map[string]string, len(meta)+len(reservedKeys))
	for key, length := range reservedKeys {
		if length > 0 {
			all[key] = strings.Repeat("x", length)
		}
	}
	for key, value := range meta {
		all[key] = sent(value)
	}
	return all
}

// sent is a value of metadata as it travels: what is not plain text is an RFC 2047 word.
func sent(value string) string {
	if strings.TrimSpace(value) != value || strings.Contains(value, "=?") {
		return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
	}
	return mime.BEncoding.Encode("UTF-8", value)
}

// headerSize is how many bytes of headers the properties become. Names are there twice: in the
// list of what was signed, too.
func headerSize(p *backend.Properties) int {
	total := 0
	add := func(name, value string) {
		if value != "" {
			total += 2*len(name) + len(value) + len(": \r\n;")
		}
	}
	for key, value := range withReserved(p.Metadata) {
		add(metaHeader+key, value)
	}
	for _, r := range headerRows {
		add(r.name, *r.field(&p.Headers))
	}
	tags := 0
	for key, value := range p.Tags {
		tags += len(percent(key)) + len(percent(value)) + len("=&")
	}
	if tags > 0 {
		add("x-amz-tagging", strings.Repeat("x", tags))
	}
	return total
}

// fileSize is how many bytes the properties become in the extended attributes of a file.
func fileSize(p *backend.Properties) int {
	const overhead = 32 // of one attribute
	total := jsonSize(withReserved(p.Metadata))
	if len(p.Tags) > 0 {
		total += jsonSize(p.Tags)
	}
	for _, r := range headerRows {
		if value := *r.field(&p.Headers); value != "" {
			total += overhead + len(value)
		}
	}
	return total
}

func jsonSize(m map[string]string) int {
	text, err := json.Marshal(m)
	if err != nil { // no map of strings
		panic(err)
	}
	return len(text)
}

// percent is a key or value of a tag as it travels with an upload.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case plainByte(c) || 'A' <= c && c <= 'Z' || strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// plainASCII reports whether s has no other characters than printable ones of ASCII.
func plainASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
