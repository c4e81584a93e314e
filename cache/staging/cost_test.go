package staging

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestSequentialWriteAllocates nothing, and neither does overwriting in place.
func TestSequentialWriteAllocates(t *testing.T) {
	a, err := open(Config{Dir: t.TempDir()}, tuning{every: time.Hour, ids: clockIDs})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	f := create(t, a)
	p := make([]byte, 4096)
	off := int64(0)
	next := func() {
		write(t, f, p, off)
		off += int64(len(p))
	}
	next()
	if n := testing.AllocsPerRun(200, next); n != 0 {
		t.Errorf("%v allocations for a sequential write", n)
	}
	if n := testing.AllocsPerRun(200, func() { write(t, f, p, 100) }); n != 0 {
		t.Errorf("%v allocations for a write in place", n)
	}
	if n := len(f.Extents(0, off)); n != 1 {
		t.Errorf("%d extents for a sequential file", n)
	}
}

// TestSmallFileOperations counts what a small file costs the disk from creation to removal.
func TestSmallFileOperations(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	a := simArea(t, disk, 0)
	defer a.Close()
	clear(disk.ops)
	cycle(t, a)
	// Writes: begin, the data, seal, commit.
	want := map[string]int{"open": 1, "write": 4, "close": 1, "remove": 1}
	for op, n := range disk.ops {
		if n != want[op] {
			t.Errorf("%d x %s, want %d", n, op, want[op])
		}
	}
	clear(disk.ops)
	f, err := a.Create(Spec{}) // an empty file: only records
	if err != nil {
		t.Fatal(err)
	}
	finish(t, f)
	if n := disk.ops["write"]; n != 2 || disk.ops["open"]+disk.ops["remove"] != 0 {
		t.Errorf("an empty file: %v", disk.ops)
	}
}

func cycle(tb testing.TB, a *Area) {
	f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "key"}})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.WriteAt(small, 0); err != nil {
		tb.Fatal(err)
	}
	finish(tb, f)
}

var small = make([]byte, 16<<10)

func finish(tb testing.TB, f *File) {
	s, err := f.Seal(false)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.Committed(s, &Remote{Source: backend.Source{Bucket: "b", Key: "key", ETag: "e"}, Size: s.Size}); err != nil {
		tb.Fatal(err)
	}
	s.Release()
	if err := f.Remove(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSmallFile is create, write 16 KiB, seal, commit, remove. Bare is the same by open, write,
// close and unlink.
func BenchmarkSmallFile(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		dir := b.TempDir()
		for i := range b.N {
			name := filepath.Join(dir, strconv.Itoa(i))
			if err := os.WriteFile(name, small, 0o600); err != nil {
				b.Fatal(err)
			}
			if err := os.Remove(name); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("staged", func(b *testing.B) {
		a, err := Open(Config{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			cycle(b, a)
		}
	})
}

// BenchmarkSealKept is a file that waits for its upload, as in background mode.
func BenchmarkSealKept(b *testing.B) {
	a, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "key"}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.WriteAt(small, 0); err != nil {
			b.Fatal(err)
		}
		s, err := f.Seal(false)
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, next := range map[string]func(int) int64{
		"sequential": func(i int) int64 { return int64(i) * 4096 },
		"random":     func(int) int64 { return rand.Int64N(100_000) * 4096 },
	} {
		b.Run(name, func(b *testing.B) {
			a, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			f, err := a.Create(Spec{})
			if err != nil {
				b.Fatal(err)
			}
			p := small[:4096]
			b.SetBytes(4096)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, err := f.WriteAt(p, next(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkExtents(b *testing.B) {
	a, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	f, err := a.Create(Spec{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.WriteAt(small, 0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for range b.N {
		if len(f.Extents(4096, 4096)) != 1 {
			b.Fatal("extents")
		}
	}
}
