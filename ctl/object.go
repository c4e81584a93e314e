package ctl

import (
	"context"
	"maps"
	"time"

	"github.com/objmount/objmount/backend"
)

// Object is what is known of one version of an object; how much that is depends on who was asked. A listing knows no
// more than bucket, key, size, time, ETag and class.
type Object struct {
	Bucket       string    `json:"bucket"`
	Key          Text      `json:"key"`
	VersionID    string    `json:"version_id,omitempty"`
	Prefix       bool      `json:"prefix,omitempty"` // of a listing: no object, but the common beginning of several keys
	Latest       bool      `json:"latest,omitempty"` // of a listing of versions
	DeleteMarker bool      `json:"delete_marker,omitempty"`
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"last_modified,omitzero"`
	ETag         string    `json:"etag,omitempty"`
	StorageClass string    `json:"storage_class,omitempty"` // empty: STANDARD
	Owner        string    `json:"owner,omitempty"`

	ContentType        string `json:"content_type,omitempty"`
	CacheControl       string `json:"cache_control,omitempty"`
	ContentDisposition string `json:"content_disposition,omitempty"`
	ContentEncoding    string `json:"content_encoding,omitempty"`
	ContentLanguage    string `json:"content_language,omitempty"`
	Expires            string `json:"expires,omitempty"`
	WebsiteRedirect    string `json:"website_redirect,omitempty"`

	Metadata     map[string]string `json:"metadata,omitempty"` // keys in lower case
	TagCount     int               `json:"tag_count,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Encryption   string            `json:"encryption,omitempty"` // "AES256", "aws:kms", "aws:kms:dsse"
	KMSKeyID     string            `json:"kms_key_id,omitempty"`
	BucketKey    bool              `json:"bucket_key,omitempty"`
	Checksums    map[string]string `json:"checksums,omitempty"`     // by algorithm in lower case, in base64
	ChecksumType string            `json:"checksum_type,omitempty"` // "FULL_OBJECT" or "COMPOSITE"
	Parts        int               `json:"parts,omitempty"`         // that it was uploaded in
	PartSize     int64             `json:"part_size,omitempty"`     // bytes of the first of them
	Mode         string            `json:"retention_mode,omitempty"`
	Until        time.Time         `json:"retain_until,omitzero"`
	LegalHold    bool              `json:"legal_hold,omitempty"`
	Restore      string            `json:"restore,omitempty"` // from an archive, in the words of the store
	Replication  string            `json:"replication,omitempty"`
}

// listed is what a listing tells of an object.
func listed(o backend.Object) Object {
	return Object{
		Bucket: o.Bucket, Key: Text(o.Key), VersionID: o.VersionID, Size: o.Size, LastModified: o.LastModified.UTC(),
		ETag: o.ETag, StorageClass: o.StorageClass,
	}
}

// headed adds what a HEAD tells. The mark by which an upload of objmount knows itself again is not shown.
func (o *Object) headed(h backend.Object) {
	o.Size, o.LastModified, o.ETag = h.Size, h.LastModified.UTC(), h.ETag
	if h.StorageClass != "" {
		o.StorageClass = h.StorageClass
	}
	if h.VersionID != "" {
		o.VersionID = h.VersionID
	}
	o.ContentType, o.CacheControl, o.ContentDisposition = h.Headers.ContentType, h.Headers.CacheControl, h.Headers.ContentDisposition
	o.ContentEncoding, o.ContentLanguage = h.Headers.ContentEncoding, h.Headers.ContentLanguage
	o.Expires, o.WebsiteRedirect = h.Headers.Expires, h.Headers.WebsiteRedirect
	o.Metadata = maps.Clone(h.Metadata)
	delete(o.Metadata, backend.MetaGeneration)
	o.TagCount = max(h.TagCount, 0)
	o.Encryption, o.KMSKeyID, o.BucketKey = h.Encryption.Algorithm, h.Encryption.KMSKeyID, h.Encryption.BucketKey
	o.Restore, o.Replication = h.Restore, h.Replication
	o.locked(h.Lock)
}

func (o *Object) locked(l backend.ObjectLock) {
	if r := l.Retention; r.Mode != backend.NoRetention {
		o.Mode, o.Until = string(r.Mode), r.Until.UTC()
	}
	o.LegalHold = l.LegalHold
}

// StatRequest asks for all that is known of a version.
type StatRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	Each
}

// ExistsRequest asks whether there is a version, or anything below a directory.
type ExistsRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	Each
}

func (ExistsRequest) anew() {}

// Existence is the answer to ExistsRequest.
type Existence struct {
	Bucket    string `json:"bucket"`
	Key       Text   `json:"key"`
	VersionID string `json:"version_id,omitempty"` // that was asked for
	Exists    bool   `json:"exists"`
	Directory bool   `json:"directory,omitempty"` // a prefix of keys
}

func stat(ctx context.Context, c *call, p Place, r StatRequest) error {
	if p.Kind == Directory && p.Key == "" {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a bucket; name an object"}
	}
	head, err := c.Store.Head(ctx, p.id(), backend.GetOptions{VersionID: r.VersionID})
	if backend.IsKind(err, backend.KindNotExist) && p.Kind == Directory {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a directory without an object of its own; name a file"}
	}
	if err != nil {
		return err
	}
	o := Object{Bucket: p.Bucket, Key: Text(p.Key), VersionID: r.VersionID}
	o.headed(head)
	// The rest is about this version, also when there is another one by now.
	if err := c.statTags(ctx, p, &o, head.TagCount); err != nil {
		return err
	}
	// VersityGW's HEAD has no lock, nor has one for credentials that may not read locks.
	if head.Lock == (backend.ObjectLock{}) && p.Kind == File && c.lockable(ctx, p) == nil {
		lock, err := c.Store.Lock(ctx, p.id(), o.VersionID)
		switch {
		case err == nil:
			o.locked(lock)
		case lacked(err):
			if err := c.note("the lock is not shown: " + err.Error()); err != nil {
				return err
			}
		default:
			return err
		}
	}
	d, err := c.Store.Describe(ctx, p.id(), o.VersionID)
	switch {
	case err == nil:
		o.Checksums, o.ChecksumType, o.Parts, o.PartSize = d.Checksums, d.ChecksumType, d.Parts, d.PartSize
	case !lacked(err):
		return err
	}
	return c.item(o)
}

// statTags reads the tags; count is what the HEAD said, less than 0 when it did not.
func (c *call) statTags(ctx context.Context, p Place, o *Object, count int) error {
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err != nil || count == 0 || !caps.Tagging {
		return err
	}
	tags, err := c.Store.Tags(ctx, p.id(), o.VersionID)
	switch {
	case err == nil:
		o.Tags, o.TagCount = tags, len(tags)
	case lacked(err):
		return c.note("the tags are not shown: " + err.Error())
	default:
		return err
	}
	return nil
}

// lacked tells errors of a store that does not have something, or not for these credentials.
func lacked(err error) bool {
	return backend.IsKind(err, backend.KindUnsupported) || backend.IsKind(err, backend.KindPermission)
}

func exists(ctx context.Context, c *call, p Place, r ExistsRequest) error {
	out := Existence{Bucket: p.Bucket, Key: Text(p.Key), VersionID: r.VersionID, Directory: p.Kind == Directory}
	var err error
	switch {
	case p.Kind == Directory && r.VersionID != "":
		return p.one()
	case p.Kind == Directory:
		var page backend.Page
		page, err = c.Store.List(ctx, backend.ListInput{Bucket: p.Bucket, Prefix: p.Key, MaxKeys: 1})
		out.Exists = p.Key == "" || len(page.Objects) > 0
	case p.Kind == File || r.VersionID != "":
		_, err = c.Store.Head(ctx, p.id(), backend.GetOptions{VersionID: r.VersionID})
		out.Exists = err == nil
	}
	if err != nil && !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	return c.item(out)
}
