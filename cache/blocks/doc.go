// Package blocks keeps bytes of objects that may be thrown away at any moment: blocks in
// memory, a disk tier (package disk), read-ahead. Every byte belongs to one version of an
// object (bucket, key, ETag, size), and every GET carries If-Match, so that bytes of two
// versions never meet. Where the bucket keeps versions, and the credentials may read by their
// ids, a GET names the id as well, from open or from the first answer: it brings the old bytes
// when another version is current. The id takes no part in the identity.
//
// # Blocks
//
// Memory holds whole blocks of 1 MiB (the last one of an object, and a small object, as
// long as it is) and, for random reads, pieces of 32 KiB. A block is filled from its
// start to its end by one fetch; readers use what is there and wait for the rest, so a
// block on its way is shared by everybody who needs it, and its first bytes are served
// before its last have arrived. The index (content.blocks) holds no references: a block
// lives as long as a fetch, a View, a pin of a Reader, or the policy refers to it.
// Ristretto is that policy and nothing more. All buffers are counted in one budget, whose
// comment says why a reader always gets its turn.
//
// # Reading
//
// A Reader recognises up to four streams of advancing reads, tolerant of the kernel's
// parallel and reordered READs. A stream starts with exact GETs; once it is sequential, a
// window of read-ahead grows while its reader has to wait, in GETs of up to 8 MiB. What is
// read ahead is pinned until it was read. Other reads fetch the pieces they touch. Bytes
// that the disk tier has are read from there, without a copy in a block.
//
// # Goroutines
//
// Each fetch and each Small call has one goroutine on the cache's context; callers wait
// for blocks on their own context. Close ends that context and waits for all of them, then
// for the disk tier's writer. A read-ahead fetch that lost all its pins and waiters is
// cancelled.
//
// # Lock order
//
// Reader.mu, Cache.mu, content.mu; then the leaves parking.mu, fetch.mu, block.mu, the
// budget's and the buffers'; the locks of package disk are below content.mu (only
// File.Present is called there). The policy is never called, and a reference never given
// back, while content.mu is held: both may end in content.mu. No lock is held across a
// request.
package blocks
