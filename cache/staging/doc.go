// Package staging keeps what is not in the store yet: files that are being written or wait for their
// upload. It works on the local disk and never on the network.
//
// # The idea
//
// A File is a list of Extents that cover it: bytes in its data file, ranges of objects, and zeros. A
// write makes a range local, whatever it was before; nothing is downloaded for it. A Seal promises the
// content as it is: it journals the list and returns a Snapshot, which write-back uploads. Committed
// tells the file that the snapshot is an object now.
//
// Local bytes are frozen by a Seal (or by a Freeze, for parts that are uploaded while the file is still
// written): a later write goes to new space at the end of the data file. Positions of a data file are
// given out once, so a frozen position names its bytes for ever: a part that was uploaded is the same
// as the file's content now if both name the same positions (SameContent). Space that nothing refers
// to any more is given back by punching holes.
//
// A file that is written from its start to its end and outgrows the limit gives back parts that its upload
// has (DropPart): they are Streamed extents, which nobody can read, change or rename before the commit. Their
// positions stay theirs, so that the part can be told to be the content. The upload is all there is of
// them, so it is kept in a conflict and over a restart.
//
// # The directory
//
//	lock             held by flock; says which process has the area
//	journal          the log: one segment
//	journal.new      the next segment while it is made; without meaning
//	data/ID          the local bytes of one staged file, sparse
//	quarantine/      what is not understood: pieces of the journal (journal-OFFSET), data files that the
//	                 journal does not know (data-NAME). Nothing reads it, nothing removes it
//
// The journal is a header that names the format's version and a sequence of records (frame.go): length,
// checksum, sequence number, file, type. A record is appended by one write, without a sync. Records of a
// file are whole: the last content counts, and a damaged record costs no other file. When most
// of the segment is of no use any more, the records that count are copied to a new one, which is synced and
// renamed into place; every start does that too. A version that is not known is an error that
// changes nothing.
//
// # What is durable when
//
// Every record is a write to the page cache when the call returns, so the end of the process loses
// nothing. Against a power failure:
//
//   - Seal(true), Sync and AddIntent with sync return when everything they say is on the disk. Callers
//     that come at the same time share one sync of the journal.
//   - Everything else is synced within a second: first the data of sealed files, then a record which says
//     that it is durable (a mark), then the journal. A seal is believed after a power failure only with its
//     mark, and the last seal with a mark is kept until a later one has its own.
//   - Bytes are given back, and data files of promises that the disk has are unlinked, only when the record
//     that allows it is durable.
//
// The maps of files that are being written are journalled once a second too (large ones less often),
// their data is not synced: nothing is promised about it.
//
// # What a crash leaves
//
//	open, never changed         nothing
//	open, changed               interrupted, as of the last second's map. Killed before the first map: the
//	                            bytes, assumed to have been written in order
//	sealed                      sealed, with its Upload. After a power failure the last seal that was durable;
//	                            without one interrupted, or gone if not even its file reached the disk
//	sealed, written since       sealed as above, and an interrupted file of its own with what was written since
//	conflict, interrupted       the same, with its reason
//	scratch                     nothing; after a power failure within a second what it was before
//	committed or removed        nothing; after a power failure within a second possibly sealed once more
//	                            (write-back finds its generation in the store)
//	a torn record at the end    is left out
//	a damaged record            goes to quarantine; its file is interrupted if it was promised
//	bytes missing on the disk   interrupted; reading them is an error, never zeros
//
// # Areas of other mounts
//
// Adopt opens the area of a mount that does not run any more beside this one. Its files stay in its
// directory and its journal, and are listed, changed and removed there.
//
// # Locks and goroutines
//
// In the order in which they are taken:
//
//	File.syncMu      while the data of one file is synced
//	File.mu          the state of one file; two files are locked in the order of their age
//	Area.mu, journal.mu, handles.mu, limiter.mu     leaves; Area.mu before limiter.mu; never two areas' mu
//
// committer.run is held while the journal is synced or compacted; no File.mu is taken under it. No method
// calls back into another package. File methods do disk I/O under File.mu, but for reads.
//
// One goroutine per Area (committer.loop) does what is due within a second; Open starts it, Close
// stops it and waits for it. It sleeps while nothing is due.
package staging
