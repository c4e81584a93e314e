package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// keeper holds what was read, piece by piece.
type keeper [][]byte

func newKeeper(n int) keeper { return make(keeper, n) }

// all compares every piece.
func (k keeper) all(want func(i int) []byte) error {
	for i, got := range k {
		if w := want(i); !bytes.Equal(got, w) {
			return fmt.Errorf("piece %d of what was read is wrong (%d bytes, want %d)", i, len(got), len(w))
		}
	}
	return nil
}

// printedAll says whether a command printed so many lines, and among them one for each name: its last word.
func (b *bench) printedAll(n, lines int, name func(i int) string) error {
	text := string(b.kept[0])
	if b.mount == "" {
		return nil // the bare client counted its keys
	}
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(got) != lines {
		return fmt.Errorf("%d lines were printed, want %d", len(got), lines)
	}
	have := make(map[string]bool, len(got))
	for _, l := range got {
		have[l[strings.LastIndexByte(l, ' ')+1:]] = true
	}
	for i := range n {
		if !have[name(i)] {
			return fmt.Errorf("%s was not printed", name(i))
		}
	}
	return nil
}

// readsAsStored reads a large file once more, through the mount or with the bare client, and compares
// it with the store's.
func (b *bench) readsAsStored(name string, size int) error {
	stored, err := os.Open(filepath.Join(b.folder, name))
	if err != nil {
		return err
	}
	defer stored.Close()
	if b.mount == "" {
		return b.bareRead(name, int64(size), func(off int64, got []byte) error {
			want := make([]byte, len(got))
			if _, err := stored.ReadAt(want, off); err != nil {
				return err
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%s: other bytes at %d", name, off)
			}
			return nil
		})
	}
	f, err := os.Open(filepath.Join(b.mount, name))
	if err != nil {
		return err
	}
	defer f.Close()
	return same(f, stored, size)
}

// isNoise compares a stored file with what writeFile writes.
func (b *bench) isNoise(key string, size int) error {
	f, err := os.Open(filepath.Join(b.folder, key))
	if err != nil {
		return err
	}
	defer f.Close()
	return same(f, &repeated{data: noise}, size)
}

// isSeed compares a stored file with the seed of its size, that was edited at off if that is not negative.
func (b *bench) isSeed(key string, size int, off int64) error {
	f, err := os.Open(filepath.Join(b.folder, key))
	if err != nil {
		return err
	}
	defer f.Close()
	seed, err := os.Open(b.server.files[size])
	if err != nil {
		return err
	}
	defer seed.Close()
	var want io.Reader = seed
	if off >= 0 {
		const past = 1 << 62
		want = io.MultiReader(io.NewSectionReader(seed, 0, off), bytes.NewReader(noise[:mib]), io.NewSectionReader(seed, off+mib, past))
	}
	return same(f, want, size)
}

// same compares size bytes, and that got ends there.
func same(got, want io.Reader, size int) error {
	a, w := make([]byte, mib), make([]byte, mib)
	for done := 0; done < size; {
		n := min(mib, size-done)
		if _, err := io.ReadFull(got, a[:n]); err != nil {
			return fmt.Errorf("at %d of %d bytes: %w", done, size, err)
		}
		if _, err := io.ReadFull(want, w[:n]); err != nil {
			return err
		}
		if !bytes.Equal(a[:n], w[:n]) {
			return fmt.Errorf("other bytes between %d and %d", done, done+n)
		}
		done += n
	}
	if n, err := got.Read(a); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than %d bytes", size)
	}
	return nil
}

// repeated reads data again and again.
type repeated struct {
	data []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}

func storedSize(key string, n int) func(b *bench) bool {
	return func(b *bench) bool {
		info, err := os.Stat(filepath.Join(b.folder, key))
		return err == nil && info.Size() == int64(n)
	}
}

// storedCount says whether a folder has so many files. (The store shows a file when it is complete.)
func storedCount(folder string, count int) func(b *bench) bool {
	return func(b *bench) bool {
		f, err := os.Open(filepath.Join(b.folder, folder))
		if err != nil {
			return count == 0
		}
		defer f.Close()
		names, err := f.Readdirnames(-1)
		return err == nil && len(names) == count
	}
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
