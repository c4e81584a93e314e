package fs

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// dirStream reads a directory as readdir(3) does, with the offset of telldir behind every name.
type dirStream struct {
	t    *testing.T
	fd   int
	buf  []byte
	rest []byte
}

type dirName struct {
	name string
	next int64 // what telldir answers after it
}

func openDir(t *testing.T, path string, buffer int) *dirStream {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return &dirStream{t: t, fd: fd, buf: make([]byte, buffer)}
}

// next returns the next name but "." and ".."; false at the end.
func (d *dirStream) next() (dirName, bool) {
	for {
		if len(d.rest) == 0 {
			n, err := unix.Getdents(d.fd, d.buf)
			if err != nil {
				d.t.Errorf("getdents: %v", err)
			}
			if n <= 0 {
				return dirName{}, false
			}
			d.rest = d.buf[:n]
		}
		size := binary.NativeEndian.Uint16(d.rest[16:])
		e := dirName{next: int64(binary.NativeEndian.Uint64(d.rest[8:]))}
		e.name, _, _ = strings.Cut(string(d.rest[19:size]), "\x00")
		d.rest = d.rest[size:]
		if e.name != "." && e.name != ".." {
			return e, true
		}
	}
}

func (d *dirStream) seek(to int64) {
	_, err := unix.Seek(d.fd, to, 0)
	check(d.t, err)
	d.rest = nil
}

func (d *dirStream) all() []dirName {
	var all []dirName
	for {
		e, ok := d.next()
		if !ok {
			return all
		}
		all = append(all, e)
	}
}

func (m *testMount) putMany(prefix string, count int) []string {
	m.t.Helper()
	var names []string
	for i := range count {
		name := fmt.Sprintf("%06d", i)
		_, err := m.raw.Put(m.t.Context(), backend.PutInput{Bucket: testBucket, Key: prefix + name, Body: strings.NewReader("")})
		check(m.t, err)
		names = append(names, name)
	}
	return names
}

// The first entries of a huge directory are there before its last page is asked for, the open directory
// keeps few of them, and every entry comes once.
func TestHugeDirectoryStreams(t *testing.T) {
	t.Parallel()
	const count = 100_000
	var mu sync.Mutex
	pages, open := 0, false
	gate := make(chan struct{})
	m := newTestMount(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "ListObjectsV2", Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
			mu.Lock()
			pages++
			wait := pages > 10 && !open
			mu.Unlock()
			if wait {
				<-gate
			}
		})}})
	}})
	want := m.putMany("huge/", count)
	d := openDir(t, m.path("huge"), 32<<10)
	var got []string
	for range 2000 {
		e, ok := d.next()
		if !ok {
			t.Fatal("no entries while pages are held back")
		}
		got = append(got, e.name)
	}
	mu.Lock()
	open = true
	mu.Unlock()
	close(gate)
	for _, e := range d.all() {
		got = append(got, e.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d names, want %d", len(got), count)
	}
	kept := m.fs.dirs.get(m.fs.dirs.last)
	kept.mu.Lock()
	if len(kept.entries) > 2*dirWindow || len(kept.passed) > dirNames {
		t.Errorf("the open directory holds %d entries, %d names", len(kept.entries), len(kept.passed))
	}
	kept.mu.Unlock()
}

// Positions of telldir stay good over seekdir and rewinddir, also when entries go meanwhile.
func TestSeekInADirectory(t *testing.T) {
	t.Parallel()
	const count = 12_000
	m := newTestMount(t, testOptions{posix: PosixOff})
	want := m.putMany("d/", count)
	d := openDir(t, m.path("d"), 4096)
	first := d.all()
	if len(first) != count {
		t.Fatalf("%d names", len(first))
	}
	for _, at := range []int{count - 5, 6000, 100, 4095, 4096, 11_000, 0} {
		d.seek(first[at].next)
		for i := range 3 {
			if e, ok := d.next(); ok && e.name != want[at+1+i] || !ok && at+1+i < count {
				t.Errorf("after seeking behind %s: %q", want[at], e.name)
			}
		}
	}
	d.seek(0)
	if again := d.all(); !slices.Equal(again, first) {
		t.Errorf("%d names after rewinddir", len(again))
	}
	// Entries before the position go.
	for _, name := range want[:300] {
		check(t, os.Remove(m.path("d/"+name)))
	}
	for _, at := range []int{11_500, 5000, 500} {
		d.seek(first[at].next)
		if e, ok := d.next(); !ok || e.name != want[at+1] {
			t.Errorf("after removing some and seeking behind %s: %q", want[at], e.name)
		}
	}
	d.seek(0)
	if again := d.all(); len(again) != count-300 || again[0].name != want[300] {
		t.Errorf("%d names at the end", len(again))
	}
}

func TestTwoReadersOfADirectory(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.raw.Configure(func(s *mem.Settings) { s.PageSize = 100 })
	want := m.putMany("d/", 3000)
	var readers sync.WaitGroup
	for i := range 3 {
		d := openDir(t, m.path("d"), 1000<<i)
		readers.Add(1)
		go func() {
			defer readers.Done()
			var got []string
			for _, e := range d.all() {
				got = append(got, e.name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d names", len(got))
			}
		}()
	}
	readers.Wait()
}

// What is removed while it is listed makes no other entry be skipped: rm -r in one pass.
func TestRemoveWhileListing(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{posix: PosixOff, commit: commit})
		m.raw.Configure(func(s *mem.Settings) { s.PageSize = 100 })
		m.putMany("d/", 800)
		m.putMany("d/sub/", 200)
		d := openDir(t, m.path("d"), 2048)
		for {
			e, ok := d.next()
			if !ok {
				break
			}
			if e.name != "sub" {
				check(t, os.Remove(m.path("d/"+e.name)))
			}
		}
		if got := namesBelow(t, m.path("d")); len(strings.Fields(got)) != 201 {
			t.Errorf("left: %.200s", got)
		}
		out, err := exec.CommandContext(t.Context(), "rm", "-r", m.path("d")).CombinedOutput()
		if err != nil {
			t.Errorf("rm: %v %s", err, out)
		}
		page, err := m.store.List(t.Context(), listAll)
		check(t, err)
		if len(page.Objects) != 0 {
			t.Errorf("left in the store: %d", len(page.Objects))
		}
	})
}

// An object beside a prefix of the same name is one file and one directory, however the pages fall and
// whatever sorts between.
func TestObjectBesidePrefixOverPages(t *testing.T) {
	t.Parallel()
	for size := int32(1); size <= 7; size++ {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{posix: PosixOff})
			m.raw.Configure(func(s *mem.Settings) { s.PageSize = size })
			for _, key := range []string{"d/a", "d/a b", "d/a-", "d/a-/x", "d/a.", "d/a./x", "d/a/", "d/a/x", "d/a0", "d/a0/x", "d/b!", "d/b/x"} {
				m.put(key, nil)
			}
			entries, err := os.ReadDir(m.path("d"))
			check(t, err)
			var got []string
			for _, e := range entries {
				name := e.Name()
				if e.IsDir() {
					name += "/"
				}
				got = append(got, name)
			}
			slices.Sort(got)
			want := []string{"a b", "a%file", "a-%file", "a-/", "a.%file", "a./", "a/", "a0%file", "a0/", "b!", "b/"}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
			for _, name := range want {
				info, err := os.Lstat(m.path("d/" + name))
				check(t, err)
				if info.IsDir() != strings.HasSuffix(name, "/") {
					t.Errorf("%s: %v", name, info.Mode())
				}
			}
		})
	}
}

// find over a deep and a wide tree is served by listings that go through many directories.
func TestBudgetFindDeepAndWide(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	files := 0
	add := func(key string) {
		_, err := m.raw.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: key, Body: strings.NewReader("")})
		check(t, err)
		files++
	}
	for a := range 30 {
		for b := range 20 {
			for c := range 5 {
				add(fmt.Sprintf("wide/%02d/%02d/%d", a, b, c))
			}
		}
	}
	deep := "deep/"
	for level := range 60 {
		deep += fmt.Sprintf("%02d/", level)
		for c := range 5 {
			add(deep + fmt.Sprint("f", c))
		}
	}
	for tree, most := range map[string]int{"wide": 20, "deep": 20} {
		m.store.Reset()
		found := 0
		check(t, filepath.WalkDir(m.path(tree), func(_ string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				found++
			}
			return err
		}))
		lists := m.store.Requests()["ListObjectsV2"]
		t.Logf("%s: %d files, %d LISTs", tree, found, lists)
		if lists > most || m.store.Total() > lists+1 {
			t.Errorf("%s: %v", tree, m.store.Requests())
		}
	}
}

// A name that is not there is asked for once in NegativeTTL, and never after a complete listing; one
// that this mount makes is there at once.
func TestNegativeEntries(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("d/there", nil)
	absent := func() {
		t.Helper()
		if _, err := os.Lstat(m.path("d/absent")); !os.IsNotExist(err) {
			t.Errorf("absent: %v", err)
		}
	}
	_, err := os.Stat(m.path("d"))
	check(t, err)
	m.requests(func() { absent(); absent(); absent() }, map[string]int{"ListObjectsV2": 1})
	check(t, os.WriteFile(m.path("d/absent"), []byte("x"), 0o644))
	if data, err := os.ReadFile(m.path("d/absent")); err != nil || string(data) != "x" {
		t.Errorf("just made: %q %v", data, err)
	}
	check(t, os.Remove(m.path("d/absent")))
	m.gone("d/absent") // after the RELEASE of the reader, which nobody waits for
	m.requests(absent, map[string]int{})
	_, err = os.ReadDir(m.path("d"))
	check(t, err)
	m.requests(func() {
		for i := range 20 {
			if _, err := os.Lstat(m.path(fmt.Sprint("d/none", i))); !os.IsNotExist(err) {
				t.Errorf("none: %v", err)
			}
		}
	}, map[string]int{})
}
