package fs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// gifts are the defaults of these tests: below a/ everything but locks, below b/ a little, below locked/ a retention of a day,
// below held/ a hold, elsewhere nothing.
func gifts(id backend.ObjectID) backend.Properties {
	switch dir, _, _ := strings.Cut(id.Key, "/"); dir {
	case "a":
		return backend.Properties{
			Headers:  backend.Headers{ContentType: "text/x-rule", CacheControl: "max-age=60"},
			Metadata: map[string]string{"origin": "rule"}, Tags: map[string]string{"team": "a", "cost": "1"},
			StorageClass: "STANDARD_IA", Encryption: backend.Encryption{Algorithm: "AES256"},
		}
	case "b":
		return backend.Properties{Headers: backend.Headers{CacheControl: "no-store"}, Tags: map[string]string{"team": "b"}}
	case "locked":
		return backend.Properties{Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: time.Now().AddDate(0, 0, 1)}}}
	case "held":
		return backend.Properties{Lock: backend.ObjectLock{LegalHold: true}}
	}
	return backend.Properties{}
}

// inStore is what another client sees of an object, but for objmount's own metadata.
func (m *testMount) inStore(key string) backend.Properties {
	m.t.Helper()
	obj, err := m.raw.Head(m.t.Context(), idOf(key), backend.GetOptions{})
	check(m.t, err)
	props := backend.PropertiesOf(obj)
	props.Tags, props.Lock = m.tagsOf(key), obj.Lock
	maps.DeleteFunc(props.Metadata, func(key, _ string) bool { return key != "origin" })
	return props
}

func (m *testMount) sameAs(key string, want backend.Properties) {
	m.t.Helper()
	got := m.inStore(key)
	if got.Headers != want.Headers || !maps.Equal(got.Metadata, want.Metadata) || !maps.Equal(got.Tags, want.Tags) ||
		got.StorageClass != want.StorageClass || got.Encryption != want.Encryption {
		m.t.Errorf("%s has %+v, want %+v", key, got, want)
	}
}

// Whatever way a file is made, it gets what its place gives, and its creation costs no more requests than without.
func TestDefaultsOfNewFiles(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{posix: PosixOff, commit: commit, defaults: gifts})
		m.put("a/old.txt", []byte("old"))
		m.put("a/also", []byte("old"))
		m.put("elsewhere", []byte("content"))
		_, err := os.ReadDir(m.path("a"))
		check(t, err)
		m.requests(func() {
			check(t, os.WriteFile(m.path("a/new.html"), []byte("<html>"), 0o644))
			check(t, m.fs.Drain(t.Context(), nil))
		}, map[string]int{"PutObject": 1})
		mknod(t, m.path("a/made"))
		check(t, os.WriteFile(m.path("a/made"), []byte("made"), 0o644))
		m.copyRange("elsewhere", "a/copy.png")
		check(t, openFor(m.path("a/empty"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC))
		check(t, os.WriteFile(m.path("a/old.txt"), []byte("new"), 0o644)) // O_TRUNC
		appendTo(t, m.path("a/also"), "more")
		check(t, os.Rename(m.path("elsewhere"), m.path("a/moved"))) // what is stored keeps what it has
		setXattr(t, m.path("a/moved"), "user.s3.content-language", "en")
		m.unmount()
		for _, key := range []string{"a/new.html", "a/made", "a/copy.png", "a/empty"} {
			m.sameAs(key, gifts(idOf(key)))
		}
		for _, key := range []string{"a/old.txt", "a/also"} {
			m.sameAs(key, backend.Properties{})
		}
		m.sameAs("a/moved", backend.Properties{Headers: backend.Headers{ContentLanguage: "en"}})
		m.mustHave("a/old.txt", "new")
		m.mustHave("a/also", "oldmore")
	})
}

// copyRange is cp of a whole file.
func (m *testMount) copyRange(from, to string) {
	m.t.Helper()
	source, err := os.Open(m.path(from))
	check(m.t, err)
	defer source.Close()
	made, err := os.Create(m.path(to))
	check(m.t, err)
	info, err := source.Stat()
	check(m.t, err)
	n, err := unix.CopyFileRange(int(source.Fd()), nil, int(made.Fd()), nil, int(info.Size()), 0)
	if err != nil || int64(n) != info.Size() {
		m.t.Fatalf("copy_file_range: %d, %v", n, err)
	}
	check(m.t, made.Close())
}

// What a program sets wins, what it removes stays away, and all of it shows before it is stored.
func TestDefaultsAndAttributes(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, defaults: gifts})
	m.put("a/x", nil)
	file, err := os.Create(m.path("a/f.html"))
	check(t, err)
	for name, want := range map[string]string{
		"content-type": "text/x-rule", "cache-control": "max-age=60", "meta.origin": "rule", "tag.team": "a", "storage-class": "STANDARD_IA", "encryption": "AES256",
	} {
		if got := getXattr(t, file.Name(), "user.s3."+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	setXattr(t, file.Name(), "user.s3.cache-control", "no-cache")
	setXattr(t, file.Name(), "user.s3.tag.team", "mine")
	for _, name := range []string{"tag.cost", "meta.origin", "content-type"} {
		check(t, unix.Removexattr(file.Name(), "user.s3."+name))
	}
	m.requests(func() {
		_, err = file.WriteString("<html>")
		check(t, err)
		check(t, file.Close())
	}, map[string]int{"PutObject": 1})
	m.sameAs("a/f.html", backend.Properties{
		Headers: backend.Headers{ContentType: "text/html; charset=utf-8", CacheControl: "no-cache"}, Tags: map[string]string{"team": "mine"},
		StorageClass: "STANDARD_IA", Encryption: backend.Encryption{Algorithm: "AES256"},
	})
}

// A file that was never stored is made where it is renamed to: it gets what is given there, but for what a program has set.
func TestDefaultsFollowARename(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, defaults: gifts})
	for _, dir := range []string{"a", "b", "c", "a/sub"} {
		check(t, os.MkdirAll(m.path(dir), 0o755))
	}
	write := func(name string) *os.File {
		file, err := os.Create(m.path(name))
		check(t, err)
		_, err = file.WriteString("text")
		check(t, err)
		return file
	}
	toB, mine, toNone, fromNone, below, stored := write("a/1"), write("a/2"), write("a/3"), write("c/4"), write("a/sub/5"), write("a/6")
	setXattr(t, m.path("a/2"), "user.s3.tag.team", "mine")
	check(t, unix.Removexattr(m.path("a/2"), "user.s3.tag.cost"))
	check(t, stored.Close())
	for from, to := range map[string]string{"a/1": "b/1", "a/2": "b/2", "a/3": "c/3", "c/4": "a/4", "a/sub": "b/sub", "a/6": "b/6"} {
		check(t, os.Rename(m.path(from), m.path(to)))
	}
	check(t, os.Rename(m.path("b/2"), m.path("b/again")))
	for _, file := range []*os.File{toB, mine, toNone, fromNone, below} {
		check(t, file.Close())
	}
	guessed := "text/plain; charset=utf-8"
	inB := backend.Properties{Headers: backend.Headers{ContentType: guessed, CacheControl: "no-store"}, Tags: map[string]string{"team": "b"}}
	m.sameAs("b/1", inB)
	m.sameAs("b/sub/5", inB)
	inB.Tags = map[string]string{"team": "mine"}
	m.sameAs("b/again", inB)
	m.sameAs("c/3", backend.Properties{Headers: backend.Headers{ContentType: guessed}})
	m.sameAs("a/4", gifts(idOf("a/4")))
	m.sameAs("b/6", gifts(idOf("a/6"))) // it was stored in a/
}

// Links and special files have no headers, markers of directories their encryption only.
func TestDefaultsOfOtherKinds(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOn, settings: withLocks, defaults: func(id backend.ObjectID) backend.Properties {
		props := gifts(idOf("a/"))
		props.Lock = gifts(idOf("locked/")).Lock
		return props
	}})
	check(t, os.Mkdir(m.path("d"), 0o755))
	check(t, os.Symlink("target", m.path("d/link")))
	check(t, unix.Mkfifo(m.path("d/fifo"), 0o644))
	want := gifts(idOf("a/"))
	want.Headers = backend.Headers{}
	for _, key := range []string{"d/link", "d/fifo"} {
		m.sameAs(key, want)
		if !m.inStore(key).Lock.Active(time.Now()) {
			t.Errorf("%s is not locked", key)
		}
	}
	m.sameAs("d/", backend.Properties{Headers: backend.Headers{ContentType: markerType}, Encryption: want.Encryption})
	check(t, os.Chmod(m.path("d"), 0o700))
	check(t, os.Mkdir(m.path("e"), 0o755))
	check(t, os.Remove(m.path("e")))
	m.sameAs("d/", backend.Properties{Headers: backend.Headers{ContentType: markerType}, Encryption: want.Encryption})
}

// A retention begins when the file is stored first, not when it was made; what is stored is locked like any other.
func TestDefaultsWithRetention(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	given := func(id backend.ObjectID) backend.Properties {
		props := gifts(id)
		if props.Lock.Retention.Mode != backend.NoRetention {
			props.Lock.Retention.Until = props.Lock.Retention.Until.Add(time.Duration(ahead.Load()))
		}
		return props
	}
	for _, exclusive := range []bool{false, true} {
		m := newTestMount(t, testOptions{posix: PosixOn, settings: withLocks, defaults: given, exclusive: exclusive})
		for _, dir := range []string{"locked", "held"} {
			check(t, os.Mkdir(m.path(dir), 0o755))
		}
		ahead.Store(0)
		file, err := os.OpenFile(m.path("locked/f"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		check(t, err)
		check(t, os.WriteFile(m.path("held/f"), []byte("held"), 0o644))
		ahead.Store(int64(48 * time.Hour)) // two days later
		_, err = file.WriteString("content")
		check(t, err)
		check(t, os.Chtimes(file.Name(), time.Now(), time.Now()))
		check(t, file.Close())
		if until := m.inStore("locked/f").Lock.Retention.Until; until.Before(time.Now().Add(71 * time.Hour)) {
			t.Errorf("until %v", until)
		}
		if lock := m.inStore("held/f").Lock; !lock.LegalHold || lock.Retention.Mode != backend.NoRetention {
			t.Errorf("%+v", lock)
		}
		for _, name := range []string{"locked/f", "held/f"} {
			if len(m.versions()[name]) != 1 {
				t.Errorf("%s has the versions %v", name, m.versions()[name])
			}
			m.untouched("append to "+name, func() error { return openFor(m.path(name), os.O_WRONLY|os.O_APPEND) })
			m.untouched("unlink of "+name, func() error { return os.Remove(m.path(name)) })
		}
		synced, err := os.Create(m.path("locked/synced"))
		check(t, err)
		_, err = synced.WriteString("first")
		check(t, errors.Join(err, synced.Sync()))
		if _, err = synced.WriteString("more"); !errors.Is(err, syscall.EPERM) {
			t.Errorf("a write after an fsync: %v, want EPERM", err)
		}
		check(t, synced.Close())
		m.mustHave("locked/synced", "first")
		check(t, os.Mkdir(m.path("locked/sub"), 0o755))
		check(t, os.Remove(m.path("locked/sub"))) // directories are not locked
		m.unmount()
	}
}

// Where store or bucket cannot keep what is given, no file is made, and nothing is asked of the store.
func TestDefaultsThatCannotBe(t *testing.T) {
	t.Parallel()
	plain := mem.AllCapabilities()
	plain.Tagging, plain.Classes = false, false
	for name, o := range map[string]testOptions{
		"lock":  {},
		"tags":  {caps: &plain},
		"class": {caps: &plain},
		"crypt": {caps: &plain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]backend.Properties{
				"lock":  gifts(idOf("locked/")),
				"tags":  {Tags: map[string]string{"a": "b"}},
				"class": {StorageClass: "STANDARD_IA"},
				"crypt": {Encryption: backend.Encryption{Algorithm: "AES256"}},
			}[name]
			o.posix, o.defaults = PosixOff, func(id backend.ObjectID) backend.Properties {
				if strings.HasPrefix(id.Key, "d/") {
					return want
				}
				return backend.Properties{}
			}
			m := newTestMount(t, o)
			m.put("d/old", []byte("old"))
			m.put("stored", []byte("x"))
			m.put("d/deep/only", []byte("x"))
			_, err := os.ReadDir(m.path("d"))
			check(t, err)
			file, err := os.Create(m.path("fresh"))
			check(t, err)
			m.requests(func() {
				for what, fn := range map[string]func() error{
					"create": func() error { return openFor(m.path("d/new"), os.O_CREATE|os.O_WRONLY) },
					"mknod":  func() error { return unix.Mknod(m.path("d/made"), unix.S_IFREG|0o644, 0) },
					"rename": func() error { return os.Rename(m.path("fresh"), m.path("d/fresh")) },
				} {
					if err := fn(); !errors.Is(err, syscall.EOPNOTSUPP) {
						t.Errorf("%s: %v, want EOPNOTSUPP", what, err)
					}
				}
			}, m.atMost(map[string]int{"ListObjectsV2": 1, "HeadObject": 1}))
			check(t, file.Close())
			appendTo(t, m.path("d/old"), " and new")
			check(t, os.Rename(m.path("stored"), m.path("d/stored")))
			check(t, os.Remove(m.path("d/deep/only"))) // its directory gets a marker
			if err := os.Mkdir(m.path("d/sub"), 0o755); errors.Is(err, syscall.EOPNOTSUPP) != (name == "crypt") || err != nil && name != "crypt" {
				t.Errorf("mkdir: %v", err)
			}
			m.unmount()
			m.mustHave("d/deep/", "")
			m.mustHave("fresh", "")
			m.mustHave("d/old", "old and new")
			for _, key := range []string{"d/new", "d/made", "d/fresh"} {
				if _, err := m.stored(key); err == nil {
					t.Errorf("%s is stored", key)
				}
			}
		})
	}
}

// What was given travels with the journal: after a crash the file is stored as it was made.
func TestDefaultsAfterACrash(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{commit: CommitBackground, posix: PosixOff, state: state, defaults: gifts, wrap: func(s backend.Store) backend.Store {
		return mem.Faulty(s, mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Stall()}})
	}})
	m.lost = true
	file, err := os.Create(m.path("a"))
	check(t, err)
	_, err = fmt.Fprint(file, "content")
	check(t, err)
	check(t, file.Close())
	next := m.killed(state)
	check(t, next.fs.Drain(t.Context(), nil))
	next.mustHave("a", "content")
	next.sameAs("a", gifts(idOf("a")))
}
