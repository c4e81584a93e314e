package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mustTake(t *testing.T, state, mountpoint string, readOnly bool) *slot {
	t.Helper()
	s, err := takeSlot(state, scope{"host", "b", "p/"}, source{"b", "p/"}, mountpoint, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.release() }) // again is harmless
	return s
}

func TestScopesAreApart(t *testing.T) {
	t.Parallel()
	seen := map[string]scope{}
	for _, s := range []scope{{"h", "b", ""}, {"h", "b", "p/"}, {"h", "", ""}, {"hb", "", ""}, {"", "hb", ""}, {"h2", "b", ""}, {"h", "bp/", ""}} {
		if other, ok := seen[s.id()]; ok {
			t.Errorf("%+v and %+v share %s", s, other, s.id())
		}
		seen[s.id()] = s
	}
}

// TestEachMountHasASlot: several at once are apart, and each finds its own again.
func TestEachMountHasASlot(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	a, b := mustTake(t, state, "/a", false), mustTake(t, state, "/b", false)
	ro := mustTake(t, state, "/c", true)
	if a.dir == b.dir || ro.dir == a.dir || ro.dir == b.dir || !strings.HasSuffix(a.name, "-1") || !strings.HasSuffix(b.name, "-2") {
		t.Fatalf("%s, %s, %s", a.dir, b.dir, ro.dir)
	}
	for _, s := range []*slot{a, b} { // killed: the note stays as it is
		if err := s.lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b2, a2 := mustTake(t, state, "/b", false), mustTake(t, state, "/a", false)
	if a2.dir != a.dir || b2.dir != b.dir {
		t.Errorf("/a had %s and got %s, /b had %s and got %s", a.dir, a2.dir, b.dir, b2.dir)
	}
}

// TestSlotOfADrainingMount: after a plain umount the process may still upload for a moment.
func TestSlotOfADrainingMount(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	before := mustTake(t, state, "/a", false)
	time.AfterFunc(100*time.Millisecond, func() { before.release() })
	if after := mustTake(t, state, "/a", false); after.dir != before.dir {
		t.Errorf("%s, before it was %s", after.dir, before.dir)
	}
}

func TestOrphansAreTold(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	src := source{"b", "p/"}
	end := func(s *slot, pending int) {
		t.Helper()
		if err := s.note(src, "/"+s.name, pending); err != nil {
			t.Fatal(err)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third, fourth := mustTake(t, state, "/a", false), mustTake(t, state, "/b", false), mustTake(t, state, "/c", false), mustTake(t, state, "/d", false)
	end(first, 0)
	end(second, 3)
	end(third, 0)
	again := mustTake(t, state, "/x", false)
	if again.dir != first.dir || len(again.orphans) != 1 || again.orphans[0].dir != second.dir || again.orphans[0].Pending != 3 {
		t.Errorf("%s with orphans %+v; the fourth is in use", again.dir, again.orphans)
	}
	_ = fourth
}

func TestNoteIsReadable(t *testing.T) {
	t.Parallel()
	s := mustTake(t, t.TempDir(), "/mnt", false)
	text, err := os.ReadFile(filepath.Join(s.dir, "scope"))
	if err != nil {
		t.Fatal(err)
	}
	var note map[string]any
	if err := json.Unmarshal(text, &note); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"endpoint": "host", "bucket": "b", "prefix": "p/", "source": "s3://b/p/", "mountpoint": "/mnt", "pending": -1.0} {
		if note[key] != want {
			t.Errorf("%s is %v, want %v", key, note[key], want)
		}
	}
	st, err := os.Stat(s.dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v)", st.Mode(), err)
	}
}

func TestStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := takeSlot(filepath.Join(file, "below"), scope{}, source{}, "/mnt", false)
	if codeOf(err) != exitLocal || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v", err)
	}
}
