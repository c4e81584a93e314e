package staging

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// TestCrash ends the process or the power at any moment of random sequences and checks what the next
// start finds: everything that was promised, nothing that is over, and never wrong bytes under a promise.
func TestCrash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 0)
		w.keepAll = true
		defer func() { w.stop() }()
		actions := w.actions()
		for name, fn := range map[string]func(){
			"kill": func() { w.crash(false) }, "power": func() { w.crash(true) },
			"intent": w.addIntent, "dropIntent": w.dropIntent, "restart": w.restart,
			"rename": w.rename, "localFsync": w.localFsync,
		} {
			actions[name] = func(t *rapid.T) {
				w.t = t
				fn()
			}
		}
		actions[""] = func(t *rapid.T) {
			w.t = t
			w.check()
		}
		t.Repeat(actions)
	})
}

// rename gives a new file that no upload runs of another name.
func (w *world) rename() {
	m := w.pick()
	if len(m.snapshots) > 0 || m.gone || m.file.Spec().Content != nil || m.file.Streamed() > 0 {
		w.t.Skip("not to be renamed")
	}
	m.target.Key = fmt.Sprint(m.target.Key, "r")
	if err := m.file.SetTarget(m.target, backend.Condition{IfNoneMatch: true}); err != nil {
		w.t.Fatal(err)
	}
	m.targets = append(m.targets, m.target)
}

// localFsync is fsync of a mount with --fsync=local.
func (w *world) localFsync() {
	m := w.pick()
	w.sealModel(m, false)
	if err := m.file.Sync(); err != nil {
		w.t.Fatal(err)
	}
	m.seals[len(m.seals)-1].durable = true
	w.flushed()
}

func (w *world) addIntent() {
	payload := rapid.StringN(0, 20, 50).Draw(w.t, "payload")
	sync := rapid.Bool().Draw(w.t, "sync")
	id, err := w.area.AddIntent("kind", []byte(payload), sync)
	if err != nil {
		w.t.Fatal(err)
	}
	w.intents[id] = &intentModel{payload: payload}
	if sync {
		w.flushed()
	}
}

func (w *world) dropIntent() {
	list := w.area.Intents()
	if len(list) == 0 {
		w.t.Skip("no intent")
	}
	in := rapid.SampledFrom(list).Draw(w.t, "intent")
	if err := w.area.DropIntent(in.ID); err != nil {
		w.t.Fatal(err)
	}
	w.intents[in.ID].dropped = true
}

// restart is an orderly end and a new start.
func (w *world) restart() {
	for _, m := range w.files {
		for _, s := range m.snapshots {
			s.snap.Release()
		}
		m.snapshots, m.recorded = nil, true
		if m.promised {
			m.seals[len(m.seals)-1].durable = true
		}
	}
	if err := w.area.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.flushed()
	w.open()
	w.recovered(false)
}

func (w *world) crash(power bool) {
	w.stop()
	if power {
		w.seed++
		w.disk = w.disk.crash(rand.New(rand.NewPCG(w.seed, 7)))
	} else {
		w.disk = w.disk.kill()
	}
	w.open()
	w.recovered(power)
}

// recovered checks what a start found, and goes on from there.
func (w *world) recovered(power bool) {
	found := make(map[uint64]*File)
	for _, f := range w.area.Files() {
		found[f.id] = f
	}
	for _, m := range w.files {
		got := found[m.id]
		delete(found, m.id)
		if m.file == nil && m.goneFor && got == nil {
			continue
		}
		if power {
			w.afterPower(m, got)
		} else {
			w.afterKill(m, got)
		}
		w.adopt(m, got)
	}
	for _, f := range found { // written after a seal
		if f.State() != StateInterrupted || f.Reason() == "" {
			w.t.Fatalf("unexpected file in state %v", f.State())
		}
		if !power {
			if _, err := w.read(f, f.Extents(0, 1<<40)); err != nil && (f.Streamed() == 0 || !strings.HasSuffix(f.Reason(), reasonGiven)) {
				w.t.Fatal("interrupted data: ", err)
			}
		}
		if err := f.Remove(); err != nil {
			w.t.Fatal(err)
		}
	}
	for id, in := range w.intents {
		i := slices.IndexFunc(w.area.Intents(), func(x Intent) bool { return x.ID == id })
		switch {
		case i < 0 && (!power && !in.dropped || in.durable && !in.dropped):
			w.t.Fatal("an intent is lost")
		case i >= 0 && (!power && in.dropped || in.dropFor):
			w.t.Fatal("an intent came back")
		case i >= 0 && string(w.area.Intents()[i].Payload) != in.payload:
			w.t.Fatal("an intent has another payload")
		}
		if i < 0 {
			delete(w.intents, id)
		} else {
			in.dropped = false
		}
	}
}

func (w *world) afterKill(m *fileModel, got *File) {
	switch {
	case m.file == nil || m.gone:
		if got != nil {
			w.t.Fatalf("a file that was over came back %v", got.State())
		}
	case m.promised:
		last := m.seals[len(m.seals)-1]
		if got == nil || got.State() != StateSealed || got.Generation() != last.generation {
			w.t.Fatalf("a promise is lost: %v", describe(got))
		}
		w.expect("promise", got, got.Extents(0, 1<<40), last.data)
		if old := m.file.promise.spec; !reflect.DeepEqual(old, got.Spec()) {
			w.t.Fatalf("spec\n%+v, was\n%+v", got.Spec(), old)
		}
		if old := m.file.Upload(); !reflect.DeepEqual(old, got.Upload()) {
			w.t.Fatalf("upload\n%+v, was\n%+v", got.Upload(), old)
		}
	case !m.changed:
		if got != nil {
			w.t.Fatalf("a file that was never changed came back %v", got.State())
		}
	case m.recorded:
		if got == nil || got.State() != StateInterrupted {
			w.t.Fatalf("interrupted data is lost: %v", describe(got))
		}
		w.expect("interrupted", got, got.Extents(0, 1<<40), m.data)
	case got != nil:
		if got.State() != StateInterrupted {
			w.t.Fatalf("unfinished data came back %v", got.State())
		}
		if _, err := w.read(got, got.Extents(0, 1<<40)); err != nil {
			w.t.Fatal("interrupted data: ", err)
		}
	}
}

func describe(f *File) string {
	if f == nil {
		return "no file"
	}
	return f.State().String() + ": " + f.Reason()
}

func (w *world) afterPower(m *fileModel, got *File) {
	durable, stored := -1, false
	for i, s := range m.seals {
		if s.durable {
			durable, stored = i, false
		}
		stored = stored || durable >= 0 && m.stored[s.generation]
	}
	stored = stored || m.withdrawn
	if m.goneFor && got != nil {
		w.t.Fatalf("a file that was over came back %v", describe(got))
	}
	if got == nil || got.State() != StateSealed {
		if durable >= 0 && !stored && m.file != nil {
			w.t.Fatalf("seal %d of %d is lost: %v", durable, len(m.seals), describe(got))
		}
		if m.file == nil && durable >= 0 && !stored && got != nil && got.Reason() == reasonMissing {
			w.t.Fatal("the data of a promise was removed before its record was durable")
		}
		if got != nil && got.State() != StateInterrupted {
			w.t.Fatalf("recovered %v", describe(got))
		}
		return
	}
	i := slices.IndexFunc(m.seals, func(s sealModel) bool { return s.generation == got.Generation() })
	if i < durable {
		w.t.Fatalf("seal %d came back instead of %d", i, durable)
	}
	if !slices.Contains(m.targets[m.durableAt:], got.Spec().Target) {
		w.t.Fatalf("it goes to %v, was renamed to %v, durably to the first from %d", got.Spec().Target, m.targets, m.durableAt)
	}
	w.expect("promise", got, got.Extents(0, 1<<40), m.seals[i].data)
}

// adopt makes the model what was recovered. Only promises are gone on with.
func (w *world) adopt(m *fileModel, got *File) {
	keep := got != nil && got.State() == StateSealed && !m.stored[got.Generation()]
	if got != nil && !keep {
		if err := got.Remove(); err != nil {
			w.t.Fatal(err)
		}
	}
	m.snapshots, m.streams, m.withdrawn = nil, nil, false
	if !keep {
		m.file, m.gone, m.goneFor = nil, true, got == nil
		return
	}
	i := slices.IndexFunc(m.seals, func(s sealModel) bool { return s.generation == got.Generation() })
	m.seals = m.seals[:i+1]
	m.target = got.Spec().Target
	m.targets, m.durableAt = []backend.ObjectID{m.target}, 0
	m.file, m.data, m.promised, m.dirty, m.gone, m.goneFor = got, m.seals[i].data, true, false, false, false
}

// TestTornJournal cuts the segment at every byte: a prefix is what it was at some moment, and what was
// promised before the cut is there.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	a, err := open(Config{Dir: "area", Disk: disk}, idle())
	if err != nil {
		t.Fatal(err)
	}
	ends := make(map[string]int64) // id of a file -> size of the journal with its seal
	for i := range 3 {
		f, err := a.Create(Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, 100), 0); err != nil {
			t.Fatal(err)
		}
		s, err := f.Seal(true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		ends[f.ID()] = a.journal.end
	}
	close(a.committer.stop)
	<-a.committer.ended
	whole := disk.dirs["area"].names["journal"].data
	for cut := len(segmentHeader()); cut <= len(whole); cut++ {
		for _, garbage := range []byte{0, 0xff} {
			d := disk.kill()
			d.boot = 2
			node := d.dirs["area"].names["journal"]
			node.data = append(slices.Clone(whole[:cut]), bytes.Repeat([]byte{garbage}, len(whole)-cut)...)
			b, err := open(Config{Dir: "area", Disk: d}, idle())
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			sealed := make(map[string]bool)
			for _, f := range b.Files() {
				if f.State() == StateSealed {
					sealed[f.ID()] = true
				}
			}
			for id, end := range ends {
				if want := end <= int64(cut); sealed[id] != want {
					t.Fatalf("cut at %d: file with records up to %d is sealed: %v", cut, end, !want)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// idle keeps the sync goroutine asleep.
func idle() tuning { return tuning{every: time.Hour, ids: clockIDs} }

// TestRevokedIntents: a promise that was taken back is not found after a power cut, whatever of the unsynced writes is lost.
func TestRevokedIntents(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		disk := newSimDisk()
		a := simArea(t, disk, 0)
		kept, err := a.AddIntent("delete", []byte("kept"), true)
		if err != nil {
			t.Fatal(err)
		}
		revoked, err := a.AddIntent("delete", []byte("revoked"), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.RevokeIntent(revoked); err != nil {
			t.Fatal(err)
		}
		next := disk.crash(rand.New(rand.NewPCG(seed, 1)))
		halt(a)
		b := simArea(t, next, 0)
		if got := b.Intents(); len(got) != 1 || got[0].ID != kept {
			t.Errorf("seed %d: %+v", seed, got)
		}
		halt(b)
	}
}
