// Package attributes translates between POSIX attributes and the user metadata of an
// object. It is pure: no state, no I/O, safe for concurrent use.
//
// # What is written
//
// The names of Amazon FSx for Lustre, File Cache and DataSync, so that these keep what a
// mount wrote and the other way round:
//
//	file-permissions    0100644                   octal, with the type of stat(2)'s st_mode
//	file-owner          1000                      decimal user id
//	file-group          1000                      decimal group id
//	file-mtime          1595002920123456789ns     since 1970; without "ns": milliseconds
//	file-atime          1595002920123456789ns
//	symlink-target      ../a%20b                  percent-encoded; ours, see below
//	symlink-target-2    ...                       its second 200 bytes, and so on
//	file-rdev           8:1                       major:minor of a device; ours
//
// Every value is printable ASCII of at most 256 bytes, which all stores keep (Swift
// refuses longer ones).
//
// FSx and s3fs keep the target of a symbolic link as the object's bytes. A link without
// symlink-target (Mode says S_IFLNK, Has lacks Symlink) has its target there; a writer
// that stores the target in both places is understood by everybody, and a long target
// (MaxTarget) fits in the bytes only.
//
// # What is read
//
// The names above, and where one of them is missing, those of other mounts:
//
//	s3fs      mode (decimal with type), uid, gid, mtime, atime ("1595002920" or "1595002920.123456789")
//	rclone    mtime (float seconds, or RFC 3339), atime, mode (octal with type), uid, gid, rdev (hexadecimal)
//	geesefs   mode (decimal with type), uid, gid, mtime (seconds), rdev (decimal), --symlink-target (percent-encoded)
//
// A mode is octal when it begins with 0, or when only its octal reading has a file type
// (100644); else it is decimal, as s3fs reads it. A value that cannot be parsed counts as
// missing. Encode removes the twins in other dialects of what it sets: two clocks on one
// object would disagree.
package attributes
