package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestContextEndsOnlyTheWaiting(t *testing.T) {
	t.Parallel()
	c, l := gated(t, "d/a", "d/b")
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	s := c.Scan(bucket, "d/")
	defer s.Close()
	go func() {
		_, err := s.Next(ctx)
		failed <- err
	}()
	<-l.entered
	cancel()
	if err := <-failed; !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("%v", err)
	}
	l.release <- struct{}{}
	if e, err := s.Next(context.Background()); err != nil || e.Name != "a" {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := c.Lookup(context.Background(), bucket, "d/", "b"); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsScans(t *testing.T) {
	t.Parallel()
	c, l := gated(t, "d/a")
	failed := make(chan error)
	s := c.Scan(bucket, "d/")
	go func() {
		_, err := s.Next(context.Background())
		failed <- err
	}()
	<-l.entered
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("%v", err)
	}
	if _, err := s.Next(context.Background()); !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("%v", err)
	}
	if _, err := c.Lookup(context.Background(), bucket, "d/", "x"); !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("%v", err)
	}
	s.Close()
	s.Close()
	if _, err := s.Next(context.Background()); !backend.IsKind(err, backend.KindInvalid) {
		t.Errorf("%v", err)
	}
}

// gate is a store whose listings are computed when they are asked for, and answered when
// the test says so.
type gate struct {
	*mem.Store
	entered chan backend.ListInput
	release chan struct{}
}

func (g *gate) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	page, err := g.Store.List(ctx, in)
	select {
	case g.entered <- in:
	case <-ctx.Done():
		return backend.Page{}, ctx.Err()
	}
	select {
	case <-g.release:
		return page, err
	case <-ctx.Done():
		return backend.Page{}, ctx.Err()
	}
}

func gated(t testing.TB, keys ...string) (*Cache, *gate) {
	t.Helper()
	g := &gate{Store: mem.New(bucket), entered: make(chan backend.ListInput), release: make(chan struct{})}
	put(t, g.Store, keys...)
	c, err := Open(Config{Lister: g, Reader: g, TTL: time.Hour, NegativeTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, g
}

func TestListingFailsAndGoesOn(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 30 {
		keys = append(keys, fmt.Sprintf("d/%02d", i))
	}
	store := mem.New(bucket)
	put(t, store, keys...)
	store.Configure(func(s *mem.Settings) { s.PageSize = 10 })
	l := &failing{Lister: store, fail: map[int]bool{0: true, 2: true, 3: true}}
	c, err := Open(Config{Lister: l, Reader: store, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.Scan(bucket, "d/")
	defer s.Close()
	n, failures := 0, 0
	for {
		e, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if backend.IsKind(err, backend.KindTransient) {
			failures++
			continue
		}
		if want := fmt.Sprintf("%02d", n); err != nil || e.Name != want {
			t.Fatalf("%v, %v, want %s", e, err, want)
		}
		n++
	}
	if n != 30 || failures < 2 {
		t.Errorf("%d entries, %d failures", n, failures)
	}
}

func TestReadingAheadDoesNotInsist(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("d/%02d", i))
	}
	_, store := open(t, nil, keys...)
	pages(store, 50)
	l := &failing{Lister: store, fail: map[int]bool{}}
	for i := 1; i < 200; i++ {
		l.fail[i] = true
	}
	c, err := Open(Config{Lister: l, Reader: store, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.Scan(bucket, "d/")
	defer s.Close()
	for range 49 { // the last one could still become a directory
		if _, err := s.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n > 3 {
		t.Errorf("%d listings", l.n)
	}
}

// failing fails some listings, by number.
type failing struct {
	backend.Lister
	mu   sync.Mutex
	n    int
	fail map[int]bool
}

func (f *failing) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	f.mu.Lock()
	fails := f.fail[f.n]
	f.n++
	f.mu.Unlock()
	if fails {
		return backend.Page{}, &backend.Error{Kind: backend.KindTransient, Op: "ListObjectsV2"}
	}
	return f.Lister.List(ctx, in)
}

// circular returns the same page for ever.
type circular struct{ backend.Lister }

func (c circular) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	in.Token = ""
	page, err := c.Lister.List(ctx, in)
	page.Next = "again"
	return page, err
}

func TestPagesInCirclesEnd(t *testing.T) {
	t.Parallel()
	store := mem.New(bucket)
	put(t, store, "d/a", "d/b/c")
	c, err := Open(Config{Lister: circular{store}, Reader: store, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.Scan(bucket, "d/")
	defer s.Close()
	var names []string
	for {
		e, err := s.Next(context.Background())
		if err != nil {
			if !backend.IsKind(err, backend.KindOther) {
				t.Errorf("%v", err)
			}
			break
		}
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Error(diff)
	}
}
