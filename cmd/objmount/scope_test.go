package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

func mustTake(t *testing.T, state, mountpoint string, readOnly bool) *slot {
	t.Helper()
	s, err := takeSlot(state, scope{"host", "b", "p/"}, source{bucket: "b", prefix: "p/"}, mountpoint, kindOf(readOnly), quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.release() }) // again is harmless
	return s
}

func kindOf(readOnly bool) string {
	return (&config{options: &options{mountOptions: mountOptions{readOnly: readOnly}}}).slotKind()
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

// orphanNames are the mountpoints of the slots that s takes up, until the test ends: a lock that nothing refers to is given back by the
// garbage collector.
func orphanNames(t *testing.T, s *slot) []string {
	t.Helper()
	names := []string{}
	for _, o := range s.orphans(slog.New(slog.DiscardHandler)) {
		t.Cleanup(func() { _ = o.release() })
		names = append(names, o.kept.Mountpoint)
	}
	slices.Sort(names)
	return names
}

// TestOrphans: a mount takes up what no process holds, that is not known to be empty, and that it covers.
func TestOrphans(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	end := func(s *slot, pending int) {
		t.Helper()
		if err := s.note(pending); err != nil {
			t.Fatal(err)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
	take := func(sc scope, mountpoint string, readOnly bool) *slot {
		t.Helper()
		s, err := takeSlot(state, sc, source{bucket: sc.Bucket, prefix: sc.Prefix}, mountpoint, kindOf(readOnly), quiet())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.release() })
		return s
	}
	own := take(scope{"host", "b", "p/"}, "/own", false)
	empty, left, dead := mustTake(t, state, "/empty", false), mustTake(t, state, "/left", false), mustTake(t, state, "/dead", false)
	mustTake(t, state, "/lives", false)
	end(empty, 0)
	end(left, 3)
	end(dead, -1)
	end(take(scope{"host", "b", "p/q/"}, "/below", false), 1)
	end(take(scope{"host", "b", ""}, "/above", false), 1)
	end(take(scope{"host", "b", "other/"}, "/beside", false), 1)
	end(take(scope{"host", "b2", "p/"}, "/b2", false), 1)
	end(take(scope{"host2", "b", "p/"}, "/host2", false), 1)
	end(take(scope{"host", "b", "p/"}, "/ro", true), -1)

	if got, want := orphanNames(t, own), []string{"/below", "/dead", "/left"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// Another mount at the same time gets what is left, and one of everything covers every bucket.
	if got, want := orphanNames(t, take(scope{"host", "", ""}, "/all", false)), []string{"/above", "/b2", "/beside"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := orphanNames(t, take(scope{"host", "", ""}, "/all-ro", true)); len(got) > 0 {
		t.Errorf("a read-only mount takes up %q", got)
	}
	// One that comes back meanwhile does not wait for its old place.
	if again := mustTake(t, state, "/left", false); again.dir == left.dir {
		t.Error("two mounts have one slot")
	}
}

// TestAdoption: files that mounts at other places left are found here, and when this mount ends it says what is
// left of them.
func TestAdoption(t *testing.T) {
	t.Parallel()
	state, log := t.TempDir(), slog.New(slog.DiscardHandler)
	open := func(s *slot) *staging.Area {
		t.Helper()
		a, err := staging.Open(staging.Config{Dir: s.staging()})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	here := mustTake(t, state, "/here", false)
	x, damaged, empty := mustTake(t, state, "/x", false), mustTake(t, state, "/damaged", false), mustTake(t, state, "/empty", false)
	area := open(x)
	for _, key := range []string{"one", "two"} {
		f, err := area.Create(staging.Spec{Target: backend.ObjectID{Bucket: "b", Key: key}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seal(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := area.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged.staging(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*slot{x, damaged, empty} {
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
	area = open(here)
	list := adopt(area, here.orphans(log), log)
	if len(list) != 1 || list[0].slot.dir != x.dir || len(area.Files()) != 2 {
		t.Fatalf("%v, %d files", list, len(area.Files()))
	}
	if err := area.Files()[0].Remove(); err != nil { // uploaded
		t.Fatal(err)
	}
	if err := area.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := list[0].end(true); kept != 1 {
		t.Errorf("%d are kept", kept)
	}
	for s, want := range map[*slot]int{x: 1, damaged: -1, empty: 0} {
		if n, ok := readNote(s.dir); !ok || n.Pending != want || n.AdoptedBy != "" || n.Mountpoint != s.kept.Mountpoint {
			t.Errorf("%+v, want %d", n, want)
		}
	}
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
	_, err := takeSlot(filepath.Join(file, "below"), scope{}, source{}, "/mnt", "", quiet())
	if codeOf(err) != exitLocal || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v", err)
	}
}
