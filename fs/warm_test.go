package fs

import (
	"context"
	"os"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestPrefetchAndEvict: what was fetched ahead costs no request for its data, what was evicted costs them again.
func TestPrefetchAndEvict(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{cacheDir: t.TempDir()})
	large, small := randomBytes(1, 3<<20+17), randomBytes(2, 1000)
	m.put("d/large", large)
	m.put("d/e/small", small)
	m.put("d/empty", nil)
	m.put("other", small)
	dir := Located{Bucket: testBucket, Key: "d/", Dir: true}
	var told []Fetching
	got, err := m.fs.Prefetch(context.Background(), dir, func(a Fetching) { told = append(told, a) })
	check(t, err)
	want := Amount{2, int64(len(large) + len(small))}
	if last := told[len(told)-1]; got != want || last.Done != want || last.All != want || last.Looked != 0 {
		t.Errorf("fetched %+v, told %+v, want %+v", got, last, want)
	}
	for i, at := range told {
		if i < 3 && (at.Looked != int64(i+1) || at.Done.Bytes > 0) || i >= 3 && (at.Looked != 0 || at.All != want || at.Key == "" || at.Done.Bytes < told[i-1].Done.Bytes) {
			t.Errorf("told %+v at %d; three objects are counted before the first is fetched", at, i)
		}
	}
	read := func(name string, want []byte) int {
		t.Helper()
		before := m.store.Requests()["GetObject"]
		data, err := os.ReadFile(m.path(name))
		check(t, err)
		if string(data) != string(want) {
			t.Errorf("%s: other bytes", name)
		}
		return m.store.Requests()["GetObject"] - before
	}
	if n := read("d/large", large); n != 0 {
		t.Errorf("%d GETs for a large file that was fetched ahead", n)
	}
	if again, err := m.fs.Prefetch(context.Background(), dir, func(Fetching) {}); err != nil || again != (Amount{}) {
		t.Errorf("fetched again: %+v, %v", again, err)
	}
	_, err = m.fs.Evict(context.Background(), dir)
	check(t, err)
	if got, err := m.fs.prefetch(context.Background(), dir, 1, func(Fetching) {}); err != nil || got != want {
		t.Errorf("when more are counted than are remembered: %+v, %v", got, err)
	}
	evicted, err := m.fs.Evict(context.Background(), Located{Bucket: testBucket, Key: "d/large"})
	check(t, err)
	if evicted != (Amount{1, int64(len(large))}) {
		t.Errorf("evicted %+v", evicted)
	}
	eventually(t, func() bool { return read("d/large", large) > 0 }) // when the kernel has heard of it
	if _, err := m.fs.Prefetch(context.Background(), Located{Bucket: testBucket, Key: "nothing"}, func(Fetching) {}); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

// TestPrefetchWhileObjectsGo: objects that change or go while they are fetched are no failure; others are.
func TestPrefetchWhileObjectsGo(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{cacheDir: t.TempDir(), wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	for _, key := range []string{"a", "b", "c"} {
		m.put(key, randomBytes(1, 300<<10))
	}
	rule := faults.Add(mem.Rule{Op: "GetObject", Key: func(key string) bool { return key == "b" }, Do: []mem.Action{mem.Fail(backend.KindChanged)}})
	all := Located{Bucket: testBucket, Dir: true}
	got, err := m.fs.Prefetch(context.Background(), all, func(Fetching) {})
	if err != nil || got.Objects != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	rule.Remove()
	faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	if _, err := m.fs.Prefetch(context.Background(), all, func(Fetching) {}); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("without the right to read: %v", err)
	}
}
