package fs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/remotes"
)

// groupMount is a mount of two remotes: a, which m.raw and m.store are, and b. Both have a bucket testBucket.
type groupMount struct {
	*testMount
	other   *mem.Store
	counted *mem.Counter // b's requests
	faults  *mem.Faults  // before b
}

func newGroupMount(t *testing.T, o testOptions) *groupMount {
	t.Helper()
	g := &groupMount{other: mem.New(testBucket)}
	g.counted = mem.Counting(g.other)
	g.faults = mem.Faulty(g.counted)
	o.groups = []string{"a", "b"}
	o.wrap = func(a backend.Store) backend.Store {
		s, err := remotes.New(remotes.Remote{Name: "a", Store: a}, remotes.Remote{Name: "b", Store: g.faults})
		check(t, err)
		return s
	}
	g.testMount = newTestMount(t, o)
	return g
}

func contentIn(t *testing.T, store backend.Store, key string) string {
	t.Helper()
	body, err := store.Get(t.Context(), backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{})
	check(t, err)
	defer body.Close()
	data, err := io.ReadAll(body)
	check(t, err)
	return string(data)
}

func namesAt(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			t.Errorf("%s is no directory", e.Name())
		}
		names = append(names, e.Name())
	}
	return names
}

// TestGroupsAreListed: the root costs nothing, a group one request of its own remote, and a remote that is away
// stays in sight without being in the way.
func TestGroupsAreListed(t *testing.T) {
	t.Parallel()
	m := newGroupMount(t, testOptions{posix: PosixOff})
	check(t, m.other.CreateBucket(t.Context(), "second"))
	m.requests(func() {
		if names := namesAt(t, m.dir); !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("the root: %v", names)
		}
		for _, name := range []string{"a", "b"} {
			info, err := os.Stat(m.path(name))
			check(t, err)
			if info.Mode() != os.ModeDir|0o755 {
				t.Errorf("%s: %v", name, info.Mode())
			}
		}
	}, map[string]int{})
	if _, err := os.Stat(m.path("c")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no remote: %v", err)
	}
	if m.counted.Total() != 0 {
		t.Errorf("the other remote: %v", m.counted)
	}
	m.requests(func() {
		if names := namesAt(t, m.path("b")); !slices.Equal(names, []string{testBucket, "second"}) {
			t.Errorf("b: %v", names)
		}
	}, map[string]int{})
	if got := m.counted.Requests(); !cmp.Equal(got, map[string]int{"ListBuckets": 1}) {
		t.Errorf("b was asked %v", got)
	}
	m.faults.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	if _, err := os.ReadDir(m.path("b")); !errors.Is(err, unix.EIO) {
		t.Errorf("a remote that is away: %v", err)
	}
	if _, err := os.Stat(m.path("b/third")); !errors.Is(err, unix.EIO) {
		t.Errorf("in a remote that is away: %v", err)
	}
	if names := namesAt(t, m.dir); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("the root: %v", names)
	}
	if names := namesAt(t, m.path("a")); !slices.Equal(names, []string{testBucket}) {
		t.Errorf("the other remote: %v", names)
	}
}

func inoAtPath(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	check(t, unix.Stat(path, &st))
	return st.Ino
}

// TestGroupInodes: equal names in two remotes are two files, with numbers that are the same in the next mount.
func TestGroupInodes(t *testing.T) {
	t.Parallel()
	store := mem.New(testBucket)
	paths := []string{"a", "b", "a/" + testBucket, "b/" + testBucket, "a/" + testBucket + "/d/f", "b/" + testBucket + "/d/f"}
	var before map[string]uint64
	for range 2 {
		m := newGroupMount(t, testOptions{store: store})
		check(t, errOf(m.other.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: "d/f", Body: strings.NewReader("b"), Size: 1})))
		m.put("d/f", []byte("a"))
		now, seen := map[string]uint64{}, map[uint64]string{}
		for _, path := range paths {
			now[path] = inoAtPath(t, m.path(path))
			if other := seen[now[path]]; other != "" {
				t.Errorf("%s and %s have one number", path, other)
			}
			seen[now[path]] = path
		}
		if before != nil && !cmp.Equal(before, now) {
			t.Errorf("other numbers: %v, %v", before, now)
		}
		before = now
		for name, want := range map[string]string{"a": "a", "b": "b"} {
			got, err := os.ReadFile(m.path(name + "/" + testBucket + "/d/f"))
			if string(got) != want || err != nil {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		m.unmount()
	}
}

// TestGroupNames: what can be made, moved and removed above the buckets.
func TestGroupNames(t *testing.T) {
	t.Parallel()
	m := newGroupMount(t, testOptions{})
	for what, call := range map[string]func() error{
		"mkdir":      func() error { return unix.Mkdir(m.path("c"), 0o755) },
		"rmdir":      func() error { return unix.Rmdir(m.path("a")) },
		"create":     func() error { return os.WriteFile(m.path("f"), nil, 0o644) },
		"symlink":    func() error { return os.Symlink("a", m.path("l")) },
		"in a group": func() error { return os.WriteFile(m.path("a/f"), nil, 0o644) },
		"rename":     func() error { return unix.Rename(m.path("a"), m.path("c")) },
		"up":         func() error { return unix.Rename(m.path("a/"+testBucket), m.path("c")) },
		"chmod":      func() error { return unix.Chmod(m.path("a"), 0o700) },
	} {
		if err := call(); !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := unix.Rename(m.path("a/"+testBucket), m.path("b/x")); !errors.Is(err, unix.EXDEV) {
		t.Errorf("a bucket to another remote: %v", err)
	}
	check(t, os.Mkdir(m.path("b/made"), 0o755))
	check(t, m.other.HeadBucket(t.Context(), "made"))
	if err := m.raw.HeadBucket(t.Context(), "made"); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("in the other remote: %v", err)
	}
	check(t, os.WriteFile(m.path("b/made/f"), []byte("x"), 0o644))
	if err := unix.Rmdir(m.path("b/made")); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("a bucket with an object: %v", err)
	}
	check(t, os.Remove(m.path("b/made/f")))
	check(t, unix.Rmdir(m.path("b/made")))
	if err := m.other.HeadBucket(t.Context(), "made"); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("after rmdir: %v", err)
	}
	for _, dir := range []string{m.dir, m.path("a")} {
		if err := unix.Setxattr(dir, "user.x", []byte("1"), 0); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("setxattr of %s: %v", dir, err)
		}
		if got := xattrsOf(t, dir); len(got) != 0 {
			t.Errorf("%s has %v", dir, got)
		}
		for _, name := range []string{"user.x", "user.s3.tag.a", "user.s3.url", "user.s3.bucket.region"} {
			if _, err := unix.Getxattr(dir, name, nil); !errors.Is(err, unix.ENODATA) {
				t.Errorf("%s of %s: %v", name, dir, err)
			}
		}
	}
	setXattr(t, m.path("a/"+testBucket), "user.s3.tag.k", "v")
	if tags, err := m.raw.BucketTags(t.Context(), testBucket); tags["k"] != "v" || err != nil {
		t.Errorf("tags of a bucket: %v %v", tags, err)
	}
	if got := getXattr(t, m.path("b/"+testBucket), "user.s3.bucket.created"); !strings.HasPrefix(got, "20") {
		t.Errorf("created: %q", got)
	}
}

// TestBetweenGroups: rename and copy_file_range within a remote are the store's work, between two they are EXDEV
// (which the kernel answers itself for copy_file_range, by copying the bytes).
func TestBetweenGroups(t *testing.T) {
	t.Parallel()
	m := newGroupMount(t, testOptions{})
	check(t, m.raw.CreateBucket(t.Context(), "second"))
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	m.put("f", data)
	m.put("d/f", []byte("x"))
	from := m.path("a/" + testBucket)
	for _, name := range []string{"f", "d"} {
		if err := unix.Rename(filepath.Join(from, name), m.path("b/"+testBucket+"/"+name)); !errors.Is(err, unix.EXDEV) {
			t.Errorf("rename of %s: %v", name, err)
		}
	}
	check(t, os.WriteFile(filepath.Join(from, "new"), []byte("not renamed"), 0o644))
	if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(from, "new"), unix.AT_FDCWD, m.path("b/"+testBucket+"/new"), unix.RENAME_NOREPLACE); !errors.Is(err, unix.EXDEV) {
		t.Errorf("rename of a new file: %v", err)
	}
	if err := os.Link(filepath.Join(from, "f"), m.path("b/"+testBucket+"/l")); !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EXDEV) {
		t.Errorf("link: %v", err)
	}
	copyAll := func(to string) {
		t.Helper()
		src, err := os.Open(filepath.Join(from, "f"))
		check(t, err)
		defer src.Close()
		dst, err := os.Create(to)
		check(t, err)
		for left := len(data); left > 0; {
			n, err := unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, left, 0)
			check(t, err)
			if n == 0 {
				t.Fatalf("%d bytes are missing", left)
			}
			left -= n
		}
		check(t, dst.Close())
	}
	m.counted.Reset()
	copyAll(m.path("b/" + testBucket + "/copy"))
	if got := contentIn(t, m.other, "copy"); got != string(data) {
		t.Errorf("%d bytes arrived", len(got))
	}
	if got := m.counted.Requests(); got["CopyObject"]+got["UploadPartCopy"] != 0 || m.counted.BytesSent() != int64(len(data)) {
		t.Errorf("%v", m.counted)
	}
	m.store.Reset()
	copyAll(m.path("a/second/copy"))
	if got := m.store.Requests(); got["CopyObject"] != 1 || m.store.BytesSent() != 0 {
		t.Errorf("within a remote: %v", m.store)
	}
	check(t, unix.Rename(filepath.Join(from, "f"), m.path("a/second/moved")))
	check(t, unix.Rename(filepath.Join(from, "d"), m.path("a/second/d")))
	for _, key := range []string{"f", "d/f"} {
		m.gone(key)
	}
}

// TestGroupRecovery: what one mount left is stored by the next one, each in its remote.
func TestGroupRecovery(t *testing.T) {
	t.Parallel()
	state, store := t.TempDir(), mem.New(testBucket)
	m := newGroupMount(t, testOptions{state: state, store: store, commit: CommitBackground})
	down := mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}}
	m.faults.Add(down)
	away := m.faults
	for _, name := range []string{"a", "b"} {
		f, err := os.Create(m.path(name + "/" + testBucket + "/f"))
		if name == "b" {
			if !errors.Is(err, unix.EIO) {
				t.Fatalf("a bucket that cannot be asked for: %v", err)
			}
			away.Clear()
			f, err = os.Create(m.path(name + "/" + testBucket + "/f"))
			away.Add(mem.Rule{Op: "PutObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
		}
		check(t, err)
		_, err = f.WriteString("of " + name)
		check(t, err)
		check(t, f.Close())
	}
	eventually(t, func() bool { got, err := m.stored("f"); return string(got) == "of a" && err == nil })
	other := m.other
	left := m.leftAt(state)
	m.lost = true
	again := newGroupMount(t, testOptions{state: left, store: store, commit: CommitBackground})
	check(t, again.fs.Drain(t.Context(), nil))
	if got := contentIn(t, again.other, "f"); got != "of b" {
		t.Errorf("b has %q", got)
	}
	if _, err := other.Head(t.Context(), backend.ObjectID{Bucket: testBucket, Key: "f"}, backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("the first mount has stored it: %v", err)
	}
	got, err := os.ReadFile(again.path("b/" + testBucket + "/f"))
	if string(got) != "of b" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// TestGroupsAreLocated: paths are translated, and what is changed elsewhere is seen.
func TestGroupsAreLocated(t *testing.T) {
	t.Parallel()
	m := newGroupMount(t, testOptions{ttl: time.Hour})
	m.put("f", []byte("x"))
	bucket := "a/" + testBucket
	for path, want := range map[string]Located{
		"":                       {"", "", true, true},
		"a":                      {"", "", true, true},
		bucket:                   {bucket, "", true, true},
		bucket + "/f":            {bucket, "f", false, true},
		"b/" + testBucket + "/":  {"b/" + testBucket, "", true, true},
		"b/" + testBucket + "/f": {"b/" + testBucket, "f", false, false},
	} {
		got, err := m.fs.Locate(t.Context(), path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", path, err, diff)
		}
	}
	if _, err := m.fs.Locate(t.Context(), "c/x/y"); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("no remote: %v", err)
	}
	for _, name := range []string{"a", "b"} {
		path := m.path(name + "/new")
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%v", err)
		}
	}
	check(t, m.other.CreateBucket(t.Context(), "new"))
	m.fs.Changed("b/new", "")
	m.fs.Notified(t.Context())
	check(t, errOf(os.Stat(m.path("b/new"))))
	check(t, errOf(os.Stat(m.path(bucket+"/f"))))
	m.put("f", []byte("longer"))
	m.fs.Changed(bucket, "f")
	m.fs.Notified(t.Context())
	if info, err := os.Stat(m.path(bucket + "/f")); err != nil || info.Size() != 6 {
		t.Errorf("%v %v", info, err)
	}
	m.fs.Changed("c/x", "f") // of no remote: nothing happens
}

// TestGroupVersions: the view of versions below a group.
func TestGroupVersions(t *testing.T) {
	t.Parallel()
	m := newGroupMount(t, testOptions{posix: PosixOff, settings: func(b *mem.BucketSettings) { b.Versioning = "Enabled" }})
	dir := m.path("a/" + testBucket)
	check(t, os.WriteFile(filepath.Join(dir, "f"), []byte("one"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "f"), []byte("two"), 0o644))
	entries, err := os.ReadDir(filepath.Join(dir, ".versions/f"))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v %v", entries, err)
	}
	old, err := os.ReadFile(filepath.Join(dir, ".versions/f", entries[0].Name()))
	if string(old) != "one" || err != nil {
		t.Errorf("%q %v", old, err)
	}
	for _, path := range []string{"b/" + testBucket + "/.versions", "a/.versions", ".versions"} {
		if _, err := os.Stat(m.path(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	var st syscall.Statfs_t
	check(t, syscall.Statfs(m.path("a"), &st))
	if st.Blocks == 0 {
		t.Error("statfs of a group")
	}
}

func errOf[T any](_ T, err error) error { return err }
