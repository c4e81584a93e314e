// Command bench runs objmount, s3fs and rclone in turn on the same store and the same work, with
// a bare S3 client as the limit, and prints one table of medians and ratios.
//
// The store is VersityGW on this machine, behind a proxy that adds latency. Every measurement
// starts with a new mount, so that nothing is in the client's memory, while the store's files
// are in the page cache for everybody. A write counts until the store has all of it, whatever
// the client's close promises. CPU is that of the client process over the whole life of its
// mount, peak memory its largest resident size.
//
//	go run ./test/bench -objmount bin/objmount -scale 0.05 -only 'read|write'
package main
