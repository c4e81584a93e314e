package staging

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

func simArea(t *testing.T, disk *simDisk, limit int64) *Area {
	t.Helper()
	a, err := open(Config{Dir: "area", Disk: disk, Limit: limit}, idle())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// reopen is a start after the process was killed.
func reopen(t *testing.T, a *Area) *Area {
	t.Helper()
	halt(a)
	b := simArea(t, a.disk.(*simDisk).kill(), 0)
	t.Cleanup(func() { halt(b) })
	return b
}

// halt ends the goroutine of an area that is left as it is.
func halt(a *Area) {
	select {
	case <-a.committer.ended:
	default:
		close(a.committer.stop)
		<-a.committer.ended
	}
}

func text(t *testing.T, f *File) string {
	t.Helper()
	var b bytes.Buffer
	for _, e := range f.Extents(0, 1<<40) {
		p := make([]byte, e.Len)
		if _, err := f.ReadLocal(e, p, e.Off); err != nil {
			t.Fatal(err)
		}
		b.Write(p)
	}
	return b.String()
}

// TestGuess: a file whose process ended before its map was journalled keeps its bytes, in the order
// they were written.
func TestGuess(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	f := create(t, a)
	write(t, f, []byte("one"), 2)
	write(t, f, []byte("two"), 5)
	b := reopen(t, a)
	if n := len(b.Files()); n != 1 {
		t.Fatal(n)
	}
	g := b.Files()[0]
	if g.State() != StateInterrupted || g.Reason() != reasonGuess || text(t, g) != "\x00\x00onetwo" || g.Spec().Target != f.Spec().Target {
		t.Fatal(g.State(), g.Reason(), text(t, g))
	}
}

// TestLaterContent: what was written after a close is kept beside what was promised by it.
func TestLaterContent(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	f := create(t, a)
	write(t, f, []byte("promised"), 0)
	if _, err := f.Seal(false); err != nil {
		t.Fatal(err)
	}
	write(t, f, []byte("LATER"), 2)
	if err := a.committer.tick(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // found again, but not split again
		a = reopen(t, a)
		list := a.Files()
		if len(list) != 2 {
			t.Fatal(list)
		}
		if list[0].State() != StateSealed || text(t, list[0]) != "promised" || list[0].ID() != f.ID() {
			t.Fatal(list[0].State(), text(t, list[0]))
		}
		if list[1].State() != StateInterrupted || list[1].Reason() != reasonLater || text(t, list[1]) != "prLATERd" {
			t.Fatal(list[1].State(), list[1].Reason(), text(t, list[1]))
		}
	}
}

// TestStates: a conflict and its reason survive a restart, and a retry makes a promise of it again.
func TestStates(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	f := create(t, a)
	write(t, f, []byte("x"), 0)
	if _, err := f.Seal(false); err != nil {
		t.Fatal(err)
	}
	if err := f.SetState(StateConflict, "somebody was faster"); err != nil {
		t.Fatal(err)
	}
	if err := f.SetState(StateCommitted, ""); !backend.IsKind(err, backend.KindInvalid) {
		t.Fatal(err)
	}
	a = reopen(t, a)
	f = a.Files()[0]
	if f.State() != StateConflict || f.Reason() != "somebody was faster" {
		t.Fatal(f.State(), f.Reason())
	}
	target := backend.ObjectID{Bucket: "other", Key: "name"}
	if err := f.SetTarget(target, backend.Condition{IfNoneMatch: true}); err != nil {
		t.Fatal(err)
	}
	if err := f.SetState(StateSealed, ""); err != nil {
		t.Fatal(err)
	}
	a = reopen(t, a)
	f = a.Files()[0]
	if f.State() != StateSealed || f.Reason() != "" || f.Spec().Target != target || !f.Spec().Condition.IfNoneMatch {
		t.Fatal(f.State(), f.Reason(), f.Spec())
	}
}

// TestUnseal: a promise that was taken back is not kept by the next start.
func TestUnseal(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	f := create(t, a)
	write(t, f, []byte("x"), 0)
	if _, err := f.Seal(true); err != nil {
		t.Fatal(err)
	}
	if err := f.BeginUpload(f.Spec().Target); err != nil {
		t.Fatal(err)
	}
	if err := f.SetState(StateOpen, "unlinked"); err != nil {
		t.Fatal(err)
	}
	if f.State() != StateOpen || f.Dirty() {
		t.Fatal(f.State(), f.Dirty())
	}
	for range 2 {
		a = reopen(t, a)
		f = a.Files()[0]
		if f.State() != StateInterrupted || f.Reason() != "unlinked" || text(t, f) != "x" || f.Upload() == nil {
			t.Fatal(f.State(), f.Reason(), text(t, f), f.Upload())
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	a := openReal(t, t.TempDir(), 10_000)
	first, second := create(t, a), create(t, a)
	write(t, first, make([]byte, 8000), 0)
	n, err := second.WriteAt(make([]byte, 3000), 5)
	if n != 0 || second.Size() != 0 || !backend.IsKind(err, backend.KindNoSpace) {
		t.Fatal(n, err, second.Size())
	}
	write(t, first, make([]byte, 8000), 0) // in place
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.WaitSpace(ctx, 3000); !backend.IsKind(err, backend.KindCanceled) {
		t.Fatal(err)
	}
	if err := a.WaitSpace(t.Context(), 10_001); !backend.IsKind(err, backend.KindNoSpace) {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- a.WaitSpace(context.Background(), 3000) }()
	if err := first.Truncate(100); err != nil { // given back by the next checkpoint
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	write(t, second, make([]byte, 3000), 5)
	if use := a.Usage(); use.Bytes != 3100 || use.Files != 2 || use.Limit != 10_000 {
		t.Fatalf("%+v", use)
	}
}

// TestDropStored: a file that stays open and is committed now and then needs no more room than what is
// not stored yet.
func TestDropStored(t *testing.T) {
	t.Parallel()
	a := openReal(t, t.TempDir(), 100_000)
	f := create(t, a)
	for i := range 20 {
		off := int64(i) * 30_000
		for {
			_, err := f.WriteAt(make([]byte, 30_000), off)
			if err == nil {
				break
			}
			if !backend.IsKind(err, backend.KindNoSpace) {
				t.Fatal(err)
			}
			if err := f.DropStored(); err != nil {
				t.Fatal(err)
			}
			if err := a.WaitSpace(t.Context(), 30_000); err != nil {
				t.Fatal(err)
			}
		}
		s, err := f.Seal(false)
		if err != nil {
			t.Fatal(err)
		}
		if clean, err := f.Committed(s, version("k", strconv.Itoa(i), s.Size)); !clean || err != nil {
			t.Fatal(clean, err)
		}
		s.Release()
	}
	if f.Size() != 600_000 {
		t.Fatal(f.Size())
	}
}

// TestGroupCommit: callers that sync at the same time share the sync of the journal.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	a := simArea(t, disk, 0)
	defer a.Close()
	const callers = 40
	before := disk.ops["sync"]
	a.committer.run.Lock() // a sync is in progress
	var ready atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			f := create(t, a)
			if _, err := f.WriteAt([]byte("x"), 0); err != nil {
				t.Error(err)
			}
			ready.Add(1)
			s, err := f.Seal(true)
			if err != nil {
				t.Error(err)
				return
			}
			s.Release()
			if f.fallback == 0 {
				t.Error("the promise is not durable")
			}
		})
	}
	for ready.Load() < callers || !joined(a, callers) {
		time.Sleep(time.Millisecond)
	}
	a.committer.run.Unlock()
	all.Wait()
	disk.mu.Lock()
	defer disk.mu.Unlock()
	if n := disk.ops["sync"] - before; n > callers+3 { // each its data, all together the journal
		t.Errorf("%d syncs for %d callers", n, callers)
	}
}

// joined tells whether so many data files were synced: what is left to their callers is to join.
func joined(a *Area, files int) bool {
	disk := a.disk.(*simDisk)
	disk.mu.Lock()
	defer disk.mu.Unlock()
	n := 0
	for _, node := range disk.dirs["area/data"].names {
		if len(node.synced) > 0 {
			n++
		}
	}
	return n == files
}

// TestParallel uses everything at once, for the race detector.
func TestParallel(t *testing.T) {
	t.Parallel()
	a, err := open(Config{Dir: t.TempDir(), Limit: 8 << 20}, tuning{every: time.Millisecond, ids: clockIDs})
	if err != nil {
		t.Fatal(err)
	}
	shared := create(t, a)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 60 {
				f := create(t, a)
				write(t, f, bytes.Repeat([]byte{byte(w)}, 10_000), int64(i))
				if _, err := shared.WriteAt([]byte{byte(i)}, int64(w*1000+i)); err != nil {
					t.Error(err)
				}
				if err := f.CopyFrom(0, shared, 0, 1); err != nil {
					t.Error(err)
				}
				s, err := f.Seal(i%10 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				s2, err := shared.Seal(false)
				if err != nil {
					t.Error(err)
					return
				}
				s2.Release()
				if i%2 == 0 {
					if _, err := f.Committed(s, &Remote{Source: backend.Source{ETag: "e"}, Size: s.Size}); err != nil {
						t.Error(err)
					}
				}
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
				s.Release()
				id, err := a.AddIntent("k", nil, i%20 == 0)
				if err == nil {
					err = a.DropIntent(id)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if use := a.Usage(); use.Files != 1 {
		t.Errorf("%+v", use)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create(Spec{}); err == nil {
		t.Error("create after close")
	}
	if err := a.Close(); err != nil {
		t.Error("second close: ", err)
	}
}
