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
// Run calls the function once, asks Capabilities with a probe, and holds the store to what it
// claims: a subtest whose ability is not claimed is skipped and says so. It never tests that
// an ability is absent. To see what a server could do beyond its claims, compare the skipped
// subtests with the vendor's documents.
//
// # What it does to a server
//
// Every run writes under its own random prefix, every subtest below a folder of its own, and
// the rest is deleted at the end (a bucket that keeps versions keeps old versions of them).
// Bodies are at most 12 MiB; all of it takes some ten seconds on a server on this machine.
// With -short bodies are shorter, and the subtests with more than a thousand requests are
// left out. Subtests run in parallel as -parallel says. One subtest makes and removes a bucket; without the permission
// for that it is skipped.
//
// # What it is strict about, and what not
//
// Kinds of errors, ETags without quotes, byte order, exact bytes. It accepts the freedoms
// that package backend documents: an empty last page, an empty ETag after CompleteUpload,
// KindUnknown for the losers of a race, a store that does not say checksums or tag counts.
// Where S3 itself is vague (a stale If-Match on a key that is gone; the kind of a refused
// part), the subtest names what it accepts.
package backendtest
