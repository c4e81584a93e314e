// Package xattr translates between names of extended attributes and the properties of objects
// and buckets. It is pure: no state, no I/O, safe for concurrent use. docs/xattrs.md says the same
// for users; a test compares the names in both.
//
// # Use
//
// Parse takes a name apart. Attribute.Needs says what must be fetched to read it, Attribute.Value
// makes its value of what was fetched (Facts), List the names that a listing shows. Attribute.Set
// and Attribute.Remove check everything, then change Properties and say (Change) which kind of
// request a stored object needs; a file that is not stored yet takes the Properties with its upload.
// A refusal changes nothing. Set and Remove may be applied again to fresher Properties.
//
// # What is kept where
//
// user.s3.tag.KEY is a tag, user.s3.meta.KEY user metadata as every other client sees it,
// user.s3.content-type a header, and so on; the table is in table.go.
//
// Any other user.NAME is user metadata under "xattr-" and NAME, written with letters, digits and
// hyphens only (see encodeName), its value as it is where it is plain text and in base64 where not,
// in pieces of at most 256 bytes (see encodeValue). One that does not fit is an annotation of the
// same name, where the store has annotations.
//
// Metadata that are attributes of the file (its owner, mode and times, in the dialects that
// objmount reads) and those of objmount are reserved: they are not shown and cannot be set.
package xattr
