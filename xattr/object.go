package xattr

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// headerRows are the headers that clients set on objects.
var headerRows = []row{
	header("content-type", func(h *backend.Headers) *string { return &h.ContentType }, nil, typeListed),
	header("cache-control", func(h *backend.Headers) *string { return &h.CacheControl }, nil, nil),
	header("content-disposition", func(h *backend.Headers) *string { return &h.ContentDisposition }, nil, nil),
	header("content-encoding", func(h *backend.Headers) *string { return &h.ContentEncoding }, nil, nil),
	header("content-language", func(h *backend.Headers) *string { return &h.ContentLanguage }, nil, nil),
	header("expires", func(h *backend.Headers) *string { return &h.Expires }, httpDate, nil),
	header("website-redirect", func(h *backend.Headers) *string { return &h.WebsiteRedirect }, redirect, nil),
}

// typeListed reports whether somebody chose the content type: not the name, and not the store, which
// gives this one to what was uploaded without any (S3 API, "PutObject").
func typeListed(f *Facts) bool {
	given := f.Object.Headers.ContentType
	return given != f.GuessedType && given != "binary/octet-stream"
}

// header is the row of one header. check (nil: any text) returns what is sent, or why not; notable, whether a
// header that is there is worth listing (nil: always).
func header(name string, field func(*backend.Headers) *string, check func(value string) (sent, reason string), notable func(*Facts) bool) row {
	accept := func(value string) (sent, reason string) {
		if sent, reason = plain(value); reason != "" || check == nil {
			return sent, reason
		}
		return check(sent)
	}
	set := func(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
		if slices.Contains(habits[r.Capabilities.Vendor].drops, name) {
			return Request{}, a.refuse(ErrUnsupported, "the store does not keep it")
		}
		sent, reason := accept(string(value))
		if reason != "" {
			return Request{}, a.refuse(ErrValue, reason)
		}
		return changeText(field(&p.Headers), sent), nil
	}
	remove := func(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
		if *field(&p.Headers) == "" {
			return Request{}, a.refuse(ErrAbsent, "")
		}
		return changeText(field(&p.Headers), ""), nil
	}
	return row{
		name: name, scopes: inObject, needs: NeedObject, field: field,
		value: text(func(f *Facts) string { return *field(&f.Object.Headers) }), set: set, remove: remove,
		listed: func(f *Facts) bool {
			_, reason := accept(*field(&f.Object.Headers))
			return reason == "" && (notable == nil || notable(f))
		},
	}
}

func changeText(field *string, value string) Request {
	if *field == value {
		return Request{}
	}
	*field = value
	return Request{Change: ChangeProperties}
}

// plain checks what every header must be.
func plain(value string) (sent, reason string) {
	switch {
	case value == "":
		return "", "empty; to remove the attribute, use setfattr -x"
	case strings.TrimSpace(value) != value:
		return "", "blanks at the ends get lost in HTTP headers"
	case !plainASCII(value):
		return "", "HTTP headers are printable ASCII"
	case len(value) > 2048:
		return "", "more than 2,048 bytes"
	}
	return value, ""
}

// httpTime is the date of HTTP headers (RFC 9110, 5.6.7).
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

func httpDate(value string) (sent, reason string) {
	if _, err := time.Parse(httpTime, value); err == nil {
		return value, ""
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return "", "not a date such as " + httpTime + " or 2006-01-02T15:04:05Z"
	}
	return at.UTC().Format(httpTime), ""
}

func redirect(value string) (sent, reason string) {
	for _, start := range []string{"/", "http://", "https://"} {
		if strings.HasPrefix(value, start) {
			return value, ""
		}
	}
	return "", "begins with /, http:// or https://"
}

const standard = "STANDARD"

func storageClass(f *Facts) string {
	if f.Object.HasMetadata && f.Object.StorageClass == "" {
		return standard
	}
	return f.Object.StorageClass
}

func classListed(f *Facts) bool {
	class := f.Object.StorageClass
	return class != "" && class != standard
}

var classText = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)

func setClass(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	switch {
	case !r.Capabilities.Classes:
		return Request{}, a.refuse(ErrUnsupported, "the store has no storage classes")
	case !classText.Match(value):
		return Request{}, a.refuse(ErrValue, "a class is written as STANDARD_IA")
	case string(value) == standard && p.StorageClass == "":
		return Request{}, nil
	}
	if known := habits[r.Capabilities.Vendor].classes; known != nil && !slices.Contains(known, string(value)) {
		return Request{}, a.refuse(ErrUnsupported, "the store has "+strings.Join(known, " and "))
	}
	return changeClass(p, string(value)), nil
}

func removeClass(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if p.StorageClass == "" || p.StorageClass == standard {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	return changeClass(p, ""), nil
}

func changeClass(p *backend.Properties, class string) Request {
	req := changeText(&p.StorageClass, class)
	if req.Change != 0 {
		req.Change |= ChangeClass
	}
	return req
}

// encryptions are the algorithms, longer names first.
var encryptions = []string{"aws:kms:dsse", "aws:kms", "AES256"}

func encryption(f *Facts) string { return encryptionText(f.Object.Encryption) }

func encryptionText(e backend.Encryption) string {
	if e.KMSKeyID == "" {
		return e.Algorithm
	}
	return e.Algorithm + ":" + e.KMSKeyID
}

func setEncryption(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error) {
	if !r.Capabilities.Classes {
		return Request{}, a.refuse(ErrUnsupported, "the store has no encryption of single objects")
	}
	if r.CustomerKey {
		return Request{}, a.refuse(ErrUnsupported, "the file is encrypted with the key that the configuration gives to its place")
	}
	e := backend.Encryption{}
	for _, algorithm := range encryptions {
		key, found := strings.CutPrefix(string(value), algorithm)
		if found && (key == "" || key[0] == ':' && algorithm != "AES256" && len(key) > 1 && len(key) <= maxPiece && plainKey(key)) {
			e = backend.Encryption{Algorithm: algorithm, KMSKeyID: strings.TrimPrefix(key, ":")}
			break
		}
	}
	if e.Algorithm == "" && len(value) > 0 {
		return Request{}, a.refuse(ErrValue, "one of AES256, aws:kms, aws:kms:KEYID, aws:kms:dsse, aws:kms:dsse:KEYID")
	}
	old := p.Encryption
	if e.Algorithm == old.Algorithm {
		e.BucketKey = old.BucketKey
	}
	switch {
	case e == old:
		return Request{}, nil
	case e.Algorithm == "":
		p.Encryption = e
		return Request{Change: ChangeProperties}, nil
	}
	p.Encryption = e
	return Request{Change: ChangeEncryption}, nil
}

func plainKey(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func removeEncryption(a Attribute, p *backend.Properties, _ Rules) (Request, error) {
	if p.Encryption == (backend.Encryption{}) {
		return Request{}, a.refuse(ErrAbsent, "")
	}
	p.Encryption = backend.Encryption{}
	return Request{Change: ChangeProperties}, nil
}

// restoreState tells x-amz-restore (S3 API, "HeadObject") in words: "ongoing", or until when the
// copy can be read.
func restoreState(f *Facts) string {
	raw := f.Object.Restore
	if strings.Contains(raw, `ongoing-request="true"`) {
		return "ongoing"
	}
	if _, after, found := strings.Cut(raw, `expiry-date="`); found {
		date, _, _ := strings.Cut(after, `"`)
		if at, err := time.Parse(httpTime, date); err == nil {
			return "until " + instant(at)
		}
	}
	return raw
}

var (
	restoreText = regexp.MustCompile(`^([1-9][0-9]{0,4})d?(?::(.*))?$`)
	tiers       = []string{"", "Standard", "Bulk", "Expedited"}
)

func setRestore(a Attribute, _ *backend.Properties, value []byte, r Rules) (Request, error) {
	found := restoreText.FindSubmatch(value)
	if found == nil || !slices.Contains(tiers, string(found[2])) {
		return Request{}, a.refuse(ErrValue, "a number of days and perhaps a tier, such as 7d or 7d:Bulk (Standard, Bulk, Expedited)")
	}
	if r.Staged {
		return Request{}, a.refuse(ErrValue, "the file is not stored yet")
	}
	days, err := strconv.Atoi(string(found[1]))
	if err != nil {
		return Request{}, a.refuse(ErrValue, err.Error())
	}
	return Request{Change: ChangeRestore, Days: days, Tier: string(found[2])}, nil
}

// instant writes a time in UTC with all its digits.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
