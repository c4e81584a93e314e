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
// then File.io (files on disk), then File.mu (what is present, never held across I/O).
package disk
