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
	told := Amount{}
	got, err := m.fs.Prefetch(context.Background(), dir, func(a Amount) { told = a })
	check(t, err)
	if want := (Amount{2, int64(len(large) + len(small))}); got != want || told != want {
		t.Errorf("fetched %+v, told %+v, want %+v", got, told, want)
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
	if again, err := m.fs.Prefetch(context.Background(), dir, func(Amount) {}); err != nil || again != (Amount{}) {
		t.Errorf("fetched again: %+v, %v", again, err)
	}
	evicted, err := m.fs.Evict(context.Background(), Located{Bucket: testBucket, Key: "d/large"})
	check(t, err)
	if evicted != (Amount{1, int64(len(large))}) {
		t.Errorf("evicted %+v", evicted)
	}
	eventually(t, func() bool { return read("d/large", large) > 0 }) // when the kernel has heard of it
	if _, err := m.fs.Prefetch(context.Background(), Located{Bucket: testBucket, Key: "nothing"}, func(Amount) {}); !backend.IsKind(err, backend.KindNotExist) {
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
	got, err := m.fs.Prefetch(context.Background(), all, func(Amount) {})
	if err != nil || got.Objects != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	rule.Remove()
	faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	if _, err := m.fs.Prefetch(context.Background(), all, func(Amount) {}); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("without the right to read: %v", err)
	}
}
