package ctl

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// headsAtOnce bounds the requests that ask for objects one by one.
const headsAtOnce = 64

// ListObjectsRequest asks for the objects below a directory, or for a file alone, in byte order of keys.
type ListObjectsRequest struct {
	Target
	Prefix     Text  `json:"prefix,omitempty"`      // what keys begin with below the directory
	Recursive  bool  `json:"recursive,omitempty"`   // all keys, instead of those of one level and the prefixes of the others
	StartAfter Text  `json:"start_after,omitempty"` // a whole key: only what comes after it
	MaxKeys    int64 `json:"max_keys,omitempty"`    // keys and prefixes; 0: all
	Versions   bool  `json:"versions,omitempty"`    // all versions and delete markers
	Metadata   bool  `json:"metadata,omitempty"`    // also what a HEAD of each tells
}

func listObjects(ctx context.Context, c *call, p Place, r ListObjectsRequest) error {
	if r.MaxKeys < 0 {
		return &Error{Kind: KindInvalid, Message: "the number of keys cannot be negative"}
	}
	if p.Kind == File && (r.Prefix != "" || r.StartAfter != "") {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a file; a prefix and a first key are for directories"}
	}
	l := &listingObjects{call: c, place: p, request: r, left: r.MaxKeys, prefix: p.Key + string(r.Prefix)}
	if r.Versions {
		return l.versions(ctx)
	}
	return l.current(ctx)
}

// listingObjects is one run of the verb.
type listingObjects struct {
	*call
	place   Place
	request ListObjectsRequest
	prefix  string
	left    int64 // may still be listed; without MaxKeys of no meaning
}

func (l *listingObjects) delimiter() string {
	if l.request.Recursive || l.place.Kind == File {
		return ""
	}
	return "/"
}

// page is how many keys to ask for.
func (l *listingObjects) page() int32 {
	const most = 1000 // of S3
	if l.request.MaxKeys == 0 {
		return 0
	}
	return int32(min(l.left, most))
}

func (l *listingObjects) current(ctx context.Context) error {
	in := backend.ListInput{Bucket: l.place.Bucket, Prefix: l.prefix, Delimiter: l.delimiter(), StartAfter: string(l.request.StartAfter)}
	for {
		in.MaxKeys = l.page()
		page, err := l.Store.List(ctx, in)
		if err != nil {
			return err
		}
		found := l.prefixes(page.Prefixes)
		for _, o := range page.Objects {
			found = append(found, listed(o))
		}
		if more, err := l.show(ctx, found); err != nil || !more || page.Next == "" {
			return err
		}
		in.Token = page.Next
	}
}

func (l *listingObjects) versions(ctx context.Context) error {
	in := backend.ListVersionsInput{Bucket: l.place.Bucket, Prefix: l.prefix, Delimiter: l.delimiter(), KeyMarker: string(l.request.StartAfter)}
	for {
		in.MaxKeys = l.page()
		page, err := l.Store.ListVersions(ctx, in)
		if err != nil {
			return err
		}
		found := l.prefixes(page.Prefixes)
		for _, v := range page.Versions {
			o := listed(v.Object)
			o.Latest, o.DeleteMarker, o.Owner = v.Latest, v.DeleteMarker, v.Owner
			found = append(found, o)
		}
		if more, err := l.show(ctx, found); err != nil || !more || !page.More {
			return err
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

func (l *listingObjects) prefixes(all []string) []Object {
	var out []Object
	for _, prefix := range all {
		out = append(out, Object{Bucket: l.place.Bucket, Key: Text(prefix), Prefix: true})
	}
	return out
}

// show sends one page. more is false when nothing that follows is wanted.
func (l *listingObjects) show(ctx context.Context, found []Object) (more bool, err error) {
	slices.SortStableFunc(found, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) }) // versions stay in their order
	if l.place.Kind == File {
		past := slices.IndexFunc(found, func(o Object) bool { return string(o.Key) != l.place.Key })
		if more = past < 0; !more {
			found = found[:past]
		}
	} else {
		more = true
	}
	if l.request.MaxKeys > 0 {
		found = found[:min(l.left, int64(len(found)))]
		l.left -= int64(len(found))
		more = more && l.left > 0
	}
	if l.request.Metadata {
		if found, err = l.heads(ctx, found); err != nil {
			return false, err
		}
	}
	for _, o := range found {
		if err := l.item(o); err != nil {
			return false, err
		}
	}
	return more, nil
}

// heads asks for each object, and leaves out what is gone by now.
func (l *listingObjects) heads(ctx context.Context, found []Object) ([]Object, error) {
	gone := make([]bool, len(found))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(headsAtOnce)
	for i := range found {
		o := &found[i]
		if o.Prefix || o.DeleteMarker {
			continue
		}
		g.Go(func() error {
			h, err := l.Store.Head(ctx, backend.ObjectID{Bucket: o.Bucket, Key: string(o.Key)}, backend.GetOptions{VersionID: o.VersionID})
			if backend.IsKind(err, backend.KindNotExist) {
				gone[i] = true
				return nil
			}
			if err == nil {
				o.headed(h)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Object
	for i, o := range found {
		if !gone[i] {
			out = append(out, o)
		}
	}
	return out, nil
}
