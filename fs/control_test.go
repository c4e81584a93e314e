package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestPathsAreLocated(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	m := newTestMount(t, testOptions{})
	for _, key := range []string{"d/f", "both", "both/below", "d/..", "a%key", long} {
		m.put(key, []byte("x"))
	}
	check(t, os.WriteFile(m.path("d/new"), nil, 0o644))
	for path, want := range map[string]Located{
		"":                                 {testBucket, "", true, true},
		"d":                                {testBucket, "d/", true, true},
		"/d/":                              {testBucket, "d/", true, true},
		"d/f":                              {testBucket, "d/f", false, true},
		"d/new":                            {testBucket, "d/new", false, true}, // not stored yet
		"d/none":                           {testBucket, "d/none", false, false},
		"none/of/it":                       {testBucket, "none/of/it", false, false},
		"both":                             {testBucket, "both/", true, true},
		"both%file":                        {testBucket, "both", false, true},
		"d/%2E%2E%key":                     {testBucket, "d/..", false, true},
		"a%25key%key":                      {testBucket, "a%25key%key", false, false}, // no escape: it stands for itself
		long[:250] + "%part":               {testBucket, long[:250], true, true},
		long[:250] + "%part/" + long[250:]: {testBucket, long, false, true},
	} {
		got, err := m.fs.Locate(t.Context(), path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", path, err, diff)
		}
	}
	for _, path := range []string{"..", "d/../f", ".", "both%file/below"} {
		if got, err := m.fs.Locate(t.Context(), path); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("%q is %+v, %v", path, got, err)
		}
	}
	if got, err := m.fs.Locate(t.Context(), "d/.versions/f"); !backend.IsKind(err, backend.KindInvalid) {
		t.Errorf("in the view of versions: %+v, %v", got, err)
	}
}

func TestPathsAreLocatedInEveryBucket(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{buckets: true})
	m.put("f", []byte("x"))
	for path, want := range map[string]Located{
		"":                    {"", "", true, true},
		testBucket:            {testBucket, "", true, true},
		testBucket + "/f":     {testBucket, "f", false, true},
		testBucket + "/gone/": {testBucket, "gone", false, false},
	} {
		got, err := m.fs.Locate(t.Context(), path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", path, err, diff)
		}
	}
}

// TestSettle stores what is finished, and leaves what a program still writes.
func TestSettle(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{commit: CommitBackground, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	faults.Add(mem.Rule{Op: "PutObject", Key: keyIn("d/d"), Do: []mem.Action{mem.Before(func(context.Context, mem.Call) { time.Sleep(50 * time.Millisecond) })}})
	check(t, os.Mkdir(m.path("d"), 0o755))
	dir := Located{Bucket: testBucket, Key: "d/", Dir: true, Exists: true}
	open, err := os.Create(m.path("d/open"))
	check(t, err)
	_, err = open.WriteString("half")
	check(t, err)
	check(t, os.WriteFile(m.path("d/done"), []byte("whole"), 0o644))
	check(t, os.WriteFile(m.path("elsewhere"), []byte("x"), 0o644))
	dup, err := os.Create(m.path("d/dup"))
	check(t, err)
	_, err = dup.WriteString("whole")
	check(t, err)
	another, err := unix.Dup(int(dup.Fd()))
	check(t, err)
	defer unix.Close(another) // nothing is written by it
	check(t, dup.Close())
	check(t, m.fs.Settle(t.Context(), dir))
	for _, key := range []string{"d/done", "d/dup"} {
		if got, err := m.stored(key); err != nil || string(got) != "whole" {
			t.Errorf("%s has %q, %v", key, got, err)
		}
	}
	if n := m.fs.Unsent(dir); n != 1 {
		t.Errorf("%d files are not stored, want the one that is open", n)
	}
	m.gone("d/open")
	check(t, open.Close())
	check(t, m.fs.Drain(t.Context(), nil))
	eventually(t, func() bool { return m.fs.Unsent(dir) == 0 })
	// An object that was unlinked while a program reads it is still to be deleted.
	reader, err := os.Open(m.path("d/done"))
	check(t, err)
	check(t, os.Remove(m.path("d/done")))
	if n := m.fs.Unsent(dir); n != 1 {
		t.Errorf("%d, want the promised delete", n)
	}
	check(t, reader.Close())
	eventually(t, func() bool { return m.fs.Unsent(dir) == 0 })

	m.put("d/tagged", []byte("x"))
	m.fs.Changed(testBucket, "d/tagged")
	check(t, unix.Setxattr(m.path("d/tagged"), "user.s3.tag.k", []byte("v"), 0))
	check(t, m.fs.Settle(t.Context(), Located{Bucket: testBucket, Key: "d/tagged", Exists: true}))
	tags, err := m.raw.Tags(t.Context(), backend.ObjectID{Bucket: testBucket, Key: "d/tagged"}, "")
	if n := m.fs.Unsent(dir); n != 0 || err != nil || tags["k"] != "v" {
		t.Errorf("%d changes of tags are not sent; stored %v, %v", n, tags, err)
	}
}

// TestChangedAttributes asks for attributes and versions that only Changed tells of.
func TestChangedAttributes(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{ttl: time.Hour, settings: func(s *mem.BucketSettings) { s.Versioning = "Enabled" }})
	m.put("d/f", []byte("x"))
	get := func() string {
		buffer := make([]byte, 100)
		n, err := unix.Getxattr(m.path("d/f"), "user.s3.tag.k", buffer)
		if err != nil {
			return err.Error()
		}
		return string(buffer[:n])
	}
	versions := func() int {
		entries, err := os.ReadDir(m.path(".versions/d/f"))
		check(t, err)
		return len(entries)
	}
	if got, n := get(), versions(); got != unix.ENODATA.Error() || n != 1 {
		t.Fatalf("%q, %d versions", got, n)
	}
	id := backend.ObjectID{Bucket: testBucket, Key: "d/f"}
	check(t, m.raw.PutTags(t.Context(), id, "", map[string]string{"k": "v"}))
	m.fs.Changed(id.Bucket, id.Key)
	m.fs.Notified(t.Context())
	if got := get(); got != "v" {
		t.Errorf("the tag is %q", got)
	}
	m.put("d/f", []byte("y"))
	m.fs.Changed(id.Bucket, id.Key)
	m.fs.Notified(t.Context())
	if n := versions(); n != 2 {
		t.Errorf("%d versions are shown", n)
	}
}

// TestChanged makes changes in the store that only Changed tells of: caches live for an hour here.
func TestChanged(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{ttl: time.Hour, consistency: Immutable, settings: func(s *mem.BucketSettings) { s.Versioning = "Enabled" }})
	m.put("d/changed", []byte("old"))
	m.put("d/removed", []byte("old"))
	m.put("d/open", []byte("old"))
	read := func(name string) string {
		data, err := os.ReadFile(m.path(name))
		if err != nil {
			return "(" + filepath.Base(name) + ": " + errors.Unwrap(err).Error() + ")"
		}
		return string(data)
	}
	open, err := os.Open(m.path("d/open"))
	check(t, err)
	defer open.Close()
	for _, name := range []string{"d/changed", "d/removed", "d/open", "d/back", "gone/deep/file"} { // the last two are not there
		read(name)
	}
	change := func(tell bool) {
		m.put("d/changed", []byte("newer"))
		m.put("d/open", []byte("newer"))
		m.put("d/back", []byte("back"))
		m.put("gone/deep/file", []byte("back"))
		check(t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: "d/removed"}))
		if tell {
			for _, key := range []string{"d/changed", "d/open", "d/back", "gone/deep/file", "d/removed"} {
				m.fs.Changed(testBucket, key)
			}
		}
	}
	change(false)
	if got := read("d/changed"); got != "old" {
		t.Fatalf("the test shows nothing: %q is read without being told", got)
	}
	change(true)
	want := map[string]string{
		"d/changed": "newer", "d/open": "newer", "d/back": "back", "gone/deep/file": "back",
		"d/removed": "(removed: no such file or directory)",
	}
	m.fs.Notified(t.Context())
	for name, content := range want {
		if got := read(name); got != content {
			t.Errorf("%s reads %q, want %q", name, got, content)
		}
	}
	if got := namesBelow(t, m.dir); !strings.Contains(got, "gone/deep/file") || strings.Contains(got, "removed") {
		t.Errorf("listed: %s", got)
	}
	buffer := make([]byte, 10)
	if n, err := open.ReadAt(buffer, 0); string(buffer[:n]) != "old" {
		t.Errorf("an open file reads %q (%v) of its own version", buffer[:n], err)
	}
}
