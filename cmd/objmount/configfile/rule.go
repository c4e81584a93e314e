package configfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/objmount/objmount/backend"
)

// The keys that belong to another.
const (
	keyKeyFile = "encryption-key-file"
	keyMode    = "retention-mode"
)

// ruleKeys are the keys of a rule, besides those that say which objects it is for.
func ruleKeys() []string {
	keys := []string{keyKeyFile, keyMode}
	for _, p := range properties {
		keys = append(keys, p.key)
	}
	slices.Sort(keys)
	return keys
}

// property reads one property. An empty value takes away what a shorter prefix gives.
func (d *decoder) property(r *Rule, key string, n *node) {
	switch key {
	case "tags":
		r.Properties.Tags = d.pairs(r, n, key, `{ team = "a" }`)
		d.checkTags(r.Properties.Tags, n)
		return
	case "metadata":
		r.Properties.Metadata = d.metadata(r, n)
		return
	case "legal-hold":
		if n.kind != unstable.Bool {
			d.bad(n.at, "legal-hold is %s; want true or false, without quotes", n.what())
		} else if r.Properties.Lock.LegalHold = n.text == "true"; !r.Properties.Lock.LegalHold {
			r.None = append(r.None, key)
		}
		return
	}
	text, ok := n.text, key == "expires" && n.kind == unstable.DateTime
	if !ok {
		text, ok = d.text(n, key, examples[key])
	}
	switch {
	case !ok:
	case text == "" && key == keyMode:
		d.bad(n.at, `retention-mode is empty; write "governance" or "compliance", or leave it out`)
	case text == "" && key == keyKeyFile:
		r.None = append(r.None, keyEncryption)
	case text == "":
		r.None = append(r.None, key)
	default:
		d.value(r, key, text, n)
	}
}

// examples are shown where a value has the wrong type.
var examples = map[string]string{
	"content-type": "text/plain", "cache-control": "max-age=3600", "content-disposition": "attachment", "content-encoding": "gzip",
	"content-language": "en", "expires": httpTime, "storage-class": "STANDARD_IA", keyEncryption: "AES256", keyKeyFile: "/etc/objmount/key",
	keyPublicURL: "https://cdn.example.com/{bucket}", "retention": "30d", keyMode: "governance",
}

// value reads a property that is text and not empty.
func (d *decoder) value(r *Rule, key, text string, n *node) {
	switch key {
	case "storage-class":
		if !classText.MatchString(text) {
			d.bad(n.at, "storage-class is %q; a class is written as STANDARD_IA", text)
		}
		r.Properties.StorageClass = text
	case keyEncryption:
		var ok bool
		if r.Properties.Encryption, ok = parseEncryption(text); !ok {
			d.bad(n.at, "encryption is %q; want AES256, aws:kms, aws:kms:KEYID, aws:kms:dsse or aws:kms:dsse:KEYID", text)
		}
	case keyKeyFile:
		var err error
		r.KeyFile = d.resolve(text)
		if r.Key, err = readKey(r.KeyFile); err != nil {
			d.bad(n.at, "encryption-key-file %s: %v", r.KeyFile, err)
		}
	case keyPublicURL:
		if why := badURL(text); why != "" {
			d.bad(n.at, "public-url %s", why)
		}
		r.PublicURL = text
	case "retention":
		var ok bool
		if r.Retention, ok = parsePeriod(text); !ok {
			d.bad(n.at, `retention is %q; want days up to "%dd" or years up to "%dy", such as "30d" or "1y"`, text, mostDays, mostYears)
		}
		if r.Properties.Lock.Retention.Mode == backend.NoRetention {
			r.Properties.Lock.Retention.Mode = backend.Governance
		}
	case keyMode:
		mode := backend.RetentionMode(strings.ToUpper(text))
		if mode != backend.Governance && mode != backend.Compliance {
			d.bad(n.at, `retention-mode is %q; want "governance" (who has the right may shorten it) or "compliance" (nobody)`, text)
		}
		r.Properties.Lock.Retention.Mode = mode
	default:
		d.header(&r.Properties.Headers, key, text, n)
	}
}

// header reads a content header.
func (d *decoder) header(h *backend.Headers, key, text string, n *node) {
	if key == "expires" {
		var ok bool
		if text, ok = httpDate(text); !ok {
			d.bad(n.at, "expires is no date; write it as %q or 2006-01-02T15:04:05Z", httpTime)
		}
	}
	switch {
	case strings.TrimSpace(text) != text:
		d.bad(n.at, "%s has blanks at its ends, which get lost in HTTP headers; leave them out", key)
	case !plainASCII(text):
		d.bad(n.at, "%s has characters that no HTTP header has; write printable ASCII", key)
	case len(text) > 2048:
		d.bad(n.at, "%s has %d bytes; write at most 2048", key, len(text))
	}
	to := map[string]*string{
		"content-type": &h.ContentType, "cache-control": &h.CacheControl, "content-disposition": &h.ContentDisposition,
		"content-encoding": &h.ContentEncoding, "content-language": &h.ContentLanguage, "expires": &h.Expires,
	}
	*to[key] = text
}

// pairs reads a table of texts.
func (d *decoder) pairs(r *Rule, n *node, key, example string) map[string]string {
	if n.kind != unstable.Table {
		d.bad(n.at, "%s is %s; want a table, such as %s = %s", key, n.what(), key, example)
		return nil
	}
	if len(n.names) == 0 {
		r.None = append(r.None, key)
		return nil
	}
	pairs := map[string]string{}
	for _, name := range n.names {
		if text, ok := d.text(n.fields[name], key+"."+name, "a"); ok {
			pairs[name] = text
		}
	}
	return pairs
}

// checkTags looks at the limits of S3 (user guide, "Categorizing your storage using tags").
func (d *decoder) checkTags(tags map[string]string, n *node) {
	const most, mostKey, mostValue = 10, 128, 256
	if len(tags) > most {
		d.bad(n.at, "there are %d tags; an object has at most %d, leave some out", len(tags), most)
	}
	for _, key := range n.names {
		at, value := n.fields[key], tags[key]
		switch {
		case key == "":
			d.bad(at.key, "a tag has no key; give it one")
		case utf8.RuneCountInString(key) > mostKey:
			d.bad(at.key, "the key of a tag has %d characters; write at most %d", utf8.RuneCountInString(key), mostKey)
		case utf8.RuneCountInString(value) > mostValue:
			d.bad(at.at, "the value of the tag %q has %d characters; write at most %d", key, utf8.RuneCountInString(value), mostValue)
		case strings.HasPrefix(key, "aws:"):
			d.bad(at.key, `tags that begin with "aws:" are Amazon's own; choose another key`)
		case !tagText(key) || !tagText(value):
			d.bad(at.key, "the tag %q has a character that tags do not have; take letters, digits, blanks and + - = . _ : / @", key)
		}
	}
}

// metadata reads user metadata and looks at the limits of S3 (user guide, "Working with object metadata").
func (d *decoder) metadata(r *Rule, n *node) map[string]string {
	pairs := d.pairs(r, n, "metadata", `{ origin = "x" }`)
	size := 0
	if len(pairs) == 0 {
		return nil
	}
	meta := make(map[string]string, len(pairs))
	for _, key := range n.names {
		at, low, value := n.fields[key], strings.ToLower(key), pairs[key]
		size += len(key) + len(value)
		switch _, twice := meta[low]; {
		case !backend.IsMetadataKey(key):
			d.bad(at.key, "the key %q of metadata cannot be the end of an HTTP header's name; take letters, digits and -", key)
		case strings.HasPrefix(low, "objmount-") || slices.Contains(fileAttributes, low) || strings.HasPrefix(low, "symlink-target-"):
			d.bad(at.key, "the metadata %q are an attribute of the file, which every file has for itself; choose another key", key)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			d.bad(at.at, "the metadata %q have a control character; write one line of text", key)
		case twice:
			d.bad(at.key, "the metadata %q are there twice: capitals do not count; leave one of them out", key)
		}
		meta[low] = value
	}
	const ours = 256 // bytes: mode, owner, times and generation, with their keys
	if most := int(backend.S3Limits().MaxMeta) - ours; size > most {
		d.bad(n.at, "the metadata have %d bytes; keys and values may have %d together, beside what a file keeps there, so leave some out", size, most)
	}
	return meta
}

// fileAttributes are the keys of metadata in which objmount and others keep mode, owner and times.
var fileAttributes = []string{
	"file-permissions", "file-owner", "file-group", "file-mtime", "file-atime", "file-rdev", "symlink-target", "--symlink-target",
	"mode", "uid", "gid", "mtime", "atime", "ctime", "rdev",
}

// contradictions looks at the keys of a rule that must, or must not, come together.
func (d *decoder) contradictions(t *node) {
	if n := t.fields[keyKeyFile]; n != nil && t.fields[keyEncryption] != nil {
		d.bad(n.key, "encryption and encryption-key-file exclude each other: the key is the store's or ours; leave one of them out")
	}
	if n := t.fields[keyMode]; n != nil && (t.fields["retention"] == nil || t.fields["retention"].text == "") {
		d.bad(n.key, `retention-mode says nothing without retention; add retention = "30d", or leave it out`)
	}
}

var classText = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)

// httpTime is the date of HTTP headers (RFC 9110, 5.6.7).
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

func httpDate(value string) (string, bool) {
	if _, err := time.Parse(httpTime, value); err == nil {
		return value, true
	}
	at, err := time.Parse(time.RFC3339, strings.Replace(value, " ", "T", 1))
	return at.UTC().Format(httpTime), err == nil
}

func plainASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func tagText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("+-=._:/@", r)
	})
}

// String is how the file says it.
func (p Period) String() string {
	if p.Years > 0 {
		return fmt.Sprintf("%dy", p.Years)
	}
	return fmt.Sprintf("%dd", p.Days)
}
