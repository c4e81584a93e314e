package blocks

import "sync/atomic"

// counters are what Stats reports and nothing else knows.
type counters struct {
	hits, misses                       atomic.Int64
	memoryBytes, diskBytes, storeBytes atomic.Int64
	requests, resumed, corrupt         atomic.Int64
	unsaved                            atomic.Int64 // bytes that the disk tier's queue never took
}

// Stats are counters since Open and gauges of now. Sizes are in bytes.
type Stats struct {
	Hits        int64 `json:"hits"`         // reads answered without waiting for the store
	Misses      int64 `json:"misses"`       // reads that waited for bytes of the store
	MemoryBytes int64 `json:"memory_bytes"` // read from blocks that were in memory or on their way there
	DiskBytes   int64 `json:"disk_bytes"`   // read from the disk tier
	StoreBytes  int64 `json:"store_bytes"`  // received from the store
	Requests    int64 `json:"requests"`     // GETs sent
	Resumed     int64 `json:"resumed"`      // bodies that broke and were taken up again
	Corrupt     int64 `json:"corrupt"`      // checksum mismatches, of the store's bytes and of the disk tier's

	RequestsNow int64 `json:"requests_now"` // GETs running
	RequestsMax int64 `json:"requests_max"` // GETs that can run at once; more wait
	MemoryUsed  int64 `json:"memory_used"`
	MemoryPeak  int64 `json:"memory_peak"`
	MemoryLimit int64 `json:"memory_limit"`
	Pinned      int64 `json:"pinned"` // read ahead or kept for a reader
	DiskUsed    int64 `json:"disk_used"`
	DiskLimit   int64 `json:"disk_limit"`
	DiskQueued  int64 `json:"disk_queued"` // waits to be written
	DiskWritten int64 `json:"disk_written"`
	DiskDropped int64 `json:"disk_dropped"` // not written to disk because the disk was too slow or full
}

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	s := &c.stats
	d := c.tier.Stats()
	used, peak, pinned := c.buffers.budget.usage()
	return Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(),
		MemoryBytes: s.memoryBytes.Load(), DiskBytes: s.diskBytes.Load(), StoreBytes: s.storeBytes.Load(),
		Requests: s.requests.Load(), Resumed: s.resumed.Load(), Corrupt: s.corrupt.Load() + d.Corrupt,
		RequestsNow: int64(len(c.slots)), RequestsMax: int64(cap(c.slots)),
		MemoryUsed: used, MemoryPeak: peak, MemoryLimit: c.buffers.budget.limit, Pinned: pinned,
		DiskUsed: d.Used, DiskLimit: d.Limit, DiskQueued: d.Queued, DiskWritten: d.Written, DiskDropped: d.Dropped + s.unsaved.Load(),
	}
}
