package ctl

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/objmount/objmount/backend"
)

// ComposeRequest makes a file of pieces of others, one after the other, inside the store.
type ComposeRequest struct {
	Target
	Sources []ComposeSource `json:"sources"`
	Only
	Given
	OverLocked bool `json:"over_locked,omitempty"` // also where what is stored is locked: it stays, as the version below
}

// ComposeSource is a piece of a version of a file.
type ComposeSource struct {
	Path      Text   `json:"path"`                 // as Target.Path
	VersionID string `json:"version_id,omitempty"` // empty: the current one
	IfMatch   string `json:"if_match,omitempty"`   // its ETag must be this
	Offset    int64  `json:"offset,omitempty"`     // bytes
	Length    int64  `json:"length,omitempty"`     // bytes; 0: to the end
}

func (ComposeRequest) anew() {}

// piece is a range of an object.
type piece struct {
	source   backend.Source
	off, len int64
}

// planParts divides pieces into legal parts: each but the last has at least least bytes and none has more than most. A part of one
// piece can be copied; one of several is too small otherwise, and is at most twice least.
func planParts(pieces []piece, least, most int64) [][]piece {
	var parts [][]piece
	var open []piece // the part that is not large enough yet
	var size int64
	for i, p := range pieces {
		if size > 0 {
			n := min(p.len, least-size)
			if rest := p.len - n; rest > 0 && rest < least && i < len(pieces)-1 {
				n = p.len // what is left could not be copied
			}
			open, size = append(open, piece{p.source, p.off, n}), size+n
			p.off, p.len = p.off+n, p.len-n
			if size >= least {
				parts, open, size = append(parts, open), nil, 0
			}
		}
		if p.len >= least {
			n := (p.len + most - 1) / most
			each := (p.len + n - 1) / n
			for ; p.len > 0; p.off, p.len = p.off+each, p.len-each {
				each = min(each, p.len)
				parts = append(parts, []piece{{p.source, p.off, each}})
			}
			continue
		}
		if p.len > 0 {
			open, size = append(open, p), size+p.len
		}
	}
	if size > 0 {
		parts = append(parts, open)
	}
	return parts
}

func compose(ctx context.Context, c *call, p Place, r ComposeRequest) error {
	if p.Kind == Unknown && r.Directory {
		p.Kind = Directory
	}
	if err := p.one(); err != nil {
		return err
	}
	if p.Kind = File; len(r.Sources) == 0 {
		return &Error{Kind: KindInvalid, Message: "nothing is given to make it of"}
	}
	if err := c.writable(ctx, p); err != nil {
		return err
	}
	if err := r.Given.check(ctx, c, p); err != nil {
		return err
	}
	if err := c.replaceable(ctx, p, r.OverLocked); err != nil {
		return err
	}
	var pieces []piece
	var size int64
	for _, s := range r.Sources {
		one, err := c.pieceOf(ctx, s)
		if err != nil {
			return err
		}
		if one.len > 0 {
			pieces, size = append(pieces, one), size+one.len
		}
	}
	props, err := c.withDefaults(ctx, p, r.properties())
	if err != nil {
		return err
	}
	taken, err := c.takenAt(ctx, p, props.Headers.ContentType)
	if err == nil {
		err = taken.pieces(ctx, c, pieces)
	}
	if err != nil {
		return err
	}
	made := backend.Object{Bucket: p.Bucket, Key: p.Key}
	if !r.DryRun {
		made, err = c.composed(ctx, p.id(), pieces, size, props, r.condition())
		c.Tree.Changed(p.Bucket, p.Key) // also when the outcome is not known
		if err != nil {
			return err
		}
	}
	return c.stored(made, size)
}

// pieceOf looks at a source and fixes which content is meant.
func (c *call) pieceOf(ctx context.Context, s ComposeSource) (piece, error) {
	p, err := c.Tree.Locate(ctx, string(s.Path))
	if err != nil {
		return piece{}, err
	}
	if err := p.one(); err != nil {
		return piece{}, err
	}
	if p.Kind = File; p.Bucket == "" || p.Key == "" {
		return piece{}, &Error{Kind: KindInvalid, Message: p.String() + " is no file"}
	}
	if err := c.Tree.Settle(ctx, p); err != nil {
		return piece{}, err
	}
	o, err := c.Store.Head(ctx, p.id(), backend.GetOptions{VersionID: s.VersionID})
	if err != nil {
		return piece{}, err
	}
	if s.IfMatch != "" && s.IfMatch != o.ETag {
		return piece{}, &Error{Kind: KindConflict, Message: fmt.Sprintf("%s is not taken: its ETag is %s", p, o.ETag)}
	}
	if s.Length == 0 {
		s.Length = o.Size - s.Offset
	}
	if s.Offset < 0 || s.Length < 0 || s.Offset+s.Length > o.Size {
		return piece{}, &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s has %d bytes; %d from %d are not in it", p, o.Size, s.Length, s.Offset)}
	}
	version := s.VersionID
	if version == "" {
		version = o.VersionID
	}
	return piece{backend.Source{Bucket: p.Bucket, Key: p.Key, ETag: o.ETag, VersionID: version}, s.Offset, s.Length}, nil
}

// composed makes the object. Parts of a single piece are copied; the others, of 10 MiB at most, pass through here.
func (c *call) composed(ctx context.Context, to backend.ObjectID, pieces []piece, size int64, props backend.Properties, cond backend.Condition) (backend.Object, error) {
	caps, err := c.able(ctx, to, cond)
	if err != nil {
		return backend.Object{}, err
	}
	limits := caps.Limits
	if limits.MinPart == 0 {
		limits = backend.S3Limits()
	}
	if size == 0 {
		if cond.IfNoneMatch && !caps.PutIfNoneMatch || cond.IfMatch != "" && !caps.PutIfMatch {
			return backend.Object{}, c.unconditional()
		}
		return c.Store.Put(ctx, backend.PutInput{Bucket: to.Bucket, Key: to.Key, Body: bytes.NewReader(nil), Properties: props, Condition: cond})
	}
	parts := planParts(pieces, limits.MinPart, max(min(partOfCopy, limits.MaxPart), size/int64(max(limits.MaxParts/2, 1))))
	switch {
	case !caps.PartCopy, limits.EqualParts && len(parts) > 1:
		return backend.Object{}, &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s does not make objects of parts of others", c.Endpoint)}
	case cond.IfNoneMatch && !caps.CompleteIfNoneMatch, cond.IfMatch != "" && !caps.CompleteIfMatch:
		return backend.Object{}, c.unconditional()
	case len(parts) > int(limits.MaxParts):
		return backend.Object{}, &Error{Kind: KindInvalid, Message: fmt.Sprintf("that would be %d parts; the store takes %d", len(parts), limits.MaxParts)}
	}
	return c.inParts(ctx, to, len(parts), props, cond, size, func(ctx context.Context, i int, id string) (backend.Part, error) {
		number, all := int32(i+1), parts[i]
		if len(all) == 1 {
			return c.Store.CopyPart(ctx, backend.CopyPartInput{
				Bucket: to.Bucket, Key: to.Key, UploadID: id, Number: number, Source: all[0].source, Range: backend.Range{Off: all[0].off, Len: all[0].len},
			})
		}
		var content bytes.Buffer
		for _, p := range all {
			if err := c.fetch(ctx, p, &content); err != nil {
				return backend.Part{}, err
			}
		}
		return c.Store.UploadPart(ctx, backend.PartInput{
			Bucket: to.Bucket, Key: to.Key, UploadID: id, Number: number, Body: bytes.NewReader(content.Bytes()), Size: int64(content.Len()),
		})
	})
}

// fetch appends a piece, of the content that was looked at and of no other.
func (c *call) fetch(ctx context.Context, p piece, to *bytes.Buffer) error {
	body, err := c.Store.Get(ctx, backend.ObjectID{Bucket: p.source.Bucket, Key: p.source.Key},
		backend.GetOptions{VersionID: p.source.VersionID, Range: &backend.Range{Off: p.off, Len: p.len}})
	if err != nil {
		return err
	}
	defer body.Close()
	if body.Object.ETag != p.source.ETag {
		return &backend.Error{Kind: backend.KindChanged, Op: "GetObject", Bucket: p.source.Bucket, Key: p.source.Key}
	}
	n, err := io.Copy(to, body)
	if err == nil && n != p.len {
		err = io.ErrUnexpectedEOF
	}
	return err
}
