package configfile

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/objmount/objmount/backend"
)

// home is the home directory of the user; "": unknown.
func home() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return dir
}

// badPattern says what is wrong with a pattern of bucket names, "" if nothing. What names may have is as generous as the sources
// of objmount mount.
func badPattern(pattern string) string {
	switch _, err := path.Match(pattern, ""); {
	case pattern == "":
		return `is empty; write "*" for every bucket`
	case strings.Contains(pattern, "/"):
		return `has a "/"; it is of bucket names alone`
	case err != nil:
		return `is none: after "[" there is a range such as "[a-c]", after "\" a character`
	}
	for _, c := range pattern {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(`-._*?[]^\`, c):
		default:
			return fmt.Sprintf("has %q, which no bucket name has; leave it out", c)
		}
	}
	return ""
}

// bucketAndPrefix reads BUCKETPATTERN/PREFIX.
func (d *decoder) bucketAndPrefix(n *node) (bucket, prefix string) {
	text, ok := d.text(n, "path", "logs-*/raw/")
	if !ok {
		return "", ""
	}
	bucket, prefix, _ = strings.Cut(text, "/")
	if why := badPattern(bucket); why != "" {
		d.bad(n.at, "path %q: the pattern %q of the bucket %s", text, bucket, why)
	}
	if why := badPrefix(prefix); why != "" {
		d.bad(n.at, "path %q: the prefix %s", text, why)
	}
	return bucket, prefix
}

// badPrefix says what is wrong with a prefix of keys, "" if nothing.
func badPrefix(prefix string) string {
	const longest = 1024 - 2 // a key ends at 1,024 bytes
	switch {
	case strings.HasPrefix(prefix, "/"):
		return `begins with "/"; keys do not, leave it out`
	case strings.Contains(prefix, "//"):
		return `has "//", which no store keeps reliably; write one "/"`
	case strings.ContainsRune(prefix, 0):
		return "has a NUL byte; leave it out"
	case len(prefix) > longest:
		return fmt.Sprintf("has %d bytes; it leaves room for names with at most %d", len(prefix), longest)
	}
	return ""
}

// directory checks the prefix of a namespace.
func (d *decoder) directory(prefix string, n *node) {
	why := badPrefix(prefix)
	switch {
	case prefix == "":
		why = "is empty; a namespace is a directory, such as \"tmp/\""
	case why == "" && !strings.HasSuffix(prefix, "/"):
		why = fmt.Sprintf(`does not end in "/"; write %q`, prefix+"/")
	}
	if why != "" {
		d.bad(n.at, "the prefix %q %s", prefix, why)
	}
}

const mostDays, mostYears = 36500, 100 // S3 keeps nothing locked for longer than 100 years

var (
	dayCount = regexp.MustCompile(`^([1-9][0-9]{0,4})d$`)
	spanText = regexp.MustCompile(`^([1-9][0-9]{0,4})([dy])$`)
)

// days reads a whole number of days.
func (d *decoder) days(n *node) int {
	text, ok := d.text(n, "expire", "7d")
	if !ok {
		return 0
	}
	if found := dayCount.FindStringSubmatch(text); found != nil {
		if days, err := strconv.Atoi(found[1]); err == nil && days <= mostDays {
			return days
		}
	}
	d.bad(n.at, `expire is %q; want whole days from "1d" to "%dd": the store removes objects once a day`, text, mostDays)
	return 0
}

// parsePeriod reads "30d" or "1y".
func parsePeriod(text string) (Period, bool) {
	found := spanText.FindStringSubmatch(text)
	if found == nil {
		return Period{}, false
	}
	n, err := strconv.Atoi(found[1])
	if found[2] == "y" {
		return Period{Years: n}, err == nil && n <= mostYears
	}
	return Period{Days: n}, err == nil && n <= mostDays
}

// parseEncryption reads ALGORITHM[:KEYID].
func parseEncryption(text string) (backend.Encryption, bool) {
	for _, algorithm := range []string{"aws:kms:dsse", "aws:kms", "AES256"} { // longer names first
		key, found := strings.CutPrefix(text, algorithm)
		switch {
		case !found:
		case key == "":
			return backend.Encryption{Algorithm: algorithm}, true
		case algorithm != "AES256" && len(key) > 1 && key[0] == ':' && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
			return backend.Encryption{Algorithm: algorithm, KMSKeyID: key[1:]}, true
		}
	}
	return backend.Encryption{}, false
}

// badURL says what is wrong with the base of public URLs, "" if nothing.
func badURL(base string) string {
	u, err := url.Parse(strings.ReplaceAll(base, bucketMark, "bucket"))
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return `is no URL; write one such as "https://cdn.example.com/{bucket}"`
	case u.User != nil: // not repeated
		return "has a user or password in it, which everybody would see; leave them out"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(base, "#"):
		return `has a query or fragment; keys are put at its end, so leave out what begins with "?" or "#"`
	case strings.ContainsAny(u.Host+u.Path, "{}"):
		return "has a mark that is not known; {bucket} is the only one"
	}
	return ""
}

// hasPassword reports whether a value is a URL with a password in it.
func hasPassword(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.User == nil {
		return false
	}
	_, has := u.User.Password()
	return has
}

// readKey reads the key of SSE-C: 32 bytes, raw, or as hexadecimal digits or base64 with or without a line break. Errors say what
// to do, and nothing of what is in the file.
func readKey(name string) (*[32]byte, error) {
	f, info, err := openPlain(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("is open to others than its owner (mode %04o); chmod 0600 it", mode)
	}
	const most = 256 // bytes of any form, with blanks around it
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	var key [32]byte
	text := strings.TrimSpace(string(data))
	switch {
	case len(data) == len(key):
		copy(key[:], data)
		return &key, nil
	case len(text) == hex.EncodedLen(len(key)):
		if raw, err := hex.DecodeString(text); err == nil {
			copy(key[:], raw)
			return &key, nil
		}
	case len(text) == base64.StdEncoding.EncodedLen(len(key)):
		if raw, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && len(raw) == len(key) {
			copy(key[:], raw)
			return &key, nil
		}
	}
	return nil, errors.New("holds no key of 32 bytes, raw, as 64 hexadecimal digits or as 44 characters of base64; make one with: openssl rand -base64 32")
}
