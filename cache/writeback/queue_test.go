package writeback

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// Several waiters share one upload; a newer snapshot takes the place of one not started.
func TestSuperseding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, release := r.hold("PutObject", 1)
	f := r.create("a")
	r.write(f, []byte("1"), 0)
	r.q.Enqueue(r.seal(f), 0)
	<-entered
	var waiters sync.WaitGroup
	etags := make([]string, 5)
	for i := range etags {
		r.write(f, fmt.Appendf(nil, "%d", i+2), 0)
		s := r.seal(f)
		waiters.Add(1)
		go func() {
			defer waiters.Done()
			obj, err := r.q.Commit(context.Background(), s)
			if err != nil {
				t.Error(err)
			}
			etags[i] = obj.ETag
		}()
		eventually(t, "it is queued", func() bool {
			r.q.mu.Lock()
			defer r.q.mu.Unlock()
			last := r.q.files[f].last()
			return last != nil && last.snap == s
		})
	}
	release()
	waiters.Wait()
	r.has("a", []byte("6"))
	r.requests(map[string]int{"PutObject": 2})
	for _, etag := range etags {
		if etag != r.head("a").ETag {
			t.Errorf("a waiter got %s", etag)
		}
	}
}

// The newer snapshot also takes the place of one that waits for its next try.
func TestSupersedingARetry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.q.pause = time.Hour
	r.faults.Add(once("PutObject", mem.Fail(backend.KindTransient)))
	f := r.create("a")
	r.write(f, []byte("old"), 0)
	s := r.seal(f)
	first := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		first <- err
	}()
	eventually(t, "it failed", func() bool { return r.q.Stats().Retries == 1 })
	r.write(f, []byte("new"), 0)
	r.mustCommit(f)
	if err := <-first; err != nil {
		t.Error(err)
	}
	r.has("a", []byte("new"))
}

// Uploads of one key run in the order of arrival, also of different files, each on what the one
// before it stored.
func TestOrderOfAKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, release := r.hold("PutObject", 1)
	const n = 5
	for i := range n {
		f := r.create("a")
		r.write(f, fmt.Appendf(nil, "%d", i), 0)
		r.q.Enqueue(r.seal(f), 0)
		if i == 0 {
			<-entered
		}
	}
	if got := r.store.Flying(); got != 1 {
		t.Errorf("%d requests at once", got)
	}
	release()
	if err := r.q.Flush(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	r.has("a", fmt.Appendf(nil, "%d", n-1))
	r.requests(map[string]int{"PutObject": n})
}

// An object is not replaced while another file's upload still copies from it.
func TestReplacingWaitsForReaders(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"reader first", "writer waiting", "swap"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			data, other := random(80, 50*kib), random(81, 50*kib)
			src, dst := r.put("src", data), r.put("dst", other)
			reader, writer := r.create("copy"), r.edit(src)
			if order == "swap" {
				reader = r.stage(staging.Spec{Target: id("dst"), Condition: backend.Condition{IfMatch: dst.ETag}})
				writer = r.stage(staging.Spec{Target: id("src"), Condition: backend.Condition{IfMatch: src.ETag}})
				if err := writer.SetRemote(0, remoteOf(dst, dst.Size), 1, dst.Size-1); err != nil {
					t.Fatal(err)
				}
			}
			if err := reader.SetRemote(0, remoteOf(src, src.Size), 1, src.Size-1); err != nil {
				t.Fatal(err)
			}
			if order != "swap" {
				r.write(writer, []byte("replaced"), 0)
			}
			entered, release := r.hold("UploadPartCopy", 1)
			readerSnap, writerSnap := r.seal(reader), r.seal(writer)
			if order == "writer waiting" {
				r.q.Enqueue(writerSnap, 50*time.Millisecond)
				r.q.Enqueue(readerSnap, 0)
			} else {
				r.q.Enqueue(readerSnap, 0)
				r.q.Enqueue(writerSnap, 0)
			}
			<-entered
			time.Sleep(60 * time.Millisecond)
			if r.head("src").ETag != src.ETag {
				t.Error("replaced too early")
			}
			release()
			err := r.q.Flush(context.Background(), nil)
			if order == "swap" { // cannot be done without a third name: the later one loses, and is told
				if fails := r.failures(); len(fails) != 1 || !backend.IsKind(fails[0], backend.KindChanged) {
					t.Errorf("told %v", fails)
				}
				r.has("dst", data[1:])
				r.has("src", data)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.has("copy", data[1:])
			copy(data, "replaced")
			r.has("src", data)
		})
	}
}

func TestFilesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.Files = 3 })
	var mu sync.Mutex
	var order []string
	gate := make(chan struct{})
	r.faults.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Before(func(_ context.Context, c mem.Call) {
		mu.Lock()
		order = append(order, c.Key)
		mu.Unlock()
		<-gate
		time.Sleep(time.Millisecond)
	})}})
	for i := range 30 {
		f := r.create(fmt.Sprint(i))
		r.write(f, []byte("data"), 0)
		r.q.Enqueue(r.seal(f), 0)
	}
	urgent := r.create("urgent")
	r.write(urgent, []byte("data"), 0)
	s := r.seal(urgent)
	done := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		done <- err
	}()
	eventually(t, "all are queued", func() bool { return len(r.q.Pending()) == 31 })
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := r.q.Flush(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if peak := r.store.Peak(); peak > 3 {
		t.Errorf("%d at once", peak)
	}
	if place := slices.Index(order, "urgent"); place > 15 {
		t.Errorf("who waits came after %d others", place)
	}
	if got := r.q.Stats(); got.Commits != 31 || got.Queued != 0 || got.Running != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPartsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) { c.Parts = 4 })
	r.faults.Add(mem.Rule{Op: "UploadPart", Do: []mem.Action{mem.Delay(2 * time.Millisecond)}})
	for i := range 4 {
		f := r.create(fmt.Sprint(i))
		r.write(f, random(uint64(90+i), 60*kib), 0)
		r.q.Enqueue(r.seal(f), 0)
	}
	if err := r.q.Flush(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if peak := r.store.Peak(); peak > 4+4 { // four files may each be at another request
		t.Errorf("%d at once", peak)
	}
}

func TestFlushShowsProgressAndCutsDelays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 5 {
		f := r.create(fmt.Sprint(i))
		r.write(f, random(100, 50*kib), 0)
		r.q.Enqueue(r.seal(f), time.Hour)
	}
	var calls, lastFiles atomic.Int64
	var lastDone, lastTotal int64
	err := r.q.Flush(context.Background(), func(done, total int64, files int) {
		calls.Add(1)
		lastFiles.Store(int64(files))
		if done < lastDone || done > total {
			t.Errorf("%d of %d after %d", done, total, lastDone)
		}
		lastDone, lastTotal = done, total
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() == 0 || lastFiles.Load() != 0 || lastDone != 250*kib || lastTotal != 250*kib {
		t.Errorf("%d calls, in the end %d of %d and %d files", calls.Load(), lastDone, lastTotal, lastFiles.Load())
	}
	if err := r.q.Flush(context.Background(), nil); err != nil {
		t.Error(err)
	}
}

func TestFlushWithALimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.q.Enqueue(r.seal(f), 0)
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	wantKind(t, r.q.Flush(ctx, nil), backend.KindCanceled)
	if len(r.q.Pending()) != 1 {
		t.Error("dropped")
	}
}

func TestContextEndsOnlyTheWaiting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, release := r.hold("PutObject", 1)
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	ctx, stop := context.WithCancel(context.Background())
	s := r.seal(f)
	done := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(ctx, s)
		done <- err
	}()
	<-entered
	stop()
	wantKind(t, <-done, backend.KindCanceled)
	release()
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", []byte("data"))
}

func TestWaitHurriesWhatIsDelayed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	r.write(f, []byte("data"), 0)
	r.q.Enqueue(r.seal(f), time.Hour)
	if err := r.q.Wait(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	r.has("a", []byte("data"))
}

// A queue at rest keeps nothing.
func TestQueueForgets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 20 {
		f := r.create(fmt.Sprint(i))
		r.grow(f, random(101, 30*kib))
		r.mustCommit(f)
		if err := f.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	if n := len(r.q.files) + len(r.q.lanes) + len(r.q.readers) + len(r.q.uploads) + len(r.q.orphans); n != 0 {
		t.Errorf("files %v lanes %v readers %v uploads %v", r.q.files, r.q.lanes, r.q.readers, r.q.uploads)
	}
}

// A file that was made when an object of the same key was stored and deleted again does not follow on that object, also if
// the upload of the first is not quite over.
func TestMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	var again *staging.File
	r := newRig(t, func(r *rig, c *Config, _ *mem.Settings) {
		c.OnCommit = func(f *staging.File, s *staging.Snapshot, obj backend.Object) {
			r.committed(f, s, obj)
			if again != nil {
				return
			}
			if err := r.mem.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: "a"}); err != nil {
				r.t.Error(err)
			}
			again = r.create("a")
			r.write(again, []byte("second"), 0)
			r.q.Enqueue(r.seal(again), 0)
		}
	})
	f := r.create("a")
	r.write(f, []byte("first"), 0)
	r.mustCommit(f)
	if err := r.q.Wait(context.Background(), again); err != nil {
		t.Error(err)
	}
	r.has("a", []byte("second"))
}
