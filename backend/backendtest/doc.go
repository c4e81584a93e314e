// Package backendtest is the conformance suite of object stores: what every implementation
// of backend.Store promises, as many small subtests.
//
// # Use
//
// A new backend has one test:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) (backend.Store, string) {
//			store := open(t)                // skip when there is no server
//			return store, "existing-bucket" // scratch; it need not be empty
//		})
//	}
//
// Subtests about locks need a bucket with object lock: the one of Run, or those that the option
// LockBuckets makes.
//
// Run calls the function once, asks Capabilities with a probe, and holds the store to what it
// claims: a subtest whose ability is not claimed is skipped and says so. It never tests that
// an ability is absent. A role that answers KindUnsupported skips its subtests in the same way. To see what a server could do beyond its claims, compare the skipped
// subtests with the vendor's documents.
//
// # What it does to a server
//
// Every run writes under its own random prefix, every subtest below a folder of its own, and
// the rest is deleted at the end, all versions of it. Some subtests make a bucket of their own
// and remove it; without the permission for that they are skipped. An object under compliance
// stays, with its bucket.
// Bodies are at most 12 MiB; all of it takes some ten seconds on a server on this machine.
// With -short bodies are shorter, and the subtests with more than a thousand requests are
// left out. Subtests run in parallel as -parallel says.
//
// # What it is strict about, and what not
//
// Kinds of errors, ETags without quotes, byte order, exact bytes. It accepts the freedoms
// that package backend documents: an empty last page, an empty ETag after CompleteUpload,
// KindUnknown for the losers of a race, a store that does not say checksums or tag counts, one
// that shows a lock by Lock and by the HEAD of a current version only, one that refuses tags in
// other scripts than ASCII.
// Where S3 itself is vague (a stale If-Match on a key that is gone; the kind of a refused
// part), the subtest names what it accepts.
package backendtest
