// Package cache has no code. It says how the four packages below it divide the work of keeping
// things on this machine, and what survives what.
//
//   - blocks: bytes of objects, in memory and on disk. May be thrown away at any moment.
//   - metadata: names, listings and attributes of objects, in memory and in a small database. May
//     be thrown away as well.
//   - staging: what is not in the store yet: files that were written, what was promised about
//     them, and small promises of the layer above. Must not be thrown away. It works on the disk
//     and never on the network.
//   - writeback: the queue that uploads what staging holds. It works on the network and never on
//     the disk: it asks staging for readers, and staging remembers for it how far an upload got.
//
// Imports go one way: backend <- blocks, metadata, staging <- writeback <- fs. The first three do
// not know each other; fs moves what one learned to the others (an upload that ended becomes cached
// blocks and known metadata).
//
// # A byte's way
//
// A program's write goes to staging: into the data file of the staged file, and into its extent
// map. Close seals the map: a snapshot is promised. Write-back uploads the snapshot, with parts
// copied inside the store where the map refers to objects. The commit makes the snapshot's extents
// those of the new object; when nothing was written meanwhile, fs drops the staged file, and reads go
// through blocks again. Reads of a staged file go where its map says: staging for local extents,
// blocks for ranges of objects.
//
// # What survives what
//
//	                            blocks        metadata        staging                    writeback
//	the process is killed       the disk tier  the database   all that was sealed; what  nothing of its own:
//	                                                          was being written, as      staging has the parts
//	                                                          interrupted                that are done
//	the power fails             the disk tier, the database   what was synced, or sealed  the same
//	                            verified at    or nothing     a second before
//	                            the first read
//	its directory is removed    a cold cache   a cold cache   uploads not finished are   -
//	                                                          lost: do not
//	another client writes the   the old        a lifetime     the upload fails on its    reports the conflict
//	same object                 version stays  (TTL) at most  condition and is kept
//	                            keyed by ETag
package cache
