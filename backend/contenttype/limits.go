package contenttype

import (
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// NameAllowed returns KindRefused if the name of a file says a type that a bucket does not take.
func NameAllowed(l backend.BucketLimits, id backend.ObjectID) error {
	if named := ByName(id.Key); named != "" && !l.Allows(named) {
		return refused(l, id, "its name says "+backend.PlainType(named))
	}
	return nil
}

// Allowed returns KindRefused if a bucket does not take a file: by its name, by the content type that it is given (empty: none), or by its
// content. head are its first bytes, HeadSize of them or the whole file. Name and content must both agree with the bucket's types: the
// name by what it says, if it says anything; the content by what it looks like, or because what it looks like may well be what
// the name, or the type given, says (see Fits). An empty file has no content to disagree with.
func Allowed(l backend.BucketLimits, id backend.ObjectID, given string, head []byte) error {
	if len(l.Types) == 0 {
		return nil
	}
	if err := NameAllowed(l, id); err != nil {
		return err
	}
	if err := GivenAllowed(l, id, given); err != nil {
		return err
	}
	if len(head) == 0 {
		return nil
	}
	looks := ByContent(head)
	if l.Allows(looks) || Fits(ByName(id.Key), looks) || Fits(given, looks) {
		return nil
	}
	return refused(l, id, "its content looks like "+backend.PlainType(looks))
}

// GivenAllowed returns KindRefused if a bucket does not take a content type that somebody has given a file. Unknown says nothing.
func GivenAllowed(l backend.BucketLimits, id backend.ObjectID, given string) error {
	if given != "" && backend.PlainType(given) != Unknown && !l.Allows(given) {
		return refused(l, id, "its content type is "+backend.PlainType(given))
	}
	return nil
}

func refused(l backend.BucketLimits, id backend.ObjectID, why string) error {
	return &backend.Error{
		Kind: backend.KindRefused, Op: "Store", Bucket: id.Bucket, Key: id.Key,
		Message: fmt.Sprintf("%s, and the bucket takes only %s", why, strings.Join(l.Types, ", ")),
	}
}

// SizeAllowed returns KindTooLarge if a bucket does not take a file of this size in bytes.
func SizeAllowed(l backend.BucketLimits, id backend.ObjectID, size int64) error {
	if l.Takes(size) {
		return nil
	}
	return &backend.Error{
		Kind: backend.KindTooLarge, Op: "Store", Bucket: id.Bucket, Key: id.Key,
		Message: fmt.Sprintf("the bucket takes files of up to %d bytes", l.FileSize),
	}
}

// Fits tells whether content that looks like one type (ByContent) may be of another, named one: the first bytes of CSV, JSON and
// SVG are those of text, of an office document those of ZIP, of HEIC nothing that is known here.
func Fits(named, looks string) bool {
	named, looks = backend.PlainType(named), backend.PlainType(looks)
	switch {
	case named == "":
		return false
	case named == looks:
		return true
	}
	switch looks {
	case "text/plain":
		return isText(named) || either(named)
	case "text/xml":
		return isText(named)
	case "text/html":
		return isMarkup(named)
	case "application/zip":
		return isZip(named)
	case Unknown:
		return either(named) || !isText(named) && !isZip(named) && !recognised[named]
	}
	return slices.Contains(containers[looks], named)
}

// containers are types that begin like another one.
var containers = map[string][]string{
	"application/ogg":  {"audio/ogg", "video/ogg", "audio/opus"},
	"audio/mpeg":       {"audio/aac", "audio/flac"}, // an ID3 tag
	"image/png":        {"image/apng"},
	"video/mp4":        {"audio/mp4", "video/quicktime", "video/3gpp", "audio/3gpp"},
	"video/webm":       {"video/x-matroska", "audio/webm", "audio/x-matroska"},
	"font/ttf":         {"font/otf", "font/collection"},
	"font/otf":         {"font/ttf", "font/collection"},
	"application/gzip": {"application/x-tar+gzip", "application/x-compressed-tar"},
}

// recognised are types whose files ByContent always knows, so that unknown bytes are none.
var recognised = func() map[string]bool {
	all := make(map[string]bool)
	for t := range strings.FieldsSeq(`application/gzip application/pdf application/wasm application/ogg application/vnd.rar audio/ogg video/ogg
		audio/opus audio/midi audio/aiff font/collection font/otf font/ttf font/woff font/woff2 image/apng image/bmp image/gif image/jpeg image/png
		image/webp video/webm video/x-matroska`) {
		all[t] = true
	}
	return all
}()

// isText tells whether all files of a type are text.
func isText(t string) bool {
	if strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "+yaml") {
		return true
	}
	switch t {
	case "application/json", "application/jsonl", "application/yaml", "application/toml", "application/sql", "application/x-sh",
		"application/x-tex", "application/vnd.apple.mpegurl", "application/rtf", "application/graphql", "model/obj":
		return true
	}
	return false
}

// either tells whether files of a type are text or not.
func either(t string) bool {
	switch t {
	case Unknown, "application/pgp-signature", "application/x-pem-file", "application/postscript", "model/stl", "application/pgp-encrypted":
		return true
	}
	return false
}

// isMarkup tells whether files of a type may begin as HTML does.
func isMarkup(t string) bool {
	return t == "text/html" || t == "text/markdown" || t == "text/xml" || strings.HasSuffix(t, "+xml")
}

// isZip tells whether files of a type are ZIP archives.
func isZip(t string) bool {
	return strings.HasPrefix(t, "application/vnd.openxmlformats-") || strings.HasPrefix(t, "application/vnd.oasis.opendocument.") ||
		strings.HasSuffix(t, "+zip") || t == "application/java-archive" || t == "application/vnd.android.package-archive" || t == "application/zip"
}
