package fs

import (
	"os"
	"testing"
	"time"
)

// TestOtherTTL: a longer time counts for what is asked for from now on, in the kernel too; a shorter one for what it was not told.
func TestOtherTTL(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, ttl: time.Nanosecond})
	m.put("d/f", []byte("x"))
	stat := func(name string, size int64) {
		t.Helper()
		if info, err := os.Stat(m.path(name)); err != nil || info.Size() != size {
			t.Fatalf("%s: %v %v", name, info, err)
		}
	}
	stat("d/f", 1)
	m.put("d/f", []byte("other"))
	stat("d/f", 5)

	m.fs.SetTTL(time.Hour, time.Hour)
	stat("d/f", 5)
	m.put("d/f", []byte("x"))
	m.requests(func() { stat("d/f", 5) }, map[string]int{})

	m.put("d/g", []byte("x"))
	m.fs.SetTTL(0, 0)
	stat("d/g", 1)
	m.put("d/g", []byte("other"))
	stat("d/g", 5)
}
