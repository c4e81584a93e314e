package blocks

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend/mem"
)

// TestMemoryLimit lets many readers of all kinds fight for little memory. None may wait
// for ever, none may see a wrong byte, and the buffers never exceed the limit.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, checksums, func(c *Config) {
				c.Memory, c.Requests, c.Dir, c.DirSize = 16<<20, 8, dir, 12<<20
			})
			r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Cut(3 << 20)}})
			fightForMemory(t, r)
		})
	}
}

func fightForMemory(t *testing.T, r *rig) {
	const size = 7<<20 + 12345
	var data [][]byte
	var src []Source
	for i := range 3 {
		data = append(data, random(size, uint64(20+i)))
		src = append(src, r.put(string(rune('a'+i)), data[i]))
	}
	var over, reads atomic.Int64
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if s := r.cache.Stats(); s.MemoryUsed > s.MemoryLimit {
					over.Add(1)
				}
			}
		}
	}()
	var wg sync.WaitGroup
	for w := range 12 {
		wg.Go(func() {
			g := rand.New(rand.NewPCG(uint64(w), 3))
			rd := r.cache.NewReader(src[w%3])
			defer rd.Close()
			off := g.Int64N(size)
			for range 40 {
				n := 1 + g.IntN(MaxRead)
				switch w % 4 {
				case 0: // sequential, as the kernel reads
					n = 256 << 10
				case 1: // small and random
					off, n = g.Int64N(size), 4096
				default:
					off = g.Int64N(size)
				}
				if off >= size {
					off = 0
				}
				mustRead(t, rd, data[w%3], off, n)
				off += int64(n)
				reads.Add(1)
			}
		})
	}
	wg.Wait()
	close(stop)
	<-watched
	if over.Load() > 0 {
		t.Errorf("over the limit %d times", over.Load())
	}
	if s := r.cache.Stats(); s.MemoryPeak > s.MemoryLimit || s.MemoryPeak < s.MemoryLimit/2 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d reads, %+v", reads.Load(), r.cache.Stats())
}

// TestIdleReadersYield: Readers that stopped reading do not keep the read-ahead of others
// from working.
func TestIdleReadersYield(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Memory = 32 << 20 })
	data := random(16<<20, 30)
	src := r.put("z", data)
	var idle []*Reader
	for i := range 8 {
		rd := r.cache.NewReader(r.link(src, string(rune('a'+i))))
		idle = append(idle, rd)
		for off := int64(0); off < 2<<20; off += 256 << 10 {
			mustRead(t, rd, data, off, 256<<10)
		}
	}
	for _, rd := range idle {
		rd.mu.Lock()
		rd.used = time.Now().Add(-time.Minute)
		rd.mu.Unlock()
	}
	r.cache.mu.Lock()
	r.cache.reclaimed = time.Time{}
	r.cache.mu.Unlock()
	rd := r.cache.NewReader(src)
	r.count.Reset()
	for off := int64(0); off < int64(len(data)); off += 128 << 10 {
		mustRead(t, rd, data, off, 128<<10)
	}
	if got := r.gets(); got > 20 {
		t.Errorf("%d GETs for 16 MiB", got)
	}
	rd.Close()
	for _, rd := range idle {
		rd.Close()
	}
}

// TestBudget: random takers and givers; never over the limit, every waiter is served or
// cancelled, in order.
func TestBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := budget{limit: 100, pinLimit: 40, reserve: 30}
		type take struct{ n, pinned int64 }
		var held []take
		var waiting []chan int64
		var sizes []int64
		collect := func() {
			for len(waiting) > 0 {
				used, _, _ := b.usage()
				b.mu.Lock()
				queued := len(b.queue)
				b.mu.Unlock()
				if queued == len(waiting) {
					if used+sizes[0] <= b.limit {
						t.Fatal("the first waiter fits and still waits")
					}
					return
				}
				held = append(held, take{n: <-waiting[0]})
				waiting, sizes = waiting[1:], sizes[1:]
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.Int64Range(1, 30).Draw(t, "n")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if b.tryDemand(n) {
					held = append(held, take{n: n})
				}
			case 1:
				if b.tryPinned(n) {
					held = append(held, take{n, n})
				}
			case 2:
				done := make(chan int64, 1)
				b.mu.Lock()
				before, used := len(b.queue), b.used
				b.mu.Unlock()
				go func() {
					if b.demand(context.Background(), n) == nil {
						done <- n
					}
				}()
				waiting, sizes = append(waiting, done), append(sizes, n)
				if before == 0 && used+n <= b.limit {
					held = append(held, take{n: <-done})
					waiting, sizes = waiting[:0], sizes[:0]
					break
				}
				for queued := before; queued == before; runtime.Gosched() {
					b.mu.Lock()
					queued = len(b.queue)
					b.mu.Unlock()
				}
			case 3:
				if len(held) > 0 {
					i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
					b.unpin(held[i].pinned)
					b.release(held[i].n)
					held = append(held[:i], held[i+1:]...)
				}
			}
			collect()
			var sum, pinned int64
			for _, h := range held {
				sum, pinned = sum+h.n, pinned+h.pinned
			}
			used, peak, pins := b.usage()
			if used != sum || pins != pinned || peak > b.limit || pinned > b.pinLimit {
				t.Fatalf("used %d, held %d; pinned %d, %d; peak %d", used, sum, pins, pinned, peak)
			}
		}
		for len(held) > 0 {
			b.unpin(held[0].pinned)
			b.release(held[0].n)
			held = held[1:]
			collect()
		}
		if len(waiting) > 0 {
			t.Fatal("somebody still waits")
		}
	})
}

func TestBudgetCancel(t *testing.T) {
	t.Parallel()
	b := budget{limit: 10, pinLimit: 5, reserve: 5}
	b.tryDemand(8)
	ctx, cancel := context.WithCancel(context.Background())
	large, small := make(chan error), make(chan error)
	go func() { large <- b.demand(ctx, 5) }()
	for {
		b.mu.Lock()
		n := len(b.queue)
		b.mu.Unlock()
		if n == 1 {
			break
		}
		runtime.Gosched()
	}
	go func() { small <- b.demand(context.Background(), 2) }()
	cancel()
	if err := <-large; err == nil {
		t.Error("not cancelled")
	}
	if err := <-small; err != nil { // it fits once the large one has left the queue
		t.Error(err)
	}
	if used, _, _ := b.usage(); used != 10 {
		t.Error(used)
	}
}
