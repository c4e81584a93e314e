package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/fs/names"
)

// shownFile is one file that a walk found.
type shownFile struct {
	path string
	size int64
}

// fataler is *testing.T or *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// walkKeys goes through everything below a directory of the mount and returns the files by their keys,
// as package names reads the paths, and the directories, the deepest first.
func walkKeys(t fataler, dir, prefix string) (files map[string]shownFile, dirs []string) {
	t.Helper()
	files = make(map[string]shownFile)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("list %q: %v", dir, err)
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		if seen[e.Name()] {
			t.Errorf("%q is listed twice in %q", e.Name(), dir)
		}
		seen[e.Name()] = true
		path := filepath.Join(dir, e.Name())
		component, kind := names.Decode(e.Name())
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			t.Fatalf("stat: %v", err)
		case info.IsDir() != e.IsDir():
			t.Errorf("%q: listed as %v, stat says %v", path, e, info.Mode())
		case !info.IsDir():
			if old, twice := files[prefix+component]; twice {
				t.Errorf("key %q is shown as %q and %q", prefix+component, old.path, path)
			}
			files[prefix+component] = shownFile{path, info.Size()}
			continue
		}
		below := prefix + component + "/"
		if kind == names.Part {
			below = prefix + component
		}
		more, deeper := walkKeys(t, path, below)
		for key, f := range more {
			if old, twice := files[key]; twice {
				t.Errorf("key %q is shown as %q and %q", key, old.path, f.path)
			}
			files[key] = f
		}
		dirs = append(append(dirs, deeper...), path)
	}
	return files, dirs
}

// checkKeys compares what is shown below a directory with the keys there should be (relative to it), reads every file, and
// then removes all.
func checkKeys(t fataler, dir string, want map[string]string) {
	t.Helper()
	files, dirs := walkKeys(t, dir, "")
	for key, f := range files {
		text, there := want[key]
		got, err := os.ReadFile(f.path)
		if !there || err != nil || string(got) != text || f.size != int64(len(text)) {
			t.Errorf("%q: shown as %q with %d bytes, %q (%v); want %q (%v)", key, f.path, f.size, got, err, text, there)
		}
	}
	for key, text := range want {
		if _, shown := files[key]; !shown && (text != "" || !strings.HasSuffix(key, "/")) {
			t.Errorf("%q is not shown", key)
		}
	}
	for _, f := range files {
		if err := os.Remove(f.path); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	for _, d := range dirs {
		if err := os.Remove(d); err != nil {
			t.Errorf("rmdir: %v", err)
		}
	}
	if files, dirs = walkKeys(t, dir, ""); len(files)+len(dirs) > 0 {
		t.Errorf("left: %v %q", files, dirs)
	}
}

func TestKeysThatNoPathCanExpress(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	x := func(n int) string { return strings.Repeat("x", n) }
	keys := []string{
		"plain", "a//b", "a/./b", "a/../b", "/lead", "//", "both", "both/b", "c//", ".", "..", "./d",
		x(249), x(250), x(251), x(252), x(255), x(256), x(300), x(600), x(1000), x(251) + "/in", x(250) + "/in", x(300) + "/in", x(300) + "/" + x(300),
		x(249) + "ééé", x(248) + strings.Repeat("é", 20), "d/" + x(256), "d/" + x(1000),
		"nul\x00nul", "\xff\xfe", "line\nline", "trailing  ", " ", "both%file", "a%25file%key", "%empty", "%file", x(10) + "%part", "..%key",
		"below/.objmount-dir", ".objmount-dir/below", "marker/", "content/", "content/f", "empty/",
	}
	want := make(map[string]string)
	for i, key := range keys {
		want[key] = fmt.Sprintf("content %d", i)
	}
	want["empty/"], want["marker/"] = "", ""
	for key, text := range want {
		m.put(key, []byte(text))
	}
	m.put(".objmount-dir", nil) // the one key that is hidden
	checkKeys(t, m.dir, want)
	page, err := m.store.List(t.Context(), listAll)
	check(t, err)
	if len(page.Objects) != 1 {
		t.Errorf("left in the store: %v", page.Objects)
	}
}

func keyComponents() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", ".", "..", "a", "b", "a-", "a.", "a%file", "b%file", "%file", "%empty", "a%25file%key", "%2E%key", "\x00", "\xff", "é", "a\n", ".objmount-dir"}),
		rapid.Map(rapid.IntRange(245, 260), func(n int) string { return strings.Repeat("x", n) }),
		rapid.Map(rapid.IntRange(240, 260), func(n int) string { return strings.Repeat("x", n) + "%file" }),
		rapid.Map(rapid.IntRange(240, 250), func(n int) string { return strings.Repeat("x", n) + "语語語語" }),
		rapid.Map(rapid.SampledFrom([]int{300, 500, 501, 700}), func(n int) string { return strings.Repeat("x", n) }),
	)
}

// Whatever keys there are: each is shown once, can be read and removed, and nothing else is shown.
func TestEveryKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	var cases atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		dir := fmt.Sprintf("case%d", cases.Add(1))
		paths := rapid.SliceOfN(rapid.SliceOfN(keyComponents(), 1, 3), 1, 7).Draw(t, "keys")
		want := make(map[string]string)
		for i, p := range paths {
			key := strings.Join(p, "/")
			if key == "" || len(dir)+1+len(key) > maxKey {
				continue
			}
			want[key] = fmt.Sprint("text ", i)
		}
		put := func(key, text string) {
			in := backend.PutInput{Bucket: testBucket, Key: dir + "/" + key, Body: bytes.NewReader([]byte(text)), Size: int64(len(text))}
			if _, err := m.store.Put(context.Background(), in); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if err := os.Mkdir(m.path(dir), 0o755); err != nil { // it stays when all is removed
			t.Fatalf("%v", err)
		}
		for key, text := range want {
			put(key, text)
		}
		m.fs.cfg.Metadata.Invalidate(testBucket, dir+"/")
		checkKeys(t, m.path(dir), want)
	})
}

// What is made through the mount is shown under the name it was made with, whatever that looks like,
// or refused.
func TestMadeNamesAreShown(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	var cases atomic.Int64
	name := rapid.Custom(func(t *rapid.T) string {
		component := keyComponents().Draw(t, "component")
		return names.Encode(component, rapid.SampledFrom([]names.Kind{names.Natural, names.File, names.Part}).Draw(t, "kind"))
	})
	rapid.Check(t, func(t *rapid.T) {
		dir := m.path(fmt.Sprintf("made%d", cases.Add(1)))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
		var made []string
		for range rapid.IntRange(1, 10).Draw(t, "count") {
			name := name.Draw(t, "name")
			var err error
			if rapid.Bool().Draw(t, "directory") {
				err = os.Mkdir(filepath.Join(dir, name), 0o755)
			} else {
				err = os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644)
			}
			switch {
			case err == nil && !slices.Contains(made, name):
				made = append(made, name)
			case err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EISDIR):
				t.Fatalf("%q: %v", name, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatalf("%v", err)
		}
		var shown []string
		for _, e := range entries {
			shown = append(shown, e.Name())
		}
		slices.Sort(shown)
		slices.Sort(made)
		if !slices.Equal(shown, made) {
			t.Fatalf("made %q, shown %q", made, shown)
		}
	})
}

func TestNamesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put(strings.Repeat("x", 300), []byte("x"))
	m.put("dir/f", []byte("x"))
	m.put("marker/", []byte("bytes"))
	part := names.Encode(strings.Repeat("x", 250), names.Part)
	for name, want := range map[string]error{
		".objmount-dir": syscall.EPERM, "no%file": syscall.EINVAL, "%empty": syscall.EINVAL, "dir/%file": syscall.EINVAL,
		"new%part": syscall.EINVAL, part + "/short": syscall.EINVAL, part + "/y%part": syscall.EINVAL,
	} {
		if err := os.WriteFile(m.path(name), nil, 0o644); !errors.Is(err, want) {
			t.Errorf("create %q: %v, want %v", name, err, want)
		}
		if err := os.Rename(m.path("dir/f"), m.path(name)); !errors.Is(err, want) {
			t.Errorf("rename to %q: %v, want %v", name, err, want)
		}
	}
	check(t, os.WriteFile(m.path("dir%file"), []byte("beside"), 0o644))
	if data, _ := m.object("dir"); string(data) != "beside" {
		t.Errorf("dir holds %q", data)
	}
	long := strings.Repeat("z", 50)
	check(t, os.WriteFile(m.path(part+"/"+long), []byte("long"), 0o644))
	if data, _ := m.object(strings.Repeat("x", 250) + long); string(data) != "long" {
		t.Errorf("the long name holds %q", data)
	}
	if err := os.Rename(m.path(part), m.path("other")); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("rename of a part: %v", err)
	}
	if err := os.Remove(m.path("marker")); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("rmdir of a directory whose marker has bytes: %v", err)
	}
	// Attributes of such a directory leave the bytes alone.
	check(t, os.Chmod(m.path("marker"), 0o700))
	if data, obj := m.object("marker/"); string(data) != "bytes" || obj.Metadata["file-permissions"] != "040700" {
		t.Errorf("the marker holds %q, %v", data, obj.Metadata)
	}
}

// A directory that was removed while a program has a file of it open stays away, also when the store is
// listed afresh before the last close.
func TestRemovedDirectoryWithOpenFileStaysAway(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	check(t, os.Mkdir(m.path("dir"), 0o755))
	check(t, os.WriteFile(m.path("dir/file"), []byte("x"), 0o644))
	file, err := os.Open(m.path("dir/file"))
	check(t, err)
	defer file.Close()
	check(t, os.RemoveAll(m.path("dir")))
	m.fs.cfg.Metadata.Invalidate(testBucket, "")
	if got := namesBelow(t, m.dir); got != "" {
		t.Errorf("listed: %s", got)
	}
	if _, err := os.Stat(m.path("dir")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	check(t, os.Mkdir(m.path("dir"), 0o755))
	m.fs.cfg.Metadata.Invalidate(testBucket, "")
	if got := namesBelow(t, m.dir); got != "dir/" {
		t.Errorf("made again: %s", got)
	}
}

// Content of a long name that an earlier mount did not store is visible at once under its parts, and stored.
func TestLongNameIsRecovered(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	long := strings.Repeat("x", 700)
	state := t.TempDir()
	m := newTestMount(t, testOptions{commit: CommitBackground, state: state, posix: PosixOff, wrap: func(s backend.Store) backend.Store {
		which := func(key string) bool {
			return strings.HasSuffix(key, "/"+long+"y") || strings.HasSuffix(key, "marker/")
		}
		faults = mem.Faulty(s, mem.Rule{Op: "PutObject", Key: which, Do: []mem.Action{mem.Fail(backend.KindTransient)}})
		return faults
	}})
	defer faults.Clear()
	put := func(key string) {
		_, err := m.raw.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: key, Body: strings.NewReader("x"), Size: 1})
		check(t, err)
	}
	put("d/" + long)
	put("d/marker/")
	piece := names.Encode(strings.Repeat("x", 250), names.Part)
	path := "d/" + piece + "/" + piece + "/" + strings.Repeat("x", 200) + "y"
	check(t, os.WriteFile(m.path(path), []byte("long"), 0o644))
	appendTo(t, m.path("d/marker/%file"), "y")
	next := m.killed(state)
	for path, want := range map[string]string{path: "long", "d/marker/%file": "xy"} {
		if got, err := os.ReadFile(next.path(path)); err != nil || string(got) != want {
			t.Errorf("%q: %q %v", path, got, err)
		}
	}
	check(t, next.fs.Drain(t.Context(), nil))
	for key, want := range map[string]string{"d/" + long + "y": "long", "d/marker/": "xy"} {
		if data, _ := next.object(key); string(data) != want {
			t.Errorf("%q holds %q", key, data)
		}
	}
}

// The object beside a directory can be renamed away and back, edited, and replaced.
func TestFileBesideDirectory(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("a", []byte("object"))
		m.put("a/b", []byte("below"))
		check(t, os.Rename(m.path("a%file"), m.path("c")))
		if got := namesBelow(t, m.dir); got != "a/ a/b c" {
			t.Errorf("renamed away: %s", got)
		}
		appendTo(t, m.path("c"), " edited")
		check(t, os.Rename(m.path("c"), m.path("a%file")))
		check(t, os.Chmod(m.path("a%file"), 0o600))
		appendTo(t, m.path("a%file"), " twice")
		check(t, os.WriteFile(m.path("new"), []byte("new"), 0o644))
		if got := namesBelow(t, m.dir); got != "a%file a/ a/b new" {
			t.Errorf("renamed back: %s", got)
		}
		check(t, m.fs.Drain(t.Context(), nil))
		if data, _ := m.object("a"); string(data) != "object edited twice" {
			t.Errorf("a holds %q", data)
		}
		check(t, os.Rename(m.path("new"), m.path("a%file")))
		check(t, m.fs.Drain(t.Context(), nil))
		if data, _ := m.object("a"); string(data) != "new" {
			t.Errorf("replaced: a holds %q", data)
		}
		check(t, os.RemoveAll(m.path("a")))
		if got := namesBelow(t, m.dir); got != "a" {
			t.Errorf("without the directory: %s", got)
		}
		if got, err := os.ReadFile(m.path("a")); err != nil || string(got) != "new" {
			t.Errorf("a: %q %v", got, err)
		}
		check(t, os.Remove(m.path("a")))
		if got := namesBelow(t, m.dir); got != "" {
			t.Errorf("at the end: %s", got)
		}
	})
}

// The bytes of a marker can be removed while they are read and just after they were written.
func TestRemoveContentOfAMarker(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("d/", []byte("content"))
		file, err := os.Open(m.path("d/%file"))
		check(t, err)
		defer file.Close()
		appendTo(t, m.path("d/%file"), " and more")
		if data, err := os.ReadFile(m.path("d/%file")); err != nil || string(data) != "content and more" {
			t.Errorf("edited: %q %v", data, err)
		}
		check(t, os.Remove(m.path("d/%file")))
		if got := namesBelow(t, m.dir); got != "d/" {
			t.Errorf("left: %s", got)
		}
		buf := make([]byte, 100)
		if n, err := file.ReadAt(buf, 0); string(buf[:n]) != "content and more" {
			t.Errorf("its reader gets %q (%v)", buf[:n], err)
		}
		check(t, m.fs.Drain(t.Context(), nil))
		if data, _ := m.object("d/"); len(data) != 0 {
			t.Errorf("the marker holds %q", data)
		}
		check(t, os.Remove(m.path("d")))
	})
}
