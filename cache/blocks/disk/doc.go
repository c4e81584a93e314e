// Package disk is the disk tier of the block cache: bytes of object versions in files
// that may be deleted at any moment, bounded in size, valid across remounts.
//
// # Layout
//
// An object version (bucket, key, ETag, size) has a name, 32 hex digits of a SHA-256.
// Below Config.Dir, in 256 folders by the first two digits:
//
//	NAME.NONCE.data  sparse, as long as the object, the object's bytes at offset 0
//	NAME.meta        header (key, ETag, size, nonce) and fixed-size records: which pieces
//	                 of 32 KiB are present, and their xxHash64
//	NAME.NONCE.tmp   a meta file being made
//
// An object of up to 128 KiB that is written in one piece goes to the shelf instead (folder pk):
//
//	SEGMENT.pack.data  the bytes of many objects, one after the other
//	SEGMENT.meta       a record for each: name, place, size, xxHash64 of its pieces
//
// One process, which holds the lock of the meta file, appends to a segment; a new one is begun where
// all are full or taken. What others add is seen at the next start. Removing an object only makes it
// unknown here: its bytes go with the segment, and the ETag in its name keeps them right until then.
//
// A meta file belongs to the data file whose nonce it carries, so that one process may
// remove a pair while another makes a new one: files of different pairs never mix. Bytes
// are written first, then the record is appended with one write(2). Nothing is synced:
// after a power cut a record may describe bytes that never reached the disk, which its
// hash shows. A piece is compared with its hash when it is first read after a start; one
// that differs is dropped (by a record, too) and counted.
//
// # Who uses the folder
//
// Several processes may share it. Each knows the sizes it found at its last scan and what
// it wrote since; it scans again after every sixteenth of the limit. The time of last use
// is the data file's mtime.
//
// # Goroutines and locks
//
// Open starts one writer, which scans, evicts and works off the bounded queue; Close
// drains the queue and waits for it and for running verifications. Lock order: Tier.mu,
// then File.io (files on disk), then shelf.mu (also across its I/O), then File.mu (what is
// present, never held across I/O).
package disk
