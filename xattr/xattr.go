package xattr

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Prefix begins the names of what S3 keeps. Root itself is everything as one document.
const (
	Root   = "user.s3"
	Prefix = Root + "."
	user   = "user."
)

// MaxValue is how long a value may be, in bytes (Linux, XATTR_SIZE_MAX).
const MaxValue = 64 << 10

// maxName is how long a name may be, in bytes, with its namespace (Linux, XATTR_NAME_MAX).
const maxName = 255

// The reasons of a refusal, to be asked for with errors.Is. Every error of this package is an
// *Error that has one of them.
var (
	ErrUnknown     = errors.New("no such name")               // below user.s3., or empty
	ErrForeign     = errors.New("not kept here")              // security.*, system.*, trusted.* and everything not below user.
	ErrReadOnly    = errors.New("read only")                  // cannot be set, or not removed
	ErrValue       = errors.New("not a value of this name")   // also: not a possible KEY
	ErrTooBig      = errors.New("too long")                   // more than this name ever takes
	ErrNoRoom      = errors.New("no room")                    // beside what the object has already
	ErrUnsupported = errors.New("not supported")              // by the store, the bucket, or this kind of file
	ErrAbsent      = errors.New("the attribute is not there") // Remove only
)

// Error is a refusal.
type Error struct {
	Name   string // of the attribute
	Kind   error  // one of the Err variables
	Reason string // what is wrong, for people; may be empty
}

// Error says which attribute, and why.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("attribute %q: %v", e.Name, e.Kind)
	}
	return fmt.Sprintf("attribute %q: %v: %s", e.Name, e.Kind, e.Reason)
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Scope is what an attribute belongs to.
type Scope uint8

// The scopes. A directory's attributes are those of its marker object; a bucket's are those of the
// bucket, and user.NAME and user.s3.meta.KEY those of the marker object of its root.
const (
	File Scope = iota
	Directory
	Bucket
)

// Need is a set of facts that must be fetched before an attribute can be told.
type Need uint32

// The facts, named after the fields of Facts. Those of buckets are asked for one by one.
const (
	NeedObject      Need = 1 << iota // HEAD: Facts.Object
	NeedTags                         // Facts.Tags; a HEAD that tells there are none is enough. Of a bucket: its tags
	NeedDescription                  // Facts.Description
	NeedOwner                        // Facts.Owner
	NeedVersions                     // Facts.Versions
	NeedAnnotations                  // Facts.Annotations, where the store has annotations; then see Attribute.Annotation
	NeedURL                          // Facts.URL; no request
	NeedPublicURL                    // Facts.PublicURL; no request
	NeedUpload                       // Facts.UploadState; no request
	NeedVersioning                   // Facts.Bucket.Versioning
	NeedRegion                       // Facts.Bucket.Region
	NeedBucketLock                   // Facts.Bucket.Lock
	NeedEncryption                   // Facts.Bucket.Encryption
	NeedCreated                      // Facts.Bucket.Created
	NeedPublic                       // Facts.Bucket.Public
	NeedUsage                        // Facts.Bucket.Usage
)

// Has reports whether n holds all of m.
func (n Need) Has(m Need) bool { return n&m == m }

// Facts are what was fetched of one object (or directory, or bucket). What was not fetched, and
// what a store refused to tell, is left zero: its attributes are absent.
type Facts struct {
	Scope        Scope
	Capabilities backend.Capabilities
	Now          time.Time // a retention that is over by then is not listed

	// Object is the answer to a HEAD, or the properties of what is not stored yet. Without
	// HasMetadata it counts as not there.
	Object backend.Object
	// DeleteMarker tells that Object is one: it has a version, a date, Root and nothing else.
	DeleteMarker bool
	Tags         map[string]string
	Description  *backend.Description
	Owner        string
	URL          string // presigned
	PublicURL    string
	UploadState  string
	Versions     []backend.Version // of exactly this key, newest first
	// Annotations are names and sizes of those the object has; nil where the store has no
	// annotations. AnnotationValues are those that were fetched.
	Annotations      map[string]int64
	AnnotationValues map[string][]byte
	// GuessedType is the content type that the file would get by itself: List is silent about it.
	GuessedType string

	Bucket BucketFacts
}

// BucketFacts are those of a bucket; nil and empty: not known.
type BucketFacts struct {
	Versioning *string // as BucketProperties.BucketVersioning
	Region     string
	Created    time.Time
	Lock       *backend.BucketLock // of files and directories, too: List is silent about the retention that it gives
	Encryption *backend.Encryption
	Public     *bool
	Usage      *Usage
}

// Usage is how much a bucket holds.
type Usage struct{ Bytes, Objects int64 }

// Rules are what a change must respect.
type Rules struct {
	Capabilities backend.Capabilities
	Now          time.Time // dates that are given as "30d" count from here
	// Staged says that the content is not stored yet, so that there is nothing that a request
	// other than its upload could change.
	Staged bool
	// CustomerKey says that the stored object is encrypted with the key of its place (SSE-C), beside
	// which there is no other encryption.
	CustomerKey bool
	// Annotations as in Facts: nil where the store has none.
	Annotations map[string]int64
}

// Change says what a stored object needs after Set or Remove changed its Properties. It is a set;
// 0: nothing changed.
type Change uint16

// The kinds of change.
const (
	ChangeProperties       Change = 1 << iota // metadata, headers, class: a copy onto itself with the Properties
	ChangeClass                               // with ChangeProperties: the class is another; stores refuse those they do not have
	ChangeTags                                // PutTags with Properties.Tags
	ChangeRetention                           // SetRetention with Properties.Lock.Retention
	ChangeLegalHold                           // SetLegalHold with Properties.Lock.LegalHold
	ChangeEncryption                          // UpdateEncryption with Properties.Encryption, or a copy as for ChangeProperties
	ChangeRestore                             // Restore with Request.Days and Request.Tier
	ChangeAnnotation                          // PutAnnotation with Request.Annotation and Request.Value
	ChangeNoAnnotation                        // DeleteAnnotation with Request.Annotation
	ChangeBucketTags                          // PutBucketTags with Properties.Tags
	ChangeBucketVersioning                    // SetBucketVersioning with Request.Versioning
)

// Request is what changes and what the Properties cannot hold of it.
type Request struct {
	Change     Change
	Days       int    // ChangeRestore
	Tier       string // ChangeRestore; empty: the store's default
	Annotation string // ChangeAnnotation, ChangeNoAnnotation
	Value      []byte // ChangeAnnotation
	Versioning string // ChangeBucketVersioning
}

// Attribute is a name that was parsed. The zero Attribute is not valid.
type Attribute struct {
	row   *row
	name  string
	key   string // what follows the name of a family: KEY of "user.s3.tag.KEY"
	scope Scope
}

// Parse takes a name apart: ErrUnknown or ErrForeign.
func Parse(name string, scope Scope) (Attribute, error) {
	rest, ok := strings.CutPrefix(name, user)
	if !ok {
		return Attribute{}, &Error{Name: name, Kind: ErrForeign}
	}
	a := Attribute{name: name, scope: scope}
	short, isS3 := strings.CutPrefix(name, Prefix)
	switch {
	case rest == "" || strings.IndexByte(rest, 0) >= 0:
		return Attribute{}, &Error{Name: name, Kind: ErrUnknown}
	case name == Root:
		a.row = &everything
	case !isS3:
		a.row, a.key = &other, rest
	default:
		if a.row = byName[short]; a.row != nil && !a.row.family {
			break
		}
		family, key, _ := strings.Cut(short, ".")
		if a.row = byName[family+"."]; a.row == nil || key == "" {
			return Attribute{}, &Error{Name: name, Kind: ErrUnknown}
		}
		a.key = key
		if a.row.fold {
			a.key = strings.ToLower(key)
		}
	}
	return a, nil
}

// Name returns the name as it was parsed.
func (a Attribute) Name() string { return a.name }

// here reports whether files, directories or buckets have this attribute at all.
func (a Attribute) here() bool { return a.row.scopes.has(a.scope) }

// Needs returns what must be fetched before Value can tell. 0: it is never there.
func (a Attribute) Needs() Need {
	if !a.here() {
		return 0
	}
	if a.scope == Bucket && a.row.bucketNeeds != 0 {
		return a.row.bucketNeeds
	}
	return a.row.needs
}

// Annotation returns the name of the annotation whose value Value will take from
// Facts.AnnotationValues, once what Needs says is there. Empty: none.
func (a Attribute) Annotation(f *Facts) string {
	if !a.here() || a.row.annotation == nil {
		return ""
	}
	name := a.row.annotation(a, f)
	if _, there := f.Annotations[name]; !there {
		return ""
	}
	return name
}

// Value returns the value, and whether the attribute is there.
func (a Attribute) Value(f *Facts) (value []byte, present bool) {
	there := f.Object.HasMetadata || a.row == &everything || f.DeleteMarker && (a.row.name == "version-id" || a.row.name == "last-modified")
	if !a.here() || !there && (f.DeleteMarker || a.Needs().Has(NeedObject)) {
		return nil, false
	}
	return a.row.value(a, f)
}

// Set checks a value and the room for it, then changes p. In the scope Bucket, p.Tags are the
// bucket's tags. p must have everything that the object has (PropertiesOf a HEAD, its tags, its
// lock), so that limits can be checked.
func (a Attribute) Set(p *backend.Properties, value []byte, r Rules) (Request, error) {
	switch {
	case a.row.set == nil:
		return Request{}, a.refuse(ErrReadOnly, "")
	case !a.here():
		return Request{}, a.refuse(ErrUnsupported, "not an attribute of a "+a.scope.String())
	case len(value) > MaxValue:
		return Request{}, a.refuse(ErrTooBig, "more than 64 KiB")
	}
	return a.change(p, r, func(next *backend.Properties) (Request, error) { return a.row.set(a, next, value, r) })
}

// Remove changes p so that the attribute is not there: ErrAbsent when it is not.
func (a Attribute) Remove(p *backend.Properties, r Rules) (Request, error) {
	switch {
	case a.row.remove == nil:
		return Request{}, a.refuse(ErrReadOnly, "")
	case !a.here():
		return Request{}, a.refuse(ErrAbsent, "")
	}
	return a.change(p, r, func(next *backend.Properties) (Request, error) { return a.row.remove(a, next, r) })
}

// change applies a change to a copy of p and takes it over if the store has room for it.
func (a Attribute) change(p *backend.Properties, r Rules, apply func(*backend.Properties) (Request, error)) (Request, error) {
	next := p.Clone()
	req, err := apply(&next)
	if err != nil {
		return Request{}, err
	}
	if reason := noRoom(p, &next, a.scope, r.Capabilities); reason != "" {
		return Request{}, a.refuse(ErrNoRoom, reason)
	}
	if req.Change != 0 {
		*p = next
	}
	return req, nil
}

func (a Attribute) refuse(kind error, reason string) error {
	return &Error{Name: a.name, Kind: kind, Reason: reason}
}

// String returns the word for it.
func (s Scope) String() string { return [...]string{"file", "directory", "bucket"}[s] }
