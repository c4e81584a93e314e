package writeback

import (
	"context"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// limited makes staging hold few parts only.
func limited(r *rig, _ *Config, _ *mem.Settings) { r.limit = 10 * partSize }

// outgrow appends data that does not fit in staging.
func (r *rig) outgrow(f *staging.File, data []byte) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(data) > 0; {
		n := min(len(data), 3000)
		_, err := f.WriteAt(data[:n], f.Size())
		switch {
		case err == nil:
			r.q.Grown(f)
			data = data[n:]
		case !backend.IsKind(err, backend.KindNoSpace) || time.Now().After(deadline):
			r.t.Fatalf("write at %d: %v; %+v", f.Size(), err, r.q.Pending())
		default:
			r.q.MakeRoom(f)
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
			_ = r.area.WaitSpace(ctx, 3000)
			stop()
		}
	}
}

// streamedFile is a file of size bytes that had to give most of them back.
func (r *rig) streamedFile(key string, size int64) (*staging.File, []byte) {
	r.t.Helper()
	f, data := r.create(key), random(60, size)
	r.outgrow(f, data)
	if f.Streamed() < size/2 {
		r.t.Fatalf("only %d of %d bytes were given back", f.Streamed(), size)
	}
	return f, data
}

// TestOutgrown: a file many times as large as staging is stored, and each byte of it is sent once.
func TestOutgrown(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	f, data := r.streamedFile("a", 600*kib)
	if p := r.q.Pending(); len(p) != 1 || p[0].State != "streamed" || p[0].Done == 0 {
		t.Errorf("%+v", p)
	}
	if used := r.area.Usage().Bytes; used > r.limit {
		t.Errorf("%d bytes are used", used)
	}
	r.mustCommit(f)
	r.has("a", data)
	if s := r.q.Stats(); s.BytesSent != 600*kib || s.Restamps != 0 {
		t.Errorf("%+v", s)
	}
	// After the commit it is like any other file.
	if err := f.DropStored(); err != nil {
		t.Fatal(err)
	}
	if err := r.area.WaitSpace(context.Background(), 6); err != nil {
		t.Fatal(err)
	}
	r.write(f, []byte("change"), 100)
	copy(data[100:], "change")
	r.mustCommit(f)
	r.has("a", data)
	r.noUploads("a")
}

// TestOutgrownAppend: what is appended to an object is given back as well.
func TestOutgrownAppend(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	data := random(61, 100*kib)
	f := r.edit(r.put("a", data))
	more := random(62, 300*kib)
	r.outgrow(f, more)
	r.mustCommit(f)
	r.has("a", append(data, more...))
}

// TestOutgrownSmallBase: the first part has bytes of the object that was appended to. Those can still be rewritten, so
// the part may have to be sent again.
func TestOutgrownSmallBase(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	data := random(65, 2*kib)
	f := r.edit(r.put("a", data))
	more := random(66, 300*kib)
	r.outgrow(f, more)
	if f.Streamed() < 200*kib {
		t.Fatalf("%d bytes were given back", f.Streamed())
	}
	if _, err := f.WriteAt([]byte("change"), 100); err != nil {
		t.Fatal(err)
	}
	copy(data[100:], "change")
	r.mustCommit(f)
	r.has("a", append(data, more...))
}

// TestOutgrownWithFailures: parts that failed are sent again while the file is written, because the writer waits
// for the room that they take.
func TestOutgrownWithFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	for nth := 2; nth < 60; nth += 4 {
		r.faults.Add(mem.Rule{Op: "UploadPart", Nth: nth, Times: 2, Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	}
	f, data := r.streamedFile("a", 400*kib)
	r.mustCommit(f)
	r.has("a", data)
}

// TestOutgrownConflict: in a conflict the upload is kept, because nothing else has the bytes; so is it when the
// upload is cancelled. Abandon ends it.
func TestOutgrownConflict(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	f, _ := r.streamedFile("a", 300*kib)
	r.put("a", []byte("a rival"))
	_, err := r.commit(f)
	wantKind(t, err, backend.KindExist)
	if _, err := r.q.Cancel(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	ups, err := r.mem.ListUploads(context.Background(), id("a"))
	if err != nil || len(ups) != 1 || f.Upload() == nil || f.Streamed() == 0 {
		t.Fatalf("uploads %v, %v", ups, err)
	}
	r.q.Abandon(f)
	r.noUploads("a")
	r.has("a", []byte("a rival"))
}

// TestOutgrownProperties: properties that change after the upload was begun are put on the object afterwards,
// whatever the store can.
func TestOutgrownProperties(t *testing.T) {
	t.Parallel()
	refuse := mem.Rule{Op: "CopyObject", Do: []mem.Action{mem.Fail(backend.KindUnsupported)}}
	for name, o := range map[string]struct {
		with option
		rule *mem.Rule
	}{
		"copies":          {with: with(func(*backend.Capabilities) {})},
		"unconditional":   {with: with(func(c *backend.Capabilities) { c.CopySourceIfMatch = false })},
		"no copies":       {with: with(func(*backend.Capabilities) {}), rule: &refuse},
		"no copy of part": {with: with(func(c *backend.Capabilities) { c.PartCopy = false }), rule: &refuse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, limited, o.with)
			if o.rule != nil {
				r.faults.Add(*o.rule)
			}
			f, data := r.streamedFile("a", 300*kib)
			if err := f.SetProperties(backend.Properties{Headers: backend.Headers{ContentType: "text/x-late"}}); err != nil {
				t.Fatal(err)
			}
			r.mustCommit(f)
			r.has("a", data)
			if got := r.head("a").Headers.ContentType; got != "text/x-late" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

// TestOutgrownSealedTwice: content that was sealed, and could not be stored, is superseded by newer content: the
// same upload becomes that, also when the answer is lost.
func TestOutgrownSealedTwice(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		r := newRig(t, limited)
		f, data := r.streamedFile("a", 300*kib)
		outage := r.faults.Add(mem.Rule{Op: "CompleteMultipartUpload", Do: []mem.Action{mem.Fail(backend.KindTransient)}})
		r.q.Enqueue(r.seal(f), 0)
		eventually(t, "a failure", func() bool { return outage.Hits() > 0 })
		more := random(63, 2*kib)
		r.write(f, more, f.Size())
		s := r.seal(f)
		r.q.Enqueue(s, 0)
		if lost {
			r.faults.Add(once("CompleteMultipartUpload", mem.LoseReply()))
		}
		outage.Remove()
		if err := r.q.Flush(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		r.has("a", append(data, more...))
		if got, want := r.head("a").Metadata[backend.MetaGeneration], tagOf(s.Generation, f); got != want {
			t.Errorf("generation %q, want %q", got, want)
		}
		if fails := r.failures(); len(fails) > 0 {
			t.Error(fails)
		}
		r.noUploads("a")
	}
}

// TestOutgrownAndKilled: the next process completes the upload; when the store has lost it, nothing is
// stored, and what is known of it stays.
func TestOutgrownAndKilled(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		r := newRig(t, limited)
		f, data := r.streamedFile("a", 300*kib)
		r.seal(f).Release()
		r.restart(limited)
		if gone {
			ups, err := r.mem.ListUploads(context.Background(), id("a"))
			if err != nil || len(ups) != 1 {
				t.Fatal(ups, err)
			}
			if err := r.mem.AbortUpload(context.Background(), ups[0]); err != nil {
				t.Fatal(err)
			}
		}
		f = r.recover()
		err := r.q.Wait(context.Background(), f)
		if !gone {
			if err != nil {
				t.Fatal(err)
			}
			r.has("a", data)
			if got := r.store.Requests()["UploadPart"]; got > 12 {
				t.Errorf("%d parts were sent again", got)
			}
			continue
		}
		wantKind(t, err, backend.KindCorrupt)
		if _, err := r.mem.Head(context.Background(), id("a"), backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("something was stored: %v", err)
		}
		if up := f.Upload(); up == nil || len(up.Parts) == 0 || f.State() != staging.StateSealed {
			t.Errorf("%v, %+v", f.State(), up)
		}
	}
}

// TestNotOutgrown: what was rewritten is not given back.
func TestNotOutgrown(t *testing.T) {
	t.Parallel()
	r := newRig(t, limited)
	f := r.create("a")
	r.grow(f, random(64, 70*kib))
	r.write(f, []byte("rewritten"), 0)
	eventually(t, "parts are stored", func() bool { up := f.Upload(); return up != nil && len(up.Parts) >= 8 })
	r.q.MakeRoom(f)
	if f.Streamed() != 0 {
		t.Errorf("%d bytes were given back", f.Streamed())
	}
}
