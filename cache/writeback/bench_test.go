package writeback

import (
	"context"
	"fmt"
	"testing"
)

// The whole of a small commit but the network: seal, upload to memory, note the commit.
func BenchmarkSmallCommit(b *testing.B) {
	r := rigIn(b, b.TempDir())
	defer r.close()
	data := random(1, 4096)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := r.create(fmt.Sprint(i))
		r.write(f, data, 0)
		if _, err := r.q.Commit(ctx, r.seal(f)); err != nil {
			b.Fatal(err)
		}
		if err := f.Remove(); err != nil {
			b.Fatal(err)
		}
	}
}

// The cost of Grown for a write with nothing to do.
func BenchmarkGrown(b *testing.B) {
	r := rigIn(b, b.TempDir())
	defer r.close()
	f := r.create("a")
	r.write(f, random(1, partSize), 0)
	b.ReportAllocs()
	for b.Loop() {
		r.q.Grown(f)
	}
}
