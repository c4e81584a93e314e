// Command bench runs objmount, s3fs and rclone in turn on the same store and the same work, with
// a bare S3 client as the limit, and prints one table of medians and ratios.
//
// # What is equal for everybody
//
// The store is VersityGW on this machine, with a proxy before it where latency is added. Every
// measurement begins with a bucket, a mount and a local state of its own, so that no client has
// anything cached, while the store's files are in the page cache and what was written before is on
// the disk. The clients take turns within each repetition, so that a slow minute hits all. A write
// counts until the store has all of it, whatever the client's close promises: rclone and
// objmount-background answer close before that, objmount, s3fs and the bare client after it.
// (objmount-background is measured only where it makes a difference, in the rows that write.)
//
// What was written is then compared, byte by byte, with what it should be, and what was read with
// what is stored, outside of the time; large files that were read are read once more for that, in
// the first repetition. A measurement that fails shows its reason instead of a number.
//
// CPU is what the client's process used during the work, peak memory its largest resident size.
//
// # Settings
//
// objmount has its defaults. The others have what their own documentation recommends for speed
// (clients.go): s3fs parallel and multipart requests, more listing requests at once and a cache of
// missing names (its stat cache is on by default); rclone the cache mode that random writes need,
// write-back at once, as many transfers as the threads of the work, larger parts, and times from
// the listing instead of one HEAD for each entry (its parallel streams for reading are left out: they made
// reading from start to end no faster and random reads ten times slower). The bare client has eight
// requests at once.
//
// # Running it
//
//	make bench                     # everything; under an hour on two cores
//	make bench BENCH_SCALE=0.02    # a quick look
//	TMPDIR=/dev/shm make bench     # store and local state in memory (6 GiB): the disk and its history are out of it
//	go run ./test/bench -objmount bin/objmount -scale 0.05 -only '^(read|write) ' -clients bare,objmount
//
// Each row is printed when it is done, so an interrupted run keeps what it has. -repeat, -budget and
// -total say how often a cell is measured.
//
// # Where the time goes
//
// -profile DIR measures an objmount that is built with a profiler and writes a CPU profile of each
// piece of work to DIR; -requests prints how many requests of each kind the store got for it:
//
//	go run ./test/bench -clients objmount -only '^read 1 GiB' -latency 0 -repeat 1 -profile /tmp/p -requests
//	go tool pprof -top /tmp/p/objmount /tmp/p/read-1-GiB-0s.cpu
package main
