package blocks

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "b"

// rig is a cache over a store in memory whose GETs are counted and can be made to fail.
type rig struct {
	t      *testing.T
	store  *mem.Store
	faults *mem.Faults
	count  *mem.Counter
	cache  *Cache
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: mem.New(bucket)}
	r.faults = mem.Faulty(r.store)
	r.count = mem.Counting(r.faults)
	r.cache = r.open(change...)
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) open(change ...func(*Config)) *Cache {
	r.t.Helper()
	cfg := Config{Reader: r.count, Memory: 64 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// close closes the cache and checks that all memory came back.
func (r *rig) close() {
	if r.cache == nil {
		return
	}
	if err := r.cache.Close(); err != nil {
		r.t.Error(err)
	}
	if s := r.cache.Stats(); s.MemoryUsed != 0 || s.Pinned != 0 || s.MemoryPeak > s.MemoryLimit {
		r.t.Errorf("memory after Close: %+v", s)
	}
	r.cache = nil
}

// put stores data and returns it as a Source.
func (r *rig) put(key string, data []byte) Source {
	r.t.Helper()
	o, err := r.store.Put(context.Background(), backend.PutInput{
		Bucket: bucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return Source{Source: backend.Source{Bucket: bucket, Key: key, ETag: o.ETag}, Size: int64(len(data))}
}

// link gives the bytes of src a second name, without the cost of a Put.
func (r *rig) link(src Source, key string) Source {
	r.t.Helper()
	o, err := r.store.Copy(context.Background(), backend.CopyInput{Bucket: bucket, Key: key, Source: src.Source, Size: src.Size})
	if err != nil {
		r.t.Fatal(err)
	}
	return Source{Source: backend.Source{Bucket: bucket, Key: key, ETag: o.ETag}, Size: src.Size}
}

func (r *rig) gets() int { return r.count.Requests()["GetObject"] }

// random returns n bytes that depend on seed.
func random(n int, seed uint64) []byte {
	p := make([]byte, n)
	g := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = g.Read(p)
	return p
}

// mustRead compares a read with the data it must return.
func mustRead(t *testing.T, rd *Reader, data []byte, off int64, n int) {
	t.Helper()
	v, err := rd.ReadAt(context.Background(), off, n)
	if err != nil {
		t.Fatalf("ReadAt(%d, %d): %v", off, n, err)
	}
	defer v.Release()
	want := data[min(off, int64(len(data))):min(off+int64(n), int64(len(data)))]
	got := 0
	for _, s := range v.Slices() {
		if len(s) > len(want)-got || !bytes.Equal(s, want[got:got+len(s)]) {
			t.Fatalf("ReadAt(%d, %d): wrong bytes from %d on", off, n, got)
		}
		got += len(s)
	}
	if v.Len() != got || got != len(want) {
		t.Fatalf("ReadAt(%d, %d): %d bytes (Len %d), want %d", off, n, got, v.Len(), len(want))
	}
}
