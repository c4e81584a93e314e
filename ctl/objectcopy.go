package ctl

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Only are conditions on what is stored under the key that is written.
type Only struct {
	IfMatch     string `json:"if_match,omitempty"`      // the ETag that it must have
	IfNoneMatch bool   `json:"if_none_match,omitempty"` // there must be nothing
}

func (o Only) condition() backend.Condition {
	return backend.Condition{IfMatch: o.IfMatch, IfNoneMatch: o.IfNoneMatch}
}

// CopyRequest copies a version of a file inside the store.
type CopyRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	To        Text   `json:"to"`                   // a path as Path is; in a directory the name stays, of Objects what follows Path
	Each
	Only
	// Conditions on the source.
	SourceIfMatch     string     `json:"source_if_match,omitempty"`      // its ETag must be this
	SourceIfNoneMatch string     `json:"source_if_none_match,omitempty"` // its ETag must not be this
	ModifiedSince     *time.Time `json:"modified_since,omitempty"`
	UnmodifiedSince   *time.Time `json:"unmodified_since,omitempty"`
	// Given takes the place of headers and metadata with ReplaceMetadata, of tags with ReplaceTags; storage class,
	// encryption and lock always count.
	Given
	ReplaceMetadata bool `json:"replace_metadata,omitempty"`
	ReplaceTags     bool `json:"replace_tags,omitempty"`
	OverLocked      bool `json:"over_locked,omitempty"` // also where what is stored is locked: it stays, as the version below
}

// Stored is an object that was made; in a dry run without what only the store can tell.
type Stored struct {
	Bucket    string `json:"bucket"`
	Key       Text   `json:"key"`
	VersionID string `json:"version_id,omitempty"`
	ETag      string `json:"etag,omitempty"`
	Size      int64  `json:"size"` // bytes
}

func (r CopyRequest) check(p Place) error {
	switch {
	case !r.ReplaceMetadata && (r.headers() != (backend.Headers{}) || len(r.Metadata) > 0):
		return &Error{Kind: KindInvalid, Message: "headers and metadata are given, but those of the source are to be copied; use --metadata-directive replace"}
	case !r.ReplaceTags && len(r.Tags) > 0:
		return &Error{Kind: KindInvalid, Message: "tags are given, but those of the source are to be copied; use --tagging replace"}
	}
	return p.one()
}

// source refuses a source that does not meet the conditions.
func (r CopyRequest) source(o backend.Object) error {
	why := ""
	switch {
	case r.SourceIfMatch != "" && o.ETag != r.SourceIfMatch:
		why = "its ETag is " + o.ETag
	case r.SourceIfNoneMatch != "" && o.ETag == r.SourceIfNoneMatch:
		why = "its ETag is " + o.ETag
	case r.ModifiedSince != nil && !o.LastModified.After(*r.ModifiedSince), r.UnmodifiedSince != nil && o.LastModified.After(*r.UnmodifiedSince):
		why = "it is of " + o.LastModified.UTC().Format(time.RFC3339)
	default:
		return nil
	}
	return &Error{Kind: KindConflict, Message: fmt.Sprintf("s3://%s/%s is not copied: %s", o.Bucket, o.Key, why)}
}

// destination is the file that a path names; in a directory the one with a name.
func (c *call) destination(ctx context.Context, to Text, name string) (Place, error) {
	p, err := c.Tree.Locate(ctx, string(to))
	if err != nil {
		return p, err
	}
	if p.Kind == Unknown && strings.HasSuffix(string(to), "/") {
		p.Key, p.Kind = strings.TrimSuffix(p.Key, "/")+"/", Directory
	}
	if p.Kind == Directory {
		p.Key += name
	}
	p.Kind = File
	return p, c.writable(ctx, p)
}

// writable stores what a program has finished there, and refuses what one still writes: it would come on top.
func (c *call) writable(ctx context.Context, p Place) error {
	if p.Bucket == "" || p.Key == "" || strings.HasSuffix(p.Key, "/") {
		return &Error{Kind: KindInvalid, Message: p.String() + " is no file; name one"}
	}
	if err := c.Tree.Settle(ctx, p); err != nil {
		return err
	}
	if c.Tree.Unsent(p) > 0 {
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("a program is writing %s and would store it on top; close and try again", p)}
	}
	return nil
}

func copyObject(ctx context.Context, c *call, p Place, r CopyRequest) error {
	if err := p.one(); err != nil {
		return err
	}
	to, err := c.destination(ctx, r.To, path.Base(p.Key))
	if err != nil {
		return err
	}
	return c.copyFile(ctx, p, to, r)
}

// copyFile copies to a file of which nothing is unsent.
func (c *call) copyFile(ctx context.Context, p, to Place, r CopyRequest) error {
	if err := r.check(p); err != nil {
		return err
	}
	if from, _, _ := strings.Cut(p.Bucket, "/"); c.Remotes && !strings.HasPrefix(to.Bucket, from+"/") {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s and %s are in two stores, which cannot copy between each other; get the object and put it", p, to)}
	}
	if err := r.Given.check(ctx, c, to); err != nil {
		return err
	}
	if err := c.replaceable(ctx, to, r.OverLocked); err != nil {
		return err
	}
	obj, props, err := c.properties(ctx, &backend.Version{Object: backend.Object{Bucket: p.Bucket, Key: p.Key, VersionID: r.VersionID}})
	if err != nil {
		return err
	}
	if err := r.source(obj); err != nil {
		return err
	}
	if r.ReplaceMetadata {
		props.Headers, props.Metadata = r.headers(), r.metadata()
	}
	if r.ReplaceTags {
		props.Tags = r.Tags
	}
	if r.StorageClass != "" {
		props.StorageClass = r.StorageClass
	}
	if r.Encryption != "" {
		props.Encryption = r.encryption()
	}
	props.Lock = r.properties().Lock
	if p.id() != to.id() { // else it is no new object
		if props, err = c.copyDefaults(ctx, to, props, r.Encryption != ""); err != nil {
			return err
		}
	}
	source := backend.Source{Bucket: p.Bucket, Key: p.Key, ETag: obj.ETag, VersionID: obj.VersionID}
	if r.VersionID != "" {
		source.VersionID = r.VersionID
	}
	if err := c.copyTaken(ctx, to, piece{source, 0, obj.Size}, props); err != nil {
		return err
	}
	made := backend.Object{Bucket: to.Bucket, Key: to.Key, Size: obj.Size}
	if !r.DryRun {
		made, err = c.copyTo(ctx, to.id(), source, obj.Size, props, r.condition())
		c.Tree.Changed(to.Bucket, to.Key) // also when the outcome is not known
		if err != nil {
			return err
		}
	}
	return c.stored(made, obj.Size)
}

func (c *call) stored(o backend.Object, size int64) error {
	return c.item(Stored{Bucket: o.Bucket, Key: Text(o.Key), VersionID: o.VersionID, ETag: o.ETag, Size: size})
}

// copyTo copies with what the store can: some check a condition on the destination only at the end of an upload in parts.
func (c *call) copyTo(ctx context.Context, to backend.ObjectID, source backend.Source, size int64, props backend.Properties, cond backend.Condition) (backend.Object, error) {
	caps, err := c.able(ctx, to, cond)
	if err != nil {
		return backend.Object{}, err
	}
	most := caps.Limits.MaxCopy
	if most == 0 {
		most = backend.S3Limits().MaxCopy
	}
	ends := !(cond.IfNoneMatch && !caps.CompleteIfNoneMatch || cond.IfMatch != "" && !caps.CompleteIfMatch)
	puts := !(cond.IfNoneMatch && !caps.PutIfNoneMatch || cond.IfMatch != "" && !caps.PutIfMatch)
	switch {
	case size <= most && (cond.IsZero() || caps.CopyDestination):
		return c.Store.Copy(ctx, backend.CopyInput{Bucket: to.Bucket, Key: to.Key, Source: source, Size: size, Replace: &props, Condition: cond})
	case size == 0 && puts:
		return c.Store.Put(ctx, backend.PutInput{Bucket: to.Bucket, Key: to.Key, Body: bytes.NewReader(nil), Properties: props, Condition: cond})
	case size > 0 && ends:
		return c.copyInParts(ctx, to, source, size, props, cond)
	}
	return backend.Object{}, c.unconditional()
}

// able is Capabilities for a write with a condition: whether the store checks it is tried, if that is not known.
func (c *call) able(ctx context.Context, to backend.ObjectID, cond backend.Condition) (backend.Capabilities, error) {
	caps, err := c.Capabilities(ctx, to.Bucket)
	known := !(cond.IfNoneMatch && !caps.PutIfNoneMatch && !caps.CompleteIfNoneMatch || cond.IfMatch != "" && !caps.PutIfMatch && !caps.CompleteIfMatch)
	if err != nil || known || c.Try == nil {
		return caps, err
	}
	if err := c.note("it is not known whether the store checks conditions; this is tried first"); err != nil {
		return caps, err
	}
	return c.Try(ctx, to)
}

func (c *call) unconditional() error {
	return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s does not check conditions on such a write; nothing was written", c.Endpoint)}
}
