package blocks

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// onDisk returns a change of the Config that adds a disk tier, and memory enough for its
// queue to hold all that a test reads: what does not fit is not written.
func onDisk(dir string) func(*Config) {
	return func(c *Config) { c.Dir, c.Memory = dir, 256<<20 }
}

// reopen closes the rig's cache and opens another one on the same folder.
func (r *rig) reopen(dir string) {
	r.t.Helper()
	r.close()
	r.cache = r.open(onDisk(dir))
	r.count.Reset()
}

// TestRemount: what was read once needs no request after a remount; what was read in
// part needs only the rest.
func TestRemount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, onDisk(dir))
	data := random(10<<20+99, 50)
	src := r.put("k", data)
	small := random(70<<10, 51)
	smallSrc := r.put("small", small)
	rd := r.cache.NewReader(src)
	for off := 0; off < len(data); off += 1 << 20 {
		mustRead(t, rd, data, int64(off), 1<<20)
	}
	rd.Close()
	if _, _, err := r.cache.Small(ctx, smallSrc.id(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.reopen(dir)
		if !r.cache.Cached(src) || !r.cache.Cached(smallSrc) {
			t.Fatal("not cached after a remount")
		}
		rd = r.cache.NewReader(src)
		for off := 0; off < len(data); off += 1<<20 + 1 {
			mustRead(t, rd, data, int64(off), 1<<20+1)
		}
		rd.Close()
		rd = r.cache.NewReader(smallSrc)
		mustRead(t, rd, small, 0, len(small))
		rd.Close()
		if r.gets() != 0 {
			t.Errorf("%d GETs after a remount", r.gets())
		}
		if s := r.cache.Stats(); s.DiskBytes != int64(len(data)+len(small)) || s.Corrupt != 0 {
			t.Errorf("%+v", s)
		}
		if _, _, err := r.cache.Small(ctx, smallSrc.id(), &smallSrc); err != nil || r.count.BytesReceived() != 0 {
			t.Error(err, "the cached bytes came again")
		}
	}
	// Another version is another file.
	r.put("k", random(len(data), 52))
	rd = r.cache.NewReader(src)
	mustRead(t, rd, data, 5<<20, 1<<20)
	rd.Close()
	if r.cache.Drop(bucket, "k"); r.cache.Cached(src) {
		rd = r.cache.NewReader(src)
		mustRead(t, rd, data, 0, 1<<20)
		rd.Close()
	}
}

// TestCorruptDisk: a byte that changed on disk is noticed and fetched again.
func TestCorruptDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, onDisk(dir))
	data := random(3<<20, 53)
	src := r.put("k", data)
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, 3<<20)
	rd.Close()
	r.close()
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.data"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	raw, _ := os.ReadFile(files[0])
	raw[1<<20+5] ^= 1
	_ = os.WriteFile(files[0], raw, 0o600)
	r.reopen(dir)
	rd = r.cache.NewReader(src)
	for off := int64(0); off < 3<<20; off += 300 << 10 {
		mustRead(t, rd, data, off, 300<<10)
	}
	rd.Close()
	if s := r.cache.Stats(); s.Corrupt != 1 || s.StoreBytes == 0 || s.StoreBytes > 1<<20 {
		t.Errorf("%+v", s)
	}
	r.reopen(dir)
	if !r.cache.Cached(src) {
		t.Error("the piece was not written again")
	}
}

// TestSlowDisk: a block that found the queue full is queued when it is read from memory.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, onDisk(t.TempDir()))
	data := random(3<<20, 60)
	src := r.put("k", data)
	gate := make(chan struct{})
	f := r.cache.file(src)
	n := 0
	for r.cache.tier.Takes(1 << 20) { // the writer is held up, and the queue fills
		first := n == 0
		ok := r.cache.tier.Enqueue(f, 0, data[:1<<20], func() {
			if first {
				<-gate
			}
		})
		if !ok {
			break
		}
		n++
	}
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, 3<<20)
	if s := r.cache.Stats(); s.DiskQueued != int64(n)<<20 && s.DiskQueued != int64(n-1)<<20 {
		t.Fatalf("%d jobs, %+v", n, s)
	}
	close(gate)
	for r.cache.Stats().DiskQueued > 0 {
		time.Sleep(time.Millisecond)
	}
	mustRead(t, rd, data, 0, 3<<20)
	rd.Close()
	f.Release()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if f, ok := r.cache.Complete(src); ok {
			_ = f.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not on disk: %+v", r.cache.Stats())
		}
	}
}

func TestCompleteForPassthrough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, onDisk(dir))
	data := random(2<<20+5, 54)
	src := r.put("k", data)
	if _, ok := r.cache.Complete(src); ok {
		t.Fatal("complete before it was read")
	}
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, len(data))
	rd.Close()
	for pass := range 2 {
		var f *os.File
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			var ok bool
			if f, ok = r.cache.Complete(src); ok {
				break
			}
			if time.Now().After(end) {
				t.Fatal("never complete")
			}
		}
		r.cache.Drop(bucket, "k") // and still open
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
			t.Fatal("wrong bytes", err)
		}
		_ = f.Close()
		if pass == 0 {
			rd := r.cache.NewReader(src)
			mustRead(t, rd, data, 0, len(data))
			rd.Close()
			r.reopen(dir) // verified in the background then
		}
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, onDisk(dir))
	for _, size := range []int{0, 10, 3<<20 + 7, 20 << 20} {
		data := random(size, uint64(size))
		src := r.put("k", data)
		r.cache.Adopt(src, bytes.NewReader(data))
		r.count.Reset()
		rd := r.cache.NewReader(src)
		for off := 0; off < size; off += 1 << 20 {
			mustRead(t, rd, data, int64(off), 1<<20)
		}
		rd.Close()
		if r.gets() != 0 || !r.cache.Cached(src) {
			t.Errorf("size %d: %d GETs", size, r.gets())
		}
		if f, ok := r.cache.Complete(src); ok != (size > 1<<20) { // small ones have no file of their own
			t.Errorf("size %d: complete %v", size, ok)
		} else if ok {
			_ = f.Close()
		}
	}
	// Without a disk tier small ones stay in memory; a reader that lies changes nothing.
	m := newRig(t)
	data := random(2<<20, 56)
	src := m.put("k", data)
	m.cache.Adopt(src, bytes.NewReader(data[:1<<20]))
	if m.cache.Cached(src) {
		t.Error("cached without bytes")
	}
	m.cache.Adopt(src, bytes.NewReader(data))
	m.count.Reset()
	rd := m.cache.NewReader(src)
	mustRead(t, rd, data, 0, len(data))
	rd.Close()
	if m.gets() != 0 {
		t.Error(m.gets(), "GETs after Adopt")
	}
}

// TestMove: a rename takes cached bytes and open Readers along, on disk too.
func TestMove(t *testing.T) {
	t.Parallel()
	for _, disk := range []bool{false, true} {
		var change []func(*Config)
		if disk {
			change = append(change, onDisk(t.TempDir()))
		}
		r := newRig(t, change...)
		data := random(8<<20, 57)
		old := r.put("old", data)
		rd := r.cache.NewReader(old)
		mustRead(t, rd, data, 0, 3<<20)
		moved := r.link(old, "new")
		if err := r.store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "old"}); err != nil {
			t.Fatal(err)
		}
		r.cache.Move(old, moved)
		r.count.Reset()
		mustRead(t, rd, data, 0, 3<<20)
		other := r.cache.NewReader(moved)
		mustRead(t, other, data, 0, 3<<20)
		if r.gets() != 0 {
			t.Errorf("disk %v: %d GETs for moved bytes", disk, r.gets())
		}
		mustRead(t, rd, data, 3<<20, 4<<20) // by the new name
		mustRead(t, other, data, 7<<20, 1<<20)
		rd.Close()
		other.Close()
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(3<<20, 58)
	src := r.put("k", data)
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, len(data))
	r.cache.Drop(bucket, "k")
	if r.cache.Cached(src) {
		t.Error("still found")
	}
	r.count.Reset()
	mustRead(t, rd, data, 0, len(data)) // who reads the old version keeps it
	if r.gets() != 0 {
		t.Error(r.gets(), "GETs")
	}
	rd.Close()
	r.cache.policy.settle()
	if s := r.cache.Stats(); s.MemoryUsed != 0 {
		t.Errorf("%+v", s)
	}
}

// TestNoFolder: a disk tier that cannot be used is left out.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	_ = os.WriteFile(file, nil, 0o600)
	r := newRig(t, onDisk(filepath.Join(file, "below")))
	data := random(100<<10, 59)
	src := r.put("k", data)
	rd := r.cache.NewReader(src)
	mustRead(t, rd, data, 0, len(data))
	rd.Close()
	if _, ok := r.cache.Complete(src); ok {
		t.Error("complete without a disk tier")
	}
	r.cache.Move(src, r.link(src, "l"))
	r.cache.Drop(bucket, "l")
}
