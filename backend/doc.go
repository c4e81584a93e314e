// Package backend is the vocabulary that every part of objmount shares when it
// speaks of an object store: value types, error kinds, small role interfaces and
// the Capabilities of a store. It imports the standard library only.
//
// # Contract of every store
//
//   - Consistency: read after write and list after write, as S3 gives since 2020.
//   - ETags are carried without the surrounding quotes, in both directions.
//   - Keys are byte strings as the store keeps them; nothing is cleaned or escaped.
//   - Every error is (or wraps) an *Error; KindOf tells what a caller may do.
//     No caller looks at message texts.
//   - Repeats: a store repeats a request by itself only when the repeat is harmless:
//     reads, listings, UploadPart, CopyPart, ListParts. A conditional write
//     (Put, CompleteUpload, Copy, Delete with a condition) is sent once; when its
//     outcome is not known (a lost reply, a 500), the error has KindUnknown and the
//     caller compares generation ids (MetaGeneration) before it sends it again.
//   - A context that ends stops the request; the error then has KindCanceled.
//   - Methods are safe for concurrent use. Bodies that a store returns are closed by
//     the caller; bodies handed to a store are read from offset 0, may be read more
//     than once, and are not used after the method has returned.
package backend
