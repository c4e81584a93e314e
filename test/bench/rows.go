package main

import (
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
)

const mib = 1 << 20

// A row is one kind of work.
type row struct {
	name    string
	prepare func(b *bench) error // makes what the work needs, in the store
	work    func(b *bench) error // through the mount
	stored  func(b *bench) bool  // whether the store has what was written; nil: nothing is
	bare    func(b *bench) error // the same with the bare client
	verify  func(b *bench) error // afterwards: whether all is as it should be
	keeps   int                  // how many pieces that were read are kept for verify
}

const (
	smallSize = 16 << 10 // bytes of a small file
	entrySize = 100      // bytes of a file that is only listed
)

// rows at a scale; 1 is what the issue asks for.
func rows(scale float64) []row {
	n := func(full, least int) int { return max(least, int(float64(full)*scale)) }
	big := n(1<<30, 32*mib)
	small, entries, random, renamed := n(2000, 32), n(20_000, 100), n(500, 20), n(500, 10)
	out := []row{
		{
			name: "read " + size(big), prepare: seedBig(big),
			work: func(b *bench) error { return b.readWhole("big", big) },
			bare: func(b *bench) error { return b.bareRead("big", int64(big), nil) },
			verify: func(b *bench) error {
				if !b.first {
					return nil
				}
				return b.readsAsStored("big", big)
			},
		},
		{
			name: "write " + size(big), stored: storedSize("big", big),
			work:   func(b *bench) error { return b.writeFile("big", big) },
			bare:   func(b *bench) error { return b.bareWrite("big", int64(big)) },
			verify: func(b *bench) error { return b.isNoise("big", big) },
		},
	}
	for _, threads := range []int{1, 16} {
		out = append(out, readManyRow(small, threads), writeManyRow(small, threads))
	}
	at := int64(big/8*5 + 12345) // s3fs fails where what is before is a little more than its parts for copies
	return append(out, lsRow(entries), findRow(entries), randomRow(big, random, 4<<10), randomRow(big, random, 128<<10),
		row{
			name: "edit 1 MiB in " + size(big), prepare: seedBig(big), stored: storedEdit("big", at),
			work:   func(b *bench) error { return b.edit("big", at) },
			bare:   func(b *bench) error { return b.bareEdit("big", int64(big), at) },
			verify: func(b *bench) error { return b.isSeed("big", big, at) },
		},
		row{
			name: "cp of " + size(big), prepare: seedBig(big), stored: storedSize("copy", big),
			work:   func(b *bench) error { return b.shell("cp", b.mount+"/big", b.mount+"/copy") },
			bare:   func(b *bench) error { return b.bareCopy("big", "copy") },
			verify: func(b *bench) error { return b.isSeed("copy", big, -1) },
		},
		renameRow(renamed))
}

func readManyRow(count, threads int) row {
	return row{
		name:    fmt.Sprintf("read %d files, %s", count, threadsText(threads)),
		prepare: seedMany("d/f%05d", count, smallSize), keeps: count,
		work: func(b *bench) error {
			return each(count, threads, func(i int) error { return b.readSmall(i, fmt.Sprintf("d/f%05d", i)) })
		},
		bare: func(b *bench) error { return b.bareReadMany("d/f%05d", count, threads) },
		verify: func(b *bench) error {
			want, err := b.server.seedBytes(smallSize, 0, smallSize)
			if err != nil {
				return err
			}
			return b.kept.all(func(int) []byte { return want })
		},
	}
}

func writeManyRow(count, threads int) row {
	return row{
		name:    fmt.Sprintf("write %d files, %s", count, threadsText(threads)),
		prepare: seedMany("d/other%d", 1, 1), stored: storedCount("d", count+1),
		work: func(b *bench) error {
			return each(count, threads, func(i int) error { return b.writeFile(fmt.Sprintf("d/f%05d", i), smallSize) })
		},
		bare: func(b *bench) error { return b.bareWriteMany("d/f%05d", count, smallSize, threads) },
		verify: func(b *bench) error {
			return each(count, 1, func(i int) error { return b.isNoise(fmt.Sprintf("d/f%05d", i), smallSize) })
		},
	}
}

func lsRow(entries int) row {
	return row{
		name: fmt.Sprintf("ls -l of %d entries", entries), prepare: seedMany("d/entry%06d", entries, entrySize), keeps: 1,
		work: func(b *bench) error { return b.output("ls", "-l", b.mount+"/d") },
		bare: func(b *bench) error { return b.bareList("d/", entries) },
		verify: func(b *bench) error {
			return b.printedAll(entries, entries+1, func(i int) string { return fmt.Sprintf("entry%06d", i) })
		},
	}
}

func findRow(entries int) row {
	name := func(i int) string { return fmt.Sprintf("d/dir%05d/file%d", i/10, i%10) }
	return row{
		name: fmt.Sprintf("find over %d files", entries), keeps: 1,
		prepare: func(b *bench) error {
			return each(entries, 1, func(i int) error { return b.server.seed(b.folder, name(i), entrySize) })
		},
		work: func(b *bench) error { return b.output("find", b.mount+"/d") },
		bare: func(b *bench) error { return b.bareList("d/", entries) },
		verify: func(b *bench) error {
			return b.printedAll(entries, entries+(entries+9)/10+1, func(i int) string { return filepath.Join(b.mount, name(i)) })
		},
	}
}

func randomRow(big, count, n int) row {
	offsets := make([]int64, count)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range offsets {
		offsets[i] = random.Int64N(int64(big-n)/4096) * 4096
	}
	return row{
		name: fmt.Sprintf("%d random reads of %d KiB", count, n>>10), prepare: seedBig(big), keeps: count,
		work: func(b *bench) error { return b.readRandom("big", offsets, n) },
		bare: func(b *bench) error { return b.bareRanges("big", offsets, n) },
		verify: func(b *bench) error {
			return b.kept.all(func(i int) []byte {
				want, err := b.server.seedBytes(big, offsets[i], n)
				if err != nil {
					return nil
				}
				return want
			})
		},
	}
}

func renameRow(count int) row {
	return row{
		name: fmt.Sprintf("rename a directory of %d", count), prepare: seedMany("d/f%04d", count, smallSize),
		work:   func(b *bench) error { return os.Rename(b.mount+"/d", b.mount+"/e") },
		stored: func(b *bench) bool { return storedCount("e", count)(b) && storedCount("d", 0)(b) },
		bare:   func(b *bench) error { return b.bareRename("d/", "e/") },
		verify: func(b *bench) error {
			return each(count, 1, func(i int) error { return b.isSeed(fmt.Sprintf("e/f%04d", i), smallSize, -1) })
		},
	}
}

func threadsText(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

func size(n int) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func seedBig(n int) func(b *bench) error {
	return func(b *bench) error { return b.server.seed(b.folder, "big", n) }
}

func seedMany(format string, count, n int) func(b *bench) error {
	return func(b *bench) error {
		return each(count, 1, func(i int) error { return b.server.seed(b.folder, fmt.Sprintf(format, i), n) })
	}
}
