package writeback

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// hold lets the n-th call of op wait until the returned function is called. entered is closed when
// the call is there.
func (r *rig) hold(op string, nth int) (entered chan struct{}, release func()) {
	entered, gate := make(chan struct{}), make(chan struct{})
	r.faults.Add(mem.Rule{Op: op, Nth: nth, Times: 1, Do: []mem.Action{mem.Before(func(ctx context.Context, _ mem.Call) {
		close(entered)
		select {
		case <-gate:
		case <-ctx.Done():
		}
	})}})
	var once sync.Once
	release = func() { once.Do(func() { close(gate) }) }
	return entered, release
}

// Cancel at every stage leaves no upload behind, and tells what was stored.
func TestCancelAtEveryStage(t *testing.T) {
	t.Parallel()
	for _, stage := range []struct {
		op     string
		nth    int
		size   int64
		stored bool
	}{
		{"PutObject", 1, 100, true},
		{"CreateMultipartUpload", 1, 50 * kib, false},
		{"UploadPart", 1, 50 * kib, false},
		{"UploadPart", 7, 50 * kib, false},
		{"CompleteMultipartUpload", 1, 50 * kib, true},
	} {
		t.Run(fmt.Sprintf("%s %d", stage.op, stage.nth), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			f := r.create("a")
			data := random(60, stage.size)
			r.write(f, data, 0)
			entered, release := r.hold(stage.op, stage.nth)
			waiter := make(chan error, 1)
			s := r.seal(f)
			go func() {
				_, err := r.q.Commit(context.Background(), s)
				waiter <- err
			}()
			<-entered
			short, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer stop()
			if stage.stored { // it waits for the answer
				_, err := r.q.Cancel(short, f)
				wantKind(t, err, backend.KindCanceled)
			}
			if stage.op != "UploadPart" {
				time.AfterFunc(10*time.Millisecond, release)
			}
			stored, err := r.q.Cancel(context.Background(), f)
			if err != nil || (stored != nil) != stage.stored {
				t.Fatalf("stored %v, %v", stored, err)
			}
			err = <-waiter
			if stage.stored && err != nil || !stage.stored && !backend.IsKind(err, backend.KindCanceled) {
				t.Errorf("the waiter got %v", err)
			}
			if stored != nil && stored.ETag != r.head("a").ETag {
				t.Error("not what is stored")
			}
			r.noUploads("a")
			if f.Upload() != nil {
				t.Error("the journal has an upload")
			}
			if p := r.q.Pending(); len(p) > 0 {
				t.Errorf("pending %+v", p)
			}
		})
	}
}

func TestCancelAStream(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"CreateMultipartUpload", "UploadPart"} {
		r := newRig(t)
		entered, release := r.hold(op, 1)
		f := r.create("a")
		r.grow(f, random(61, 50*kib))
		<-entered
		if op != "UploadPart" {
			time.AfterFunc(10*time.Millisecond, release)
		}
		stored, err := r.q.Cancel(context.Background(), f)
		if stored != nil || err != nil {
			t.Fatalf("%v, %v", stored, err)
		}
		r.noUploads("a")
		before := r.store.Total()
		if _, err := r.q.Cancel(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		if r.store.Total() != before {
			t.Error("cancelling nothing sends requests")
		}
	}
}

func TestCancelWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	delayed, failing := r.create("delayed"), r.create("failing")
	for _, f := range []*staging.File{delayed, failing} {
		r.write(f, []byte("data"), 0)
	}
	r.q.Enqueue(r.seal(delayed), time.Hour)
	r.q.Enqueue(r.seal(failing), 0)
	eventually(t, "it fails", func() bool { return r.q.Stats().Retries > 0 })
	for _, f := range []*staging.File{delayed, failing} {
		if stored, err := r.q.Cancel(context.Background(), f); stored != nil || err != nil {
			t.Fatalf("%v, %v", stored, err)
		}
		if err := r.q.Wait(context.Background(), f); err != nil {
			t.Error(err)
		}
	}
	if len(r.q.Pending()) != 0 {
		t.Errorf("%+v", r.q.Pending())
	}
}

// An upload whose answer was lost: Cancel finds out.
func TestCancelUnsure(t *testing.T) {
	t.Parallel()
	for _, arrived := range []bool{true, false} {
		r := newRig(t)
		action := mem.Fail(backend.KindUnknown)
		if arrived {
			action = mem.LoseReply()
		}
		r.faults.Add(once("PutObject", action))
		outage := r.faults.Add(mem.Rule{Op: "HeadObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
		r.q.pause = time.Hour
		f := r.create("a")
		r.write(f, []byte("data"), 0)
		r.q.Enqueue(r.seal(f), 0)
		eventually(t, "it waits for the next try", func() bool {
			p := r.q.Pending()
			return len(p) == 1 && p[0].State == "retrying"
		})
		outage.Remove()
		stored, err := r.q.Cancel(context.Background(), f)
		if err != nil || (stored != nil) != arrived {
			t.Errorf("arrived %v: %v, %v", arrived, stored, err)
		}
	}
}

// The same while the next try runs.
func TestCancelUnsureWhileTrying(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(liar))
	r.faults.Add(mem.Rule{Op: "HeadObject", Nth: 2, Times: 1, Do: []mem.Action{mem.LoseReply()}})
	entered, gate := make(chan struct{}), make(chan struct{})
	r.faults.Add(mem.Rule{Op: "HeadObject", Nth: 3, Times: 1, Do: []mem.Action{
		mem.Before(func(context.Context, mem.Call) {
			close(entered)
			<-gate
		}),
		mem.Fail(backend.KindTransient),
	}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.q.Enqueue(r.seal(f), 0)
	<-entered
	time.AfterFunc(10*time.Millisecond, func() { close(gate) })
	stored, err := r.q.Cancel(context.Background(), f)
	if err != nil || stored == nil || stored.ETag != r.head("a").ETag {
		t.Errorf("%v, %v", stored, err)
	}
}

// Detach keeps the parts for a later commit.
func TestDetachKeepsParts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	never, _ := r.hold("UploadPart", 6)
	f := r.create("a")
	data := random(62, 50*kib)
	r.write(f, data, 0)
	r.q.Enqueue(r.seal(f), 0)
	<-never
	eventually(t, "the other parts", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 6 })
	if _, err := r.q.Detach(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.store.Reset()
	r.mustCommit(f)
	r.has("a", data)
	r.requests(map[string]int{"UploadPart": 1, "CompleteMultipartUpload": 1})
}

// An abort that fails is repeated in the background.
func TestAbortIsRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(mem.Rule{Op: "AbortMultipartUpload", Times: 1, Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	f := r.create("a")
	r.grow(f, random(63, 50*kib))
	eventually(t, "streamed", func() bool { up := f.Upload(); return up != nil && len(up.Parts) == 6 })
	if _, err := r.q.Cancel(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	eventually(t, "aborted", func() bool {
		ups, err := r.mem.ListUploads(context.Background(), id("a"))
		return err == nil && len(ups) == 0
	})
}

func TestCloseGivesUpPartsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, _ := r.hold("UploadPart", 3)
	f, delayed := r.create("a"), r.create("b")
	r.write(f, random(64, 50*kib), 0)
	r.write(delayed, []byte("data"), 0)
	r.q.Enqueue(r.seal(delayed), time.Hour)
	waiter := make(chan error, 1)
	s := r.seal(f)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		waiter <- err
	}()
	<-entered
	if err := r.q.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, <-waiter, backend.KindCanceled)
	if f.State() != staging.StateSealed || f.Upload() == nil {
		t.Errorf("%v, upload %v", f.State(), f.Upload())
	}
	if len(r.failures()) != 0 {
		t.Error("told of a failure")
	}
	if _, err := r.q.Commit(context.Background(), r.seal(f)); !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("commit after close: %v", err)
	}
	r.q.Enqueue(r.seal(f), 0)
	r.q.Grown(f)
}

func TestCloseWaitsForAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, release := r.hold("PutObject", 1)
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.q.Enqueue(r.seal(f), 0)
	<-entered
	time.AfterFunc(20*time.Millisecond, release)
	if err := r.q.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.has("a", []byte("data"))
	if f.State() != staging.StateCommitted {
		t.Errorf("%v", f.State())
	}
}

func TestCloseWithALimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, _ := r.hold("PutObject", 1)
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.q.Enqueue(r.seal(f), 0)
	<-entered
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	wantKind(t, r.q.Close(ctx), backend.KindCanceled)
}
