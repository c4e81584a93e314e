package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/objmount/objmount/backend"
)

// Given are properties of a new object. What is empty it does not get.
type Given struct {
	ContentType        string            `json:"content_type,omitempty"`
	CacheControl       string            `json:"cache_control,omitempty"`
	ContentDisposition string            `json:"content_disposition,omitempty"`
	ContentEncoding    string            `json:"content_encoding,omitempty"`
	ContentLanguage    string            `json:"content_language,omitempty"`
	Expires            string            `json:"expires,omitempty"` // an HTTP date, or RFC 3339
	WebsiteRedirect    string            `json:"website_redirect,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Tags               map[string]string `json:"tags,omitempty"`
	StorageClass       string            `json:"storage_class,omitempty"`
	Encryption         string            `json:"encryption,omitempty"`     // AES256, aws:kms, aws:kms:dsse; of the last two also with :KEYID
	Mode               string            `json:"retention_mode,omitempty"` // "GOVERNANCE" or "COMPLIANCE"; with Until
	Until              time.Time         `json:"retain_until,omitzero"`
	LegalHold          bool              `json:"legal_hold,omitempty"`
}

func (g Given) headers() backend.Headers {
	return backend.Headers{
		ContentType: g.ContentType, CacheControl: g.CacheControl, ContentDisposition: g.ContentDisposition,
		ContentEncoding: g.ContentEncoding, ContentLanguage: g.ContentLanguage, Expires: g.httpExpires(), WebsiteRedirect: g.WebsiteRedirect,
	}
}

// httpTime is the date of HTTP headers (RFC 9110, 5.6.7).
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// httpExpires is Expires as the header has it; check has looked at it.
func (g Given) httpExpires() string {
	if at, err := time.Parse(time.RFC3339, strings.Replace(g.Expires, " ", "T", 1)); err == nil {
		return at.UTC().Format(httpTime)
	}
	return g.Expires
}

// metadata has its keys in lower case, as they travel.
func (g Given) metadata() map[string]string {
	var out map[string]string
	for key, value := range g.Metadata {
		if out == nil {
			out = map[string]string{}
		}
		out[strings.ToLower(key)] = value
	}
	return out
}

func (g Given) lock() backend.ObjectLock {
	return backend.ObjectLock{Retention: backend.Retention{Mode: backend.RetentionMode(g.Mode), Until: g.Until.UTC().Truncate(time.Second)}, LegalHold: g.LegalHold}
}

// encryption is what Encryption says; check has looked at it.
func (g Given) encryption() backend.Encryption {
	for _, algorithm := range []string{"aws:kms:dsse", "aws:kms"} {
		if key, found := strings.CutPrefix(g.Encryption, algorithm+":"); found {
			return backend.Encryption{Algorithm: algorithm, KMSKeyID: key}
		}
	}
	return backend.Encryption{Algorithm: g.Encryption}
}

func (g Given) properties() backend.Properties {
	p := backend.Properties{Headers: g.headers(), Metadata: g.metadata(), Tags: g.Tags, StorageClass: g.StorageClass, Encryption: g.encryption()}
	if g.Mode != "" || g.LegalHold {
		p.Lock = g.lock()
	}
	return p
}

// check refuses what no store takes, and a class, an encryption or a lock where there is none, before anything is done: a store that
// knows no classes stores as if none had been asked for.
func (g Given) check(ctx context.Context, c *call, to Place) error {
	for key := range g.Metadata {
		if !backend.IsMetadataKey(key) {
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the metadata key %.40q is none: it is the end of a header's name", key)}
		}
	}
	if err := checkTags(g.Tags, maxObjectTags); err != nil {
		return err
	}
	if _, err := http.ParseTime(g.httpExpires()); g.Expires != "" && err != nil {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("expires is %.60q, which is no date; write it as %q or 2006-01-02T15:04:05Z", g.Expires, httpTime)}
	}
	switch e := g.encryption(); {
	case e.KMSKeyID != "", e.Algorithm == "", e.Algorithm == "AES256", e.Algorithm == "aws:kms", e.Algorithm == "aws:kms:dsse":
	default:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the encryption %.60q is none of AES256, aws:kms, aws:kms:KEYID, aws:kms:dsse, aws:kms:dsse:KEYID", g.Encryption)}
	}
	if err := g.classes(ctx, c, to); err != nil {
		return err
	}
	mode := backend.RetentionMode(g.Mode)
	switch {
	case g.Mode == "" && g.Until.IsZero() && !g.LegalHold:
		return nil
	case (g.Mode == "") != g.Until.IsZero():
		return &Error{Kind: KindInvalid, Message: "a retention has a mode and a date; give both"}
	case g.Mode != "" && mode != backend.Governance && mode != backend.Compliance:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the mode %q is neither GOVERNANCE nor COMPLIANCE", g.Mode)}
	case g.Mode != "" && !g.Until.After(c.Now()):
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s is not in the future", g.Until.UTC().Format(time.RFC3339))}
	}
	return c.lockable(ctx, to)
}

// classes refuses a storage class, other than the one that everything has, and an encryption where the store knows none of objects.
func (g Given) classes(ctx context.Context, c *call, to Place) error {
	what := ""
	switch {
	case g.StorageClass != "" && g.StorageClass != "STANDARD":
		what = "storage classes"
	case g.Encryption != "":
		what = "encryption of single objects"
	default:
		return nil
	}
	caps, err := c.Capabilities(ctx, to.Bucket)
	if err == nil && !caps.Classes {
		err = &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have %s; nothing was stored", c.Endpoint, what)}
	}
	return err
}

// checkTags refuses tags that no store takes.
func checkTags(tags map[string]string, most int) error {
	if len(tags) > most {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("that would be %d tags; S3 keeps %d", len(tags), most)}
	}
	for key, value := range tags {
		switch n := utf8.RuneCountInString(key); {
		case n == 0, n > maxTagKey:
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the tag key %.40q has %d characters; it may have 1 to %d", key, n, maxTagKey)}
		case utf8.RuneCountInString(value) > maxTagValue:
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the value of tag %.40q has %d characters; it may have %d", key, utf8.RuneCountInString(value), maxTagValue)}
		}
	}
	return nil
}
