package fs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// xattrsOf reads all that a listing of names shows.
func xattrsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Listxattr(path, buf)
	check(t, err)
	all := make(map[string]string)
	for _, name := range strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name != "" {
			all[name] = getXattr(t, path, name)
		}
	}
	return all
}

func getXattr(t *testing.T, path, name string) string {
	t.Helper()
	value, err := tryXattr(path, name)
	if err != nil {
		t.Fatalf("%s of %s: %v", name, path, err)
	}
	return value
}

func tryXattr(path, name string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Getxattr(path, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func setXattr(t *testing.T, path, name, value string) {
	t.Helper()
	if err := unix.Setxattr(path, name, []byte(value), 0); err != nil {
		t.Fatalf("set %s of %s: %v", name, path, err)
	}
}

func (m *testMount) tagsOf(key string) map[string]string {
	m.t.Helper()
	tags, err := m.raw.Tags(m.t.Context(), backend.ObjectID{Bucket: testBucket, Key: key}, "")
	check(m.t, err)
	return tags
}

// putWith stores an object with properties as another client does.
func (m *testMount) putWith(key, data string, props backend.Properties) {
	m.t.Helper()
	_, err := m.raw.Put(m.t.Context(), backend.PutInput{Bucket: testBucket, Key: key, Body: strings.NewReader(data), Size: int64(len(data)), Properties: props})
	check(m.t, err)
}

func TestXattrsOfStoredObjects(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.putWith("f.txt", "data", backend.Properties{
		Headers:  backend.Headers{ContentType: "text/x-own", CacheControl: "no-store"},
		Metadata: map[string]string{"colour": "red"}, Tags: map[string]string{"team": "a b", "e": ""},
	})
	path := m.path("f.txt")
	want := map[string]string{
		"user.s3.content-type": "text/x-own", "user.s3.cache-control": "no-store", "user.s3.meta.colour": "red",
		"user.s3.tag.team": "a b", "user.s3.tag.e": "",
	}
	if got := xattrsOf(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if got := getXattr(t, path, "user.s3.etag"); len(got) != 32 {
		t.Errorf("etag %q", got)
	}
	if got := getXattr(t, path, "user.s3.upload-state"); got != "stored" {
		t.Errorf("upload-state %q", got)
	}
	if got := getXattr(t, path, "user.s3"); !strings.Contains(got, `"colour": "red"`) || !strings.Contains(got, `"team": "a b"`) {
		t.Errorf("user.s3 is %s", got)
	}
	for name, no := range map[string]error{
		"user.s3.tag.absent": unix.ENODATA, "user.s3.nothing": unix.ENODATA, "user.other": unix.ENODATA,
		"security.capability": unix.ENODATA, "trusted.x": unix.ENODATA, "system.posix_acl_access": unix.ENODATA,
	} {
		if _, err := tryXattr(path, name); !errors.Is(err, no) && !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("%s: %v, want %v", name, err, no)
		}
	}
	// The rules of buffers.
	if n, err := unix.Getxattr(path, "user.s3.meta.colour", nil); n != 3 || err != nil {
		t.Errorf("the size of a value: %d, %v", n, err)
	}
	if _, err := unix.Getxattr(path, "user.s3.meta.colour", make([]byte, 2)); !errors.Is(err, unix.ERANGE) {
		t.Errorf("a small buffer: %v", err)
	}
	if n, err := unix.Listxattr(path, nil); n < 20 || err != nil {
		t.Errorf("the size of a list: %d, %v", n, err)
	}
	if _, err := unix.Listxattr(path, make([]byte, 5)); !errors.Is(err, unix.ERANGE) {
		t.Errorf("a small buffer for a list: %v", err)
	}
}

func TestXattrsOfOthersCostNothing(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("f", []byte("x"))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	m.requests(func() {
		for _, name := range []string{"security.capability", "security.selinux", "system.posix_acl_access", "trusted.overlay.opaque"} {
			if _, err := tryXattr(m.path("f"), name); !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
				t.Errorf("%s: %v", name, err)
			}
			err := unix.Setxattr(m.path("f"), name, []byte("x"), 0)
			if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
				t.Errorf("set %s: %v", name, err)
			}
		}
	}, map[string]int{})
}

func TestXattrFlagsAndErrors(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("f", []byte("x"))
	path := m.path("f")
	for _, name := range []string{"user.s3.tag.a", "user.s3.meta.a", "user.own", "user.s3.cache-control"} {
		if err := unix.Setxattr(path, name, []byte("1"), unix.XATTR_REPLACE); !errors.Is(err, unix.ENODATA) {
			t.Errorf("replace of absent %s: %v", name, err)
		}
		check(t, unix.Setxattr(path, name, []byte("1"), unix.XATTR_CREATE))
		if err := unix.Setxattr(path, name, []byte("2"), unix.XATTR_CREATE); !errors.Is(err, unix.EEXIST) {
			t.Errorf("create of present %s: %v", name, err)
		}
		check(t, unix.Setxattr(path, name, []byte("3"), unix.XATTR_REPLACE))
		if got := getXattr(t, path, name); got != "3" {
			t.Errorf("%s is %q", name, got)
		}
		check(t, unix.Removexattr(path, name))
		if err := unix.Removexattr(path, name); !errors.Is(err, unix.ENODATA) {
			t.Errorf("remove of absent %s: %v", name, err)
		}
	}
	long := strings.Repeat("v", 300)
	for _, c := range []struct {
		name, value string
		want        error
	}{
		{"user.s3.unknown", "x", unix.EINVAL},
		{"user.s3.etag", "x", unix.EPERM},
		{"user.s3.tag.k", long, unix.E2BIG},
		{"user.s3.tag." + strings.Repeat("k", 130), "x", unix.E2BIG},
		{"user.s3.meta.file-permissions", "x", unix.EINVAL},
		{"user.s3.meta.xattr-x", "x", unix.EINVAL},
		{"user.s3.meta.objmount-generation", "x", unix.EINVAL},
		{"user.s3.meta.k", "\xff", unix.EINVAL},
		{"user.s3.meta.big", strings.Repeat("v", 3000), unix.ENOSPC},
		{"user.big", strings.Repeat("v", 3000), unix.ENOSPC},
		{"user.s3.legal-hold", "on", unix.EOPNOTSUPP},
		{"user.s3.retention", "GOVERNANCE 30d", unix.EOPNOTSUPP},
		{"user.s3.storage-class", "lower", unix.EINVAL},
		{"user.s3.annotation.x", "x", unix.EOPNOTSUPP},
	} {
		if err := unix.Setxattr(path, c.name, []byte(c.value), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range 10 {
		setXattr(t, path, fmt.Sprintf("user.s3.tag.t%d", i), "v")
	}
	if err := unix.Setxattr(path, "user.s3.tag.t10", []byte("v"), 0); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the 11th tag: %v", err)
	}
	check(t, m.fs.Drain(t.Context(), nil))
	if got := m.tagsOf("f"); len(got) != 10 {
		t.Errorf("tags: %v", got)
	}
}

// Every byte of a value comes back, here and after a remount, and the object's other properties stay.
func TestXattrValuesAreExact(t *testing.T) {
	t.Parallel()
	o := testOptions{posix: PosixOff, state: t.TempDir()}
	m := newTestMount(t, o)
	m.putWith("f", "data", backend.Properties{Metadata: map[string]string{"kept": "yes"}, Tags: map[string]string{"kept": "yes"}})
	values := map[string]string{
		"user.empty": "", "user.nul": "a\x00b\x00", "user.newline": "a\nb", "user.high": "\xff\xfe\x80", "user.blank": "  x  ",
		"user.Upper_Case.näme": "grüße", "user.mark": "base64:AAAA", "user.DOSATTRIB": "0x20",
	}
	for name, value := range values {
		setXattr(t, m.path("f"), name, value)
	}
	look := func(m *testMount, when string) {
		for name, value := range values {
			if got := getXattr(t, m.path("f"), name); got != value {
				t.Errorf("%s: %s is %q, want %q", when, name, got, value)
			}
		}
		got := xattrsOf(t, m.path("f"))
		if len(got) != len(values)+2 || got["user.s3.meta.kept"] != "yes" || got["user.s3.tag.kept"] != "yes" {
			t.Errorf("%s: listed %q", when, got)
		}
	}
	look(m, "not sent")
	check(t, m.fs.Drain(t.Context(), nil))
	look(m, "sent")
	m.unmount()
	o.store = m.raw
	look(newTestMount(t, o), "after a remount")
	data, obj := m.object("f")
	if string(data) != "data" {
		t.Errorf("the object has %q", data)
	}
	for key := range obj.Metadata {
		if key != strings.ToLower(key) || strings.Contains(key, "_") {
			t.Errorf("a metadata key that some stores change: %q", key)
		}
	}
}

func TestXattrBudgetWrite(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.putWith("f", "data", backend.Properties{Tags: map[string]string{"old": "x"}})
	m.put("g", []byte("data"))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	m.requests(func() {
		file, err := os.Create(m.path("new.txt"))
		check(t, err)
		_, err = file.WriteString("content")
		check(t, err)
		check(t, unix.Fsetxattr(int(file.Fd()), "user.s3.tag.a", []byte("1"), 0))
		check(t, unix.Fsetxattr(int(file.Fd()), "user.s3.meta.b", []byte("2"), 0))
		check(t, unix.Fsetxattr(int(file.Fd()), "user.c", []byte("3"), 0))
		setXattr(t, m.path("new.txt"), "user.s3.storage-class", "REDUCED_REDUNDANCY")
		setXattr(t, m.path("new.txt"), "user.s3.content-type", "text/x-own")
		if got := xattrsOf(t, m.path("new.txt")); len(got) != 5 {
			t.Errorf("while it is written: %v", got)
		}
		check(t, file.Close())
	}, map[string]int{"PutObject": 1})
	_, obj := m.object("new.txt")
	if obj.Headers.ContentType != "text/x-own" || obj.Metadata["b"] != "2" || obj.StorageClass != "REDUCED_REDUNDANCY" || m.tagsOf("new.txt")["a"] != "1" {
		t.Errorf("stored: %+v", obj)
	}
	// A stored object: changes in a row are one copy, and one request for tags.
	m.requests(func() {
		for i := range 8 {
			setXattr(t, m.path("f"), fmt.Sprintf("user.n%d", i), "v")
		}
		setXattr(t, m.path("f"), "user.s3.cache-control", "no-store")
		check(t, m.fs.Drain(t.Context(), nil))
	}, m.atMost(map[string]int{"ListObjectsV2": 1, "HeadObject": 1, "GetObjectTagging": 1, "ListObjectAnnotations": 1, "CopyObject": 1}))
	m.requests(func() {
		for i := range 8 {
			setXattr(t, m.path("g"), fmt.Sprintf("user.s3.tag.%d", i), "v")
		}
		check(t, m.fs.Drain(t.Context(), nil))
	}, m.atMost(map[string]int{"ListObjectsV2": 1, "HeadObject": 1, "GetObjectTagging": 1, "PutObjectTagging": 1}))
	if got := m.tagsOf("g"); len(got) != 8 {
		t.Errorf("tags of g: %v", got)
	}
	if got := m.tagsOf("f"); got["old"] != "x" {
		t.Errorf("tags of f: %v", got)
	}
}

func TestXattrBudgetRead(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, ttl: time.Minute})
	const files = 1000
	tagged := 0
	for i := range files {
		var props backend.Properties
		if i%10 == 0 {
			props.Tags = map[string]string{"n": fmt.Sprint(i)}
			tagged++
		}
		m.putWith(fmt.Sprintf("d/%04d", i), "x", props)
	}
	m.putWith("one", "x", backend.Properties{Tags: map[string]string{"a": "1"}, Metadata: map[string]string{"b": "2"}})
	_, err := os.Stat(m.path("one"))
	check(t, err)
	_ = xattrsOf(t, m.path("one")) // that there are no annotations is known from now on
	m.fs.facts.clear()
	m.requests(func() {
		for range 3 {
			for _, name := range []string{"etag", "storage-class", "content-type", "meta.b", "tag.a", "last-modified", "version-id"} {
				_, _ = tryXattr(m.path("one"), "user.s3."+name)
			}
			_ = xattrsOf(t, m.path("one"))
		}
	}, map[string]int{"HeadObject": 1, "GetObjectTagging": 1})
	m.requests(func() {
		entries, err := os.ReadDir(m.path("d"))
		check(t, err)
		found := 0
		for _, e := range entries {
			found += len(xattrsOf(t, m.path("d/"+e.Name())))
		}
		if found != tagged || len(entries) != files {
			t.Errorf("%d attributes of %d files", found, len(entries))
		}
	}, m.atMost(map[string]int{"ListObjectsV2": 2, "HeadObject": files, "GetObjectTagging": tagged}))
	if peak := m.store.Peak(); peak > factsParallel+4 {
		t.Errorf("%d requests at once", peak)
	}
}

// What another client changes shows after the time that attributes may be old; what this mount changes, at once.
func TestXattrsAreAsOldAsAttributes(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, ttl: 300 * time.Millisecond})
	m.putWith("f", "data", backend.Properties{Tags: map[string]string{"a": "1"}})
	if got := getXattr(t, m.path("f"), "user.s3.tag.a"); got != "1" {
		t.Fatalf("a is %q", got)
	}
	check(t, m.raw.PutTags(t.Context(), backend.ObjectID{Bucket: testBucket, Key: "f"}, "", map[string]string{"a": "2", "b": "3"}))
	eventually(t, func() bool {
		a, _ := tryXattr(m.path("f"), "user.s3.tag.a")
		b, _ := tryXattr(m.path("f"), "user.s3.tag.b")
		return a == "2" && b == "3"
	})
	setXattr(t, m.path("f"), "user.s3.tag.a", "4")
	check(t, unix.Removexattr(m.path("f"), "user.s3.tag.b"))
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := xattrsOf(t, m.path("f")); len(got) != 1 || got["user.s3.tag.a"] != "4" {
			t.Fatalf("shown: %v", got)
		}
	}
	if got := m.tagsOf("f"); len(got) != 1 || got["a"] != "4" {
		t.Errorf("stored: %v", got)
	}
}

func TestConcurrentTags(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("f", []byte("x"))
	n := m.nodeOf("f")
	var wins, all sync.WaitGroup
	created := make(chan error, 20)
	for i := range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			if i < 9 {
				if code := m.rawSet(n, fmt.Sprintf("user.s3.tag.t%d", i), "v", 0); !code.Ok() {
					t.Errorf("tag %d: %v", i, code)
				}
			}
			created <- syscall.Errno(m.rawSet(n, "user.s3.tag.one", fmt.Sprint(i), xattrCreate))
		}()
	}
	all.Wait()
	wins.Wait()
	close(created)
	won := 0
	for err := range created {
		if err == syscall.Errno(0) {
			won++
		} else if !errors.Is(err, syscall.EEXIST) {
			t.Errorf("create: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d have created the same attribute", won)
	}
	check(t, m.fs.Drain(t.Context(), nil))
	if got := m.tagsOf("f"); len(got) != 10 {
		t.Errorf("tags: %v", got)
	}
}

func TestXattrsOfDirectories(t *testing.T) {
	t.Parallel()
	o := testOptions{state: t.TempDir()}
	m := newTestMount(t, o)
	check(t, os.Mkdir(m.path("d"), 0o755))
	m.put("implicit/f", []byte("x"))
	for _, dir := range []string{"d", "implicit"} {
		if got := xattrsOf(t, m.path(dir)); len(got) != 0 {
			t.Errorf("a new directory has %v", got)
		}
		setXattr(t, m.path(dir), "user.s3.tag.a", "1")
		setXattr(t, m.path(dir), "user.own", "2")
		setXattr(t, m.path(dir), "user.s3.meta.m", "3")
	}
	check(t, os.Chmod(m.path("d"), 0o700))
	check(t, os.Rename(m.path("d"), m.path("e")))
	m.unmount()
	o.store = m.raw
	m = newTestMount(t, o)
	for _, dir := range []string{"e", "implicit"} {
		if got := xattrsOf(t, m.path(dir)); len(got) != 3 || got["user.s3.tag.a"] != "1" || got["user.own"] != "2" || got["user.s3.meta.m"] != "3" {
			t.Errorf("%s has %v", dir, got)
		}
	}
	check(t, unix.Removexattr(m.path("e"), "user.s3.tag.a"))
	if got := xattrsOf(t, m.path("e")); len(got) != 2 {
		t.Errorf("left: %v", got)
	}
	info, err := os.Stat(m.path("e"))
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestXattrsOfBuckets(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{buckets: true})
	dir := m.path(testBucket)
	setXattr(t, dir, "user.s3.tag.cost", "centre 1")
	setXattr(t, dir, "user.own", "x")
	tags, err := m.raw.BucketTags(t.Context(), testBucket)
	check(t, err)
	if tags["cost"] != "centre 1" {
		t.Errorf("tags of the bucket: %v", tags)
	}
	if got := xattrsOf(t, dir); len(got) != 2 || got["user.own"] != "x" {
		t.Errorf("listed: %v", got)
	}
	setXattr(t, dir, "user.s3.bucket.versioning", "Enabled")
	if got := getXattr(t, dir, "user.s3.bucket.versioning"); got != "Enabled" {
		t.Errorf("versioning: %q", got)
	}
	if got, err := m.raw.BucketVersioning(t.Context(), testBucket); got != "Enabled" || err != nil {
		t.Errorf("the bucket: %q, %v", got, err)
	}
	if got := getXattr(t, dir, "user.s3.bucket.created"); !strings.HasPrefix(got, "20") {
		t.Errorf("created: %q", got)
	}
	if err := unix.Setxattr(m.dir, "user.x", []byte("1"), 0); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("the list of buckets: %v", err)
	}
	if got := xattrsOf(t, m.dir); len(got) != 0 {
		t.Errorf("the list of buckets has %v", got)
	}
}

func TestXattrsWithoutTagging(t *testing.T) {
	t.Parallel()
	caps := mem.AllCapabilities()
	caps.Tagging, caps.Classes = false, false
	m := newTestMount(t, testOptions{posix: PosixOff, caps: &caps})
	m.put("f", []byte("x"))
	for _, name := range []string{"user.s3.tag.a", "user.s3.storage-class"} {
		if err := unix.Setxattr(m.path("f"), name, []byte("GLACIER"), 0); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("%s: %v", name, err)
		}
	}
	setXattr(t, m.path("f"), "user.own", "x")
	m.requests(func() {
		if got := xattrsOf(t, m.path("f")); !slices.Equal([]string{got["user.own"]}, []string{"x"}) {
			t.Errorf("listed %v", got)
		}
	}, m.atMost(map[string]int{"HeadObject": 1, "ListObjectAnnotations": 1}))
	if !bytes.Equal([]byte("x"), []byte(getXattr(t, m.path("f"), "user.own"))) {
		t.Error("user.own")
	}
}
