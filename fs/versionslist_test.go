package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/fs/names"
)

// Every version has a legal name that no other version of its key has.
func TestVersionNames(t *testing.T) {
	t.Parallel()
	id := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 20), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"null", "x", "x.deleted", ".deleted", "%2Edeleted", "x%2Edeleted", "/", "a/b", "..", "\x00"}),
		rapid.Map(rapid.IntRange(200, 1024), func(n int) string { return strings.Repeat("k", n) }),
		rapid.Map(rapid.IntRange(200, 300), func(n int) string { return strings.Repeat("%", n) }),
	)
	version := rapid.Custom(func(t *rapid.T) backend.Version {
		ms := rapid.Int64Range(0, 3).Draw(t, "ms")
		return backend.Version{
			Object:       backend.Object{VersionID: id.Draw(t, "id"), LastModified: time.UnixMilli(1_800_000_000_000 + ms)},
			DeleteMarker: rapid.Bool().Draw(t, "marker"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := version.Draw(t, "a"), version.Draw(t, "b")
		nameA, nameB := versionName(a), versionName(b)
		if len(nameA) > names.MaxName || strings.ContainsAny(nameA, "/\x00") {
			t.Errorf("%q is no name", nameA)
		}
		same := a.VersionID == b.VersionID && a.LastModified.Equal(b.LastModified) && a.DeleteMarker == b.DeleteMarker
		if (nameA == nameB) != same {
			t.Errorf("%q of %v, %q of %v", nameA, a, nameB, b)
		}
		if strings.HasSuffix(nameA, ".deleted") != a.DeleteMarker {
			t.Errorf("%q, marker %v", nameA, a.DeleteMarker)
		}
		if nameA < nameB && a.LastModified.After(b.LastModified) {
			t.Errorf("%q is before %q", nameA, nameB)
		}
	})
	when := time.Date(2026, 11, 1, 13, 0, 0, 123_456_789, time.FixedZone("", 3600))
	got := versionName(backend.Version{Object: backend.Object{VersionID: "3/L4 k", LastModified: when}, DeleteMarker: true})
	if want := "2026-11-01T12:00:00.123Z_3%2FL4%20k.deleted"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestVersionBudget(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	var last string
	for i := range 5 {
		last = m.put("d/file", fmt.Sprint("content ", i))
	}
	m.put("d/other", "x")
	m.wantNames("d", "file", "other")
	m.requests(func() {
		_, err := os.Stat(m.path("d/.versions"))
		check(t, err)
	}, map[string]int{"GetBucketVersioning": 1})
	m.requests(func() { m.wantNames("d/.versions", "file", "other") }, map[string]int{"ListObjectVersions": 1})
	m.requests(func() {
		for _, name := range m.names("d/.versions/file") {
			_, err := os.Stat(m.path("d/.versions/file/" + name))
			check(t, err)
		}
	}, map[string]int{"ListObjectVersions": 1})
	m.requests(func() { m.wantFile("d/.versions/file/"+last, "content 4") }, map[string]int{"GetObject": 1})
	m.requests(func() { // names that are not there
		for _, absent := range []string{"d/.versions/file/x", "d/.versions/file/y"} {
			if _, err := os.Stat(m.path(absent)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", absent, err)
			}
		}
	}, map[string]int{})
	m.requests(func() { m.wantNames("d", "file", "other") }, map[string]int{})
}

// A list is as old as the time to live says, but for what this mount does.
func TestVersionsFreshness(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	m.put("d/file", "one")
	count := func(want int) {
		t.Helper()
		if got := m.names("d/.versions/file"); len(got) != want {
			t.Errorf("%d versions, want %d: %q", len(got), want, got)
		}
	}
	count(1)
	m.put("d/file", "by another client")
	count(1)
	m.clock.Add(1)
	check(t, os.Remove(m.path("d/file")))
	count(3)
	m.clock.Add(1)
	if _, err := os.Stat(m.path("d/.versions/new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not made yet: %v", err)
	}
	check(t, os.WriteFile(m.path("d/new"), []byte("new"), 0o644))
	if got := m.names("d/.versions/new"); len(got) != 1 {
		t.Errorf("own file: %q", got)
	}
	check(t, os.WriteFile(m.path("d/new"), []byte("newer"), 0o644))
	check(t, os.Rename(m.path("d/new"), m.path("d/file")))
	count(4)
	if got := m.names("d/.versions/new"); len(got) != 3 {
		t.Errorf("own file: %q", got)
	}
}

// A listing that began before a change of this mount is not remembered after it.
func TestVersionsChangedWhileListed(t *testing.T) {
	t.Parallel()
	var l versionLists
	id := backend.ObjectID{Bucket: "b", Key: "k"}
	begun := func() *keyVersions {
		k := &keyVersions{id: id, asked: time.Now(), all: make([]backend.Version, 3)}
		l.begin(k)
		return k
	}
	k := begun()
	l.changed(id)
	l.end(k, true, time.Hour)
	if l.fresh(id, time.Hour) != nil {
		t.Error("a listing from before the change is believed")
	}
	k = begun()
	l.end(k, true, time.Hour)
	if l.fresh(id, time.Hour) != k {
		t.Error("not remembered")
	}
	l.end(begun(), false, time.Hour)
	if l.fresh(id, time.Hour) != k {
		t.Error("forgotten for one that failed")
	}
	l.changed(id)
	if l.fresh(id, time.Hour) != nil || l.count != 0 || len(l.asking) != 0 {
		t.Errorf("%d versions of %d keys are left", l.count, len(l.byKey))
	}
	for i := range 30 {
		k := &keyVersions{id: backend.ObjectID{Bucket: "b", Key: fmt.Sprint(i)}, asked: time.Now(), all: make([]backend.Version, keptVersions)}
		l.begin(k)
		l.end(k, true, time.Hour)
		if l.count > rememberedVersions+len(l.byKey) || l.fresh(k.id, time.Hour) != k {
			t.Fatalf("%d versions of %d keys", l.count, len(l.byKey))
		}
	}
}

// restarts is a store that begins again with the key that a marker without a version names, as
// VersityGW 1.8 does.
type restarts struct{ backend.Store }

func (s restarts) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	if in.VersionMarker == "" && in.KeyMarker != "" {
		in.KeyMarker = in.KeyMarker[:len(in.KeyMarker)-1] + string(rune(in.KeyMarker[len(in.KeyMarker)-1]-1)) + "~"
	}
	return s.Store.ListVersions(ctx, in)
}

func TestVersionsInPages(t *testing.T) {
	t.Parallel()
	for _, page := range []int32{1, 2, 3, 7, 1000} {
		for name, wrap := range map[string]func(backend.Store) backend.Store{
			"as documented": nil, "restarting": func(s backend.Store) backend.Store { return restarts{s} },
		} {
			if page == 1 && wrap != nil { // a prefix of which such a store tells again and again
				continue
			}
			t.Run(fmt.Sprintf("%d %s", page, name), func(t *testing.T) {
				t.Parallel()
				store := mem.New(testBucket)
				store.Configure(func(s *mem.Settings) { s.PageSize = page })
				m := newVersioned(t, testOptions{posix: PosixOff, store: store, wrap: wrap})
				var names []string
				for i := range 20 {
					names = append(names, m.put("d/many", fmt.Sprint(i)))
				}
				m.put("d/many-more", "x")
				m.put("d/many/below", "x")
				m.put("d/a", "x")
				m.put("d/a b/c", "x")
				m.put("d/z/1", "x")
				m.put("d/z/2", "x")
				m.wantNames("d/.versions", "many", "many%file", "many-more", "a", "a b", "z")
				m.wantNames("d/.versions/z", "1", "2")
				slices.Sort(names)
				m.wantNames("d/.versions/many%file", names...)
				m.wantFile("d/.versions/many%file/"+names[0], "0")
			})
		}
	}
}

// A key with more versions than are kept in memory.
func TestVersionsWithoutEnd(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	first := m.put("file", "first")
	for range keptVersions + 500 {
		m.put("file", "x")
	}
	m.put("gile", "next")
	if got := m.names(".versions/file"); len(got) != keptVersions+501 {
		t.Errorf("%d versions", len(got))
	}
	m.wantFile(".versions/file/"+first, "first")
	m.requests(func() { m.wantNames(".versions", "file", "gile") }, map[string]int{"ListObjectVersions": 2})
}

// What was private stays so in the view, also when it is deleted.
func TestVersionsKeepRights(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{})
	m.clock.Store(time.Now().Unix())
	check(t, os.Mkdir(m.path("private"), 0o700))
	check(t, os.WriteFile(m.path("private/file"), []byte("x"), 0o600))
	check(t, os.Chmod(m.path("private/file"), 0o640))
	check(t, m.fs.Drain(t.Context(), nil))
	check(t, os.WriteFile(m.path("plain"), []byte("x"), 0o644))
	mode := func(path string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(m.path(path))
		check(t, err)
		if info.Mode() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode(), want)
		}
	}
	versions := func(dir string, want ...fs.FileMode) {
		t.Helper()
		all := m.versionsOf("private/file")
		slices.Reverse(all)
		for i, v := range all {
			mode(dir+versionName(v), want[i])
		}
		if len(all) != len(want) {
			t.Errorf("%d versions", len(all))
		}
	}
	mode("private/.versions", fs.ModeDir|0o500)
	mode(".versions", fs.ModeDir|0o555)
	mode(".versions/private", fs.ModeDir|0o500)
	mode(".versions/private/file", fs.ModeDir|0o500)
	versions("private/.versions/file/", 0o600, 0o640)
	for _, name := range m.names(".versions/plain") {
		mode(".versions/plain/"+name, 0o644)
	}
	m.clock.Add(1)
	check(t, os.RemoveAll(m.path("private")))
	again := newVersioned(t, testOptions{store: m.raw})
	m = again
	mode(".versions/private", fs.ModeDir|0o500)
	m.requests(func() { versions(".versions/private/file/", 0o600, 0o640, 0o644) }, map[string]int{"HeadObject": 2, "ListObjectVersions": 1})
}

func TestVersionsMayNotBeListed(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newVersioned(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	m.put("file", "x")
	refuse := faults.Add(mem.Rule{Op: "ListObjectVersions", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	if _, err := os.ReadDir(m.path(".versions")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("%v", err)
	}
	refuse.Remove()
	m.wantNames(".versions", "file")
}
