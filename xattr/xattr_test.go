package xattr_test

import (
	"errors"
	"testing"

	"github.com/objmount/objmount/xattr"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{
		"user.s3": nil, "user.s3.etag": nil, "user.s3.tag.a.b": nil, "user.s3.meta.Colour": nil, "user.s3.checksum.type": nil,
		"user.s3.checksum.sha256": nil, "user.colour": nil, "user.s3x": nil, "user.s": nil, "user.\xff\n": nil,
		"user.": xattr.ErrUnknown, "user.s3.": xattr.ErrUnknown, "user.s3.tag": xattr.ErrUnknown, "user.s3.tag.": xattr.ErrUnknown,
		"user.s3.etag.x": xattr.ErrUnknown, "user.s3.nothing": xattr.ErrUnknown, "user.s3.Etag": xattr.ErrUnknown, "user.s3..": xattr.ErrUnknown,
		"user.a\x00b": xattr.ErrUnknown, "": xattr.ErrForeign, "user": xattr.ErrForeign, "s3.etag": xattr.ErrForeign,
		"security.capability": xattr.ErrForeign, "system.posix_acl_access": xattr.ErrForeign, "trusted.overlay.opaque": xattr.ErrForeign,
	} {
		a, err := xattr.Parse(name, xattr.File)
		if !errors.Is(err, want) {
			t.Errorf("Parse(%q) = %v, want %v", name, err, want)
		}
		if err == nil && a.Name() != name {
			t.Errorf("%q is named %q", name, a.Name())
		}
	}
}
