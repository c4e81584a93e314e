package blocks

import (
	"context"
	"io"
	"testing"

	"github.com/objmount/objmount/backend"
)

// endless is a store with one object of the same MiB over and over, at the speed of memory.
type endless struct {
	size int64
	data []byte
}

func (e *endless) Head(context.Context, backend.ObjectID, backend.GetOptions) (backend.Object, error) {
	return backend.Object{ETag: "e", Size: e.size}, nil
}

func (e *endless) Get(_ context.Context, _ backend.ObjectID, o backend.GetOptions) (*backend.Body, error) {
	r := backend.Range{Len: e.size}
	if o.Range != nil {
		r = *o.Range
	}
	return &backend.Body{ReadCloser: &endlessBody{e, r.Len}, Object: backend.Object{ETag: "e", Size: e.size}, Range: r}, nil
}

type endlessBody struct {
	*endless
	left int64
}

func (b *endlessBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), b.left)], b.data)
	b.left -= int64(n)
	return n, nil
}

func (b *endlessBody) Close() error { return nil }

func benchmark(b *testing.B, read int, dir string) {
	store := &endless{1 << 40, random(1<<20, 1)}
	c, err := Open(Config{Reader: store, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	rd := c.NewReader(Source{Source: backend.Source{Bucket: bucket, Key: "k", ETag: "e"}, Size: store.size})
	defer rd.Close()
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for i := range int64(b.N) { // one MiB each
		for off := i << 20; off < (i+1)<<20; off += int64(read) {
			v, err := rd.ReadAt(context.Background(), off, read)
			if err != nil {
				b.Fatal(err)
			}
			v.Release()
		}
	}
}

func BenchmarkSequential128K(b *testing.B) { benchmark(b, 128<<10, "") }
func BenchmarkSequential1M(b *testing.B)   { benchmark(b, 1<<20, "") }

// BenchmarkWarm reads the same MiB in memory, 128 KiB at a time.
func BenchmarkWarm(b *testing.B) {
	store := &endless{1 << 20, random(1<<20, 1)}
	c, err := Open(Config{Reader: store})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	rd := c.NewReader(Source{Source: backend.Source{Bucket: bucket, Key: "k", ETag: "e"}, Size: store.size})
	defer rd.Close()
	b.SetBytes(128 << 10)
	b.ReportAllocs()
	for i := range b.N {
		v, err := rd.ReadAt(context.Background(), int64(i%8)<<17, 128<<10)
		if err != nil {
			b.Fatal(err)
		}
		v.Release()
	}
}
