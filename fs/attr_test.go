package fs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/fs/names"
)

func mtimeOf(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Lstat(path)
	check(t, err)
	return info.ModTime()
}

func setTimes(t *testing.T, path string, when time.Time) {
	t.Helper()
	check(t, os.Chtimes(path, when, when))
}

func TestTimesOfAFileBeingWritten(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		o := testOptions{commit: commit, state: t.TempDir()}
		m := newTestMount(t, o)
		old := time.Unix(1_400_000_000, 111)
		set := time.Unix(1_500_000_000, 987_654_321)
		// The way of cp and rsync: write, set the times by the descriptor, close.
		file, err := os.Create(m.path("copied"))
		check(t, err)
		_, err = file.WriteString("data")
		check(t, err)
		if age := time.Since(mtimeOf(t, m.path("copied"))); age > 5*time.Second {
			t.Errorf("mtime of a file just written: %v ago", age)
		}
		times := []unix.Timeval{unix.NsecToTimeval(old.UnixNano()), unix.NsecToTimeval(old.UnixNano())}
		check(t, unix.Futimes(int(file.Fd()), times))
		setTimes(t, m.path("copied"), set)
		check(t, file.Close())
		// Staged and not closed: touch -d, then more writes.
		file, err = os.Create(m.path("rewritten"))
		check(t, err)
		_, err = file.WriteString("data")
		check(t, err)
		setTimes(t, m.path("rewritten"), old)
		if got := mtimeOf(t, m.path("rewritten")); !got.Equal(old) {
			t.Errorf("touch -d of an open file: %v", got)
		}
		_, err = file.WriteString("more")
		check(t, err)
		if got := mtimeOf(t, m.path("rewritten")); time.Since(got) > 5*time.Second {
			t.Errorf("a write after touch -d leaves %v", got)
		}
		check(t, file.Close())
		// O_TRUNC, truncate, and an empty touch of a file with kept times.
		for name, change := range map[string]func() error{
			"trunc":    func() error { return os.WriteFile(m.path("trunc"), nil, 0o644) },
			"truncate": func() error { return os.Truncate(m.path("truncate"), 2) },
			"touch":    func() error { return unix.Utimes(m.path("touch"), nil) },
			"append":   func() error { appendTo(t, m.path("append"), "x"); return nil },
		} {
			check(t, os.WriteFile(m.path(name), []byte("data"), 0o644))
			setTimes(t, m.path(name), old)
			check(t, m.fs.Drain(t.Context(), nil))
			if got := mtimeOf(t, m.path(name)); !got.Equal(old) {
				t.Errorf("%s: before: %v", name, got)
			}
			check(t, change())
			if got := mtimeOf(t, m.path(name)); time.Since(got) > 5*time.Second {
				t.Errorf("%s leaves mtime %v", name, got)
			}
		}
		before := mtimeOf(t, m.path("rewritten"))
		m.unmount()
		o.store = m.raw
		m = newTestMount(t, o)
		if got := mtimeOf(t, m.path("copied")); !got.Equal(set) {
			t.Errorf("copied after a remount: %v", got)
		}
		if got := mtimeOf(t, m.path("rewritten")); !got.Equal(before) {
			t.Errorf("rewritten after a remount: %v, was %v", got, before)
		}
		for _, name := range []string{"trunc", "truncate", "touch", "append"} {
			if got := mtimeOf(t, m.path(name)); time.Since(got) > time.Minute {
				t.Errorf("%s after a remount: %v", name, got)
			}
		}
	})
}

func TestAttributesOfTheRoot(t *testing.T) {
	t.Parallel()
	o := testOptions{state: t.TempDir()}
	m := newTestMount(t, o)
	when := time.Unix(1_500_000_000, 5)
	check(t, os.Chmod(m.dir, 0o711))
	if os.Getuid() == 0 {
		check(t, os.Chown(m.dir, 12, 13))
	}
	setTimes(t, m.dir, when)
	m.unmount()
	o.store = m.raw
	m = newTestMount(t, o)
	info, err := os.Stat(m.dir)
	check(t, err)
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode() != os.ModeDir|0o711 || !info.ModTime().Equal(when) || os.Getuid() == 0 && (st.Uid != 12 || st.Gid != 13) {
		t.Errorf("root: %v %d:%d %v", info.Mode(), st.Uid, st.Gid, info.ModTime())
	}
	if got := namesBelow(t, m.dir); got != "" {
		t.Errorf("shown: %s", got)
	}
}

// recordedPuts notes the keys that are stored, in their order.
func recordedPuts(o *testOptions) func() []string {
	var mu sync.Mutex
	var keys []string
	o.wrap = func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Before(func(_ context.Context, c mem.Call) {
			mu.Lock()
			defer mu.Unlock()
			keys = append(keys, c.Key)
		})}})
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(keys)
	}
}

// Another mount sees attributes as soon as it sees the file: the markers are there first.
func TestMarkersComeFirst(t *testing.T) {
	t.Parallel()
	var o testOptions
	keys := recordedPuts(&o)
	m := newTestMount(t, o)
	m.put("a/b/there", []byte("x"))
	check(t, os.WriteFile(m.path("a/b/plain"), []byte("x"), 0o644))
	check(t, os.WriteFile(m.path("a/b/own"), []byte("x"), 0o600))
	check(t, os.WriteFile(m.path("a/b/next"), []byte("x"), 0o600))
	if got, want := keys(), []string{"a/b/plain", ".objmount-dir", "a/", "a/b/", "a/b/own", "a/b/next"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
	other := newTestMount(t, testOptions{store: m.raw})
	if info, err := os.Stat(other.path("a/b/own")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the other mount sees %v %v", info, err)
	}
	// Attributes on a marker that another client made leave what it has.
	_, err := m.store.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: "foreign/", Body: bytes.NewReader(nil), Properties: backend.Properties{
		Headers: backend.Headers{ContentType: "text/x-own"}, Metadata: map[string]string{"colour": "red"},
	}})
	check(t, err)
	check(t, os.Chmod(other.path("foreign"), 0o700))
	if _, obj := m.object("foreign/"); obj.Metadata["colour"] != "red" || obj.Headers.ContentType != "text/x-own" || obj.Metadata["file-permissions"] != "040700" {
		t.Errorf("the marker has %v %v", obj.Headers, obj.Metadata)
	}
}

// A directory without a marker is not asked for one at every lookup.
func TestMissingMarkerIsRemembered(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	check(t, os.Chmod(m.dir, 0o700)) // the root keeps attributes
	m.put("dir/f", []byte("x"))
	_, err := os.Stat(m.path("dir/f"))
	check(t, err)
	m.fs.cfg.Metadata.Invalidate(testBucket, "dir/")
	m.requests(func() {
		for _, name := range []string{"f", "g", "h"} {
			_, err := os.Stat(m.path("dir/" + name))
			if name != "f" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}, m.atMost(map[string]int{"ListObjectsV2": 3}))
	n := m.fs.tree.child(m.fs.tree.root(), "dir")
	n.lock()
	n.keeps.checked = n.keeps.checked.Add(-markerFor - time.Second)
	n.unlock()
	m.requests(func() {
		_, err := os.Stat(m.path("dir/new"))
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("new: %v", err)
		}
		_, err = os.ReadDir(m.path("dir"))
		check(t, err)
	}, m.atMost(map[string]int{"ListObjectsV2": 2, "HeadObject": 1}))
}

func TestDialectsOfOtherMounts(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOn})
	when := time.Unix(1_500_000_000, 250_000_000)
	for name, meta := range map[string]map[string]string{
		"fsx":     {"file-permissions": "0100640", "file-owner": "11", "file-group": "12", "file-mtime": "1500000000250000000ns"},
		"s3fs":    {"mode": "33184", "uid": "11", "gid": "12", "mtime": "1500000000.25"},
		"rclone":  {"mode": "100640", "uid": "11", "gid": "12", "mtime": "1500000000.25"},
		"geesefs": {"mode": "33184", "uid": "11", "gid": "12", "mtime": "1500000000.25"},
	} {
		_, err := m.store.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: name, Body: bytes.NewReader([]byte("x")), Size: 1, Properties: backend.Properties{Metadata: meta}})
		check(t, err)
		info, err := os.Stat(m.path(name))
		check(t, err)
		st := info.Sys().(*syscall.Stat_t)
		if info.Mode() != 0o640 || st.Uid != 11 || st.Gid != 12 || !info.ModTime().Equal(when) {
			t.Errorf("%s: %v %d:%d %v", name, info.Mode(), st.Uid, st.Gid, info.ModTime())
		}
		// What this mount writes is in one dialect, and the other is gone.
		check(t, os.Chmod(m.path(name), 0o600))
		check(t, m.fs.Drain(t.Context(), nil))
		want := map[string]string{"file-permissions": "0100600", "file-owner": "11", "file-group": "12", "file-mtime": "1500000000250000000ns"}
		_, obj := m.object(name)
		delete(obj.Metadata, backend.MetaGeneration)
		if len(obj.Metadata) != len(want) {
			t.Errorf("%s: %v", name, obj.Metadata)
		}
		for key, value := range want {
			if obj.Metadata[key] != value {
				t.Errorf("%s: %s=%q, want %q", name, key, obj.Metadata[key], value)
			}
		}
	}
}

func TestPosixOffRefusesAttributes(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	check(t, os.WriteFile(m.path("f"), []byte("x"), 0o600))
	check(t, os.Mkdir(m.path("d"), 0o700))
	for _, name := range []string{"f", "d", "."} {
		before, err := os.Stat(m.path(name))
		check(t, err)
		for what, err := range map[string]error{
			"chmod": os.Chmod(m.path(name), 0o611), "chown": os.Chown(m.path(name), 1, 1), "utimens": os.Chtimes(m.path(name), time.Unix(1, 0), time.Unix(1, 0)),
		} {
			if !errors.Is(err, syscall.EPERM) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
		if after, err := os.Stat(m.path(name)); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s: %v", name, after)
		}
		check(t, unix.Utimes(m.path(name), nil)) // touch
	}
	if _, obj := m.object("f"); obj.Metadata["file-permissions"] != "" {
		t.Errorf("metadata: %v", obj.Metadata)
	}
}

// A remount asks for no attributes that were read before, once they are old enough to be trusted.
func TestAttributesRememberedAcrossRemounts(t *testing.T) {
	t.Parallel()
	first := newTestMount(t, testOptions{})
	check(t, os.Mkdir(first.path("dir"), 0o700))
	for _, name := range []string{"a", "b", "c"} {
		check(t, os.WriteFile(first.path("dir/"+name), []byte(name), 0o600))
	}
	first.unmount()
	time.Sleep(2100 * time.Millisecond)
	o := testOptions{state: t.TempDir(), store: first.raw}
	stat := func(m *testMount) {
		entries, err := os.ReadDir(m.path("dir"))
		check(t, err)
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v %v", e.Name(), info, err)
			}
		}
	}
	m := newTestMount(t, o)
	m.requests(func() { stat(m) }, m.atMost(map[string]int{"ListObjectsV2": 2, "HeadObject": 4}))
	m.unmount()
	again := newTestMount(t, o)
	again.requests(func() { stat(again) }, m.atMost(map[string]int{"ListObjectsV2": 2, "HeadObject": 1})) // of the marker
}

// Attributes travel with a rename into a directory that kept none.
func TestRenameCarriesAttributes(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		o := testOptions{commit: commit, state: t.TempDir()}
		m := newTestMount(t, o)
		when := time.Unix(1_500_000_000, 5)
		for _, dir := range []string{"plain", "other", "third"} {
			m.put(dir+"/there", []byte("x"))
		}
		check(t, os.MkdirAll(m.path("kept/sub"), 0o755))
		for _, name := range []string{"kept/mode", "kept/time", "kept/sub/f", "kept/late"} {
			check(t, os.WriteFile(m.path(name), []byte("x"), 0o644))
		}
		check(t, os.Chmod(m.path("kept/mode"), 0o600))
		setTimes(t, m.path("kept/time"), when)
		setTimes(t, m.path("kept/late"), when)
		check(t, os.Chmod(m.path("kept/sub"), 0o700))
		check(t, os.Chmod(m.path("kept/sub/f"), 0o640))
		check(t, os.Rename(m.path("kept/mode"), m.path("plain/mode")))
		check(t, os.Rename(m.path("kept/sub"), m.path("other/sub")))
		m.unmount()
		o.store = m.raw
		m = newTestMount(t, o)
		check(t, os.Rename(m.path("kept/late"), m.path("third/late")))
		check(t, os.Rename(m.path("kept/time"), m.path("plain/time")))
		m.unmount()
		o.state = t.TempDir()
		m = newTestMount(t, o)
		for name, want := range map[string]os.FileMode{"plain/mode": 0o600, "other/sub": os.ModeDir | 0o700, "other/sub/f": 0o640} {
			if info, err := os.Stat(m.path(name)); err != nil || info.Mode() != want {
				t.Errorf("%s: %v %v", name, info, err)
			}
		}
		for _, name := range []string{"plain/time", "third/late"} {
			if got := mtimeOf(t, m.path(name)); !got.Equal(when) {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// Editing a file where attributes are not shown leaves those that another program keeps there.
func TestEditLeavesAttributesThatAreNotShown(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	_, err := m.store.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: "f", Body: bytes.NewReader([]byte("x")), Size: 1, Properties: backend.Properties{
		Metadata: map[string]string{"mode": "33152", "uid": "11", "gid": "12", "mtime": "1500000000"},
	}})
	check(t, err)
	appendTo(t, m.path("f"), "y")
	if info, err := os.Stat(m.path("f")); err != nil || info.Mode() != 0o644 {
		t.Errorf("shown: %v %v", info, err)
	}
	_, obj := m.object("f")
	if obj.Metadata["mode"] != "33152" || obj.Metadata["uid"] != "11" || obj.Metadata["gid"] != "12" || obj.Metadata["mtime"] != "" || obj.Metadata["file-mtime"] == "" {
		t.Errorf("metadata: %v", obj.Metadata)
	}
}

// What another mount does to a directory is seen when its marker is asked for again, and does not
// undo what is shown here.
func TestForeignChangeOfADirectory(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	check(t, os.Mkdir(m.path("dir"), 0o700))
	other := newTestMount(t, testOptions{store: m.raw})
	check(t, os.Chmod(other.path("dir"), 0o711))
	setTimes(t, other.dir, time.Unix(1_500_000_000, 0))
	age := func() {
		root := m.fs.tree.root()
		for _, n := range []*node{root, m.fs.tree.child(root, "dir")} {
			n.lock()
			n.keeps.checked = n.keeps.checked.Add(-markerFor - time.Second)
			n.checked = n.checked.Add(-time.Hour)
			n.unlock()
			m.fs.notifyContent(n)
		}
		m.fs.cfg.Metadata.Invalidate(testBucket, "")
	}
	age()
	eventually(t, func() bool {
		info, err := os.Stat(m.path("dir"))
		return err == nil && info.Mode() == os.ModeDir|0o711
	})
	if got := mtimeOf(t, m.dir); got.Unix() != 1_500_000_000 {
		t.Errorf("root: %v", got)
	}
	check(t, os.WriteFile(m.path("dir/new"), []byte("x"), 0o644))
	age()
	eventually(t, func() bool { return m.fs.keepState(m.fs.tree.child(m.fs.tree.root(), "dir")).known })
	if got := mtimeOf(t, m.path("dir")); time.Since(got) > time.Minute {
		t.Errorf("the directory's mtime went back to %v", got)
	}
}

// A change of one attribute here leaves what another mount changed a moment ago.
func TestForeignAttributesAreNotUndone(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(t *testing.T, path string) error{
		"append": func(t *testing.T, path string) error { appendTo(t, path, "more"); return nil },
		"touch":  func(_ *testing.T, path string) error { return unix.Utimes(path, nil) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{})
			check(t, os.Mkdir(m.path("dir"), 0o700))
			check(t, os.WriteFile(m.path("dir/f"), []byte("x"), 0o644))
			other := newTestMount(t, testOptions{store: m.raw})
			if info, err := os.Stat(m.path("dir/f")); err != nil || info.Mode() != 0o644 {
				t.Errorf("before: %v %v", info, err)
			}
			check(t, os.Chmod(other.path("dir/f"), 0o600))
			check(t, other.fs.Drain(t.Context(), nil))
			n := m.fs.tree.child(m.fs.tree.child(m.fs.tree.root(), "dir"), "f")
			n.lock()
			n.propsAt = time.Time{} // as after the time for which what is known is good
			n.unlock()
			check(t, change(t, m.path("dir/f")))
			check(t, m.fs.Drain(t.Context(), nil))
			if _, obj := m.object("dir/f"); obj.Metadata["file-permissions"] != "0100600" {
				t.Errorf("the store has %v", obj.Metadata)
			}
		})
	}
}

// Who may not write the markers of the directories above can store files, and is told that their
// attributes cannot be changed.
func TestMarkersThatMayNotBeWritten(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{wrap: func(s backend.Store) backend.Store {
		refused := func(key string) bool { return key == names.DirObject }
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Key: refused, Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	}})
	m.put("mine/there", []byte("x"))
	check(t, os.WriteFile(m.path("mine/secret"), []byte("x"), 0o600))
	if data, obj := m.object("mine/secret"); string(data) != "x" || obj.Metadata["file-permissions"] != "0100600" {
		t.Errorf("stored: %q %v", data, obj.Metadata)
	}
	if err := os.Chmod(m.path("mine/there"), 0o600); !errors.Is(err, syscall.EACCES) {
		t.Errorf("chmod: %v", err)
	}
	if info, err := os.Stat(m.path("mine/there")); err != nil || info.Mode() != 0o644 {
		t.Errorf("after a chmod that failed: %v %v", info, err)
	}
	if err := os.Chmod(m.path("mine"), 0o700); !errors.Is(err, syscall.EACCES) {
		t.Errorf("chmod of a directory: %v", err)
	}
}

// What is shown is never older than the TTL, however it came: an old answer of the cache is not good for
// another TTL in the kernel.
func TestNothingIsOlderThanTheTTL(t *testing.T) {
	t.Parallel()
	for what, look := range map[string]func(m *testMount) error{
		"stat": func(m *testMount) error { _, err := os.Stat(m.path("d/f")); return err },
		"list": func(m *testMount) error { return run1("ls", "-l", m.path("d")) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{posix: PosixOff, ttl: time.Second})
			m.put("d/f", []byte("x"))
			_, err := os.Stat(m.path("d"))
			check(t, err)
			_, err = os.ReadDir(m.path("d"))
			check(t, err)
			listed := time.Now()
			time.Sleep(700 * time.Millisecond)
			check(t, look(m))
			m.put("d/f", []byte("longer"))
			time.Sleep(time.Until(listed.Add(1050 * time.Millisecond)))
			if info, err := os.Stat(m.path("d/f")); err != nil || info.Size() != 6 {
				t.Errorf("after the TTL: %v %v", info, err)
			}
		})
	}
}

func run1(name string, args ...string) error { return exec.Command(name, args...).Run() }
