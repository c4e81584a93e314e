package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// put runs the verb in this process.
func (w *world) putBody(r PutObjectRequest, body io.Reader) (stored Stored, err error) {
	w.t.Helper()
	err = w.verbs.Put(w.t.Context(), r, body, func(l Line) error {
		if l.Item != nil {
			return json.Unmarshal(l.Item, &stored)
		}
		return nil
	})
	return stored, err
}

// clean wants that no upload is unfinished.
func (w *world) clean(key string) {
	w.t.Helper()
	ups, err := w.store.ListUploads(w.t.Context(), backend.ObjectID{Bucket: "b", Key: key})
	if err != nil || len(ups) > 0 {
		w.t.Errorf("%d unfinished uploads, %v", len(ups), err)
	}
}

func random(n int) []byte {
	out := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// smallParts makes parts of a KiB and more, and those above 4 KiB go to files.
func (w *world) smallParts() {
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.Limits.MinPart, s.Capabilities.Limits.MaxParts = backend.KiB, 40 })
	w.verbs.puts = putSizes{part: backend.KiB, inMemory: 4 * backend.KiB, ahead: 4 * backend.KiB}
	w.t.Setenv("TMPDIR", w.t.TempDir())
}

func TestPutInOneRequestOrInParts(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	counter := mem.Counting(w.store)
	w.verbs.Store = counter
	const most = 4 * (1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 512) * 1024 // 40 parts that double every 4th
	for _, n := range []int{0, 1, 1023, 1024, 1025, 2048, 10_000, 70_000, 1 << 20} {
		for _, known := range []bool{true, false} {
			r := PutObjectRequest{Target: target("d/f"), Given: Given{ContentType: "text/x", Metadata: map[string]string{"Color": "blue"}, Tags: map[string]string{"k": "v"}}}
			want := random(n)
			if known {
				size := int64(n)
				r.Size = &size
			}
			counter.Reset()
			got, err := w.putBody(r, iotest.HalfReader(bytes.NewReader(want)))
			if err != nil {
				t.Fatalf("%d, known %v: %v", n, known, err)
			}
			o, err := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: "d/f"}, backend.GetOptions{})
			if err != nil || w.content("d/f") != string(want) || o.Headers.ContentType != "text/x" || o.Metadata["color"] != "blue" || o.TagCount != 1 {
				t.Errorf("%d, known %v: %+v, %v", n, known, o, err)
			}
			if diff := cmp.Diff(Stored{Bucket: "b", Key: "d/f", VersionID: o.VersionID, ETag: o.ETag, Size: int64(n)}, got); diff != "" {
				t.Error(diff)
			}
			if asked := counter.Requests(); n <= 1024 && (asked["PutObject"] != 1 || asked["CreateMultipartUpload"] != 0) || asked["UploadPart"] > 40 || asked["HeadObject"] != 0 {
				t.Errorf("%d, known %v: %v", n, known, asked)
			}
			w.clean("d/f")
		}
	}
	if _, err := w.putBody(PutObjectRequest{Target: target("large")}, io.LimitReader(zeros{}, most+1)); KindOf(err) != KindInvalid || !strings.Contains(err.Error(), "40 parts") {
		t.Errorf("%v", err)
	}
	w.clean("large")
	if w.tree.changed[0] != "d/f" || w.tree.shown == 0 {
		t.Errorf("the tree was told %v, %d shown", w.tree.changed, w.tree.shown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestPutGuessesTheType as files of a mount get it.
func TestPutGuessesTheType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for key, test := range map[string]struct{ given, content, want string }{
		"a.css": {"", "x", "text/css; charset=utf-8"}, "page": {"", "<!DOCTYPE html>", "text/html; charset=utf-8"}, "empty": {"", "", "application/octet-stream"},
		"b.css": {"text/x-own", "x", "text/x-own"},
	} {
		_, err := w.putBody(PutObjectRequest{Target: target(key), Given: Given{ContentType: test.given}}, strings.NewReader(test.content))
		o, herr := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: key}, backend.GetOptions{})
		if err != nil || herr != nil || strings.Split(o.Headers.ContentType, ";")[0] != strings.Split(test.want, ";")[0] {
			t.Errorf("%s is %q, want %q: %v", key, o.Headers.ContentType, test.want, err)
		}
	}
}

// TestPutOfABrokenBody: nothing is stored, wherever it breaks.
func TestPutOfABrokenBody(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	w.put(0, "f", "old")
	broken := errors.New("the disk is on fire")
	five := int64(5)
	for name, test := range map[string]struct {
		body io.Reader
		size *int64
		want string
	}{
		"at once":      {iotest.ErrReader(broken), nil, "on fire"},
		"early":        {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), nil, "on fire"},
		"late":         {io.MultiReader(bytes.NewReader(random(20_000)), iotest.ErrReader(broken)), nil, "on fire"},
		"in a file":    {io.MultiReader(bytes.NewReader(random(100_000)), iotest.ErrReader(broken)), nil, "on fire"},
		"truncated":    {io.MultiReader(bytes.NewReader(random(20_000)), iotest.ErrReader(io.ErrUnexpectedEOF)), nil, "broke off after 20000"},
		"too few":      {strings.NewReader("abc"), &five, "only 3 of 5 bytes"},
		"too many":     {strings.NewReader("abcdef"), &five, "more than the 5 bytes"},
		"much too few": {bytes.NewReader(random(20_000)), func() *int64 { n := int64(30_000); return &n }(), "only 20000 of 30000"},
	} {
		_, err := w.putBody(PutObjectRequest{Target: target("f"), Size: test.size}, test.body)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		w.clean("f")
		w.is(map[string]string{"f": "old"})
	}
	if n := w.count(); n != 1 {
		t.Errorf("%d versions", n)
	}
}

// TestPutRefusedBeforehand: not a byte is read.
func TestPutRefusedBeforehand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Lock.Enabled = true })
	w.put(0, "d/f", "old")
	w.put(0, "locked", "old", backend.Properties{Lock: backend.ObjectLock{LegalHold: true}})
	w.at(1)
	unread := iotest.ErrReader(errors.New("it was read"))
	negative, huge := int64(-1), backend.S3Limits().MaxObject+1
	for _, test := range []struct {
		r    PutObjectRequest
		kind Kind
		text string
	}{
		{PutObjectRequest{Target: target("d")}, KindInvalid, "is a directory"},
		{PutObjectRequest{Target: target("d"), Name: "a/b"}, KindInvalid, "no name of a file"},
		{PutObjectRequest{Target: target("")}, KindInvalid, "is a directory"},
		{PutObjectRequest{Target: target("x"), Size: &negative}, KindInvalid, "negative"},
		{PutObjectRequest{Target: target("x"), Size: &huge}, KindInvalid, "more than the store takes"},
		{PutObjectRequest{Target: target("x"), Given: Given{Metadata: map[string]string{"a b": "c"}}}, KindInvalid, `metadata key "a b"`},
		{PutObjectRequest{Target: target("x"), Given: Given{Tags: map[string]string{"": "c"}}}, KindInvalid, "tag key"},
		{PutObjectRequest{Target: target("x"), Given: Given{Encryption: "rot13"}}, KindInvalid, `encryption "rot13"`},
		{PutObjectRequest{Target: target("x"), Given: Given{Mode: "GOVERNANCE"}}, KindInvalid, "give both"},
		{PutObjectRequest{Target: target("x"), Given: Given{Mode: "NEVER", Until: hour(9)}}, KindInvalid, "neither GOVERNANCE"},
		{PutObjectRequest{Target: target("x"), Given: Given{Mode: "GOVERNANCE", Until: hour(0)}}, KindInvalid, "not in the future"},
		{PutObjectRequest{Target: target("d/f"), Only: Only{IfNoneMatch: true}}, KindConflict, "exists already"},
		{PutObjectRequest{Target: target("d/f"), Only: Only{IfMatch: "other"}}, KindConflict, "changed"},
		{PutObjectRequest{Target: target("x"), Only: Only{IfMatch: "other"}}, KindConflict, "changed"},
		{PutObjectRequest{Target: target("locked")}, KindLocked, "a legal hold is on it; --over-locked"},
	} {
		if _, err := w.putBody(test.r, unread); KindOf(wireError(err)) != test.kind || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%+v: %v (%s)", test.r, err, KindOf(err))
		}
	}
	if _, err := w.putBody(PutObjectRequest{Target: Target{Path: "d/g", DryRun: true}}, unread); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	w.run(putVerb, PutObjectRequest{Target: target("x")}).wants(t, KindInvalid, "PUT /v1/object/put")
	w.tree.unsent = 1
	if _, err := w.putBody(PutObjectRequest{Target: target("d/f")}, unread); KindOf(err) != KindBusy {
		t.Errorf("a program writes it: %v", err)
	}
	w.tree.unsent = 0
	w.verbs.ReadOnly = true
	if _, err := w.putBody(PutObjectRequest{Target: target("x")}, unread); KindOf(err) != KindPermission {
		t.Errorf("read-only: %v", err)
	}
	w.verbs.ReadOnly = false
	w.is(map[string]string{"d/f": "old", "locked": "old"})
	got, err := w.putBody(PutObjectRequest{Target: target("d"), Name: "new", Given: Given{Mode: "GOVERNANCE", Until: hour(9), LegalHold: true}}, strings.NewReader("x"))
	if err != nil || got.Key != "d/new" {
		t.Errorf("%+v, %v", got, err)
	}
	lock, err := w.store.Lock(t.Context(), backend.ObjectID{Bucket: "b", Key: "d/new"}, "")
	if err != nil || !lock.LegalHold || lock.Retention.Mode != backend.Governance || !lock.Retention.Until.Equal(hour(9)) {
		t.Errorf("%+v, %v", lock, err)
	}
	if _, err := w.putBody(PutObjectRequest{Target: target("locked"), OverLocked: true}, strings.NewReader("new")); err != nil || w.content("locked") != "new" {
		t.Errorf("over a locked one: %v", err)
	}
}

// TestPutAndAProgram: what a program begins to write while the bytes come is not covered.
func TestPutAndAProgram(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	for _, n := range []int{10, 10_000} {
		body := io.MultiReader(bytes.NewReader(random(n)), readerFunc(func([]byte) (int, error) {
			w.tree.unsent = 1
			return 0, io.EOF
		}))
		if _, err := w.putBody(PutObjectRequest{Target: target("f")}, body); KindOf(err) != KindBusy {
			t.Errorf("%d bytes: %v", n, err)
		}
		w.tree.unsent = 0
		w.clean("f")
		w.is(map[string]string{})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestPutWithALostAnswer knows its own success again, and does not take another's for it.
func TestPutWithALostAnswer(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	for op, n := range map[string]int{"PutObject": 10, "CompleteMultipartUpload": 10_000} {
		content := random(n)
		w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: op, Times: 1, Do: []mem.Action{mem.LoseReply()}})
		got, err := w.putBody(PutObjectRequest{Target: target("f")}, bytes.NewReader(content))
		o, herr := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: "f"}, backend.GetOptions{})
		if err != nil || herr != nil || got.ETag != o.ETag || got.VersionID != o.VersionID || w.content("f") != string(content) {
			t.Errorf("%s: %+v, %v", op, got, err)
		}
		theirs := mem.After(func(context.Context, mem.Call) { w.put(1, "f", "theirs") })
		w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: op, Times: 1, Do: []mem.Action{theirs, mem.LoseReply()}})
		if _, err := w.putBody(PutObjectRequest{Target: target("f")}, bytes.NewReader(content)); !backend.IsKind(err, backend.KindUnknown) && KindOf(err) != KindUnreachable {
			t.Errorf("%s, and another's on top: %v", op, err)
		}
	}
}

// TestPutEndsWithTheStore: a store that fails ends the wait for bytes.
func TestPutEndsWithTheStore(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "UploadPart", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	body := &hanging{first: bytes.NewReader(random(3000)), end: make(chan struct{})}
	if _, err := w.putBody(PutObjectRequest{Target: target("f")}, body); !backend.IsKind(err, backend.KindPermission) && KindOf(err) != KindCredentials {
		t.Errorf("%v", err)
	}
	w.clean("f")
}

// hanging has some bytes and then none, until it is interrupted.
type hanging struct {
	first io.Reader
	end   chan struct{}
}

func (h *hanging) Read(p []byte) (int, error) {
	if n, err := h.first.Read(p); err == nil {
		return n, nil
	}
	<-h.end
	return 0, errors.New("interrupted")
}

func (h *hanging) Interrupt() { close(h.end) }

// TestConditionsAreTried where it is not known whether the store checks them, and only there.
func TestConditionsAreTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "old")
	known, tried := w.verbs.Capabilities, 0
	w.verbs.Capabilities = func(ctx context.Context, bucket string) (backend.Capabilities, error) {
		caps, err := known(ctx, bucket)
		caps.PutIfNoneMatch, caps.CompleteIfNoneMatch = false, false
		return caps, err
	}
	r := PutObjectRequest{Target: target("f"), Only: Only{IfNoneMatch: true}}
	if _, err := w.putBody(r, strings.NewReader("x")); KindOf(err) != KindUnsupported {
		t.Errorf("not tried: %v", err)
	}
	w.verbs.Try = func(ctx context.Context, id backend.ObjectID) (backend.Capabilities, error) {
		tried++
		return known(ctx, id.Bucket)
	}
	if _, err := w.putBody(r, strings.NewReader("x")); KindOf(wireError(err)) != KindConflict || tried != 1 {
		t.Errorf("tried %d times: %v", tried, err)
	}
	for verb, request := range map[string]any{
		"object/copy":    CopyRequest{Target: target("f"), To: "f2", Only: r.Only},
		"object/compose": ComposeRequest{Target: target("f3"), Sources: []ComposeSource{{Path: "f"}}, Only: r.Only},
	} {
		if a := w.run(verb, request); a.err != nil || len(a.notes) != 1 {
			t.Errorf("%s: %v, %q", verb, a.err, a.notes)
		}
	}
	if _, err := w.putBody(PutObjectRequest{Target: target("f")}, strings.NewReader("x")); err != nil || tried != 3 {
		t.Errorf("without a condition: tried %d times: %v", tried, err)
	}
}

// TestConditionsOfPut: where the store checks a condition in one way only, that is used.
func TestConditionsOfPut(t *testing.T) {
	w := newWorld(t)
	w.smallParts()
	only := Only{IfNoneMatch: true}
	set := func(put, complete bool) {
		w.store.Configure(func(s *mem.Settings) {
			s.Capabilities.PutIfNoneMatch, s.Capabilities.CompleteIfNoneMatch = put, complete
		})
	}
	for i, test := range []struct {
		put, complete bool
		size          int
		known         bool
		kind          Kind
	}{
		{true, true, 10, false, ""},
		{true, false, 4096, false, ""}, // as a whole
		{true, false, 4097, false, KindUnsupported},
		{true, false, 4097, true, KindUnsupported},
		{false, true, 10, false, ""}, // in one part
		{false, true, 0, false, KindUnsupported},
		{false, true, 0, true, KindUnsupported},
		{false, false, 10, false, KindUnsupported},
	} {
		set(test.put, test.complete)
		key := fmt.Sprint("f", i)
		r := PutObjectRequest{Target: target(key), Only: only}
		if n := int64(test.size); test.known {
			r.Size = &n
		}
		_, err := w.putBody(r, bytes.NewReader(random(test.size)))
		if (err == nil) != (test.kind == "") || err != nil && KindOf(err) != test.kind {
			t.Errorf("%+v: %v", test, err)
		}
		if there := w.content(key) == string(random(test.size)); there != (err == nil) && test.size > 0 {
			t.Errorf("%+v: stored: %v", test, there)
		}
		w.clean(key)
		if err == nil {
			if _, err := w.putBody(r, bytes.NewReader(random(test.size))); KindOf(wireError(err)) != KindConflict {
				t.Errorf("%+v again: %v", test, err)
			}
		}
	}
}
