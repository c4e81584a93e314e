package main

import (
	"github.com/objmount/objmount/backend"
)

// shares is how --memory-limit is divided.
type shares struct {
	blocks  int64 // buffers of object bytes, outside the Go heap
	merge   int64 // parts that are put together for an upload
	goHeap  int64 // what the garbage collector keeps below
	entries int   // names in the metadata cache
	inodes  int   // that the kernel may know
}

const (
	leastMemory = 64 * backend.MiB
	mostMerge   = 64 * backend.MiB
	entryBytes  = 200 // of a name in the metadata cache
	inodeBytes  = 256 // of an inode that the kernel knows and nobody uses: fs.TestMemoryOfIdleFiles
)

// divideMemory gives half to blocks, up to a quarter to merging, and the rest to names and inodes.
func divideMemory(limit int64) shares {
	s := shares{blocks: limit / 2, merge: min(limit/4, mostMerge)}
	s.goHeap = limit - s.blocks
	if blocksOnHeap {
		s.goHeap = limit * 4 // the race detector's build: shadow memory and all; only to catch leaks
	}
	rest := limit - s.blocks - s.merge
	s.entries = int(rest / 2 / entryBytes)
	s.inodes = int(rest / 2 / inodeBytes)
	return s
}
