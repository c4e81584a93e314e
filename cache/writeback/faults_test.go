package writeback

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func once(op string, do ...mem.Action) mem.Rule { return mem.Rule{Op: op, Times: 1, Do: do} }

func TestLostReplyIsSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(once("PutObject", mem.LoseReply()))
	f := r.create("small")
	r.write(f, []byte("data"), 0)
	r.mustCommit(f)
	r.requests(map[string]int{"PutObject": 1, "HeadObject": 1})

	r.faults.Add(once("CompleteMultipartUpload", mem.LoseReply()))
	f = r.create("large")
	data := random(20, 50*kib)
	r.write(f, data, 0)
	r.mustCommit(f)
	r.has("large", data)
	if got := r.store.Requests()["CompleteMultipartUpload"]; got != 1 {
		t.Errorf("completed %d times", got)
	}
	r.store.Reset()

	r.faults.Add(once("CopyObject", mem.LoseReply()))
	f = r.create("copy")
	src := r.head("large")
	if err := f.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.requests(map[string]int{"CopyObject": 1, "HeadObject": 1})
	if fails := r.failures(); len(fails) > 0 {
		t.Errorf("failures: %v", fails)
	}
}

// forgetful completes uploads and says that there were none, as if a request was repeated on the way.
type forgetful struct{ Store }

func (s forgetful) CompleteUpload(ctx context.Context, in backend.CompleteInput) (backend.Object, error) {
	if obj, err := s.Store.CompleteUpload(ctx, in); err != nil {
		return obj, err
	}
	return backend.Object{}, &backend.Error{Kind: backend.KindNotExist, Op: "CompleteMultipartUpload", Bucket: in.Bucket, Key: in.Key}
}

// TestCompletedAndForgotten: VersityGW and Ceph forget an upload at once when they complete it, so a repeat
// after a lost reply is told that there is no such upload.
func TestCompletedAndForgotten(t *testing.T) {
	t.Parallel()
	for name, looks := range map[string]int{"at once": 0, "after an outage": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.Store = forgetful{c.Store} })
			data := random(22, 50*kib)
			r.faults.Add(mem.Rule{Op: "HeadObject", Times: looks, Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
			if looks == 0 { // no outage
				r.faults.Clear()
			}
			f := r.create("a")
			r.write(f, data, 0)
			r.mustCommit(f)
			r.has("a", data)
			if fails, n := r.failures(), r.store.Requests()["CreateMultipartUpload"]; len(fails) > 0 || n != 1 {
				t.Errorf("%d uploads were begun, failures %v", n, fails)
			}
			r.noUploads("a")
		})
	}
}

// The reply is lost and so is the look at the store: the repeat must not take its own object for
// another client's.
func TestLostReplyAndOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(once("PutObject", mem.LoseReply()))
	outage := r.faults.Add(mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	s := r.seal(f)
	done := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		done <- err
	}()
	eventually(t, "it looks twice", func() bool { return outage.Hits() > 1 })
	// What is sealed now must wait until it is known what is stored.
	r.write(f, []byte("more"), 0)
	s = r.seal(f)
	second := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		second <- err
	}()
	eventually(t, "both are queued", func() bool { return len(r.q.Pending()) == 2 })
	outage.Remove()
	for _, c := range []chan error{done, second} {
		if err := <-c; err != nil {
			t.Fatal(err)
		}
	}
	r.has("a", []byte("more"))
}

// A lost request, and another client that writes meanwhile: a conflict.
func TestLostRequestAndRival(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(once("PutObject", mem.Fail(backend.KindUnknown)))
	r.faults.Add(once("HeadObject", mem.Before(func(context.Context, mem.Call) { r.put("a", []byte("theirs")) })))
	f := r.create("a")
	r.write(f, []byte("ours"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindExist)
	r.has("a", []byte("theirs"))
}

func TestOutageThenRecovery(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{100, 100 * kib} {
		r := newRig(t)
		outage := r.faults.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
		f := r.create("a")
		data := random(21, size)
		r.write(f, data, 0)
		r.q.Enqueue(r.seal(f), 0)
		eventually(t, "some tries", func() bool { return r.q.Stats().Retries > 3 })
		p := r.q.Pending()
		if len(p) != 1 || p[0].LastError == "" || p[0].Attempts == 0 || p[0].Bytes != size || p[0].State == "failed" {
			t.Errorf("%+v", p)
		}
		outage.Remove()
		if err := r.q.Wait(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		r.has("a", data)
		r.noUploads("a")
		if fails := r.failures(); len(fails) > 0 {
			t.Errorf("failures: %v", fails)
		}
	}
}

func TestPartsSurviveAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	outage := r.faults.Add(mem.Rule{Op: "UploadPart", Nth: 4, Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	f := r.create("a")
	data := random(22, 80*kib)
	r.write(f, data, 0)
	r.q.Enqueue(r.seal(f), 0)
	eventually(t, "some tries", func() bool { return r.q.Stats().Retries > 2 })
	outage.Remove()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", data)
	if s := r.q.Stats(); s.PartsSent != 10 || s.BytesSent != 80*kib || s.PartsReused == 0 {
		t.Errorf("%+v", s)
	}
	if got := r.store.Requests()["CreateMultipartUpload"]; got != 1 {
		t.Errorf("%d uploads", got)
	}
}

func TestRetryTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.RetryTimeout = 50 * time.Millisecond })
	outage := r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindTransient)
	wantKind(t, r.q.Wait(context.Background(), f), backend.KindTransient)
	if len(r.q.Pending()) != 1 {
		t.Error("not queued any more")
	}
	outage.Remove()
	r.q.Retry(f)
	eventually(t, "stored in the background", func() bool { return len(r.q.Pending()) == 0 })
	r.has("a", []byte("data"))
}

// TestOtherRetryTimeout: whoever begins to wait now waits as long as was said last.
func TestOtherRetryTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.RetryTimeout = time.Hour })
	r.q.SetRetryTimeout(50 * time.Millisecond)
	r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindTransient)
}

// TestRetryTimeoutOfWhatHangs: who waits gets the error in time, though the attempt goes on by looking whether a lost request was done,
// or has not begun because others hold all places.
func TestRetryTimeoutOfWhatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.RetryTimeout, c.Files = 300*time.Millisecond, 1 })
	lost := r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindUnknown)}})
	goOn := make(chan struct{})
	r.faults.Add(mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { <-goOn })}})
	var waiting sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		f := r.create(name)
		r.write(f, []byte(name), 0)
		waiting.Go(func() {
			if _, err := r.q.Commit(t.Context(), r.seal(f)); !backend.IsKind(err, backend.KindUnknown) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	late := time.AfterFunc(30*time.Second, func() { t.Error("nobody was told"); close(goOn) })
	waiting.Wait()
	lost.Remove()
	if late.Stop() {
		close(goOn)
	}
}

func TestPermanentFailureIsParked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	denied := r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	for range 2 {
		_, err := r.commit(f)
		wantKind(t, err, backend.KindPermission)
		wantKind(t, r.q.Wait(context.Background(), f), backend.KindPermission)
		wantKind(t, r.q.Flush(context.Background(), nil), backend.KindPermission)
	}
	if fails := r.failures(); len(fails) != 2 { // once for each snapshot
		t.Errorf("told %v", fails)
	}
	denied.Remove()
	r.q.Retry(f)
	eventually(t, "stored", func() bool { return len(r.q.Pending()) == 0 })
	r.has("a", []byte("data"))
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Errorf("wait: %v", err)
	}
}

func TestCorruptedBytesAreSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(once("PutObject", mem.Flip(1)))
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.mustCommit(f)
	r.has("a", []byte("data"))

	r.faults.Add(once("UploadPart", mem.Flip(1)))
	f = r.create("b")
	data := random(23, 50*kib)
	r.write(f, data, 0)
	r.mustCommit(f)
	r.has("b", data)
	if r.q.Stats().Retries != 2 {
		t.Errorf("%+v", r.q.Stats())
	}
}

// A lifecycle rule or another program aborts the upload: it begins again.
func TestUploadVanishes(t *testing.T) {
	t.Parallel()
	abort := func(r *rig) mem.Action {
		return mem.Before(func(ctx context.Context, _ mem.Call) {
			ups, _ := r.mem.ListUploads(ctx, id("a"))
			for _, up := range ups {
				_ = r.mem.AbortUpload(ctx, up)
			}
		})
	}
	for _, op := range []string{"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			data := random(24, 100*kib)
			f := r.edit(r.put("a", data))
			r.write(f, []byte("change"), 0)
			copy(data, "change")
			r.faults.Add(once(op, abort(r)))
			r.mustCommit(f)
			r.has("a", data)
			r.noUploads("a")
			if got := r.store.Requests()["CreateMultipartUpload"]; got != 2 {
				t.Errorf("%d uploads", got)
			}
		})
	}
}

// An object that the content refers to is changed or removed by another client.
func TestSourceIsGone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size, from int64
		gone       bool
		kind       backend.Kind
	}{
		"copy changed":  {100 * kib, 0, false, backend.KindChanged},
		"copy gone":     {100 * kib, 0, true, backend.KindNotExist},
		"parts changed": {100 * kib, 1, false, backend.KindChanged},
		"parts gone":    {100 * kib, 1, true, backend.KindNotExist},
		"merge changed": {100, 1, false, backend.KindChanged},
		"merge gone":    {100, 1, true, backend.KindNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			src := r.put("src", random(25, tc.size))
			f := r.create("a")
			if err := f.SetRemote(0, remoteOf(src, src.Size), tc.from, src.Size-tc.from); err != nil {
				t.Fatal(err)
			}
			if tc.gone {
				if err := r.mem.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: "src"}); err != nil {
					t.Fatal(err)
				}
			} else {
				r.put("src", random(26, tc.size))
			}
			_, err := r.commit(f)
			wantKind(t, err, tc.kind)
			if len(r.failures()) != 1 || len(r.q.Pending()) != 0 {
				t.Errorf("told %v, queued %v", r.failures(), r.q.Pending())
			}
			r.noUploads("a")
			if len(r.area.Files()) != 1 {
				t.Error("the data was not kept")
			}
		})
	}
}

// Local bytes that were also in an object that is another one now are sent from here.
func TestLocalBytesReplaceALostSource(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{100, 100 * kib} {
		r := newRig(t)
		data := random(28, size)
		f := r.create("a")
		r.write(f, data, 0)
		r.mustCommit(f)
		if err := f.SetTarget(id("b"), backend.Condition{IfNoneMatch: true}); err != nil {
			t.Fatal(err)
		}
		if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"k": "v"}}); err != nil {
			t.Fatal(err)
		}
		r.put("a", []byte("theirs"))
		r.mustCommit(f)
		r.has("b", data)
	}
}

func TestRivalDuringAnAppend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(29, 100*kib)
	f := r.edit(r.put("a", data))
	r.write(f, bytes.Repeat([]byte("x"), 10), 100*kib)
	r.faults.Add(once("CompleteMultipartUpload", mem.Before(func(context.Context, mem.Call) { r.put("a", []byte("theirs")) })))
	_, err := r.commit(f)
	wantKind(t, err, backend.KindChanged)
	r.has("a", []byte("theirs"))
	r.noUploads("a")
}
