package main

import (
	"bytes"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

const mib = 1 << 20

// A row is one kind of work.
type row struct {
	name    string
	prepare func(b *bench) error // makes what the work needs, in the store
	work    func(b *bench) error // through the mount
	stored  func(b *bench) bool  // whether the store has what was written; nil: nothing is
	bare    func(b *bench) error // the same with the bare client
}

// rows at a scale; 1 is what the issue asks for.
func rows(scale float64) []row {
	n := func(full, least int) int { return max(least, int(float64(full)*scale)) }
	big := n(1<<30, 32*mib)
	small, entries, random, renamed := n(2000, 32), n(20_000, 100), n(500, 20), n(500, 10)
	const smallSize = 16 << 10
	out := []row{
		{
			name: "read " + size(big), prepare: seedBig(big), bare: func(b *bench) error { return b.bareRead("big", int64(big)) },
			work: func(b *bench) error { return b.readFile("big") },
		},
		{
			name: "write " + size(big), stored: storedSize("big", big), bare: func(b *bench) error { return b.bareWrite("big", int64(big)) },
			work: func(b *bench) error { return b.writeFile("big", big) },
		},
	}
	for _, threads := range []int{1, 16} {
		out = append(out,
			row{
				name:    fmt.Sprintf("read %d files, %d threads", small, threads),
				prepare: seedMany("d/f%05d", small, smallSize),
				work: func(b *bench) error {
					return each(small, threads, func(i int) error { return b.readFile(fmt.Sprintf("d/f%05d", i)) })
				},
				bare: func(b *bench) error { return b.bareReadMany("d/f%05d", small, threads) },
			},
			row{
				name:    fmt.Sprintf("write %d files, %d threads", small, threads),
				prepare: seedMany("d/other%d", 1, 1),
				work: func(b *bench) error {
					return each(small, threads, func(i int) error { return b.writeFile(fmt.Sprintf("d/f%05d", i), smallSize) })
				},
				stored: storedCount("d", small+1, smallSize),
				bare:   func(b *bench) error { return b.bareWriteMany("d/f%05d", small, smallSize, threads) },
			})
	}
	return append(out,
		row{
			name: fmt.Sprintf("ls -l of %d entries", entries), prepare: seedMany("d/entry%06d", entries, 100),
			work: func(b *bench) error { return b.lines(entries+1, "ls", "-l", b.mount+"/d") },
			bare: func(b *bench) error { return b.bareList("d/", entries) },
		},
		row{
			name: fmt.Sprintf("find over %d files", entries), prepare: func(b *bench) error {
				for i := range entries {
					if err := b.server.seed(b.folder, fmt.Sprintf("d/dir%05d/file%d", i/10, i%10), 100); err != nil {
						return err
					}
				}
				return nil
			},
			work: func(b *bench) error { return b.lines(entries+(entries+9)/10+1, "find", b.mount+"/d") },
			bare: func(b *bench) error { return b.bareList("d/", entries) },
		},
		randomRow(big, random, 4<<10), randomRow(big, random, 128<<10),
		row{
			name: "edit 1 MiB in " + size(big), prepare: seedBig(big),
			work:   func(b *bench) error { return b.edit("big", int64(big/2+12345)) },
			stored: storedEdit("big", int64(big/2+12345)),
			bare:   func(b *bench) error { return b.bareEdit("big", int64(big), int64(big/2+12345)) },
		},
		row{
			name: "cp of " + size(big), prepare: seedBig(big),
			work:   func(b *bench) error { return b.shell("cp", b.mount+"/big", b.mount+"/copy") },
			stored: storedSize("copy", big),
			bare:   func(b *bench) error { return b.bareCopy("big", "copy") },
		},
		row{
			name: fmt.Sprintf("rename a directory of %d", renamed), prepare: seedMany("d/f%04d", renamed, smallSize),
			work:   func(b *bench) error { return os.Rename(b.mount+"/d", b.mount+"/e") },
			stored: func(b *bench) bool { return storedCount("e", renamed, smallSize)(b) && storedCount("d", 0, 0)(b) },
			bare:   func(b *bench) error { return b.bareRename("d/", "e/") },
		})
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
		for i := range count {
			if err := b.server.seed(b.folder, fmt.Sprintf(format, i), n); err != nil {
				return err
			}
		}
		return nil
	}
}

func storedSize(key string, n int) func(b *bench) bool {
	return func(b *bench) bool {
		info, err := os.Stat(filepath.Join(b.folder, key))
		return err == nil && info.Size() == int64(n)
	}
}

// storedCount says whether a folder has so many files, all but one of at least n bytes.
func storedCount(folder string, count, n int) func(b *bench) bool {
	return func(b *bench) bool {
		entries, err := os.ReadDir(filepath.Join(b.folder, folder))
		if err != nil {
			return count == 0
		}
		complete, files := 0, 0
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				files++
				if info.Size() >= int64(n) {
					complete++
				}
			}
		}
		return files == count && complete >= count-1
	}
}

func randomRow(big, count, n int) row {
	offsets := make([]int64, count)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range offsets {
		offsets[i] = random.Int64N(int64(big-n)/4096) * 4096
	}
	return row{
		name: fmt.Sprintf("%d random reads of %d KiB", count, n>>10), prepare: seedBig(big),
		work: func(b *bench) error {
			f, err := os.Open(filepath.Join(b.mount, "big"))
			if err != nil {
				return err
			}
			defer f.Close()
			buffer := make([]byte, n)
			for _, off := range offsets {
				if _, err := f.ReadAt(buffer, off); err != nil {
					return err
				}
			}
			return nil
		},
		bare: func(b *bench) error { return b.bareRanges("big", offsets, n) },
	}
}

func (b *bench) readFile(name string) error {
	f, err := os.Open(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, mib))
	return err
}

// noise does not compress and is not the same twice.
var noise = func() []byte {
	data := make([]byte, 8*mib)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}()

func (b *bench) writeFile(name string, n int) error {
	f, err := os.Create(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	for left := n; left > 0; {
		piece := noise[:min(left, mib)]
		if _, err := f.Write(piece); err != nil {
			return err
		}
		left -= len(piece)
	}
	return f.Close()
}

func (b *bench) edit(name string, off int64) error {
	f, err := os.OpenFile(filepath.Join(b.mount, name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(noise[:mib], off); err != nil {
		return err
	}
	return f.Close()
}

func storedEdit(key string, off int64) func(b *bench) bool {
	return func(b *bench) bool {
		f, err := os.Open(filepath.Join(b.folder, key))
		if err != nil {
			return false
		}
		defer f.Close()
		got := make([]byte, mib)
		_, err = f.ReadAt(got, off)
		return err == nil && bytes.Equal(got, noise[:mib])
	}
}

func (b *bench) shell(name string, args ...string) error {
	out, err := exec.CommandContext(b.ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (b *bench) lines(want int, name string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, &problems)
	}
	if got := bytes.Count(out, []byte("\n")); got != want {
		return fmt.Errorf("%s printed %d lines, want %d", name, got, want)
	}
	return nil
}

// each calls f for 0..n-1 from so many goroutines.
func each(n, threads int, f func(i int) error) error {
	var g errgroup.Group
	for t := range threads {
		g.Go(func() error {
			for i := t; i < n; i += threads {
				if err := f(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
