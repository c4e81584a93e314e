package staging

import (
	"testing"

	"pgregory.net/rapid"
)

// TestModel compares random sequences of everything with plain buffers: files, snapshots and frozen
// ranges never show a wrong byte, whatever space was given back meanwhile.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runModel(t, 0) })
}

// TestModelLimit does the same under a limit that is often reached.
func TestModelLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runModel(t, 60_000) })
}

func runModel(t *rapid.T, limit int64) {
	w := newWorld(t, limit)
	defer func() { w.stop() }()
	actions := w.actions()
	actions[""] = func(t *rapid.T) {
		w.t = t
		w.check()
	}
	t.Repeat(actions)
	w.t = t
	for _, m := range w.files {
		if m.file != nil {
			if err := m.file.Remove(); err != nil {
				t.Fatal(err)
			}
			for _, s := range m.snapshots {
				s.snap.Release()
			}
		}
	}
	w.tick()
	if use := w.area.Usage(); use.Bytes != 0 || use.Files != 0 {
		t.Fatalf("after the last remove: %+v", use)
	}
	if n := len(w.area.journal.trails); n != 0 {
		t.Fatalf("the journal keeps records of %d files that are gone", n)
	}
	if left := w.disk.files("data"); len(left) != 0 {
		t.Fatalf("data files left: %v", left)
	}
}
