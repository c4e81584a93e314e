package main

import (
	"context"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/objmount/objmount/ctl"
)

func newCacheCommand() *cobra.Command {
	return nounCommand("cache", "see, fill and empty the cache of objects' bytes",
		"Bytes of objects that were read are cached in memory and on the local disk, and can be thrown away at any time. Fill the cache before the network goes, or empty it.",
		`  objmount ctl cache stats /mnt
  objmount ctl cache prefetch /mnt/photos
  objmount ctl cache evict /mnt/photos`,
		cacheStats(), cachePrefetch(), cacheEvict())
}

func cacheStats() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "stats [flags] [PATH...]", short: "print how full the cache is, and what it saved",
		long:       "Print how full the cache of a mount is, and what it did since the mount began. Without PATH: of every mount.",
		example:    "  objmount ctl cache stats /mnt\n  objmount ctl cache stats --json /mnt | jq .corrupt",
		everyMount: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return showColumns(ctx, s, t, "cache/stats", ctl.CacheRequest{Target: t.target(false)}, "", writeCache)
		},
	}.command()
}

func writeCache(w io.Writer, c ctl.Cache) error {
	disk := "none"
	if c.Dir != "" {
		disk = fmt.Sprintf("%s of %s, in %s", bytesText(c.DiskUsed), bytesText(c.DiskLimit), c.Dir)
	}
	_, err := fmt.Fprintf(w, "memory\t%s of %s\ndisk\t%s\nreads\t%s from the cache, %s waited for the store\nreceived\t%s by %s\nwrong checksums\t%d\nnot written to disk\t%s\n",
		bytesText(c.MemoryUsed), bytesText(c.MemoryLimit), disk, humanize.Comma(c.Hits), humanize.Comma(c.Misses),
		bytesText(c.StoreBytes), plural(int(c.Requests), "request"), c.Corrupt, bytesText(c.Unsaved))
	return err
}

func cachePrefetch() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "prefetch [flags] PATH...", short: "read files into the cache",
		long: `Read the files at PATH, or below it, into the cache on disk, as far as they are not there, so that programs find them without waiting for the store. What the
cache has no room for pushes out what was used longest ago.`,
		example: "  objmount ctl cache prefetch /mnt/photos/2026\n  objmount ctl cache prefetch --json /mnt/model.bin",
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showAmount(ctx, t, "cache/prefetch", "fetched")
		},
	}.command()
}

func cacheEvict() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "evict [flags] PATH...", short: "drop cached bytes",
		long: `Drop what is cached of the files at PATH, or below it: in memory, on disk and in the kernel. What is written and not in the store yet stays. Old versions are pushed out
by time alone.`,
		example: "  objmount ctl cache evict /mnt/photos",
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showAmount(ctx, t, "cache/evict", "dropped what was cached of")
		},
	}.command()
}

func (s *ctlSession) showAmount(ctx context.Context, t ctlTarget, verb, what string) error {
	return s.run(ctx, t, verb, ctl.CacheRequest{Target: t.target(false)}, func(l ctl.Line) error {
		sum, ok, err := summaryOf(l)
		if ok && err == nil {
			_, err = fmt.Fprintf(s.out, "%s: %s %s\n", t.path, what, amountText(sum, "file"))
		}
		return err
	})
}
