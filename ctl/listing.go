package ctl

import (
	"context"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Version is one version of an object, or a delete marker.
type Version struct {
	Bucket       string    `json:"bucket"`
	Key          Text      `json:"key"`
	VersionID    string    `json:"version_id"`
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"last_modified,omitzero"`
	Latest       bool      `json:"latest"`
	DeleteMarker bool      `json:"delete_marker"`
	ETag         string    `json:"etag,omitempty"`
	StorageClass string    `json:"storage_class,omitempty"`
	Owner        string    `json:"owner,omitempty"`
}

func shown(v backend.Version) Version {
	return Version{
		Bucket: v.Bucket, Key: Text(v.Key), VersionID: v.VersionID, Size: v.Size, LastModified: v.LastModified.UTC(), Latest: v.Latest,
		DeleteMarker: v.DeleteMarker, ETag: v.ETag, StorageClass: v.StorageClass, Owner: v.Owner,
	}
}

// ListVersionsRequest asks for the versions of a file, or of all files below a directory.
type ListVersionsRequest struct {
	Target
	All bool `json:"all,omitempty"` // also the objects that only keep directories
}

// isDirectoryObject tells whether an object only keeps a directory or its attributes.
func isDirectoryObject(key string) bool {
	return strings.HasSuffix(key, "/") || key == ".objmount-dir"
}

func listVersions(ctx context.Context, c *call, p Place, r ListVersionsRequest) error {
	found := false
	err := c.eachKey(ctx, p, func(key string, versions []backend.Version) error {
		if p.Kind == Directory && !r.All && isDirectoryObject(key) {
			return nil
		}
		for _, v := range versions {
			found = true
			if err := c.item(shown(v)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !found && p.Kind == File {
		return notFound(p)
	}
	return err
}

func notFound(p Place) error {
	return &Error{Kind: KindNotFound, Message: p.String() + " has no versions"}
}

// eachKey calls do for every key of a place, in their order, with its versions from the newest to
// the oldest.
func (c *call) eachKey(ctx context.Context, p Place, do func(key string, versions []backend.Version) error) error {
	in := backend.ListVersionsInput{Bucket: p.Bucket, Prefix: p.Key}
	var key string
	var versions []backend.Version
	flush := func() error {
		if len(versions) == 0 {
			return nil
		}
		whole := versions
		versions = nil
		return do(key, whole)
	}
	for {
		page, err := c.Store.ListVersions(ctx, in)
		if err != nil {
			return err
		}
		for _, v := range page.Versions {
			if v.Key != key {
				if err := flush(); err != nil {
					return err
				}
				key = v.Key
			}
			if !p.holds(v.Key) {
				return nil // the versions of a file come before those of longer names
			}
			versions = append(versions, v)
		}
		if !page.More {
			return flush()
		}
		looked := int64(len(page.Versions))
		if err := c.progress(func(s *Step) { s.Looked += looked }); err != nil {
			return err
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

// versionsOf returns the versions of a file, the newest first.
func (c *call) versionsOf(ctx context.Context, p Place) ([]backend.Version, error) {
	var all []backend.Version
	err := c.eachKey(ctx, p, func(_ string, versions []backend.Version) error {
		all = versions
		return nil
	})
	if err == nil && len(all) == 0 {
		err = notFound(p)
	}
	return all, err
}

// at returns the version that was current at a time, nil when there was none. What a store gives in
// whole seconds counts from the beginning of its second. An object without versions that only keeps a directory
// is taken to have been there always: VersityGW dates it by the last change of a name in the directory.
func at(versions []backend.Version, when time.Time) *backend.Version {
	for i := range versions {
		v := &versions[i]
		timeless := v.VersionID == backend.NullVersion && !v.DeleteMarker && isDirectoryObject(v.Key)
		if timeless || !v.LastModified.After(when) {
			if versions[i].DeleteMarker {
				return nil
			}
			return &versions[i]
		}
	}
	return nil
}
