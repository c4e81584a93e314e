package main

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
	"github.com/objmount/objmount/fs"
)

// What a mount has goroutines for, at most. They are not a limit that is enforced somewhere, but the sum of those that are.
const (
	ownGoroutines        = 256 // of each part's own, the control socket, and what is looked up ahead of scans and renames
	perRequest           = 6   // the request, who looks for its interruption, and what it waits for
	perConnection        = 3   // one reads, one writes, one dials
	perStagedFile        = 2   // who sends its parts while it grows, and who stores it
	backgroundGoroutines = 64 + 64 + 64
)

// usage tells what the process uses, and how much it can.
func (p *parts) usage(state fs.Status) ctl.Usage {
	blocks, uploads := p.blocks.Stats(), p.queue.Load()
	u := ctl.Usage{
		Descriptors: ctl.Use{Now: openDescriptors(), Most: descriptorLimit()},
		Requests:    ctl.Use{Now: int64(state.Waiting), Most: threadsMax() + fs.MaxBackground},
		Reads:       ctl.Use{Now: blocks.RequestsNow, Most: blocks.RequestsMax},
		Uploads:     ctl.Use{Now: int64(uploads.Files), Most: int64(uploads.MostFiles)},
		Parts:       ctl.Use{Now: int64(uploads.Parts), Most: int64(uploads.MostParts)},
		Inodes:      ctl.Use{Now: int64(state.Inodes), Most: int64(state.MaxInodes)},
	}
	for _, m := range p.stores {
		now, most := m.store.InFlight()
		u.StoreRequests.Now += int64(now)
		u.StoreRequests.Most += int64(most)
	}
	const readAhead = 1 << 20 // bytes of the smallest range that is fetched before somebody asks for it
	u.Goroutines = ctl.Use{Now: int64(runtime.NumGoroutine())}
	u.Goroutines.Most = ownGoroutines + backgroundGoroutines + perRequest*u.Requests.Now + 2*perConnection*u.StoreRequests.Most +
		u.Reads.Most + blocks.MemoryLimit/readAhead + u.Uploads.Most + u.Parts.Most + perStagedFile*int64(state.Staging.Files)
	return u
}

// openDescriptors counts what the process has open; -1 where /proc is not there.
func openDescriptors() int64 {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return -1
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return int64(len(names)) - 1 // but for dir
}

// descriptorLimit is how many descriptors the process can have. The runtime raises the soft limit to the hard one when a program
// starts, and gives those that it starts the old one.
func descriptorLimit() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int64(min(limit.Cur, math.MaxInt64))
}

// threadsMax is how many threads the kernel lets run at once. Each can wait for one request.
func threadsMax() int64 {
	most := int64(math.MaxInt32)
	for _, name := range []string{"threads-max", "pid_max"} {
		text, err := os.ReadFile("/proc/sys/kernel/" + name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			most = min(most, n)
		}
	}
	return most
}

// descriptorShare is the part of the descriptors that each who keeps some open may have: connections to the stores, staged files,
// and the disk cache. The last is for the rest.
const descriptorShare = 4

// fitDescriptors has the mount keep fewer connections and files open where the process may not have as many as it likes. Two
// stores share.
func (p *parts) fitDescriptors() {
	most := descriptorLimit()
	if most <= 0 {
		return
	}
	fits := int(min(most/descriptorShare, math.MaxInt32)) / len(p.cfg.stores)
	p.openFiles = int(min(most/descriptorShare, 256))
	p.openCached = int(min(most/descriptorShare/2, math.MaxInt32)) // two each
	cut := false
	for i := range p.cfg.stores {
		if c := &p.cfg.stores[i].maxConnections; c.n > fits {
			c.n, cut = max(fits, 1), true
		}
	}
	p.cfg.maxConnections.n = min(p.cfg.maxConnections.n, max(fits, 1))
	if cut {
		p.log.Warn("the process may have few files and connections open, so it uses fewer, and may be slow; raise the hard limit: ulimit -Hn, or LimitNOFILE= of the service",
			slog.Int64("descriptors", most), slog.Int("connections", max(fits, 1)))
	}
}
