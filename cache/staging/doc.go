// Package staging keeps what is not in the store yet: files that are being written or wait for their
// upload. It works on the local disk and never on the network.
//
// A File is a list of Extents that cover it: bytes in its data file, ranges of objects, and zeros.
// A Seal makes a Snapshot of that list, which write-back uploads; Committed tells the file that the
// snapshot is stored. The bytes of a snapshot are frozen: a later write goes to new space of the data
// file, whose positions are given out once, so a frozen position names its bytes for ever.
package staging
