package blocks

import (
	"bytes"
	"context"
	"hash"
	"hash/crc64"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

var ctx = context.Background()

var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func checksums(c *Config) { c.Checksum = func() hash.Hash64 { return crc64.New(nvme) } }

func TestSmall(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 300 << 10, blockSize} {
		r := newRig(t, checksums)
		data := random(size, 40)
		r.put("k", data)
		o, src, err := r.cache.Small(ctx, backend.ObjectID{Bucket: bucket, Key: "k"}, nil)
		if err != nil || !o.HasMetadata || o.Size != int64(size) {
			t.Fatal(o, err)
		}
		rd := r.cache.NewReader(src)
		for off := 0; off <= size; off += 100 << 10 {
			mustRead(t, rd, data, int64(off), 100<<10)
		}
		rd.Close()
		if r.gets() != 1 || !r.cache.Cached(src) {
			t.Fatal(r.gets(), r.cache.Cached(src))
		}
		o, again, err := r.cache.Small(ctx, o.ID(), &src)
		if err != nil || o.HasMetadata || again != src || r.gets() != 2 {
			t.Fatal(o, again, err, r.gets())
		}
		if got := r.count.BytesReceived(); got != int64(size) {
			t.Errorf("%d bytes received", got)
		}
		// Another version now: its bytes come with the answer.
		data = random(size+1, 41)
		r.put("k", data)
		o, src, err = r.cache.Small(ctx, o.ID(), &src)
		if err != nil || !o.HasMetadata || o.Size != int64(size+1) {
			t.Fatal(o, err)
		}
		rd = r.cache.NewReader(src)
		mustRead(t, rd, data, 0, size)
		rd.Close()
		if r.gets() != 3 {
			t.Error(r.gets())
		}
	}
}

// TestSmallIsLarge: of an object that is larger than expected only the beginning is read.
func TestSmallIsLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(16<<20, 42)
	r.put("k", data)
	o, src, err := r.cache.Small(ctx, backend.ObjectID{Bucket: bucket, Key: "k"}, nil)
	if err != nil || o.Size != int64(len(data)) {
		t.Fatal(o, err)
	}
	if got := r.count.BytesReceived(); got > 2<<20 {
		t.Errorf("%d bytes received", got)
	}
	rd := r.cache.NewReader(src)
	defer rd.Close()
	mustRead(t, rd, data, 0, blockSize)
	if r.gets() != 1 {
		t.Error(r.gets())
	}
	mustRead(t, rd, data, blockSize-10, 100)
}

func TestSmallFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := backend.ObjectID{Bucket: bucket, Key: "k"}
	if _, _, err := r.cache.Small(ctx, id, nil); !backend.IsKind(err, backend.KindNotExist) {
		t.Fatal(err)
	}
	data := random(100<<10, 43)
	src := r.put("k", data)
	cut := r.faults.Add(mem.Rule{Op: "GetObject", Times: 2, Do: []mem.Action{mem.Cut(40 << 10)}})
	if _, _, err := r.cache.Small(ctx, id, nil); err != nil || cut.Hits() != 2 {
		t.Fatal(err, cut.Hits())
	}
	r.cache.Drop(bucket, "k")
	stall := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.StallAfter(10)}})
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, _, err := r.cache.Small(short, id, nil); !backend.IsKind(err, backend.KindCanceled) {
		t.Fatal(err)
	}
	stall.Remove()
	rd := r.cache.NewReader(src)
	defer rd.Close()
	short2, cancel2 := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel2()
	if _, err := rd.ReadAt(short2, 0, 10); err != nil && !backend.IsKind(err, backend.KindCanceled) {
		t.Fatal(err) // it shares the stalled download
	}
}

// TestSmallsSurvive: many small files opened at once are still there when they are read,
// although the policy would not keep what was never read.
func TestSmallsSurvive(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Memory = 32 << 20 })
	warm := random(12<<20, 44) // more than the policy keeps
	rd := r.cache.NewReader(r.put("warm", warm))
	for range 3 {
		for off := int64(0); off < 12<<20; off += 1 << 20 {
			mustRead(t, rd, warm, off, 1<<20)
		}
	}
	rd.Close()
	data := random(50<<10, 45)
	var known []Source
	for i := range 40 {
		src := r.put(string(rune('A'+i)), data)
		if _, got, err := r.cache.Small(ctx, src.id(), nil); err != nil || got.ETag != src.ETag {
			t.Fatal(err)
		}
		known = append(known, src)
	}
	r.cache.policy.settle()
	r.count.Reset()
	for _, src := range known {
		rd := r.cache.NewReader(src)
		mustRead(t, rd, data, 0, len(data))
		rd.Close()
	}
	if r.gets() > 0 {
		t.Errorf("%d of 40 files were fetched again", r.gets())
	}
}

// TestCorruptSmall: a wrong byte in a small object is asked for again once, then reported,
// and never served.
func TestCorruptSmall(t *testing.T) {
	t.Parallel()
	for name, sums := range map[string]func(*Config){"CRC64NVME": checksums, "MD5": func(*Config) {}} {
		r := newRig(t, sums)
		data := random(100<<10, 46)
		src := r.put("k", data)
		once := r.faults.Add(mem.Rule{Op: "GetObject", Times: 1, Do: []mem.Action{mem.Flip(50_000)}})
		rd := r.cache.NewReader(src)
		mustRead(t, rd, data, 0, len(data))
		if s := r.cache.Stats(); once.Hits() != 1 || s.Corrupt != 1 || r.gets() != 2 {
			t.Errorf("%s: %+v", name, s)
		}
		rd.Close()
		r.cache.Drop(bucket, "k")
		always := r.faults.Add(mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Flip(50_000)}})
		rd = r.cache.NewReader(src)
		if _, err := rd.ReadAt(ctx, 0, 10); !backend.IsKind(err, backend.KindCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := r.cache.Small(ctx, src.id(), nil); !backend.IsKind(err, backend.KindCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if s := r.cache.Stats(); always.Hits() != 4 || s.Corrupt != 5 {
			t.Errorf("%s: %d GETs, %+v", name, always.Hits(), s)
		}
		always.Remove()
		mustRead(t, rd, data, 0, len(data))
		rd.Close()
	}
}

// TestNoMD5: an ETag that is not an MD5 of the content is not compared with it.
func TestNoMD5(t *testing.T) {
	t.Parallel()
	data := []byte("x")
	c := &Cache{}
	for name, o := range map[string]backend.Object{
		"multipart": {ETag: "00000000000000000000000000000000-2"},
		"not hex":   {ETag: "zz000000000000000000000000000000"},
		"KMS":       {ETag: "00000000000000000000000000000000", Encryption: backend.Encryption{Algorithm: "aws:kms"}},
		"none":      {},
	} {
		if err := c.verifyWhole(o, data); err != nil {
			t.Error(name, err)
		}
	}
	if err := c.verifyWhole(backend.Object{ETag: "00000000000000000000000000000000"}, data); !backend.IsKind(err, backend.KindCorrupt) {
		t.Error(err)
	}
}

// TestPassage: a large object that is read from start to end is verified: the last bytes
// come only if all of it was right.
func TestPassage(t *testing.T) {
	t.Parallel()
	data := random(17<<20+5, 47)
	for name, c := range map[string]struct {
		tell, flip bool
		heads      int
	}{
		"told": {true, false, 0}, "told, flipped": {true, true, 0},
		"asked": {false, false, 1}, "asked, flipped": {false, true, 1},
	} {
		r := newRig(t, checksums)
		src := r.put("k", data)
		if c.tell {
			src.CRC64NVME = mem.CRC64NVME(data)
		}
		if c.flip {
			r.faults.Add(mem.Rule{Op: "GetObject", Nth: 3, Times: 1, Do: []mem.Action{mem.Flip(77)}})
		}
		rd := r.cache.NewReader(src)
		told, wrong := false, false
		for off := 0; off < len(data); off += 256 << 10 {
			v, err := rd.ReadAt(ctx, int64(off), 256<<10)
			if err == nil {
				wrong = wrong || !bytes.Equal(bytes.Join(v.Slices(), nil), data[off:off+v.Len()])
				v.Release()
			} else if told = backend.IsKind(err, backend.KindCorrupt); !told {
				t.Fatal(err)
			}
		}
		if told != c.flip || wrong && !c.flip {
			t.Errorf("%s: told %v, wrong bytes %v", name, told, wrong)
		}
		if got := r.count.Requests()["HeadObject"]; got != c.heads {
			t.Errorf("%s: %d HEADs", name, got)
		}
		if s := r.cache.Stats(); c.flip != (s.Corrupt == 1) {
			t.Errorf("%s: %+v", name, s)
		}
		if c.flip { // nothing of it is kept
			if _, err := rd.ReadAt(ctx, 0, 100); !backend.IsKind(err, backend.KindCorrupt) {
				t.Errorf("%s: read on after the error: %v", name, err)
			}
			rd.Close()
			if r.cache.Cached(src) {
				t.Error("wrong bytes are cached")
			}
			rd = r.cache.NewReader(src)
			for off := 0; off < len(data); off += MaxRead {
				mustRead(t, rd, data, int64(off), MaxRead)
			}
		}
		rd.Close()
	}
}

// TestPassageAhead: a passage that turns out wrong before its reader has come to the end
// is reported by the next read, to every Reader that may have got bytes of it.
func TestPassageAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t, checksums)
	data := random(4<<20, 49)
	src := r.put("k", data)
	src.CRC64NVME = mem.CRC64NVME(data[1:])
	rd, other := r.cache.NewReader(src), r.cache.NewReader(src)
	defer rd.Close()
	defer other.Close()
	mustRead(t, rd, data, 0, 512<<10)
	mustRead(t, rd, data, 512<<10, 512<<10) // and the rest is read ahead
	for end := time.Now().Add(10 * time.Second); r.cache.Stats().Corrupt == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not noticed")
		}
	}
	for _, rd := range []*Reader{rd, other} {
		if _, err := rd.ReadAt(ctx, 2<<20, 100); !backend.IsKind(err, backend.KindCorrupt) {
			t.Error(err)
		}
	}
	later := r.cache.NewReader(src)
	defer later.Close()
	mustRead(t, later, data, 2<<20, 100)
}

// TestPassageWithGaps: who reads the end first, or not all, is not kept waiting.
func TestPassageWithGaps(t *testing.T) {
	t.Parallel()
	r := newRig(t, checksums)
	data := random(6<<20+5, 48)
	src := r.put("k", data)
	src.CRC64NVME = mem.CRC64NVME(data)
	rd := r.cache.NewReader(src)
	defer rd.Close()
	for _, off := range []int{len(data) - 1000, 0, 100 << 10, 200 << 10, len(data) - 100<<10, 3 << 20, 300 << 10, 1 << 20} {
		mustRead(t, rd, data, int64(off), 100<<10)
	}
	for off := int64(0); off < int64(len(data)); off += 300 << 10 {
		mustRead(t, rd, data, off, 300<<10)
	}
}
