package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxPresigned is how long a signature of S3 may be good (S3 user guide, "Download and upload
// objects with presigned URLs").
const MaxPresigned = 7 * 24 * time.Hour

// PresignInput describes a request that somebody without credentials shall make.
type PresignInput struct {
	Method     string // GET, HEAD, PUT, DELETE or POST
	Object     ObjectID
	VersionID  string
	Expires    time.Duration     // from now; S3 takes up to 7 days
	Query      map[string]string // response-content-type and its kind
	Parameters map[string]string // others, such as tagging, uploads or partNumber: they make it another request than one for the object's bytes
	Header     map[string]string // has to be sent exactly so by who makes the request
}

// Values is the query of the request, but for the signature. What may not be signed is an error.
func (in PresignInput) Values() (url.Values, error) {
	switch {
	case !slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE", "POST"}, in.Method):
		return nil, fmt.Errorf("method %q; S3 has GET, HEAD, PUT, DELETE and POST", in.Method)
	case in.Expires < time.Second:
		return nil, fmt.Errorf("a signature is good for a second or more, not %v", in.Expires)
	}
	query := make(url.Values)
	if in.VersionID != "" {
		query.Set("versionId", in.VersionID)
	}
	for name, value := range in.Query {
		if !strings.HasPrefix(name, "response-") { // another could name a sub-resource, or be a part of the signature
			return nil, fmt.Errorf("query %q does not begin with response-", name)
		}
		query.Set(name, value)
	}
	for name, value := range in.Parameters {
		switch lower := strings.ToLower(name); {
		case name == "", lower == "versionid", strings.HasPrefix(lower, "response-"), strings.HasPrefix(lower, "x-amz-"):
			return nil, fmt.Errorf("parameter %q cannot be given so", name)
		}
		query.Set(name, value)
	}
	for name, value := range in.Header {
		if err := signable(name, value); err != nil {
			return nil, err
		}
	}
	return query, nil
}

// notSigned are headers that a signature makes itself or leaves out, or that belong to the connection.
var notSigned = []string{
	"authorization", "connection", "content-length", "expect", "host", "transfer-encoding", "user-agent",
	"x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
	"x-amz-signature", "x-amz-signedheaders", "x-amzn-trace-id",
}

func signable(name, value string) error {
	token := func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}
	switch {
	case name == "" || strings.ContainsFunc(name, token):
		return fmt.Errorf("%q is no name of a header", name)
	case slices.Contains(notSigned, strings.ToLower(name)):
		return fmt.Errorf("the header %s cannot be signed", name)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the value of the header %s has control characters", name)
	case strings.TrimSpace(value) == "": // tools such as curl leave out a header that has no value
		return fmt.Errorf("the header %s has no value", name)
	}
	return nil
}

// LengthRange is a range of sizes in bytes, both inclusive.
type LengthRange struct{ Min, Max int64 }

// PostInput describes a form by which somebody without credentials shall upload an object (S3 API,
// "POST Object").
type PostInput struct {
	Object     ObjectID
	Prefix     bool              // Object.Key is only what keys have to begin with; empty: any key
	Expires    time.Duration     // from now; up to 7 days
	Exact      map[string]string // what fields of the form have to be
	StartsWith map[string]string // what fields of the form have to begin with
	Length     *LengthRange      // nil: any size
}

// ownFields are the fields of a form that the signature and the name of the object need.
var ownFields = []string{
	"awsaccesskeyid", "bucket", "file", "key", "policy", "signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date",
	"x-amz-security-token", "x-amz-signature",
}

// fileName is what S3 replaces by the name of the uploaded file.
const fileName = "${filename}"

// Policy returns the policy that has to be signed, and the fields of the form that belong to it, without policy
// and signature. own are the fields of the signature. Until is by the clock of the store. What cannot be a policy
// is an error.
func (in PostInput) Policy(until time.Time, own map[string]string) (policy []byte, fields map[string]string, err error) {
	if in.Expires < time.Second {
		return nil, nil, fmt.Errorf("a signature is good for a second or more, not %v", in.Expires)
	}
	fields = maps.Clone(own)
	if fields == nil {
		fields = map[string]string{}
	}
	conditions := []any{map[string]string{"bucket": in.Object.Bucket}}
	switch {
	case !utf8.ValidString(in.Object.Key):
		return nil, nil, fmt.Errorf("the key %q is no UTF-8, which a policy has to be", in.Object.Key)
	case strings.Contains(in.Object.Key, fileName):
		return nil, nil, fmt.Errorf("the key has %s, which stores replace", fileName)
	case in.Prefix:
		fields["key"] = in.Object.Key + fileName
		conditions = append(conditions, []string{"starts-with", "$key", in.Object.Key})
	default:
		fields["key"] = in.Object.Key
		conditions = append(conditions, map[string]string{"key": in.Object.Key})
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		conditions = append(conditions, map[string]string{name: own[name]})
	}
	for _, of := range []struct {
		fields map[string]string
		form   func(name, value string) any
	}{
		{in.Exact, func(name, value string) any { return map[string]string{name: value} }},
		{in.StartsWith, func(name, value string) any { return []string{"starts-with", "$" + name, value} }},
	} {
		for _, name := range slices.Sorted(maps.Keys(of.fields)) {
			_, twice := fields[name]
			switch value := of.fields[name]; {
			case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '$' }):
				return nil, nil, fmt.Errorf("%q is no name of a field", name)
			case slices.Contains(ownFields, strings.ToLower(name)):
				return nil, nil, fmt.Errorf("the field %s cannot be given so", name)
			case twice:
				return nil, nil, fmt.Errorf("the field %s has two conditions", name)
			case !utf8.ValidString(value):
				return nil, nil, fmt.Errorf("the value of the field %s is no UTF-8", name)
			default:
				fields[name] = value
				conditions = append(conditions, of.form(name, value))
			}
		}
	}
	if l := in.Length; l != nil {
		if l.Min < 0 || l.Max < l.Min {
			return nil, nil, fmt.Errorf("no file has %d to %d bytes", l.Min, l.Max)
		}
		conditions = append(conditions, []any{"content-length-range", l.Min, l.Max})
	}
	policy, err = json.Marshal(map[string]any{"expiration": until.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	return policy, fields, err
}

// Presigned is a request that works without credentials.
type Presigned struct {
	URL     string
	Method  string
	Header  map[string]string // to be sent exactly as given
	Fields  map[string]string // of a form: all but the file; those with a prefix may be longer
	Expires time.Time         // of the signature, or of the credentials when that is earlier
	// Shortened: the credentials end before what was asked for.
	Shortened bool
	// Uncertain: the credentials are temporary, and nobody told when they end: it may be before Expires.
	Uncertain bool
	// WithKey: Header or Fields have the key of SSE-C that the object is encrypted with. Nothing works
	// without, and who has it can decrypt whatever is encrypted with it.
	WithKey bool
}

// Presigner signs requests for others; no request is made.
type Presigner interface {
	Presign(ctx context.Context, in PresignInput) (Presigned, error)
	// PresignPost signs a form; its Method is POST.
	PresignPost(ctx context.Context, in PostInput) (Presigned, error)
	// ObjectURL is an object's plain address, for whoever may read it without a signature.
	ObjectURL(ctx context.Context, id ObjectID) (*url.URL, error)
}
