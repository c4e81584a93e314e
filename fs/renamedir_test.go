package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// keyIn is a rule's test for keys that begin with a prefix.
func keyIn(prefix string) func(string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) }
}

// mustHave checks what the store has under a key.
func (m *testMount) mustHave(key, want string) {
	m.t.Helper()
	if data, err := m.stored(key); err != nil || string(data) != want {
		m.t.Errorf("%s has %q in the store (%v), want %q", key, data, err, want)
	}
}

// The deletes of a directory's old keys fail and are repeated. What is made under these names meanwhile has the
// same bytes and so the same ETag, and stays.
func TestRenameDirAndBack(t *testing.T) {
	t.Parallel()
	for name, remake := range map[string]func(m *testMount){
		"renamed": func(m *testMount) { check(m.t, os.Rename(m.path("b"), m.path("a"))) },
		"made": func(m *testMount) {
			check(m.t, os.Mkdir(m.path("a"), 0o755))
			check(m.t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults *mem.Faults
			m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
				faults = mem.Faulty(s)
				return faults
			}})
			check(t, os.Mkdir(m.path("a"), 0o755))
			check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
			check(t, os.WriteFile(m.path("a/y"), []byte("other"), 0o644))
			rule := faults.Add(mem.Rule{Op: "DeleteObject", Key: keyIn("a/"), Do: []mem.Action{mem.Fail(backend.KindTransient)}})
			check(t, os.Rename(m.path("a"), m.path("b")))
			if entries, err := os.ReadDir(m.dir); err != nil || len(entries) != 1 || entries[0].Name() != "b" {
				t.Errorf("after the rename: %v, %v", entries, err)
			}
			remake(m)
			rule.Remove()
			if name == "made" {
				m.gone("a/y")
			}
			time.Sleep(1200 * time.Millisecond) // the repeat
			m.mustHave("a/", "")
			m.mustHave("a/x", "same")
			if name == "renamed" {
				m.mustHave("a/y", "other")
			}
		})
	}
}

// The next mount goes on with these deletes, but not with those that were taken back.
func TestRenameDirRecoversDeletes(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	fail := mem.Rule{Op: "DeleteObject", Key: keyIn("a/"), Do: []mem.Action{mem.Fail(backend.KindTransient)}}
	m := newTestMount(t, testOptions{state: state, wrap: func(s backend.Store) backend.Store { return mem.Faulty(s, fail) }})
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
	check(t, os.WriteFile(m.path("a/y"), []byte("other"), 0o644))
	check(t, os.Rename(m.path("a"), m.path("b")))
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("same"), 0o644))
	m.unmount()
	m.mustHave("a/y", "other")

	next := newTestMount(t, testOptions{state: state, store: m.raw})
	next.gone("a/y")
	next.unmount()
	next.mustHave("a/", "")
	next.mustHave("a/x", "same")
	next.mustHave("b/y", "other")
	last := newTestMount(t, testOptions{state: state, store: m.raw})
	if left := last.fs.cfg.Staging.Intents(); len(left) > 0 {
		t.Errorf("the journal keeps %v", left)
	}
}

// What the store does not let us delete stays, is shown, and the rename says so.
func TestRenameDirDeleteRefused(t *testing.T) {
	t.Parallel()
	fail := mem.Rule{Op: "DeleteObject", Key: keyIn("a/x"), Do: []mem.Action{mem.Fail(backend.KindPermission)}}
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store { return mem.Faulty(s, fail) }})
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("x"), 0o644))
	check(t, os.WriteFile(m.path("a/y"), []byte("y"), 0o644))
	if err := os.Rename(m.path("a"), m.path("b")); !os.IsPermission(err) {
		t.Errorf("rename: %v", err)
	}
	m.gone("a/y")
	for _, name := range []string{"b/x", "b/y", "a/x"} {
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			data, err := os.ReadFile(m.path(name))
			if err == nil && string(data) == name[2:] {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: %q, %v", name, data, err)
				break
			}
		}
	}
}

// Names below a directory wait for its rename: what is made, removed or changed there while the copies are made would be
// forgotten, or come back.
func TestRenameDirStopsNamesBelow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(m *testMount, dir string) error
		want   map[string]string // after the rename, below b; "-": nothing
	}{
		"mkdir":  {func(m *testMount, dir string) error { return os.Mkdir(dir+"/sub/new", 0o755) }, map[string]string{"b/sub/new/": "", "a/sub/new/": "-"}},
		"unlink": {func(m *testMount, dir string) error { return os.Remove(dir + "/sub/x") }, map[string]string{"b/sub/x": "-", "a/sub/x": "-"}},
		"rename out": {func(m *testMount, dir string) error { return os.Rename(dir+"/sub/x", m.path("out")) },
			map[string]string{"out": "x", "b/sub/x": "-", "a/sub/x": "-"}},
		"rename a directory": {func(m *testMount, dir string) error { return os.Rename(dir+"/sub", dir+"/other") },
			map[string]string{"b/other/x": "x", "b/sub/x": "-", "a/other/x": "-", "a/sub/x": "-"}},
		"chmod": {func(m *testMount, dir string) error { return os.Chmod(dir+"/sub", 0o700) }, map[string]string{"b/sub/": "", "a/sub/": "-"}},
		"symlink": {func(m *testMount, dir string) error { return os.Symlink("target", dir+"/sub/link") },
			map[string]string{"b/sub/link": "target", "a/sub/link": "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults *mem.Faults
			m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
				faults = mem.Faulty(s)
				return faults
			}})
			check(t, os.MkdirAll(m.path("a/sub"), 0o755))
			check(t, os.WriteFile(m.path("a/sub/x"), []byte("x"), 0o644))
			check(t, os.WriteFile(m.path("a/y"), []byte("y"), 0o644))
			copying, gate := make(chan struct{}), make(chan struct{})
			var once sync.Once
			faults.Add(mem.Rule{Op: "CopyObject", Key: keyIn("b/y"), Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
				once.Do(func() { close(copying) })
				<-gate
			})}})
			// The directory is also the process's own, so that the name can be used though its parent is locked.
			dir, err := os.Open(m.path("a"))
			check(t, err)
			renamed, changed := make(chan error, 1), make(chan error, 1)
			go func() { renamed <- os.Rename(m.path("a"), m.path("b")) }()
			<-copying
			go func() { changed <- c.change(m, fmt.Sprintf("/proc/self/fd/%d", dir.Fd())) }()
			select {
			case err := <-changed:
				t.Errorf("done while the directory moves: %v", err)
				changed <- err
			case <-time.After(100 * time.Millisecond):
			}
			close(gate)
			check(t, <-renamed)
			check(t, <-changed)
			check(t, dir.Close())
			m.unmount()
			for key, want := range c.want {
				if data, err := m.stored(key); want == "-" {
					if !backend.IsKind(err, backend.KindNotExist) {
						t.Errorf("%s: %q, %v", key, data, err)
					}
				} else {
					m.mustHave(key, want)
				}
			}
		})
	}
}

// A rename that fails leaves no copies, also not those whose reply was lost, or came after the failure.
func TestRenameDirUndone(t *testing.T) {
	t.Parallel()
	copying, failing := make(chan struct{}), make(chan struct{})
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s,
			mem.Rule{Op: "CopyObject", Key: keyIn("b/late"), Times: 1, Do: []mem.Action{
				mem.Before(func(context.Context, mem.Call) { close(copying) }),
				mem.After(func(context.Context, mem.Call) { <-failing; time.Sleep(50 * time.Millisecond) }), mem.LoseReply()}},
			mem.Rule{Op: "CopyObject", Key: keyIn("b/lost"), Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { <-failing }), mem.LoseReply()}},
			mem.Rule{Op: "CopyObject", Key: keyIn("b/refused"), Do: []mem.Action{
				mem.Before(func(context.Context, mem.Call) { <-copying; close(failing) }), mem.Fail(backend.KindPermission)}})
	}})
	check(t, os.Mkdir(m.path("a"), 0o755))
	for _, name := range []string{"late", "lost", "refused"} {
		check(t, os.WriteFile(m.path("a/"+name), []byte(name), 0o644))
	}
	if err := os.Rename(m.path("a"), m.path("b")); err == nil {
		t.Error("renamed")
	}
	page, err := m.raw.List(context.Background(), listAll)
	check(t, err)
	for _, o := range page.Objects {
		if strings.HasPrefix(o.Key, "b") {
			t.Errorf("%s is left", o.Key)
		}
	}
	m.mustHave("a/late", "late")
}

// A copy by parts that fails leaves no upload and no staged file.
func TestRenameDirLargeUndone(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{maxCopy: 1 << 20, partSize: 512 << 10, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "CompleteMultipartUpload", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}})
	m.put("a/", nil)
	m.put("a/large", randomBytes(7, 2<<20))
	if err := os.Rename(m.path("a"), m.path("b")); err == nil {
		t.Error("renamed")
	}
	if s := m.fs.Status(); s.Staging.Files > 0 || len(s.Pending) > 0 {
		t.Errorf("left: %+v", s)
	}
	ups, err := m.raw.ListUploads(context.Background(), backend.ObjectID{Bucket: testBucket, Key: "b/large"})
	if check(t, err); len(ups) > 0 {
		t.Errorf("uploads %v", ups)
	}
}

// A file that outgrows staging while its directory moves is stored under the new name.
func TestRenameDirWhileStreaming(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{limit: 3 << 20, partSize: 256 << 10, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	check(t, os.Mkdir(m.path("a"), 0o755))
	check(t, os.WriteFile(m.path("a/x"), []byte("x"), 0o644))
	data := randomBytes(5, 9<<20)
	file, err := os.Create(m.path("a/big"))
	check(t, err)
	_, err = file.Write(data[:1<<20])
	check(t, err)
	copying, gate := make(chan struct{}), make(chan struct{})
	faults.Add(mem.Rule{Op: "CopyObject", Key: keyIn("b/x"), Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { close(copying); <-gate })}})
	renamed, wrote := make(chan error, 1), make(chan error, 1)
	go func() { renamed <- os.Rename(m.path("a"), m.path("b")) }()
	<-copying
	go func() { _, err := file.Write(data[1<<20:]); wrote <- err }()
	time.Sleep(300 * time.Millisecond)
	close(gate)
	check(t, <-renamed)
	check(t, <-wrote)
	check(t, file.Close())
	m.unmount()
	if got, err := m.stored("b/big"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
	if _, err := m.stored("a/big"); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("stored under the old name: %v", err)
	}
}

// The next mount finishes a rename that a crash cut short. It does not undo what is written under the new name.
func TestRenameDirResumed(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{state: state})
	for _, name := range []string{"copied", "missing", "before", "between"} {
		m.put("a/"+name, []byte(name))
	}
	m.put("b/copied", []byte("copied"))
	_, err := m.fs.addIntent(intentRenameDir, dirMove{Bucket: testBucket, From: "a/", ToBucket: testBucket, To: "b/"}, true)
	check(t, err)
	m.unmount()
	put := func(ctx context.Context, c mem.Call) {
		_, err := m.raw.Put(ctx, backend.PutInput{Bucket: testBucket, Key: c.Key, Body: strings.NewReader("newer"), Size: 5})
		if err != nil {
			t.Error(err)
		}
	}
	next := newTestMount(t, testOptions{state: state, store: m.raw, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "HeadObject", Key: keyIn("b/before"), Times: 1, Do: []mem.Action{mem.Before(put)}},
			mem.Rule{Op: "HeadObject", Key: keyIn("b/between"), Times: 1, Do: []mem.Action{mem.After(put)}})
	}})
	for _, name := range []string{"copied", "missing"} {
		next.gone("a/" + name)
		next.mustHave("b/"+name, name)
	}
	next.unmount()
	for _, name := range []string{"before", "between"} {
		next.mustHave("a/"+name, name)
		next.mustHave("b/"+name, "newer")
	}
}
