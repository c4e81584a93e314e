// Package metadata keeps names, listings and attributes of objects that may be thrown
// away: everything in it can be had again from the store.
//
// # Names
//
// A directory is a bucket and a key prefix ("" or ending in "/"). For each directory the
// cache holds the part of its listing that is known, and single entries that lookups
// brought. Entries are in tree order: by Name+"/", the order in which a listing without
// delimiter passes them, and a depth-first walk too.
//
// A listing has a frontier, a key up to which all is known. Object "a" and prefix "a/" are
// one Entry, so "a" is decided when the frontier has passed "a/"; what lies between
// ("a-1", "a.b/") comes first. A Scan is a cursor over a listing; several scans of a
// directory share one listing, and each page is fetched once, one ahead of the fastest.
//
// Whatever is known is fresh for Config.TTL after the request began that brought it (a
// name that a lookup did not find, for Config.NegativeTTL). Of two answers the one whose
// request began later counts.
//
// # Own changes
//
// Stored, Removed and their kin change what is cached at once, and are repeated on the
// answer of every request that was under way when they came, because that answer may be
// older. So no page brings back what this process removed.
//
// # Walks
//
// Scans of directories next to each other, one after the other (find, rm -r, cp -r), are
// recognised. The next ones are served by listing without delimiter from there on: a
// page of 1,000 keys fills the listings of all directories it passes. A directory that
// turns out to be large (see flatPages) is listed with delimiter from where the walk
// stood, and the walk has to prove itself again.
//
// # Attributes
//
// What a HEAD told (user metadata, headers, tag count) is remembered under bucket and key,
// and answered only for the same ETag and the same second of LastModified. Recent ones are
// in memory; all go to a bbolt file too, which survives a remount. That file is never
// synced: after a crash of the machine it is thrown away (see state.go), and the cache is cold.
//
// # Memory
//
// All listings and entries together hold at most Config.MaxEntries entries of about 200
// bytes. Directories leave in the order of their last use. A directory too large to be
// held at all streams through: what its fastest scan has read is dropped.
//
// # Locks and goroutines
//
// Cache.mu guards everything about names, recollection.mu the attributes in memory, and
// headers.mu the HEADs under way. headers.mu comes before Cache.mu; recollection.mu and
// file.mu are leaves; none is held across a request. Requests run in goroutines of
// their own, so that the end of a caller's context ends only its waiting; they are started
// by flights (flight.go) and Fill, ended by Cache.stop, and awaited by Close. One more
// goroutine, started by Open, writes attributes to the file.
package metadata
