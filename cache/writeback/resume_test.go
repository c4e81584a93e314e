package writeback

import (
	"context"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// restart ends the process and starts another on the same staging area.
func (r *rig) restart(options ...option) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_ = r.q.Close(ctx) // does not wait for anything
	if err := r.area.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.faults.Clear()
	r.store.Reset()
	r.open(options...)
}

// recover enqueues what a new process finds sealed.
func (r *rig) recover() *staging.File {
	r.t.Helper()
	var found *staging.File
	for _, f := range r.area.Files() {
		if f.State() == staging.StateSealed {
			found = f
			r.q.Recover(r.seal(f))
		}
	}
	if found == nil {
		r.t.Fatal("nothing was recovered")
	}
	return found
}

func TestResumeCountsParts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	never, _ := r.hold("UploadPart", 8)
	f := r.create("a")
	data := random(70, 100*kib)
	r.write(f, data, 0)
	r.q.Enqueue(r.seal(f), 0)
	<-never
	eventually(t, "all other parts", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	r.restart()
	f = r.recover()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	// One part was missing. It looks at first whether the object is there, and in the end because it
	// cannot know with which properties the upload was begun.
	r.requests(map[string]int{"ListParts": 1, "UploadPart": 1, "CompleteMultipartUpload": 1, "HeadObject": 2})
	r.noUploads("a")
}

// Parts of a stream are used after a crash when the file was closed before it.
func TestResumeAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(71, 100*kib)
	r.grow(f, data)
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 12 })
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mode": "1"}}); err != nil {
		t.Fatal(err)
	}
	r.q.Enqueue(r.seal(f), time.Hour)
	r.restart()
	f = r.recover()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	if r.store.BytesSent() != 4*kib {
		t.Errorf("sent %d", r.store.BytesSent())
	}
	if r.head("a").Metadata["mode"] != "1" {
		t.Errorf("%+v", r.head("a"))
	}
}

// A part that the store has under another ETag is not ours.
func TestResumeChecksETags(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	never, _ := r.hold("UploadPart", 3)
	f := r.create("a")
	data := random(72, 60*kib)
	r.write(f, data, 0)
	r.q.Enqueue(r.seal(f), 0)
	<-never
	eventually(t, "the other parts", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 7 })
	up := f.Upload()
	other := random(73, up.Parts[0].Len)
	_, err := r.mem.UploadPart(context.Background(), backend.PartInput{
		Bucket: bucket, Key: "a", UploadID: up.UploadID, Number: up.Parts[0].Number, Body: readerOf(other), Size: int64(len(other)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.restart()
	f = r.recover()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	if got := r.store.Requests()["UploadPart"]; got != 2 {
		t.Errorf("%d parts sent", got)
	}
}

// The crash came after the store had completed the upload.
func TestResumeOfACompletedUpload(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]mem.Rule{
		"answer lost": {Op: "CompleteMultipartUpload", Do: []mem.Action{mem.LoseReply()}},
		"put lost":    {Op: "PutObject", Do: []mem.Action{mem.LoseReply()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.faults.Add(stop)
			r.faults.Add(mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
			size := int64(50 * kib)
			if stop.Op == "PutObject" {
				size = 100
			}
			f := r.create("a")
			data := random(74, size)
			r.write(f, data, 0)
			r.q.Enqueue(r.seal(f), 0)
			eventually(t, "tries", func() bool { return r.q.Stats().Retries > 0 })
			r.restart()
			f = r.recover()
			if err := r.q.Wait(context.Background(), f); err != nil {
				t.Fatal(err)
			}
			r.has("a", data)
			if got := r.store.Requests(); got["UploadPart"] != 0 || got["CompleteMultipartUpload"] != 0 {
				t.Errorf("%v", got)
			}
			if len(r.failures()) != 0 {
				t.Errorf("%v", r.failures())
			}
		})
	}
}

// The crash came after an older snapshot was stored, and a newer one was sealed: that one goes on from
// what is stored.
func TestResumeOnAnOlderSnapshot(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{2000, 100 * kib} {
		for _, condition := range []bool{true, false} {
			r := newRig(t)
			data := random(76, size)
			f := r.create("a")
			if condition {
				f = r.edit(r.put("a", data))
			} else {
				r.write(f, data, 0)
			}
			for _, op := range []string{"PutObject", "CompleteMultipartUpload"} {
				r.faults.Add(mem.Rule{Op: op, Do: []mem.Action{mem.LoseReply()}})
			}
			r.faults.Add(mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
			r.write(f, []byte("first"), 0)
			r.q.Enqueue(r.seal(f), 0)
			eventually(t, "tries", func() bool { return r.q.Stats().Retries > 0 })
			r.write(f, []byte("second"), 1000)
			r.q.Enqueue(r.seal(f), 0)
			copy(data, "first")
			r.has("a", data)
			r.restart()
			f = r.recover()
			if err := r.q.Wait(context.Background(), f); err != nil {
				t.Fatal(err)
			}
			copy(data[1000:], "second")
			r.has("a", data)
			r.noUploads("a")
		}
	}
}

// After a crash too, what another client stored is not overwritten.
func TestRecoveredConflict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.edit(r.put("a", random(77, 2000)))
	r.write(f, []byte("ours"), 0)
	r.q.Enqueue(r.seal(f), time.Hour)
	theirs := r.put("a", random(78, 2000))
	r.restart()
	wantKind(t, r.q.Wait(context.Background(), r.recover()), backend.KindChanged)
	if r.head("a").ETag != theirs.ETag {
		t.Error("overwritten")
	}
}

// The upload is gone from the store: everything goes up again.
func TestResumeOfALostUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(75, 60*kib)
	r.grow(f, data)
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 7 })
	up := f.Upload()
	r.q.Enqueue(r.seal(f), time.Hour)
	r.restart()
	if err := r.mem.AbortUpload(context.Background(), backend.Upload{Bucket: bucket, Key: "a", UploadID: up.UploadID}); err != nil {
		t.Fatal(err)
	}
	f = r.recover()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
}

// Without an id nobody knows the upload: one of that key without parts is aborted when it is old.
func TestLostUploadsAreLookedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := time.Now()
	age := -2 * lostAge
	r.mem.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return now.Add(age) } })
	ctx := context.Background()
	in := backend.CreateUploadInput{Bucket: bucket, Key: "a"}
	if _, err := r.mem.CreateUpload(ctx, in); err != nil {
		t.Fatal(err)
	}
	used, err := r.mem.CreateUpload(ctx, in)
	if err == nil {
		_, err = r.mem.UploadPart(ctx, backend.PartInput{Bucket: bucket, Key: "a", UploadID: used, Number: 1, Body: readerOf([]byte("x")), Size: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	age = 0
	young, err := r.mem.CreateUpload(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	r.q.sweepLater(orphan{upload: backend.Upload{Bucket: bucket, Key: "a"}})
	eventually(t, "one is aborted", func() bool {
		ups, err := r.mem.ListUploads(ctx, id("a"))
		return err == nil && len(ups) == 2
	})
	for _, want := range []string{used, young} {
		if _, err := r.mem.ListParts(ctx, backend.Upload{Bucket: bucket, Key: "a", UploadID: want}); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
}
