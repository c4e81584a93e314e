package disk

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// warnings counts what is logged.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *warnings) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), "level=WARN")
}

func open(t *testing.T, dir string, limit int64) *Tier {
	t.Helper()
	tier, err := Open(Config{Dir: dir, Limit: limit, Queue: 64 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tier.Close() })
	waitScan(t, tier)
	return tier
}

// waitScan waits for the scan that Open started, by way of the queue.
func waitScan(t *testing.T, tier *Tier) {
	t.Helper()
	f := tier.File(Key{Bucket: "none", Size: 1})
	done := make(chan struct{})
	tier.Enqueue(f, 0, nil, func() { close(done) })
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the writer does not run")
	}
	f.Release()
}

func random(n int, seed uint64) []byte {
	p := make([]byte, n)
	g := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = g.Read(p)
	return p
}

func key(name string, size int) Key {
	return Key{Bucket: "b", Key: name, ETag: "e1", Size: int64(size)}
}

// find returns the files below dir with an ending.
func find(t *testing.T, dir, ending string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"+ending))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// mustRead reads what is present and compares it.
func mustRead(t *testing.T, f *File, data []byte, off, n int) {
	t.Helper()
	if got := f.Present(int64(off), int64(off+n)); got != int64(n) {
		t.Fatalf("Present(%d, %d) = %d", off, off+n, got)
	}
	p := make([]byte, n)
	if err := f.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, data[off:off+n]) {
		t.Fatalf("ReadAt(%d, %d): %v", off, n, err)
	}
}

func TestSurvivesReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := random(3<<20+12345, 1)
	k := key("k", len(data))
	tier := open(t, dir, 1<<30)
	f := tier.File(k)
	if f.Present(0, k.Size) != 0 {
		t.Fatal("present before it was written")
	}
	if !f.Write(1<<20, data[1<<20:]) || !f.Write(0, data[:64<<10]) {
		t.Fatal("not written")
	}
	mustRead(t, f, data, 1<<20+5, 2<<20)
	if got := f.Present(100, k.Size); got != 64<<10-100 {
		t.Fatal(got)
	}
	if _, ok := f.Complete(); ok {
		t.Fatal("complete with a gap")
	}
	f.Release()
	_ = tier.Close()

	tier = open(t, dir, 1<<30)
	f = tier.File(k)
	defer f.Release()
	mustRead(t, f, data, 1<<20, len(data)-1<<20)
	mustRead(t, f, data, 7, 60000)
	for _, other := range []Key{{"b", "k", "e2", k.Size}, {"b", "k", "e1", k.Size - 1}, {"b", "K", "e1", k.Size}} {
		o := tier.File(other)
		if o.Present(0, 1) != 0 {
			t.Error("found under", other)
		}
		o.Release()
	}
	if s := tier.Stats(); s.Corrupt != 0 || s.Used < 2<<20 {
		t.Fatalf("%+v", s)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := random(2<<20+1, 2)
	k := key("k", len(data))
	tier := open(t, dir, 1<<30)
	f := tier.File(k)
	f.Write(0, data)
	check := func() {
		t.Helper()
		file, ok := f.Complete()
		if !ok {
			t.Fatal("not complete")
		}
		got, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatal("wrong bytes", err)
		}
		if _, err := file.WriteAt([]byte{1}, 0); err == nil {
			t.Fatal("the file can be written")
		}
		_ = file.Close()
	}
	check()
	f.Release()
	_ = tier.Close()

	tier = open(t, dir, 1<<30)
	f = tier.File(k)
	defer f.Release()
	if _, ok := f.Complete(); ok {
		t.Fatal("complete before it was verified in this run")
	}
	tier.checks.Wait()
	check()
	// A file in use outlives its removal.
	file, _ := f.Complete()
	tier.Remove(k)
	if got, _ := io.ReadAll(file); !bytes.Equal(got, data) {
		t.Fatal("the open file changed")
	}
	_ = file.Close()
	if f.Present(0, 1) != 0 || len(find(t, dir, "")) != 0 {
		t.Fatal("not removed")
	}
}

func TestLimitEvictsOldest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const limit, size = 32 << 20, 1 << 20
	tier := open(t, dir, limit)
	data := random(size, 4)
	start := time.Now().Add(-time.Hour)
	for i := range 100 {
		k := key(string(rune('a'+i)), size)
		f := tier.File(k)
		done := make(chan struct{})
		tier.Enqueue(f, 0, data, func() { close(done) })
		<-done
		for _, p := range find(t, dir, ".data") { // the clock of the test: one second per file
			if strings.Contains(p, k.name()) {
				at := start.Add(time.Duration(i) * time.Second)
				_ = os.Chtimes(p, at, at)
				_ = os.Chtimes(f.metaPath(), at, at)
			}
		}
		f.Release()
		var used int64
		for _, p := range find(t, dir, "") {
			if st, err := os.Stat(p); err == nil {
				used += st.Size()
			}
		}
		if used > limit {
			t.Fatalf("%d bytes on disk", used)
		}
		if tier.full.Load() {
			time.Sleep(scanPause)
		}
	}
	_ = tier.Close()
	tier = open(t, dir, limit)
	first, last := tier.File(key("a", size)), tier.File(key(string(rune('a'+99)), size))
	defer first.Release()
	defer last.Release()
	if first.Present(0, size) != 0 {
		t.Error("the oldest is still there")
	}
	if n := len(find(t, dir, ".data")); n < 16 {
		t.Errorf("only %d of 32 MiB kept", n)
	}
}

// TestShared: two tiers on one folder, as two mounts have, write, read and remove at random.
func TestShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tiers := []*Tier{open(t, dir, 1<<30), open(t, dir, 1<<30)}
	const size = 5*PieceSize + 99
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			g := rand.New(rand.NewPCG(uint64(w), 1))
			for range 300 {
				tier := tiers[g.IntN(2)]
				n := g.IntN(3)
				k, data := key(string(rune('a'+n)), size), random(size, uint64(n))
				f := tier.File(k)
				i := g.IntN(6)
				lo, hi := i*PieceSize, min((i+1)*PieceSize, size)
				switch g.IntN(8) {
				case 0:
					tier.Remove(k)
				case 1, 2, 3:
					f.Write(int64(lo), data[lo:hi])
				default:
					p := make([]byte, hi-lo)
					if f.Present(int64(lo), int64(hi)) == int64(hi-lo) && f.ReadAt(p, int64(lo)) == nil && !bytes.Equal(p, data[lo:hi]) {
						t.Error("wrong bytes")
					}
				}
				f.Release()
			}
		})
	}
	wg.Wait()
}

func TestMove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := random(1<<20, 6)
	tier := open(t, dir, 1<<30)
	from, to := key("from", len(data)), key("to", len(data))
	used := tier.File(from)
	used.Write(0, data)
	tier.Move(from, to)
	mustRead(t, used, data, 0, len(data)) // who has it open keeps it
	if f, ok := used.Complete(); !ok {
		t.Error("verified no more")
	} else {
		_ = f.Close()
	}
	used.Release()
	if f := tier.File(from); f.Present(0, 1) != 0 {
		t.Error("still under the old name")
	} else {
		f.Release()
	}
	_ = tier.Close()
	tier = open(t, dir, 1<<30)
	f := tier.File(to)
	defer f.Release()
	mustRead(t, f, data, 0, len(data))
	if n := len(find(t, dir, "")); n != 2 {
		t.Error(n, "files")
	}
}

// TestPresent compares presence with a plain bitmap, also after a reopening.
func TestPresent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "disk")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		size := rapid.IntRange(1, 70*PieceSize).Draw(t, "size")
		data := random(size, uint64(size))
		tier, err := Open(Config{Dir: dir, Limit: 1 << 30, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		k := key("k", size)
		f := tier.File(k)
		pieces := int(piecesOf(int64(size)))
		have := make([]bool, pieces)
		for range rapid.IntRange(0, 12).Draw(t, "writes") {
			first := rapid.IntRange(0, pieces-1).Draw(t, "first")
			end := rapid.IntRange(first+1, pieces).Draw(t, "end")
			tier.allowed.Store(1 << 30)
			if !f.Write(int64(first*PieceSize), data[first*PieceSize:min(end*PieceSize, size)]) {
				t.Fatal("not written")
			}
			for i := first; i < end; i++ {
				have[i] = true
			}
		}
		for range 2 {
			for range 20 {
				pos := rapid.IntRange(0, size-1).Draw(t, "pos")
				end := rapid.IntRange(pos, size).Draw(t, "upto")
				want := pos
				for want < end && have[want/PieceSize] {
					want = (want/PieceSize + 1) * PieceSize
				}
				want = max(min(want, end)-pos, 0)
				if got := f.Present(int64(pos), int64(end)); got != int64(want) {
					t.Fatalf("Present(%d, %d) = %d, want %d", pos, end, got, want)
				}
				p := make([]byte, want)
				if want > 0 && (f.ReadAt(p, int64(pos)) != nil || !bytes.Equal(p, data[pos:pos+want])) {
					t.Fatal("wrong bytes")
				}
			}
			f.Release()
			_ = tier.Close()
			if tier, err = Open(Config{Dir: dir, Limit: 1 << 30, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
				t.Fatal(err)
			}
			f = tier.File(k)
		}
		f.Release()
		_ = tier.Close()
	})
}
