package mem

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"hash/crc64"
	"io"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"pgregory.net/rapid"
)

const testBucket = "bucket"

func put(t testing.TB, s backend.Store, key string, data []byte) backend.Object {
	t.Helper()
	obj, err := s.Put(context.Background(), backend.PutInput{Bucket: testBucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatalf("Put %q: %v", key, err)
	}
	return obj
}

func get(t testing.TB, s backend.Store, key string, opt backend.GetOptions) ([]byte, backend.Object) {
	t.Helper()
	body, err := s.Get(context.Background(), backend.ObjectID{Bucket: testBucket, Key: key}, opt)
	if err != nil {
		t.Fatalf("Get %q: %v", key, err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	return data, body.Object
}

func wantKind(t testing.TB, err error, kind backend.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want kind %q", kind)
	}
	if got := backend.KindOf(err); got != kind {
		t.Fatalf("kind %q, want %q: %v", got, kind, err)
	}
}

func TestCRC64NVMEKnownValue(t *testing.T) {
	t.Parallel()
	if got := crc64.Checksum([]byte("123456789"), nvme); got != 0xae8b14860a799888 {
		t.Fatalf("check value %#x", got)
	}
	if got := CRC64NVME(nil); got != "AAAAAAAAAAA=" {
		t.Fatalf("of nothing: %s", got)
	}
}

func TestCombineIsTheSumOfTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		want := crc64.Checksum(append(bytes.Clone(a), b...), nvme)
		if got := combine(crc64.Checksum(a, nvme), crc64.Checksum(b, nvme), int64(len(b))); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}

func TestContentSlicesAndReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c content
		var model []byte
		for range rapid.IntRange(0, 6).Draw(t, "segments") {
			data := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "data")
			seg := segment{n: int64(len(data))}
			if rapid.Bool().Draw(t, "zero") {
				data = make([]byte, len(data))
			} else {
				seg.data = data
			}
			c, model = c.with(seg), append(model, data...)
		}
		off := rapid.IntRange(0, len(model)).Draw(t, "off")
		n := rapid.IntRange(0, len(model)-off).Draw(t, "n")
		cut := c.slice(int64(off), int64(n))
		r := &reader{ctx: context.Background(), rest: cut.slice(0, cut.size).segments}
		got, err := io.ReadAll(io.LimitReader(r, 1000))
		if err != nil || cut.size != int64(n) || !bytes.Equal(got, model[off:off+n]) {
			t.Fatalf("[%d,+%d): %x (size %d, %v), want %x", off, n, got, cut.size, err, model[off:off+n])
		}
		sum, _ := cut.sums(context.Background())
		if sum.md5 != md5.Sum(model[off:off+n]) || sum.crc64 != crc64.Checksum(model[off:off+n], nvme) {
			t.Fatal("wrong sums")
		}
	})
}

func TestETagsAreThoseOfS3(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	s.Configure(func(cfg *Settings) { cfg.Capabilities.Limits.MinPart = 4 })
	data := []byte("0123456789abcdef-tail")
	sum := md5.Sum(data)
	if obj := put(t, s, "one", data); obj.ETag != hex.EncodeToString(sum[:]) || obj.CRC64NVME != CRC64NVME(data) {
		t.Errorf("single: %+v", obj)
	}
	id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "many"})
	if err != nil {
		t.Fatal(err)
	}
	var parts []backend.Part
	var digests []byte
	for i, piece := range []string{"0123456789", "abcdef", "-tail"} {
		p, err := s.UploadPart(ctx, backend.PartInput{Bucket: testBucket, Key: "many", UploadID: id, Number: int32(i + 1), Body: strings.NewReader(piece), Size: int64(len(piece))})
		if err != nil {
			t.Fatal(err)
		}
		sum := md5.Sum([]byte(piece))
		digests, parts = append(digests, sum[:]...), append(parts, p)
	}
	obj, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "many", UploadID: id, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	sum = md5.Sum(digests)
	if obj.ETag != hex.EncodeToString(sum[:])+"-3" || obj.CRC64NVME != CRC64NVME(data) || obj.Size != int64(len(data)) {
		t.Errorf("multipart: %+v", obj)
	}
}

func TestZerosHaveNoMemory(t *testing.T) {
	t.Parallel()
	s := New(testBucket)
	put(t, s, "zeros", make([]byte, 5*backend.MiB+3))
	if v := s.buckets[testBucket].current("zeros"); len(v.content.segments) != 1 || v.content.segments[0].data != nil {
		t.Errorf("%d segments", len(v.content.segments))
	}
	if data, _ := get(t, s, "zeros", backend.GetOptions{}); !bytes.Equal(data, make([]byte, 5*backend.MiB+3)) {
		t.Error("other bytes came back")
	}
}

func TestCounterCounts(t *testing.T) {
	t.Parallel()
	c, ctx := Counting(New(testBucket)), context.Background()
	put(t, c, "a", []byte("hello"))
	body, err := c.Get(ctx, backend.ObjectID{Bucket: testBucket, Key: "a"}, backend.GetOptions{Range: &backend.Range{Off: 1, Len: 3}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Flying() != 1 {
		t.Errorf("%d under way while a body is open", c.Flying())
	}
	if _, err := c.Head(ctx, backend.ObjectID{Bucket: testBucket, Key: "none"}, backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		t.Error(err)
	}
	io.Copy(io.Discard, body)
	body.Close()
	body.Close()
	if got, want := c.String(), "[GetObject:1 HeadObject:1 PutObject:1] sent 5 received 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c.Peak() != 2 || c.Flying() != 0 || c.Total() != 3 {
		t.Errorf("peak %d flying %d total %d", c.Peak(), c.Flying(), c.Total())
	}
	c.Reset()
	if c.Total() != 0 || c.Peak() != 0 || c.BytesReceived() != 0 || len(c.Requests()) != 0 {
		t.Errorf("after Reset: %s", c)
	}
}
