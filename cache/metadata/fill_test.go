package metadata

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// slowHeads is a store whose HEADs take a while.
type slowHeads struct {
	*mem.Counter
	fail func(key string) error
	mu   sync.Mutex
	seen map[string]int
	now  int // under way
	peak int
}

func (s *slowHeads) begin(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[key]++
	s.now++
	s.peak = max(s.peak, s.now)
}

func (s *slowHeads) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
}

func (s *slowHeads) times(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[key]
}

func (s *slowHeads) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	s.begin(id.Key)
	defer s.end()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return backend.Object{}, ctx.Err()
	}
	if s.fail != nil {
		if err := s.fail(id.Key); err != nil {
			return backend.Object{}, err
		}
	}
	return s.Counter.Head(ctx, id, opt)
}

func openHeads(t *testing.T, n int) (*Cache, *slowHeads, []backend.Object) {
	t.Helper()
	store := mem.New(bucket)
	s := &slowHeads{Counter: mem.Counting(store), seen: map[string]int{}}
	for i := range n {
		_, err := store.Put(context.Background(), backend.PutInput{
			Bucket: bucket, Key: fmt.Sprintf("d/%04d", i), Body: strings.NewReader(""), Properties: backend.Properties{Metadata: map[string]string{"colour": fmt.Sprint(i)}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := Open(Config{Lister: s, Reader: s, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var objs []backend.Object
	for _, e := range read(t, c, "d/") {
		objs = append(objs, *e.Object)
	}
	return c, s, objs
}

func TestFillAsksOncePerObject(t *testing.T) {
	t.Parallel()
	c, s, objs := openHeads(t, 300)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { c.Fill(context.Background(), objs) })
	}
	wg.Wait()
	for i, o := range objs {
		expect(t, c, o, fmt.Sprint(i))
		if n := s.times(o.Key); n != 1 {
			t.Errorf("%d HEADs of %s", n, o.Key)
		}
	}
	if s.peak > headsAtOnce || s.peak < headsAtOnce/4 {
		t.Errorf("%d at once", s.peak)
	}
	s.Reset()
	c.Fill(context.Background(), objs)
	if s.Total() != 0 {
		t.Errorf("%v", s)
	}
}

func TestFillRemembersFailures(t *testing.T) {
	t.Parallel()
	c, s, objs := openHeads(t, 3)
	s.fail = func(key string) error {
		if key == objs[1].Key {
			return &backend.Error{Kind: backend.KindPermission}
		}
		return nil
	}
	for range 3 {
		c.Fill(context.Background(), objs)
	}
	expect(t, c, objs[1], "unknown")
	expect(t, c, objs[2], "2")
	if n := s.times(objs[1].Key); n != 1 {
		t.Errorf("%d HEADs", n)
	}
}

func TestFillSeesThatAnObjectIsGone(t *testing.T) {
	t.Parallel()
	c, s, objs := openHeads(t, 2)
	if err := s.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: objs[0].Key}); err != nil {
		t.Fatal(err)
	}
	c.Fill(context.Background(), objs)
	s.Reset()
	mustMiss(t, c, "d/", "0000")
	mustLookup(t, c, "d/", "0001")
	if s.Total() != 1 {
		t.Errorf("%v", s)
	}
}

func TestFillEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, s, objs := openHeads(t, 300)
	stuck := make(chan struct{})
	s.fail = func(string) error { <-stuck; return errors.New("late") }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Fill(ctx, objs)
	}()
	time.Sleep(20 * time.Millisecond)
	cancel()
	<-done
	s.mu.Lock()
	if len(s.seen) > headsAtOnce {
		t.Errorf("%d HEADs", len(s.seen))
	}
	s.mu.Unlock()
	close(stuck)
}

func TestFillEndsAtClose(t *testing.T) {
	t.Parallel()
	c, _, objs := openHeads(t, 300)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Fill(context.Background(), objs)
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-done
	c.Fill(context.Background(), objs)
}

func TestAskWithoutTTL(t *testing.T) {
	t.Parallel()
	c, s, objs := openHeads(t, 2)
	c.SetTTL(0, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if known, ok := c.Ask(context.Background(), objs[0]); !ok || known.Metadata["colour"] != "0" {
				t.Errorf("%v, %v", known.Metadata, ok)
			}
		})
	}
	wg.Wait()
	old := objs[1]
	old.ETag = `"of another version"`
	if known, ok := c.Ask(context.Background(), old); ok || known.HasMetadata {
		t.Errorf("%v of another version", known.Metadata)
	}
	s.fail = func(string) error { return &backend.Error{Kind: backend.KindPermission} }
	if known, ok := c.Ask(context.Background(), objs[1]); ok || known.HasMetadata {
		t.Errorf("%v, though the store refuses", known.Metadata)
	}
}
