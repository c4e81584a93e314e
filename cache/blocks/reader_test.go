package blocks

import (
	"context"
	"sync"
	"testing"

	"github.com/objmount/objmount/backend"
)

func TestSequentialRequests(t *testing.T) {
	t.Parallel()
	for _, n := range []int{64 << 10, 128 << 10, 1 << 20} {
		r := newRig(t, func(c *Config) { c.Memory = 256 << 20 })
		data := random(64<<20, 1)
		rd := r.cache.NewReader(r.put("k", data))
		for off := 0; off < len(data); off += n {
			mustRead(t, rd, data, int64(off), n)
		}
		if got := r.gets(); got > 13 {
			t.Errorf("reads of %d: %d GETs for 64 MiB", n, got)
		}
		if s := r.cache.Stats(); s.StoreBytes != int64(len(data)) {
			t.Errorf("reads of %d: %d bytes fetched", n, s.StoreBytes)
		}
		r.count.Reset()
		for off := 0; off < len(data); off += n {
			mustRead(t, rd, data, int64(off), n)
		}
		if got := r.gets(); got > 0 {
			t.Errorf("reads of %d: %d GETs for the second time", n, got)
		}
		rd.Close()
		r.close()
	}
}

// TestParallelSequential reads as the kernel does: many READs in flight, out of order.
func TestParallelSequential(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 256 << 10
	data := random(64<<20, 2)
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
	if got := r.gets(); got > 30 {
		t.Errorf("%d GETs for 64 MiB", got)
	}
	if s := r.cache.Stats(); s.StoreBytes > int64(len(data))+4<<20 {
		t.Errorf("%d bytes fetched", s.StoreBytes)
	}
}

func TestRandomReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(128<<20, 3)
	rd := r.cache.NewReader(r.put("k", data))
	defer rd.Close()
	for i := range int64(200) {
		before := r.cache.Stats().StoreBytes
		mustRead(t, rd, data, (i*7919*4099+i)%int64(len(data)-4096), 4096)
		if got := r.cache.Stats().StoreBytes - before; got >= 128<<10 {
			t.Fatalf("read %d fetched %d bytes", i, got)
		}
	}
}

func TestSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	data := random(300<<10, 4)
	r.put("k", data)
	o, src, err := r.cache.Small(ctx, backend.ObjectID{Bucket: bucket, Key: "k"}, nil)
	if err != nil || !o.HasMetadata || o.Size != int64(len(data)) {
		t.Fatal(o, err)
	}
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, len(data))
	rd.Close()
	if r.gets() != 1 || !r.cache.Cached(src) {
		t.Fatal(r.gets(), r.cache.Cached(src))
	}
	o, again, err := r.cache.Small(ctx, o.ID(), &src)
	if err != nil || o.HasMetadata || again != src || r.gets() != 2 {
		t.Fatal(o, again, err, r.gets())
	}
}
