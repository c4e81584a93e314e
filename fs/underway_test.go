package fs

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// crashAt makes a call and returns what the next mount finds if this one is killed at a request: before the store has done it, or after.
// What waits to be stored goes on waiting.
func crashAt(t *testing.T, operation, key string, after bool, prepare func(m *testMount), call func(m *testMount) error) *testMount {
	t.Helper()
	state, left, release := t.TempDir(), make(chan string, 1), make(chan struct{})
	var m *testMount
	strike := func(context.Context, mem.Call) {
		left <- m.leftAt(state)
		<-release
	}
	do := mem.Before(strike)
	if after {
		do = mem.After(strike)
	}
	here := func(k string) bool { return k == key }
	m = newTestMount(t, testOptions{state: state, commit: CommitBackground, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: operation, Key: here, Times: 1, Do: []mem.Action{do}}, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}})
	m.lost = true
	prepare(m)
	ended := make(chan error, 1)
	go func() { ended <- call(m) }()
	t.Cleanup(func() { close(release); <-ended })
	select {
	case dir := <-left:
		next := newTestMount(t, testOptions{store: m.raw, state: dir, commit: CommitBackground})
		check(t, next.fs.Drain(t.Context(), nil))
		return next
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s of %s", operation, key)
		return nil
	}
}

// forgotten is for the end of a recovery: nothing is promised any more.
func (m *testMount) forgotten() {
	m.t.Helper()
	for end := time.Now().Add(5 * time.Second); len(m.fs.cfg.Staging.Intents()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Errorf("left in the journal: %v", m.fs.cfg.Staging.Intents())
			return
		}
	}
}

func (m *testMount) noConflict() {
	m.t.Helper()
	for _, k := range m.fs.Status().Kept {
		if k.State != "interrupted" {
			m.t.Errorf("kept: %+v", k)
		}
	}
}

// An unlink that a crash cuts short is done or not done: the name never has older content than before.
func TestUnlinkCutShort(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		next := crashAt(t, "DeleteObject", "f", after, func(m *testMount) {
			m.put("f", []byte("older"))
			check(t, os.WriteFile(m.path("f"), []byte("newest"), 0o644))
		}, func(m *testMount) error { return os.Remove(m.path("f")) })
		if !after {
			if _, err := os.Stat(next.path("f")); !os.IsNotExist(err) {
				t.Errorf("the name is shown: %v", err)
			}
		}
		next.gone("f")
		next.forgotten()
		next.noConflict()
	}
}

// An unlink that had only announced itself is not done: what waits is stored.
func TestUnlinkAnnounced(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{state: state, commit: CommitBackground, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}})
	m.lost = true
	m.put("f", []byte("older"))
	check(t, os.WriteFile(m.path("f"), []byte("newest"), 0o644))
	n := m.nodeOf("f")
	_, err := m.fs.announceRemoval(n.staged, n.current, nil)
	check(t, err)
	next := m.killed(state)
	check(t, next.fs.Drain(t.Context(), nil))
	next.mustHave("f", "newest")
	next.forgotten()
	next.noConflict()
}

// A rename that a crash cuts short at its copy is done or not done, also over a file, whose newest content was not stored.
func TestRenameCutShort(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(m *testMount){
		"free":   func(*testMount) {},
		"stored": func(m *testMount) { m.put("to", []byte("there before")) },
		"staged": func(m *testMount) {
			m.put("to", []byte("there before"))
			check(t, os.WriteFile(m.path("to"), []byte("newest there"), 0o644))
		},
	} {
		for _, after := range []bool{false, true} {
			next := crashAt(t, "CopyObject", "to", after, func(m *testMount) {
				m.put("from", []byte("content"))
				over(m)
			}, func(m *testMount) error { return os.Rename(m.path("from"), m.path("to")) })
			next.forgotten()
			next.noConflict()
			switch {
			case after:
				next.gone("from")
				next.mustHave("to", "content")
			case name == "free":
				next.mustHave("from", "content")
				next.gone("to")
			default:
				next.mustHave("from", "content")
				next.mustHave("to", map[string]string{"stored": "there before", "staged": "newest there"}[name])
			}
		}
	}
}

// A file is renamed while its upload is on its way, and a crash comes when the store has it under the old name: it is only there, also when it
// was an edit that refers to what was there before.
func TestRenameOfUploadCutShort(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{"": "content", "older and longer": "contentnd longer"} {
		state, stored, release := t.TempDir(), make(chan struct{}), make(chan struct{})
		m := newTestMount(t, testOptions{state: state, commit: CommitBackground, wrap: func(s backend.Store) backend.Store {
			return mem.Faulty(s, mem.Rule{Op: "PutObject", Key: keyIn("from"), Times: 1, Do: []mem.Action{mem.After(func(context.Context, mem.Call) {
				close(stored)
				<-release
			})}})
		}})
		m.lost = true
		if before != "" {
			m.put("from", []byte(before))
		}
		edit, err := os.OpenFile(m.path("from"), os.O_CREATE|os.O_WRONLY, 0o644)
		check(t, err)
		_, err = edit.WriteString("content")
		check(t, err)
		check(t, edit.Close())
		<-stored
		renamed := make(chan error, 1)
		file := m.nodeOf("from").staged
		go func() { renamed <- os.Rename(m.path("from"), m.path("to")) }()
		for file.Spec().Target.Key != "to" {
			time.Sleep(time.Millisecond)
		}
		left := m.leftAt(state)
		next := newTestMount(t, testOptions{store: m.raw, state: left, commit: CommitBackground})
		check(t, next.fs.Drain(t.Context(), nil))
		next.mustHave("from", want)
		next.gone("to")
		next.forgotten()
		next.noConflict()
		close(release)
		<-renamed
	}
}

// What the new name has is not the copy: both names stay. If the old name has another object by now, that stays, too.
func TestRenameCutShortElsewhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to string }{"another there": {"content", "another"}, "another here": {"changed", "content"}, "nothing here": {"", "content"}} {
		state := t.TempDir()
		m := newTestMount(t, testOptions{state: state})
		m.announceRename()
		m.put("to", []byte(c.to))
		if c.from == "" {
			m.remove("from")
		} else {
			m.put("from", []byte(c.from))
		}
		next := m.killed(state)
		next.forgotten()
		next.unmount()
		if c.from != "" {
			next.mustHave("from", c.from)
		}
		if next.mustHave("to", c.to); t.Failed() {
			t.Fatal(name)
		}
	}
}

// announceRename stores a file and journals that its rename begins.
func (m *testMount) announceRename() {
	m.t.Helper()
	m.put("from", []byte("content"))
	_, err := m.fs.announce(intentRename, fileMove{
		From: backend.Source{Bucket: testBucket, Key: "from", ETag: m.inStoreETag("from")}, To: backend.ObjectID{Bucket: testBucket, Key: "to"},
	})
	check(m.t, err)
}

func (m *testMount) inStoreETag(key string) string {
	_, obj := m.object(key)
	return obj.ETag
}

// A rename that cannot be judged, because the store is away while the next mount starts, is finished when it is back.
func TestRenameCutShortStoreAway(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{state: state})
	m.announceRename()
	m.put("to", []byte("content"))
	left := m.leftAt(state)
	next := newTestMount(t, testOptions{store: m.raw, state: left, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "HeadObject", Times: 1, Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	}})
	next.gone("from")
	next.forgotten()
	next.mustHave("to", "content")
}

// A new file that was closed without a write is not lost by a crash before it is stored, whether a program still has it open or not; what
// a program writes to it then is kept as every second has it.
func TestEmptyFileThenKilled(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		state := t.TempDir()
		m := newTestMount(t, testOptions{state: state, commit: commit})
		for _, name := range []string{"empty", "written"} {
			file, err := os.Create(m.path(name))
			check(t, err)
			again, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
			check(t, err)
			t.Cleanup(func() { again.Close() })
			check(t, file.Close())
			if name == "written" {
				_, err = again.WriteString("bytes")
				check(t, err)
			}
		}
		m.lost = true
		check(t, m.nodeOf("written").staged.Sync()) // as every second
		next := m.killed(state)
		check(t, next.fs.Drain(t.Context(), nil))
		next.mustHave("empty", "")
		next.mustHave("written", "")
		kept := next.fs.Status().Kept
		if len(kept) != 1 || kept[0].Key != "written" || kept[0].State != "interrupted" || kept[0].Size != 5 {
			t.Errorf("kept: %+v", kept)
		}
	})
}

// TestMkdirWhereAFileWasRenamed: the object that a file which is still written has left under its old name is gone before a directory has
// the name: some stores keep only one of them.
func TestMkdirWhereAFileWasRenamed(t *testing.T) {
	t.Parallel()
	for _, commit := range []CommitMode{CommitClose, CommitBackground} {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("e", []byte("stored"))
		file, err := os.OpenFile(m.path("e"), os.O_RDWR, 0)
		check(t, err)
		check(t, file.Truncate(3))
		check(t, os.Rename(m.path("e"), m.path("b")))
		check(t, os.Rename(m.path("b"), m.path("c")))
		check(t, os.Mkdir(m.path("e"), 0o755))
		m.gone("e")
		m.gone("b")
		m.mustHave("c", "sto")
		check(t, file.Close())
	}
}
