//go:build race

package main

// blocksOnHeap: under the race detector cache/blocks takes its buffers from the Go heap.
const blocksOnHeap = true
