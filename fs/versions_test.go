package fs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// versioned is a mount of a bucket that keeps versions; each of put and remove is a second after the last.
type versioned struct {
	*testMount
	clock *atomic.Int64 // Unix seconds
}

func newVersioned(t *testing.T, o testOptions) *versioned {
	t.Helper()
	clock := new(atomic.Int64)
	clock.Store(1_700_000_000)
	if o.store == nil {
		o.store = mem.New(testBucket)
	}
	if o.ttl == 0 {
		o.ttl = time.Hour // also on a slow machine
	}
	o.store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return time.Unix(clock.Load(), 0) } })
	o.store.ConfigureBucket(testBucket, func(b *mem.BucketSettings) { b.Versioning = "Enabled" })
	return &versioned{newTestMount(t, o), clock}
}

// put stores an object as another client does and returns the name of the version's file.
func (m *versioned) put(key, data string) string {
	m.t.Helper()
	m.clock.Add(1)
	o, err := m.raw.Put(context.Background(), backend.PutInput{
		Bucket: testBucket, Key: key, Body: strings.NewReader(data), Size: int64(len(data)),
	})
	check(m.t, err)
	return versionName(backend.Version{Object: backend.Object{VersionID: o.VersionID, LastModified: time.Unix(m.clock.Load(), 0)}})
}

// remove puts a delete marker on a key.
func (m *versioned) remove(key string) {
	m.t.Helper()
	m.clock.Add(1)
	check(m.t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: key}))
}

func (m *versioned) names(path string) []string {
	m.t.Helper()
	entries, err := os.ReadDir(m.path(path))
	check(m.t, err)
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.Name()
	}
	slices.Sort(all)
	return all
}

func (m *versioned) wantNames(path string, want ...string) {
	m.t.Helper()
	slices.Sort(want)
	if got := m.names(path); !slices.Equal(got, want) {
		m.t.Errorf("%s: %q, want %q", path, got, want)
	}
}

func (m *versioned) wantFile(path, want string) {
	m.t.Helper()
	data, err := os.ReadFile(m.path(path))
	check(m.t, err)
	info, err := os.Stat(m.path(path))
	check(m.t, err)
	if string(data) != want || info.Size() != int64(len(want)) {
		m.t.Errorf("%s: %q, size %d, want %q", path, data, info.Size(), want)
	}
}

func TestVersionsOfFile(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	first := m.put("dir/file", "one")
	second := m.put("dir/file", "two, longer")
	m.remove("dir/file")
	third := m.put("dir/file", "three")
	m.wantNames("dir", "file")
	m.wantNames("dir/.versions", "file")
	names := m.names("dir/.versions/file")
	if len(names) != 4 || names[0] != first || names[1] != second || !strings.HasSuffix(names[2], ".deleted") || names[3] != third {
		t.Errorf("%q", names)
	}
	m.wantFile("dir/.versions/file/"+first, "one")
	m.wantFile("dir/.versions/file/"+second, "two, longer")
	m.wantFile("dir/.versions/file/"+names[2], "")
	m.wantFile("dir/.versions/file/"+third, "three")
	info, err := os.Stat(m.path("dir/.versions/file/" + first))
	check(t, err)
	if info.Mode() != 0o644 || info.ModTime().Unix() != 1_700_000_001 {
		t.Errorf("mode %v, mtime %v", info.Mode(), info.ModTime())
	}
	if info, err = os.Stat(m.path("dir/.versions/file")); err != nil || info.ModTime().Unix() != 1_700_000_004 || info.Mode() != fs.ModeDir|0o555 {
		t.Errorf("directory of the versions: %v %v", info, err)
	}
	for _, absent := range []string{"dir/.versions/other", "dir/.versions/fil", "dir/.versions/file/" + first + "x", "dir/.versions/file%file"} {
		if _, err := os.Stat(m.path(absent)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", absent, err)
		}
	}
}

func TestVersionsOfWhatIsGone(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	file := m.put("gone/deep/file", "content")
	m.remove("gone/deep/file")
	both := m.put("both", "a file once")
	below := m.put("both/x", "and a directory")
	m.wantNames(".", "both", "both%file")
	m.wantNames(".versions", "gone", "both", "both%file")
	m.wantNames(".versions/gone", "deep")
	m.wantNames(".versions/gone/deep", "file")
	m.wantFile(".versions/gone/deep/file/"+file, "content")
	m.wantFile(".versions/both%file/"+both, "a file once")
	m.wantFile(".versions/both/x/"+below, "and a directory")
	if _, err := os.Stat(m.path("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the deleted directory: %v", err)
	}
}

func TestVersionsOfOddNames(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	long := strings.Repeat("x", 300)
	for _, key := range []string{"d/.", "d/..", "d/nul\x00", "d//empty", "d/%file", "d/" + long, "d/" + long + "/below", "d/.versions"} {
		m.put(key, key)
	}
	m.put("d/", "bytes of the marker")
	m.put(".objmount-dir", "hidden")
	shown := map[string]string{}
	check(t, filepath.WalkDir(m.path(".versions/d"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			data, readErr := os.ReadFile(path)
			rel, _ := filepath.Rel(m.path(".versions/d"), filepath.Dir(path))
			shown[rel], err = string(data), readErr
		}
		return err
	}))
	want := map[string]string{
		"%2E%key": "d/.", "%2E%2E%key": "d/..", "nul%00%key": "d/nul\x00", "%empty/empty": "d//empty", "%25file%key": "d/%file",
		long[:250] + "%part/" + long[250:] + "%file": "d/" + long, long[:250] + "%part/" + long[250:] + "/below": "d/" + long + "/below",
		".versions": "d/.versions", "%file": "bytes of the marker",
	}
	for name, content := range want {
		if shown[name] != content {
			t.Errorf("%s: %q, want %q", name, shown[name], content)
		}
	}
	if len(shown) != len(want) {
		t.Errorf("%d files, want %d: %v", len(shown), len(want), shown)
	}
	m.wantNames(".versions", "d")
}

// A key named .versions is not hidden by the view, and does not hide it.
func TestVersionsBesideRealOne(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	file := m.put("d/file", "content")
	m.put("d/.versions/mine", "real")
	m.wantNames("d", ".versions", "file")
	m.wantNames("d/.versions", "mine")
	m.wantFile("d/.versions/mine", "real")
	m.wantNames("d/.versions%view", ".versions", "file")
	m.wantFile("d/.versions%view/file/"+file, "content")
	m.wantFile(".versions/d/file/"+file, "content")
}

func TestVersionsNotKept(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("d/file", []byte("x"))
	if _, err := os.Stat(m.path("d/.versions")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bucket without versions: %v", err)
	}
	check(t, os.Mkdir(m.path("d/.versions"), 0o755)) // a name like any other
	m.wantObject("d/.versions/")

	suspended := newVersioned(t, testOptions{posix: PosixOff})
	first := suspended.put("file", "one")
	suspended.raw.ConfigureBucket(testBucket, func(b *mem.BucketSettings) { b.Versioning = "Suspended" })
	second := suspended.put("file", "two")
	if !strings.HasSuffix(suspended.names(".versions/file")[1], "_null") {
		t.Errorf("%q, and %s", suspended.names(".versions/file"), second)
	}
	suspended.wantFile(".versions/file/"+first, "one")
	suspended.wantFile(".versions/file/"+suspended.names(".versions/file")[1], "two")
}

// The null version is replaced within a second, and so under one name.
func TestVersionsOfOneName(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	m.put("file", "one")
	m.raw.ConfigureBucket(testBucket, func(b *mem.BucketSettings) { b.Versioning = "Suspended" })
	for _, content := range []string{"two", "three", "four"} {
		check(t, os.WriteFile(m.path("file"), []byte(content), 0o644))
		names := m.names(".versions/file")
		if len(names) != 2 {
			t.Fatalf("%q", names)
		}
		null := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "_null") })
		m.wantFile(".versions/file/"+names[null], content)
	}
}

func (m *testMount) wantObject(key string) {
	m.t.Helper()
	if _, err := m.raw.Head(context.Background(), backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{}); err != nil {
		m.t.Errorf("%s: %v", key, err)
	}
}

func TestVersionsAreReadOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the kernel refuses others before it asks")
	}
	m := newVersioned(t, testOptions{})
	version := m.put("d/file", "content")
	m.put("d/.hidden", "content")
	check(t, os.WriteFile(m.path("d/other"), []byte("x"), 0o644))
	check(t, os.Mkdir(m.path("d/sub"), 0o755))
	in := func(name string) string { return m.path("d/.versions/" + name) }
	file := in("file/" + version)
	open := func(path string, flags int) error {
		f, err := os.OpenFile(path, flags, 0o644)
		if err == nil {
			f.Close()
		}
		return err
	}
	for what, c := range map[string]struct {
		err  error
		want syscall.Errno
	}{
		"open for writing":    {open(file, os.O_WRONLY), syscall.EROFS},
		"open to replace":     {open(file, os.O_RDWR|os.O_TRUNC), syscall.EROFS},
		"create":              {open(in("new"), os.O_CREATE|os.O_WRONLY), syscall.EROFS},
		"create a version":    {open(in("file/new"), os.O_CREATE|os.O_WRONLY), syscall.EROFS},
		"truncate":            {os.Truncate(file, 0), syscall.EROFS},
		"chmod":               {os.Chmod(file, 0o600), syscall.EROFS},
		"chmod of the view":   {os.Chmod(m.path("d/.versions"), 0o700), syscall.EROFS},
		"utimens":             {os.Chtimes(file, time.Now(), time.Now()), syscall.EROFS},
		"mkdir":               {os.Mkdir(in("new"), 0o755), syscall.EROFS},
		"mkdir of the view":   {os.Mkdir(m.path("d/.versions"), 0o755), syscall.EEXIST},
		"symlink":             {os.Symlink("x", in("new")), syscall.EROFS},
		"mknod":               {syscall.Mknod(in("new"), syscall.S_IFREG|0o644, 0), syscall.EROFS},
		"rename inside":       {os.Rename(file, file+"x"), syscall.EROFS},
		"rename out":          {os.Rename(file, m.path("d/out")), syscall.EROFS},
		"rename in":           {os.Rename(m.path("d/other"), in("file/other")), syscall.EROFS},
		"rename of the view":  {os.Rename(m.path("d/.versions"), m.path("d/moved")), syscall.EROFS},
		"rename to the view":  {syscall.Rename(m.path("d/sub"), m.path("d/.versions")), syscall.EROFS},
		"link":                {os.Link(file, m.path("d/link")), syscall.EPERM},
		"unlink":              {syscall.Unlink(file), syscall.EPERM},
		"unlink of the view":  {syscall.Unlink(m.path("d/.versions")), syscall.EISDIR},
		"rmdir":               {syscall.Rmdir(in("file")), syscall.EPERM},
		"rmdir of the view":   {syscall.Rmdir(m.path("d/.versions")), syscall.EPERM},
		"writing to the view": {open(m.path("d/.versions"), os.O_WRONLY), syscall.EISDIR},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", what, c.err, c.want)
		}
	}
	m.wantFile("d/.versions/file/"+version, "content")
	m.wantFile("d/file", "content")
	synced, err := os.Open(file)
	check(t, err)
	defer synced.Close()
	check(t, synced.Sync())
}

// rm -r and rmdir do not see the view, nor does find.
func TestVersionsAreHidden(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{})
	version := m.put("top/d/file", "content")
	m.wantNames("top/d/.versions", "file") // the kernel knows it now
	out, err := exec.Command("find", m.path("top")).Output()
	check(t, err)
	if bytes.Contains(out, []byte(".versions")) {
		t.Errorf("find: %s", out)
	}
	check(t, exec.Command("rm", "-r", m.path("top/d")).Run())
	if _, err := os.Stat(m.path("top/d/.versions")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below what was removed: %v", err)
	}
	m.wantNames("top")
	m.wantFile("top/.versions/d/file/"+version, "content")
	check(t, os.Mkdir(m.path("top/d"), 0o755))
	m.wantFile("top/d/.versions/file/"+version, "content")
	check(t, os.Remove(m.path("top/d")))
	check(t, os.Remove(m.path("top")))
}

// What follows a renamed directory is its name, not its versions.
func TestVersionsAfterRename(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	version := m.put("d/file", "content")
	old, err := os.Open(m.path("d/.versions/file/" + version))
	check(t, err)
	defer old.Close()
	check(t, os.Rename(m.path("d"), m.path("e")))
	m.wantNames("e", "file")
	now := m.names("e/.versions/file")
	if len(now) != 1 || now[0] == version {
		t.Errorf("versions under the new name: %q", now)
	}
	buf := make([]byte, 10)
	if count, _ := old.ReadAt(buf, 0); string(buf[:count]) != "content" {
		t.Errorf("an open version: %q", buf[:count])
	}
	m.wantFile(".versions/d/file/"+version, "content")
}

func TestVersionsOfBuckets(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff, buckets: true})
	version := m.put("file", "content")
	m.wantFile(testBucket+"/.versions/file/"+version, "content")
	if _, err := os.Stat(m.path(".versions")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("beside the buckets: %v", err)
	}
}
