package main

import (
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// readWhole reads a large file in pieces of 1 MiB and forgets them.
func (b *bench) readWhole(name string, size int) error {
	f, err := os.Open(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, mib))
	if err == nil && n != int64(size) {
		err = fmt.Errorf("%s: read %d bytes, want %d", name, n, size)
	}
	return err
}

// readSmall reads a whole small file, as the i-th piece that is kept.
func (b *bench) readSmall(i int, name string) error {
	data, err := os.ReadFile(filepath.Join(b.mount, name))
	b.kept[i] = data
	return err
}

func (b *bench) readRandom(name string, offsets []int64, n int) error {
	f, err := os.Open(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	for i, off := range offsets {
		buffer := make([]byte, n)
		if _, err := f.ReadAt(buffer, off); err != nil {
			return err
		}
		b.kept[i] = buffer
	}
	return nil
}

// noise does not compress and is not the same twice; files that are written are made of it.
var noise = func() []byte {
	data := make([]byte, 8*mib)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}()

// writeFile writes noise in pieces of up to 1 MiB, from its start again after 8 MiB.
func (b *bench) writeFile(name string, n int) error {
	f, err := os.Create(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	for done := 0; done < n; {
		from := done % len(noise)
		piece := noise[from : from+min(n-done, mib)]
		if _, err := f.Write(piece); err != nil {
			return err
		}
		done += len(piece)
	}
	return f.Close()
}

// edit overwrites 1 MiB in place.
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

func (b *bench) shell(name string, args ...string) error {
	out, err := exec.CommandContext(b.ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// output runs a command and keeps what it prints.
func (b *bench) output(name string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, &problems)
	}
	b.kept[0] = out
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
