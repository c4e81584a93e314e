package disk

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// put writes a whole object.
func put(t *testing.T, tier *Tier, k Key, data []byte) {
	t.Helper()
	f := tier.File(k)
	defer f.Release()
	if !f.Write(0, data) {
		t.Fatal("not written")
	}
	mustRead(t, f, data, 0, len(data))
}

// TestShelf: many small objects are few files, and are found again after each of several restarts, all
// of which go on with the same segment.
func TestShelf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const runs, each = 3, 80
	size := func(i int) int { return 1 + i*997%packedMax }
	for run := range runs {
		tier := open(t, dir, 8<<30)
		for i := range run * each {
			f := tier.File(key(fmt.Sprint(i), size(i)))
			mustRead(t, f, random(size(i), uint64(i)), 0, size(i))
			if _, ok := f.Complete(); ok {
				t.Fatal("a shared file was given away")
			}
			f.Release()
		}
		for i := run * each; i < (run+1)*each; i++ {
			put(t, tier, key(fmt.Sprint(i), size(i)), random(size(i), uint64(i)))
		}
		if s := tier.Stats(); s.Corrupt != 0 || s.Used == 0 {
			t.Fatalf("%+v", s)
		}
		_ = tier.Close()
	}
	if n := len(find(t, dir, "")); n != 2 {
		t.Error(n, "files")
	}
}

// TestShelfRandom compares the shelf with a map: writes, reads, removals, renames and restarts in any order.
func TestShelfRandom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "shelf")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		start := func() *Tier {
			tier, err := Open(Config{Dir: dir, Limit: 1 << 30, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			if err != nil {
				t.Fatal(err)
			}
			return tier
		}
		tier := start()
		const size = PieceSize + 7
		keyOf := func(i int) Key { return key(fmt.Sprint(i), size) }
		has := map[int]byte{} // what each key's bytes are; a key that is removed may come back at a restart
		removed := map[int]byte{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i, to := rapid.IntRange(0, 4).Draw(t, "key"), rapid.IntRange(5, 9).Draw(t, "to")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				f := tier.File(keyOf(i))
				tier.allowed.Store(1 << 30)
				if !f.Write(0, random(size, uint64(i))) {
					t.Fatal("not written")
				}
				f.Release()
				has[i] = byte(i)
			case 1:
				tier.Remove(keyOf(i))
				removed[i] = has[i]
				delete(has, i)
			case 2:
				if content, ok := has[i]; ok {
					if _, taken := has[to]; !taken {
						tier.Move(keyOf(i), keyOf(to))
						delete(has, i)
						removed[i] = content
						has[to] = content
						delete(removed, to)
					}
				}
			case 3:
				_ = tier.Close()
				tier = start()
			}
			for k := range 10 {
				f := tier.File(keyOf(k))
				p := make([]byte, size)
				content, ok := has[k]
				switch present := f.Present(0, size) == size; {
				case ok && (!present || f.ReadAt(p, 0) != nil || !bytes.Equal(p, random(size, uint64(content)))):
					t.Fatalf("key %d: present %v, or wrong bytes", k, present)
				case !ok && present:
					if f.ReadAt(p, 0) != nil || k < 5 && !bytes.Equal(p, random(size, uint64(k))) {
						t.Fatalf("key %d: not what was removed", k)
					}
				}
				f.Release()
			}
		}
		_ = tier.Close()
	})
}

// TestShelfShared: two tiers on one folder write, read, remove and evict; no byte is ever wrong.
func TestShelfShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tiers := []*Tier{open(t, dir, 8<<20), open(t, dir, 8<<20)}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			g := rand.New(rand.NewPCG(uint64(w), 2))
			for range 200 {
				tier, n := tiers[g.IntN(2)], g.IntN(60)
				size := 1000 + n*1500
				k, data := key(fmt.Sprint(n), size), random(size, uint64(n))
				f := tier.File(k)
				switch g.IntN(8) {
				case 0:
					tier.Remove(k)
				case 1, 2, 3:
					done := make(chan struct{})
					if tier.Enqueue(f, 0, data, func() { close(done) }) {
						<-done
					}
				default:
					p := make([]byte, size)
					if f.Present(0, int64(size)) == int64(size) && f.ReadAt(p, 0) == nil && !bytes.Equal(p, data) {
						t.Error("wrong bytes")
					}
				}
				f.Release()
			}
		})
	}
	wg.Wait()
	for _, tier := range tiers {
		tier.shelf.mu.Lock()
		if tier.shelf.active != nil && tier.shelf.active == tiers[0].shelf.active && tier != tiers[0] {
			t.Error("two tiers append to one segment")
		}
		tier.shelf.mu.Unlock()
	}
}

// TestShelfEviction: whole segments go, the least recently used first, and the limit holds.
func TestShelfEviction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const limit, size = 32 << 20, 100 << 10
	tier := open(t, dir, limit)
	for i := range 500 { // 49 MiB
		f := tier.File(key(fmt.Sprint(i), size))
		if data := random(size, uint64(i)); !f.Write(0, data) {
			_ = tier.Close() // the next one begins with a scan
			tier = open(t, dir, limit)
			f = tier.File(key(fmt.Sprint(i), size))
			if !f.Write(0, data) {
				t.Fatal("not written after a scan")
			}
		}
		f.Release()
	}
	var used int64
	for _, p := range find(t, dir, "") {
		if st, err := os.Stat(p); err == nil {
			used += st.Size()
		}
	}
	if used > limit || used < limit/2 {
		t.Errorf("%d bytes on disk", used)
	}
	first, last := tier.File(key("0", size)), tier.File(key("499", size))
	defer first.Release()
	defer last.Release()
	if first.Present(0, size) != 0 || last.Present(0, size) != size {
		t.Error("the wrong ones were evicted")
	}
}

// TestShelfDamage: what happens to the files behind the tier's back costs objects, and no wrong byte is read.
func TestShelfDamage(t *testing.T) {
	t.Parallel()
	const n, size = 10, 50 << 10
	for name, damage := range map[string]struct {
		do   func(meta, data []byte) ([]byte, []byte)
		left int // objects, at least
	}{
		"one bit of data":    {func(m, d []byte) ([]byte, []byte) { d[size+5] ^= 1; return m, d }, n - 1},
		"data cut":           {func(m, d []byte) ([]byte, []byte) { return m, d[:len(d)-1] }, n - 1},
		"data gone":          {func(m, _ []byte) ([]byte, []byte) { return m, nil }, 0},
		"one record":         {func(m, d []byte) ([]byte, []byte) { m[packedRecord+17] ^= 1; return m, d }, n - 1},
		"last record torn":   {func(m, d []byte) ([]byte, []byte) { return m[:len(m)-3], d }, n - 1},
		"records gone":       {func(_, d []byte) ([]byte, []byte) { return nil, d }, 0},
		"garbage for a tail": {func(m, d []byte) ([]byte, []byte) { return append(m, d[:500]...), d }, n},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tier := open(t, dir, 1<<30)
			for i := range n {
				put(t, tier, key(fmt.Sprint(i), size), random(size, uint64(i)))
			}
			_ = tier.Close()
			files, _ := filepath.Glob(filepath.Join(dir, shelfFolder, "*.meta"))
			if len(files) != 1 {
				t.Fatal(files)
			}
			dataFile := files[0][:len(files[0])-len(".meta")] + ".pack.data"
			m, _ := os.ReadFile(files[0])
			d, _ := os.ReadFile(dataFile)
			m, d = damage.do(m, d)
			_ = os.WriteFile(files[0], m, 0o600)
			_ = os.WriteFile(dataFile, d, 0o600)
			for range 2 { // what is missing is written again, and is there the next time
				tier = open(t, dir, 1<<30)
				left := 0
				for i := range n {
					f, data, p := tier.File(key(fmt.Sprint(i), size)), random(size, uint64(i)), make([]byte, size)
					if f.Present(0, size) == size && f.ReadAt(p, 0) == nil {
						left++
						if !bytes.Equal(p, data) {
							t.Error("wrong bytes")
						}
					}
					f.Release()
					put(t, tier, key(fmt.Sprint(i), size), data)
				}
				if left < damage.left {
					t.Errorf("%d objects left, want %d", left, damage.left)
				}
				damage.left = n
				_ = tier.Close()
			}
		})
	}
}
