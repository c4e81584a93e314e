package mem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

func only(want string) func(string) bool { return func(key string) bool { return key == want } }

func putErr(s backend.Store, key string, data []byte) error {
	_, err := s.Put(context.Background(), backend.PutInput{
		Bucket: testBucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data)), CRC64NVME: CRC64NVME(data),
	})
	return err
}

func readErr(ctx context.Context, s backend.Store, key string) ([]byte, error) {
	body, err := s.Get(ctx, backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestFaultsMatchOpKeyAndNumber(t *testing.T) {
	t.Parallel()
	f := Faulty(New(testBucket))
	rule := f.Add(Rule{Op: "PutObject", Key: only("a"), Nth: 2, Times: 2, Do: []Action{Fail(backend.KindTransient)}})
	var got []bool
	for range 5 {
		if err := putErr(f, "b", nil); err != nil {
			t.Fatalf("another key: %v", err)
		}
		err := putErr(f, "a", nil)
		if err != nil {
			wantKind(t, err, backend.KindTransient)
		}
		got = append(got, err != nil)
	}
	if want := []bool{false, true, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("failed: %v, want %v", got, want)
	}
	if rule.Hits() != 2 {
		t.Errorf("%d hits", rule.Hits())
	}
	f.Add(Rule{Do: []Action{Fail(backend.KindUnreachable)}})
	wantKind(t, f.HeadBucket(context.Background(), testBucket), backend.KindUnreachable)
	f.Clear()
	if err := f.HeadBucket(context.Background(), testBucket); err != nil {
		t.Error(err)
	}
}

func TestLostReplyWasDone(t *testing.T) {
	t.Parallel()
	s := New(testBucket)
	f := Faulty(s, Rule{Nth: 1, Times: 1, Do: []Action{LoseReply()}})
	wantKind(t, putErr(f, "a", []byte("stored")), backend.KindUnknown)
	if data, _ := get(t, s, "a", backend.GetOptions{}); string(data) != "stored" {
		t.Errorf("stored %q", data)
	}
	c := Counting(s)
	f = Faulty(c, Rule{Op: "GetObject", Do: []Action{LoseReply()}})
	_, err := readErr(context.Background(), f, "a")
	wantKind(t, err, backend.KindTransient)
	if c.Flying() != 0 {
		t.Error("the body of a GET with a lost reply stays open")
	}
}

func TestCutBodies(t *testing.T) {
	t.Parallel()
	s := New(testBucket)
	put(t, s, "a", []byte("0123456789"))
	f := Faulty(s, Rule{Do: []Action{Cut(4)}})
	data, err := readErr(context.Background(), f, "a")
	if !errors.Is(err, io.ErrUnexpectedEOF) || string(data) != "0123" {
		t.Errorf("read %q, %v", data, err)
	}
	wantKind(t, putErr(f, "new", []byte("0123456789")), backend.KindUnknown)
	_, err = s.Head(context.Background(), backend.ObjectID{Bucket: testBucket, Key: "new"}, backend.GetOptions{})
	wantKind(t, err, backend.KindNotExist)
	if err := putErr(f, "four", []byte("0123")); err != nil {
		t.Errorf("a body that is not longer: %v", err)
	}
	if data, err := readErr(context.Background(), f, "four"); err != nil || string(data) != "0123" {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestFlippedBits(t *testing.T) {
	t.Parallel()
	s := New(testBucket)
	put(t, s, "a", []byte("0123456789"))
	f := Faulty(s, Rule{Do: []Action{Flip(0), Flip(9)}})
	if data, err := readErr(context.Background(), f, "a"); err != nil || string(data) != "1123456788" {
		t.Errorf("read %q, %v", data, err)
	}
	wantKind(t, putErr(f, "b", []byte("0123456789")), backend.KindCorrupt)
	s.Configure(func(cfg *Settings) { cfg.Capabilities.ChecksumCRC64 = false })
	if err := putErr(f, "b", []byte("0123456789")); err != nil {
		t.Errorf("a store that does not verify: %v", err)
	}
	if data, _ := get(t, s, "b", backend.GetOptions{}); string(data) != "1123456788" {
		t.Errorf("stored %q", data)
	}
}

func TestStallsEndWithTheContextOrClose(t *testing.T) {
	t.Parallel()
	s := New(testBucket)
	put(t, s, "a", []byte("0123456789"))
	f := Faulty(s)
	rule := f.Add(Rule{Do: []Action{Stall()}})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := f.List(ctx, backend.ListInput{Bucket: testBucket})
	wantKind(t, err, backend.KindCanceled)
	rule.Remove()

	f.Add(Rule{Do: []Action{StallAfter(3)}})
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	data, err := readErr(ctx, f, "a")
	wantKind(t, err, backend.KindCanceled)
	if string(data) != "012" {
		t.Errorf("read %q", data)
	}
	body, err := f.Get(context.Background(), backend.ObjectID{Bucket: testBucket, Key: "a"}, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, func() { body.Close() })
	if _, err := io.ReadAll(body); err == nil {
		t.Error("a closed body gave no error")
	}
}

func TestBeforeAndAfterMakeRaces(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	old := put(t, s, "a", []byte("old"))
	var after string
	f := Faulty(s, Rule{Op: "PutObject", Times: 1, Do: []Action{
		Before(func(context.Context, Call) { put(t, s, "a", []byte("theirs")) }),
		Delay(time.Millisecond),
		After(func(_ context.Context, c Call) { after = c.Op + " " + c.Key }),
	}})
	_, err := f.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Body: bytes.NewReader([]byte("ours")), Size: 4, Condition: backend.Condition{IfMatch: old.ETag}})
	wantKind(t, err, backend.KindChanged)
	if after != "PutObject a" {
		t.Errorf("after: %q", after)
	}
}

func TestRefusedKeysStay(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	keys := []string{"a", "b", "c", "d"}
	for _, key := range keys {
		put(t, s, key, nil)
	}
	f := Faulty(s, Rule{Op: "DeleteObjects", Do: []Action{RefuseKeys(backend.KindPermission, func(k string) bool { return k == "b" || k == "d" })}})
	results, err := f.DeleteMany(ctx, testBucket, keys)
	if err != nil || len(results) != 4 {
		t.Fatalf("%v, %v", results, err)
	}
	for i, r := range results {
		if refused := i%2 == 1; r.Key != keys[i] || (r.Err != nil) != refused || refused && !backend.IsKind(r.Err, backend.KindPermission) {
			t.Errorf("%+v", r)
		}
	}
	page, err := s.List(ctx, backend.ListInput{Bucket: testBucket})
	if err != nil || len(page.Objects) != 2 || page.Objects[0].Key != "b" || page.Objects[1].Key != "d" {
		t.Errorf("left: %+v, %v", page.Objects, err)
	}
	f.Add(Rule{Op: "DeleteObjects", Key: only("b"), Do: []Action{Fail(backend.KindTransient)}})
	_, err = f.DeleteMany(ctx, testBucket, []string{"a", "b"})
	wantKind(t, err, backend.KindTransient)
}
