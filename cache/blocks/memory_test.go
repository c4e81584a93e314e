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
	before := r.cache.Stats().Pinned
	r.cache.mu.Lock()
	r.cache.reclaimed = time.Time{}
	r.cache.mu.Unlock()
	rd := r.cache.NewReader(src)
	r.count.Reset()
	for off := int64(0); off < int64(len(data)); off += 128 << 10 {
		mustRead(t, rd, data, off, 128<<10)
	}
	if got := r.gets(); got > 32 { // without read-ahead 128
		t.Errorf("%d GETs for 16 MiB", got)
	}
	rd.Close()
	if after := r.cache.Stats().Pinned; after > before/2 {
		t.Errorf("idle readers had %d bytes pinned and keep %d", before, after)
	}
	for _, rd := range idle {
		rd.Close()
	}
}

// ledger is what a test of the budget holds and waits for.
type ledger struct {
	budget
	held    []share
	waiting []chan int64 // oldest first
	sizes   []int64      // of waiting
}

type share struct{ n, pinned int64 }

func (l *ledger) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// wait starts a demand and returns when it is granted or in the queue.
func (l *ledger) wait(n int64) {
	done := make(chan int64, 1)
	used, _, _ := l.usage()
	before := l.queued()
	go func() {
		if l.demand(context.Background(), n) == nil {
			done <- n
		}
	}()
	if before == 0 && used+n <= l.limit {
		l.held = append(l.held, share{n: <-done})
		return
	}
	l.waiting, l.sizes = append(l.waiting, done), append(l.sizes, n)
	for l.queued() == before {
		runtime.Gosched()
	}
}

// give returns the i-th share.
func (l *ledger) give(i int) {
	l.unpin(l.held[i].pinned)
	l.release(l.held[i].n)
	l.held = append(l.held[:i], l.held[i+1:]...)
}

// check collects what was granted and compares the sums.
func (l *ledger) check(t *rapid.T) {
	for len(l.waiting) > l.queued() {
		l.held = append(l.held, share{n: <-l.waiting[0]})
		l.waiting, l.sizes = l.waiting[1:], l.sizes[1:]
	}
	used, peak, pinned := l.usage()
	if len(l.waiting) > 0 && used+l.sizes[0] <= l.limit {
		t.Fatal("the first waiter fits and still waits")
	}
	var sum share
	for _, h := range l.held {
		sum = share{sum.n + h.n, sum.pinned + h.pinned}
	}
	if used != sum.n || pinned != sum.pinned || peak > l.limit || pinned > l.pinLimit {
		t.Fatalf("used %d, pinned %d, peak %d, held %+v", used, pinned, peak, sum)
	}
}

// TestBudget: random takers and givers; never over the limit, nobody overtakes a waiter,
// everybody is served.
func TestBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := ledger{budget: budget{limit: 100, pinLimit: 40, reserve: 30}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.Int64Range(1, 30).Draw(t, "n")
			waited, had := len(l.waiting) > 0, len(l.held)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if l.tryDemand(n) {
					l.held = append(l.held, share{n: n})
				}
			case 1:
				if l.tryPinned(n) {
					l.held = append(l.held, share{n, n})
				}
			case 2:
				if l.tryFree(n) {
					l.held = append(l.held, share{n: n})
				}
			case 3:
				l.wait(n)
			case 4:
				if len(l.held) > 0 {
					l.give(rapid.IntRange(0, len(l.held)-1).Draw(t, "which"))
				}
			}
			if waited && len(l.held) > had {
				t.Fatal("somebody overtook a waiter")
			}
			l.check(t)
		}
		for len(l.held) > 0 {
			l.give(0)
			l.check(t)
		}
		if len(l.waiting) > 0 {
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

// TestPassingBy: an object that is larger than what can be kept leaves nothing behind when it was read from start
// to end; what was read at random stays.
func TestPassingBy(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	c, err := Open(Config{Reader: &endless{size, make([]byte, blockSize)}, Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var src Source
	src.Bucket, src.Key, src.ETag, src.Size = bucket, "k", "e", size
	read := func(offsets ...int64) {
		rd := c.NewReader(src)
		defer rd.Close()
		for _, off := range offsets {
			v, err := rd.ReadAt(ctx, off, blockSize)
			if err != nil {
				t.Fatal(err)
			}
			v.Release()
		}
	}
	read(40<<20, 20<<20, 60<<20)
	var all []int64
	for off := int64(0); off < size; off += blockSize {
		all = append(all, off)
	}
	read(all...)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c.policy.settle()
		s := c.Stats()
		if s.MemoryUsed >= 3*blockSize && s.MemoryUsed <= 8*blockSize { // those three, and the beginning before it was sequential
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", s)
		}
	}
}
