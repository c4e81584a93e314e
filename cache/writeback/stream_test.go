package writeback

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// grow writes data at the end of a file in small pieces, as a program does.
func (r *rig) grow(f *staging.File, data []byte) {
	r.t.Helper()
	for len(data) > 0 {
		n := min(len(data), 3000)
		r.write(f, data[:n], f.Size())
		r.q.Grown(f)
		data = data[n:]
	}
}

func TestStreamLeavesOnlyTheTail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(40, 100*kib)
	r.grow(f, data)
	eventually(t, "all full parts are stored", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	if p := r.q.Pending(); len(p) > 1 || len(p) == 1 && p[0].State != "streaming" {
		t.Errorf("%+v", p)
	}
	r.store.Reset()
	r.mustCommit(f)
	r.has("a", data)
	r.requests(map[string]int{"UploadPart": 1, "CompleteMultipartUpload": 1})
	if s := r.q.Stats(); s.BytesSent != 100*kib || s.Streams != 1 {
		t.Errorf("%+v", s)
	}
	if r.head("a").Metadata[backend.MetaGeneration] == "" {
		t.Error("no generation id")
	}
}

// Parts that are on their way when the file is closed are not sent twice.
func TestCommitTakesOverPartsOnTheirWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := make(chan struct{})
	slow := r.faults.Add(mem.Rule{Op: "UploadPart", Nth: 2, Times: 3, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { <-gate })}})
	f := r.create("a")
	data := random(41, 60*kib)
	r.grow(f, data)
	eventually(t, "parts are on their way", func() bool { return slow.Hits() == 3 })
	s := r.seal(f)
	done := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		done <- err
	}()
	eventually(t, "the tail is sent meanwhile", func() bool { return r.store.Requests()["UploadPart"] == 8 })
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	if got := r.store.Requests(); got["UploadPart"] != 8 || r.q.Stats().BytesSent != 60*kib {
		t.Errorf("%v", got)
	}
}

// A part that is written again while it is on its way is sent again when it has arrived.
func TestRewrittenWhileOnItsWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, release := r.hold("UploadPart", 1)
	f := r.create("a")
	data := random(57, 40*kib)
	r.grow(f, data)
	<-entered
	eventually(t, "the other parts", func() bool { return f.Upload() != nil && len(f.Upload().Parts) == 4 })
	for off := int64(0); off < 40*kib; off += partSize {
		r.write(f, []byte("new"), off)
		copy(data[off:], "new")
	}
	s := r.seal(f)
	done := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	r.noUploads("a")
}

// A part that was written again after it was sent is sent again, under its number.
func TestRewrittenPart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(42, 100*kib)
	r.grow(f, data)
	eventually(t, "all full parts are stored", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	r.write(f, []byte("header"), 0)
	copy(data, "header")
	r.q.Grown(f)
	r.mustCommit(f)
	r.has("a", data)
	if s := r.q.Stats(); s.BytesSent != 108*kib {
		t.Errorf("sent %d", s.BytesSent)
	}
	if got := r.store.Requests()["CreateMultipartUpload"]; got != 1 {
		t.Errorf("%d uploads", got)
	}
}

func TestTruncatedAfterStreaming(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, 10, 20 * kib, 50*kib + 1} {
		r := newRig(t)
		f := r.create("a")
		data := random(43, 100*kib)
		r.grow(f, data)
		eventually(t, "all full parts are stored", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		r.mustCommit(f)
		r.has("a", data[:size])
		r.noUploads("a")
	}
}

// Appending to a large object streams too: what is stored is copied, and the new parts go up.
func TestStreamedAppend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(44, 100*kib)
	f := r.edit(r.put("a", data))
	more := random(45, 50*kib)
	r.grow(f, more)
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 8 })
	r.mustCommit(f)
	r.has("a", append(data, more...))
	if s := r.q.Stats(); s.BytesSent != 50*kib || s.BytesCopied != 100*kib || s.BytesFetched != 0 {
		t.Errorf("%+v", s)
	}
	// And again after that commit.
	r.grow(f, more)
	eventually(t, "streamed again", func() bool { return r.q.Stats().Streams == 2 })
	r.mustCommit(f)
	r.has("a", append(append(data, more...), more...))
	if s := r.q.Stats(); s.BytesSent != 100*kib || s.Streams != 2 {
		t.Errorf("%+v", s)
	}
}

// Holes, and changes in the middle of an object, are not streamed.
// TestScratchIsNotStreamed: what will never be stored is not sent.
func TestScratchIsNotStreamed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	if err := f.SetState(staging.StateScratch, ""); err != nil {
		t.Fatal(err)
	}
	r.grow(f, random(52, 60*kib))
	if err := r.q.Close(context.Background()); err != nil { // waits for what runs
		t.Fatal(err)
	}
	r.requests(map[string]int{})
}

func TestNotStreamed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("holes")
	if err := f.Truncate(50 * kib); err != nil {
		t.Fatal(err)
	}
	r.grow(f, random(46, 50*kib))
	g := r.edit(r.put("edited", random(47, 100*kib)))
	for off := int64(0); off < 90*kib; off += 2000 {
		r.write(g, []byte("change"), off)
		r.q.Grown(g)
	}
	h := r.create("copied")
	src := r.put("src", random(48, 100*kib))
	if err := h.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	r.q.Grown(h)
	time.Sleep(20 * time.Millisecond)
	r.requests(nil)
}

// What a program says about the file before close is what the object has in the end.
func TestPropertiesChangeWhileStreaming(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size     int64
		restamps int64
	}{"few parts are sent again": {30 * kib, 0}, "many are kept": {100 * kib, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			f := r.create("a")
			data := random(49, tc.size)
			r.grow(f, data)
			eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == int(tc.size/partSize) })
			want := map[string]string{"mtime": "now"}
			if err := f.SetProperties(backend.Properties{Metadata: want}); err != nil {
				t.Fatal(err)
			}
			obj := r.mustCommit(f)
			r.has("a", data)
			head := r.head("a")
			if head.Metadata["mtime"] != "now" || head.ETag != obj.ETag {
				t.Errorf("%+v, committed as %+v", head, obj)
			}
			s := r.q.Stats()
			if s.Restamps != tc.restamps || tc.restamps > 0 && s.BytesSent != tc.size {
				t.Errorf("%+v", s)
			}
			r.noUploads("a")
			if f.State() != staging.StateCommitted {
				t.Errorf("%v", f.State())
			}
			// The file goes on from the object of the second step.
			r.write(f, []byte("end"), f.Size())
			r.mustCommit(f)
			r.has("a", append(data, "end"...))
		})
	}
}

// A cancellation that comes when the object is being made lets it get its properties: whoever cancelled takes it for
// stored.
func TestCancelBeforeRestamp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	r.grow(f, random(66, 100*kib))
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mtime": "now"}}); err != nil {
		t.Fatal(err)
	}
	entered, release := r.hold("CompleteMultipartUpload", 1)
	r.q.Enqueue(r.seal(f), 0)
	<-entered
	time.AfterFunc(20*time.Millisecond, release) // after Cancel has begun
	stored, err := r.q.Cancel(context.Background(), f)
	if err != nil || stored == nil {
		t.Fatalf("%v, %v", stored, err)
	}
	if head := r.head("a"); head.Metadata["mtime"] != "now" || head.ETag != stored.ETag {
		t.Errorf("%+v, told %+v", head, stored)
	}
	r.noUploads("a")
}

// An outage between the two steps: the second one follows.
func TestRestampAfterOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(50, 100*kib)
	r.grow(f, data)
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mtime": "now"}}); err != nil {
		t.Fatal(err)
	}
	r.faults.Add(mem.Rule{Op: "CopyObject", Times: 3, Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	r.mustCommit(f)
	if r.head("a").Metadata["mtime"] != "now" {
		t.Errorf("%+v", r.head("a"))
	}
	if fails := r.failures(); len(fails) > 0 {
		t.Error(fails)
	}
}

// With credentials that may not copy, everything goes up again.
func TestRestampDenied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	base := random(55, 60*kib)
	f := r.edit(r.put("a", base))
	data := random(56, 60*kib)
	r.grow(f, data)
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 8 })
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mtime": "now"}}); err != nil {
		t.Fatal(err)
	}
	r.faults.Add(mem.Rule{Op: "CopyObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	r.faults.Add(mem.Rule{Op: "UploadPartCopy", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	_, err := r.commit(f)
	wantKind(t, err, backend.KindPermission) // what is only in the store cannot be copied either
	r.faults.Clear()
	r.faults.Add(mem.Rule{Op: "CopyObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	r.q.Retry(f)
	eventually(t, "stored", func() bool { return len(r.q.Pending()) == 0 })
	r.has("a", append(base, data...))
	if r.head("a").Metadata["mtime"] != "now" {
		t.Errorf("%+v", r.head("a"))
	}
	r.noUploads("a")
}

func TestBeforeStreamSetsProperties(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig, c *Config, _ *mem.Settings) {
		c.BeforeStream = func(f *staging.File) error {
			if err := f.SetProperties(backend.Properties{Headers: backend.Headers{ContentType: "text/x-early"}}); err != nil {
				r.t.Error(err)
			}
			return nil
		}
	})
	f := r.create("a")
	data := random(51, 60*kib)
	r.grow(f, data)
	eventually(t, "streamed", func() bool { return r.q.Stats().Streams == 1 })
	r.mustCommit(f)
	if r.head("a").Headers.ContentType != "text/x-early" || r.q.Stats().Restamps != 0 {
		t.Errorf("%+v", r.head("a"))
	}
}

// A file that is renamed while it is streamed goes up again under the new key.
func TestRenamedWhileStreaming(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(52, 60*kib)
	r.grow(f, data)
	if _, err := r.q.Cancel(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.noUploads("a")
	if err := f.SetTarget(id("b"), backend.Condition{IfNoneMatch: true}); err != nil {
		t.Fatal(err)
	}
	r.grow(f, data)
	r.mustCommit(f)
	r.has("b", append(bytes.Clone(data), data...))
	r.noUploads("a")
	r.noUploads("b")
}

// Failures while streaming are not the program's concern: the commit sends what is missing.
func TestStreamFailures(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]mem.Rule{
		"create":     {Op: "CreateMultipartUpload", Times: 1, Do: []mem.Action{mem.Fail(backend.KindTransient)}},
		"some parts": {Op: "UploadPart", Nth: 2, Times: 3, Do: []mem.Action{mem.Fail(backend.KindTransient)}},
		"denied":     {Op: "UploadPart", Nth: 3, Times: 2, Do: []mem.Action{mem.Fail(backend.KindPermission)}},
		"vanished":   {Op: "UploadPart", Nth: 3, Times: 1, Do: []mem.Action{mem.Fail(backend.KindNotExist)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			active := r.faults.Add(rule)
			f := r.create("a")
			data := random(53, 100*kib)
			r.grow(f, data)
			eventually(t, "the failures", func() bool {
				r.q.Grown(f)
				return active.Hits() >= 1
			})
			r.faults.Clear()
			r.mustCommit(f)
			r.has("a", data)
			if fails := r.failures(); len(fails) > 0 {
				t.Error(fails)
			}
		})
	}
}

func TestStreamSizesReachTheLargestObjects(t *testing.T) {
	t.Parallel()
	for _, lim := range []backend.Limits{backend.S3Limits(), {MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 1000}} {
		var sum, last int64
		parts := int32(0)
		for n := int32(1); ; n++ {
			size := streamSize(n, 8*mib, lim)
			if size == 0 {
				break
			}
			if size < last || size > lim.MaxPart {
				t.Fatalf("part %d: %d bytes after %d", n, size, last)
			}
			sum, last, parts = sum+size, size, n
		}
		if reserve := lim.MaxParts - parts; reserve < lim.MaxParts/20 || sum < int64(lim.MaxParts)*2*gib {
			t.Errorf("%d parts: %d TiB with %d numbers left", lim.MaxParts, sum/tib, reserve)
		}
	}
}

// A file that outgrows the part numbers of its stream is still stored.
func TestOutgrownStream(t *testing.T) {
	t.Parallel()
	for _, equal := range []bool{false, true} {
		r := newRig(t, with(func(c *backend.Capabilities) {
			c.Limits.MaxParts, c.Limits.EqualParts = 10, equal
		}))
		f := r.create("a")
		data := random(54, 500*kib)
		r.grow(f, data)
		r.mustCommit(f)
		r.has("a", data)
		r.noUploads("a")
	}
}
