//go:build !race

package main

// blocksOnHeap: cache/blocks maps its buffers itself, so the garbage collector does not count them.
const blocksOnHeap = false
