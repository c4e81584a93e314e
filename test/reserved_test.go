package test

import (
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/xattr"
)

// Package xattr may not import fs/attributes, so it has its own list of the metadata that are shown
// as attributes of the file: whatever is written or read there must be on it.
func TestMetadataOfFilesAreNotShownAsMetadata(t *testing.T) {
	t.Parallel()
	meta := map[string]string{}
	attributes.Encode(meta, attributes.Attr{
		Mode: 0o100664, UID: 1000, GID: 100, Mtime: time.Unix(1, 0), Atime: time.Unix(2, 0), Rdev: 0x801, Symlink: strings.Repeat("x", 700),
		Has: attributes.Mode | attributes.UID | attributes.GID | attributes.Mtime | attributes.Atime | attributes.Symlink | attributes.Rdev,
	})
	for key := range meta {
		if !xattr.Reserved(key) || !attributes.Owned(key) {
			t.Errorf("%s is written and not reserved", key)
		}
	}
	for key, value := range map[string]string{
		"mode": "33188", "uid": "5", "gid": "5", "mtime": "5", "atime": "5", "--symlink-target": "x", "file-permissions": "0100644", "file-mtime": "1ns",
	} {
		if attributes.Decode(map[string]string{key: value}).Has == 0 {
			t.Errorf("%s=%s is not read any more", key, value)
		}
		if !xattr.Reserved(key) {
			t.Errorf("%s is read and not reserved", key)
		}
	}
	for _, key := range []string{"colour", "file", "modes", "content-type", "x-mode"} {
		if xattr.Reserved(key) || attributes.Owned(key) {
			t.Errorf("%s is reserved", key)
		}
	}
}
