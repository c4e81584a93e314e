// Package mem is an object store in memory, as exact as Amazon S3 documents itself: for
// unit tests, request budgets and fault tests. It is also the reference that
// backend/backendtest is checked against.
//
// # Idea
//
// Content is immutable and shared: a Put makes a list of segments of at most 1 MiB, a
// multipart upload appends the segments of its parts, and copies (whole objects, and ranges
// as parts) refer to the segments of their source. A segment of zeros has no memory at all,
// so that tests with many GiB of zeros are cheap.
//
// Settings say what the store can do. An ability that is switched off makes the store lie,
// as many real ones do: a condition is accepted and ignored, a checksum is not verified.
// With Settings.RefuseConditions it is honest instead and answers KindUnsupported.
//
// Versions, object lock and what a bucket has by default are BucketSettings, set by
// ConfigureBucket; Settings.Capabilities switches versions and object lock on for all buckets.
// Amazon S3 documents what happens: versions suspended again leave null versions and null
// markers; a lock keeps a version and not a key, so that overwriting and deleting a locked
// object puts a version or a marker on top. Not here: Select.
//
// # Wrappers
//
// Counting counts requests and bytes, for tests of request budgets. Faulty makes chosen
// calls fail, wait, lose their reply or damage their bytes. Both wrap any backend.Store and can
// wrap each other; a fault below the counter is counted, one above it is not.
//
// # Locking
//
// One mutex per Store guards all of it; it is a leaf and never held while bodies are read
// or hashed. Counter, Faults and Active have one leaf mutex each, not held during calls. The
// package starts no goroutine.
package mem
