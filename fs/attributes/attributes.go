package attributes

import (
	"strings"
	"time"
)

// Field is a set of attributes.
type Field uint8

// The attributes.
const (
	Mode Field = 1 << iota
	UID
	GID
	Mtime
	Atime
	Symlink
	Rdev
)

// Has reports whether f holds all of g.
func (f Field) Has(g Field) bool { return f&g == g }

// The file types of st_mode, as on Linux.
const (
	TypeMask   uint32 = 0o170000
	TypeSocket uint32 = 0o140000
	TypeLink   uint32 = 0o120000
	TypeFile   uint32 = 0o100000
	TypeBlock  uint32 = 0o060000
	TypeDir    uint32 = 0o040000
	TypeChar   uint32 = 0o020000
	TypePipe   uint32 = 0o010000
	// PermMask are the permission bits, with set-uid, set-gid and sticky.
	PermMask uint32 = 0o7777
)

// Attr are the POSIX attributes of one object. The zero value has none.
type Attr struct {
	// Mode is the type (TypeMask) and the permissions (PermMask). The type is 0 where the
	// metadata did not tell it; it is TypeLink whenever a target was found, also without
	// Mode in Has.
	Mode     uint32
	UID, GID uint32
	Mtime    time.Time // to the nanosecond
	Atime    time.Time
	Symlink  string // the target, any bytes but NUL
	Rdev     uint32 // as FUSE and the kernel's new_encode_dev have it
	Has      Field  // which of these were present, or are to be written
}

// The metadata keys that Encode writes.
const (
	keyMode    = "file-permissions"
	keyUID     = "file-owner"
	keyGID     = "file-group"
	keyMtime   = "file-mtime"
	keyAtime   = "file-atime"
	keySymlink = "symlink-target"
	keyRdev    = "file-rdev"

	keyGeesefsSymlink = "--symlink-target"
)

// twins are the names in other dialects that Encode replaces.
var twins = map[string]string{
	keyMode: "mode", keyUID: "uid", keyGID: "gid", keyMtime: "mtime", keyAtime: "atime",
	keySymlink: keyGeesefsSymlink, keyRdev: "rdev",
}

// Owned reports whether a metadata key (lower case) is one that Encode writes, which
// users see as attributes of the file instead.
func Owned(key string) bool {
	if twins[key] != "" {
		return true
	}
	n, ok := strings.CutPrefix(key, keySymlink+"-")
	return ok && isDecimal(n)
}

// Decode returns the attributes that user metadata (keys in lower case) carries.
func Decode(meta map[string]string) Attr {
	var a Attr
	octal := false
	set := func(f Field, ok bool) {
		if ok {
			a.Has |= f
		}
	}
	var ok bool
	if a.Mode, ok = parseOctal(meta[keyMode]); !ok {
		a.Mode, octal, ok = parseMode(meta["mode"])
	}
	set(Mode, ok)
	if a.UID, ok = parseID(meta[keyUID]); !ok {
		a.UID, ok = parseID(meta["uid"])
	}
	set(UID, ok)
	if a.GID, ok = parseID(meta[keyGID]); !ok {
		a.GID, ok = parseID(meta["gid"])
	}
	set(GID, ok)
	if a.Mtime, ok = parseNanoseconds(meta[keyMtime]); !ok {
		a.Mtime, ok = parseTime(meta["mtime"])
	}
	set(Mtime, ok)
	if a.Atime, ok = parseNanoseconds(meta[keyAtime]); !ok {
		a.Atime, ok = parseTime(meta["atime"])
	}
	set(Atime, ok)
	if a.Rdev, ok = parseDevice(meta[keyRdev]); !ok {
		a.Rdev, ok = parseRdev(meta["rdev"], octal)
	}
	set(Rdev, ok)
	if a.Symlink, ok = joinTarget(meta); ok {
		a.Has |= Symlink
		if !a.Has.Has(Mode) {
			a.Mode = 0o777
		}
		if a.Mode&TypeMask == 0 {
			a.Mode |= TypeLink
		}
	}
	return a
}

// Encode sets the fields of a that a.Has names in meta, which must not be nil, and
// removes their twins in other dialects. Other entries of meta stay. A field that cannot
// be written (a time more than 2^62 seconds away, a link target that is empty or longer than
// MaxTarget, an id of 2^32-1, which means "none") is removed instead.
func Encode(meta map[string]string, a Attr) {
	put := func(key, value string) {
		delete(meta, twins[key])
		if value == "" {
			delete(meta, key)
			return
		}
		meta[key] = value
	}
	if a.Has.Has(Mode) {
		// rclone's rdev is understood by the look of its mode, which goes.
		if old := Decode(meta); old.Has.Has(Rdev) && meta["rdev"] != "" {
			put(keyRdev, formatDevice(old.Rdev))
		}
		put(keyMode, formatMode(a.Mode))
	}
	if a.Has.Has(UID) {
		put(keyUID, formatID(a.UID))
	}
	if a.Has.Has(GID) {
		put(keyGID, formatID(a.GID))
	}
	if a.Has.Has(Mtime) {
		put(keyMtime, formatTime(a.Mtime))
	}
	if a.Has.Has(Atime) {
		put(keyAtime, formatTime(a.Atime))
	}
	if a.Has.Has(Rdev) {
		put(keyRdev, formatDevice(a.Rdev))
	}
	if a.Has.Has(Symlink) {
		delete(meta, keyGeesefsSymlink)
		splitTarget(meta, a.Symlink)
	}
}
