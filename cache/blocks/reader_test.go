package blocks

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestSequentialRequests(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	for _, n := range []int64{64 << 10, 128 << 10, 1 << 20} {
		c, err := Open(Config{Reader: &endless{size, make([]byte, blockSize)}, Memory: 256 << 20})
		if err != nil {
			t.Fatal(err)
		}
		rd := c.NewReader(Source{Source: backend.Source{Bucket: bucket, Key: "k", ETag: "e"}, Size: size})
		for pass, most := range []int64{15, 0} {
			before := c.Stats()
			for off := int64(0); off < size; off += n {
				v, err := rd.ReadAt(context.Background(), off, int(n))
				if err != nil || int64(v.Len()) != n {
					t.Fatal(err)
				}
				v.Release()
			}
			after := c.Stats()
			if got := after.Requests - before.Requests; got > most {
				t.Errorf("reads of %d, pass %d: %d GETs for 64 MiB", n, pass, got)
			}
			if got := after.StoreBytes - before.StoreBytes; pass == 0 && got != size {
				t.Errorf("reads of %d: %d bytes fetched", n, got)
			}
		}
		rd.Close()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVersionPermission: who may not read by version still reads the current one.
func TestVersionPermission(t *testing.T) {
	t.Parallel()
	store := &noVersions{endless: endless{3 << 20, random(blockSize, 14)}}
	c, err := Open(Config{Reader: store})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rd := c.NewReader(Source{Source: backend.Source{Bucket: bucket, Key: "k", ETag: "e", VersionID: "v"}, Size: store.size})
	defer rd.Close()
	for off := int64(0); off < store.size; off += blockSize {
		mustRead(t, rd, bytes.Repeat(store.data, 3), off, blockSize)
	}
	if got := store.refused.Load(); got != 1 {
		t.Errorf("refused %d times", got)
	}
}

// noVersions refuses to read by version.
type noVersions struct {
	endless
	refused atomic.Int64
}

func (s *noVersions) Get(ctx context.Context, id backend.ObjectID, o backend.GetOptions) (*backend.Body, error) {
	if o.VersionID != "" {
		s.refused.Add(1)
		return nil, &backend.Error{Kind: backend.KindPermission, Op: "GetObject"}
	}
	return s.endless.Get(ctx, id, o)
}

// TestParallelSequential reads as the kernel does: many READs in flight, out of order.
func TestParallelSequential(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 256 << 10
	data := random(24<<20, 2)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	offs := make(chan int64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for off := range offs {
				mustRead(t, rd, data, off, n)
			}
		})
	}
	for off := int64(0); off < int64(len(data)); off += n {
		offs <- off
	}
	close(offs)
	wg.Wait()
	if got := r.gets(); got > 16 {
		t.Errorf("%d GETs for 24 MiB", got)
	}
	if s := r.cache.Stats(); s.StoreBytes > int64(len(data))+1<<20 {
		t.Errorf("%d bytes fetched", s.StoreBytes)
	}
}

func TestRandomReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(24<<20, 3)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	g := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		before := r.cache.Stats().StoreBytes
		off := g.Int64N(int64(len(data) - 4096))
		mustRead(t, rd, data, off, 4096)
		if got := r.cache.Stats().StoreBytes - before; got >= 128<<10 {
			t.Fatalf("the read at %d fetched %d bytes", off, got)
		}
	}
	if got := r.gets(); got > 201 {
		t.Errorf("%d GETs for 200 random reads", got)
	}
}

// TestEdges reads around the end, around blocks and pieces, and what is too long.
func TestEdges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, size := range []int{0, 1, pieceSize, wholeLimit + 1, blockSize - 1, blockSize, blockSize + 1, 6*blockSize + 5} {
		data := random(size, 4)
		rd := r.cache.NewReader(r.put("k", data))
		for _, off := range []int{0, 1, pieceSize - 1, blockSize - 1, blockSize, size - 1, size, size + 1} {
			for _, n := range []int{0, 1, 4096, blockSize, blockSize + 2, MaxRead} {
				if off >= 0 {
					mustRead(t, rd, data, int64(off), n)
				}
			}
		}
		v, err := rd.ReadAt(context.Background(), 0, MaxRead+1)
		if err != nil || v.Len() != min(size, MaxRead) {
			t.Error(v.Len(), err)
		}
		v.Release()
		for _, bad := range [][2]int{{-1, 1}, {0, -1}} {
			if _, err := rd.ReadAt(context.Background(), int64(bad[0]), bad[1]); !backend.IsKind(err, backend.KindInvalid) {
				t.Error(bad, err)
			}
		}
		rd.Close()
	}
}

// TestShared: readers of the same bytes share one download, and each gets what it needs
// as soon as it has arrived, while the rest of the body does not come.
func TestShared(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(1<<20+10, 5)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	stall := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.StallAfter(700 << 10)}})
	ctx, cancel := context.WithCancel(context.Background())
	late := make(chan error)
	go func() {
		_, err := rd.ReadAt(ctx, 0, 1<<20)
		late <- err
	}()
	for stall.Hits() == 0 {
		time.Sleep(time.Millisecond)
	}
	var wg sync.WaitGroup
	for i := range int64(8) {
		wg.Go(func() { mustRead(t, rd, data, i*80<<10, 60<<10) })
	}
	wg.Wait()
	if r.gets() > 2 { // the block, and perhaps read-ahead behind it
		t.Error(r.gets(), "GETs")
	}
	cancel()
	if err := <-late; !backend.IsKind(err, backend.KindCanceled) {
		t.Fatal(err)
	}
	mustRead(t, rd, data, 0, 700<<10) // the download goes on without the one who began it
}

// TestChanged: a reader never gets bytes of two versions, also from a store that ignores
// If-Match; what it has, it keeps.
func TestChanged(t *testing.T) {
	t.Parallel()
	for _, honest := range []bool{true, false} {
		for _, size := range []int{100 << 10, 12 << 20} {
			r := newRig(t)
			r.store.Configure(func(s *mem.Settings) { s.Capabilities.GetIfMatch = honest })
			one, two := random(size, 6), random(size, 7)
			rd := r.cache.NewReader(r.put("k", one))
			if size > blockSize {
				mustRead(t, rd, one, 0, 64<<10)
			}
			r.put("k", two)
			kinds := map[backend.Kind]int{}
			for off := 0; off < size; off += 256 << 10 {
				v, err := rd.ReadAt(context.Background(), int64(off), 256<<10)
				if err != nil {
					kinds[backend.KindOf(err)]++
					continue
				}
				if !bytes.Equal(bytes.Join(v.Slices(), nil), one[off:off+v.Len()]) {
					t.Fatal("bytes of another version at", off)
				}
				v.Release()
			}
			if kinds[backend.KindChanged] == 0 || len(kinds) != 1 {
				t.Errorf("honest %v, size %d: %v", honest, size, kinds)
			}
			if size > blockSize {
				mustRead(t, rd, one, 0, 64<<10)
			}
			rd.Close()
		}
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rd := r.cache.NewReader(r.put("k", random(100, 8)))
	defer rd.Close()
	if err := r.store.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := rd.ReadAt(context.Background(), 0, 100); !backend.IsKind(err, backend.KindNotExist) {
		t.Fatal(err)
	}
}

// TestCutBodies: bodies that break are taken up where they stopped.
func TestCutBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(9<<20, 9)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	cuts := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Cut(300<<10 + 1000)}})
	for off := 0; off < len(data); off += 512 << 10 {
		mustRead(t, rd, data, int64(off), 512<<10)
	}
	if s := r.cache.Stats(); cuts.Hits() < 5 || s.Resumed < 5 || s.StoreBytes != int64(len(data)) {
		t.Errorf("%d cuts, %+v", cuts.Hits(), s)
	}
	cuts.Remove()
	// Without progress it ends, with the error of the store.
	r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Cut(0)}})
	other := r.cache.NewReader(r.put("other", data))
	defer other.Close()
	if _, err := other.ReadAt(context.Background(), 0, 4096); !backend.IsKind(err, backend.KindTransient) {
		t.Error(err)
	}
	var typed *backend.Error
	if _, err := other.ReadAt(context.Background(), 0, 4096); !errors.As(err, &typed) || typed.Key != "other" {
		t.Error(err)
	}
}

// TestFailures: an error of the store reaches the reader, and is forgotten afterwards.
func TestFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(3<<20, 10)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	for _, k := range []backend.Kind{backend.KindTransient, backend.KindPermission, backend.KindArchived, backend.KindUnreachable} {
		f := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Fail(k)}})
		if _, err := rd.ReadAt(context.Background(), 0, 1<<20); !backend.IsKind(err, k) {
			t.Error(k, err)
		}
		f.Remove()
	}
	mustRead(t, rd, data, 0, 3<<20)
}

// TestAbandoned: closing a Reader ends the downloads that only it wanted.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(16<<20, 11)
	src := r.put("k", data)
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, 1<<20)
	stall := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.StallAfter(300 << 10)}})
	mustRead(t, rd, data, 1<<20, 256<<10) // the beginning of a longer GET
	if stall.Hits() == 0 || r.cache.Stats().RequestsNow == 0 {
		t.Fatal("nothing is read ahead")
	}
	rd.Close()
	stall.Remove()
	for end := time.Now().Add(10 * time.Second); r.cache.Stats().RequestsNow > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("read-ahead goes on after Close")
		}
	}
	again := r.cache.NewReader(src)
	mustRead(t, again, data, 0, 4<<20)
	again.Close()
}

// TestHalfRead: blocks of which only parts are ever read do not stay pinned.
func TestHalfRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(24<<20, 13)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	for off := int64(0); off < int64(len(data)); off += 128 << 10 {
		mustRead(t, rd, data, off, 64<<10)
	}
	if s := r.cache.Stats(); s.Pinned > 4<<20 {
		t.Errorf("%+v", s)
	}
}

// TestSeek: a jump drops what was read ahead elsewhere, and reading on there works.
func TestSeek(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(32<<20, 12)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	for _, start := range []int64{0, 20 << 20, 8<<20 + 12345, 28 << 20, 0, 13 << 20} {
		for i := range int64(16) {
			mustRead(t, rd, data, start+i<<18, 1<<18)
		}
	}
	if s := r.cache.Stats(); s.Pinned > r.cache.buffers.budget.pinLimit {
		t.Errorf("%+v", s)
	}
}
