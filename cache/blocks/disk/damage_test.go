package disk

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDamage changes files behind the tier's back, as kills, power cuts and bad disks do.
// Whatever happens, no wrong byte is read.
func TestDamage(t *testing.T) {
	t.Parallel()
	data := random(2<<20+777, 3)
	k := key("k", len(data))
	change := func(path string, f func([]byte) []byte) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, damage := range map[string]struct {
		do      func(t *testing.T, meta, data string)
		present int64 // at least
		corrupt int64
	}{
		"nothing":   {func(*testing.T, string, string) {}, k.Size, 0},
		"meta gone": {func(t *testing.T, meta, _ string) { _ = os.Remove(meta) }, 0, 0},
		"data gone": {func(t *testing.T, _, data string) { _ = os.Remove(data) }, 0, 0},
		"data shorter": {func(t *testing.T, _, data string) {
			change(data, func(b []byte) []byte { return b[:1000] })
		}, 0, 0},
		"header garbled": {func(t *testing.T, meta, _ string) {
			change(meta, func(b []byte) []byte { b[len(magic)+nonceSize+2] ^= 1; return b })
		}, 0, 0},
		"header cut": {func(t *testing.T, meta, _ string) {
			change(meta, func(b []byte) []byte { return b[:10] })
		}, 0, 0},
		"nonce of another": {func(t *testing.T, meta, _ string) {
			change(meta, func(b []byte) []byte { b[len(magic)] ^= 1; return b })
		}, 0, 0},
		"last record torn": {func(t *testing.T, meta, _ string) {
			change(meta, func(b []byte) []byte { return b[:len(b)-100] })
		}, 2 << 20, 0},
		"first record garbled": {func(t *testing.T, meta, _ string) {
			change(meta, func(b []byte) []byte { b[len(b)-3*recordSize+20] ^= 1; return b })
		}, 1<<20 + 777, 0},
		"bytes lost": {func(t *testing.T, _, data string) { // as after a power cut
			change(data, func(b []byte) []byte { clear(b[1<<20 : 2<<20]); return b })
		}, k.Size, 1},
		"one bit": {func(t *testing.T, _, data string) {
			change(data, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}, k.Size, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tier := open(t, dir, 1<<30)
			f := tier.File(k)
			f.Write(0, data)
			f.Release()
			_ = tier.Close()
			damage.do(t, find(t, dir, ".meta")[0], find(t, dir, ".data")[0])
			checkDamaged(t, dir, k, data, damage.present, damage.corrupt)
		})
	}
}

// checkDamaged reads a damaged tier, lets it heal, and reads it again after a reopening.
func checkDamaged(t *testing.T, dir string, k Key, data []byte, present, corrupt int64) {
	tier := open(t, dir, 1<<30)
	f := tier.File(k)
	var found int64
	for off := int64(0); off < k.Size; off += PieceSize {
		n := f.Present(off, min(off+PieceSize, k.Size))
		found += n
		p := make([]byte, n)
		if n > 0 && f.ReadAt(p, off) == nil && !bytes.Equal(p, data[off:off+n]) {
			t.Fatal("wrong bytes at", off)
		}
	}
	if found < present {
		t.Errorf("%d bytes present, want %d", found, present)
	}
	if got := tier.Stats().Corrupt; got < corrupt {
		t.Errorf("%d corrupt pieces counted", got)
	}
	for off := 0; off < len(data); off += 1 << 20 { // what is missing is written again and stays
		if !f.Write(int64(off), data[off:min(off+1<<20, len(data))]) {
			t.Fatal("not written again")
		}
	}
	mustRead(t, f, data, 0, len(data))
	f.Release()
	_ = tier.Close()
	tier = open(t, dir, 1<<30)
	f = tier.File(k)
	mustRead(t, f, data, 0, len(data))
	f.Release()
}

// TestLeftovers: halves of pairs go, but not while they may be about to be completed.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tier := open(t, dir, 1<<30)
	const size = packedMax + 1 // each in files of its own
	data := random(size, 5)
	for _, n := range []string{"a", "b", "c"} {
		f := tier.File(key(n, size))
		f.Write(0, data)
		f.Release()
	}
	_ = tier.Close()
	name := func(n string) string { k := key(n, size); return k.name() }
	old := time.Now().Add(-2 * leftover)
	for _, p := range find(t, dir, "") {
		switch {
		case strings.Contains(p, name("a")) && strings.HasSuffix(p, ".meta"), strings.Contains(p, name("b")) && strings.HasSuffix(p, ".meta"):
			_ = os.Remove(p)
		case strings.Contains(p, name("b")):
			_ = os.Chtimes(p, old, old)
		}
	}
	open(t, dir, 1<<30)
	var left string
	for _, p := range find(t, dir, "") {
		left += p
	}
	if !strings.Contains(left, name("a")) || strings.Contains(left, name("b")) || !strings.Contains(left, name("c")) {
		t.Error(left)
	}
}

// TestUnwritable: a folder that fails is given up with one warning; what it has is read.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log warnings
	tier, err := Open(Config{Dir: dir, Limit: 1 << 30, Queue: 1 << 20, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	const size = packedMax + 1
	data := random(size, 7)
	good := tier.File(key("good", size))
	defer good.Release()
	good.Write(0, data)
	for i := range 5 {
		k := key(string(rune('a'+i)), size)
		if i == 0 { // a file where the folder should be
			_ = os.WriteFile(tier.folder(k.name()), nil, 0o600)
		}
		f := tier.File(k)
		if f.Write(0, data) {
			t.Error("written")
		}
		f.Release()
	}
	mustRead(t, good, data, 0, size)
	if log.count() != 1 {
		t.Errorf("%d warnings", log.count())
	}
}

// TestRemoveQueued: what is queued for a file that was removed is not written after all.
func TestRemoveQueued(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tier := open(t, dir, 1<<30)
	k := key("k", PieceSize)
	f := tier.File(k)
	tier.Remove(k)
	if f.Write(0, random(PieceSize, 8)) || len(find(t, dir, "")) != 0 {
		t.Error("written after the removal")
	}
	f.Release()
	f = tier.File(k)
	if !f.Write(0, random(PieceSize, 8)) {
		t.Error("not written although nobody used the removed file any more")
	}
	f.Release()
}

// TestFull: a full disk pauses writing, with one warning, and does not end it.
func TestFull(t *testing.T) {
	t.Parallel()
	var log warnings
	tier, err := Open(Config{Dir: t.TempDir(), Limit: 1 << 30, Queue: 1 << 20, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	waitScan(t, tier)
	f := tier.File(key("k", PieceSize))
	defer f.Release()
	for range 3 {
		tier.failed(&os.PathError{Op: "write", Err: unix.ENOSPC})
	}
	if f.Write(0, random(PieceSize, 9)) || log.count() != 1 {
		t.Errorf("%d warnings", log.count())
	}
	tier.paused.Store(0)
	if !f.Write(0, random(PieceSize, 9)) {
		t.Error("never written again")
	}
}
