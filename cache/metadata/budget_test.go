package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

const bucket = "b"

// put stores objects of one byte, past the cache.
func put(t testing.TB, store backend.Writer, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := store.Put(context.Background(), backend.PutInput{Bucket: bucket, Key: key, Body: bytes.NewReader([]byte("x")), Size: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// counted is a store that counts.
type counted struct {
	*mem.Counter
	mem *mem.Store
}

// open returns a cache on a store that counts.
func open(t testing.TB, change func(*Config), keys ...string) (*Cache, counted) {
	t.Helper()
	inner := mem.New(bucket)
	store := counted{mem.Counting(inner), inner}
	put(t, store, keys...)
	store.Reset()
	cfg := Config{Lister: store, Reader: store, TTL: time.Minute, NegativeTTL: time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, store
}

// read returns all entries of a directory.
func read(t testing.TB, c *Cache, prefix string) []Entry {
	t.Helper()
	s := c.Scan(bucket, prefix)
	defer s.Close()
	var all []Entry
	for {
		e, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

// find walks depth first, as find(1) does, and returns the number of entries.
func find(t testing.TB, c *Cache, prefix string) int {
	t.Helper()
	n := 0
	for _, e := range read(t, c, prefix) {
		n++
		if e.Dir {
			n += find(t, c, prefix+e.Name+"/")
		}
	}
	return n
}

func tree(dirs, files int) []string {
	var keys []string
	for d := range dirs {
		for f := range files {
			keys = append(keys, fmt.Sprintf("root/dir-%04d/file-%04d", d, f))
		}
	}
	return keys
}

func TestFindCostsAboutTenListings(t *testing.T) {
	t.Parallel()
	c, store := open(t, nil, tree(1000, 10)...)
	if n := find(t, c, "root/"); n != 11_000 {
		t.Fatalf("%d entries", n)
	}
	if n := store.Total(); n > 14 {
		t.Errorf("%v requests: %v", n, store.Requests())
	}
	t.Log(store.Requests())
	store.Reset()
	if n := find(t, c, "root/"); n != 11_000 || store.Total() != 0 {
		t.Errorf("again: %d entries, %v requests", n, store.Requests())
	}
}
