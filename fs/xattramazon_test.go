package fs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// amazon is a store with what no server for tests has.
func amazon(o testOptions) testOptions {
	o.store, o.posix = mem.New(testBucket), PosixOff
	o.store.Configure(func(s *mem.Settings) {
		s.Annotations, s.Archive, s.UpdateEncryption, s.RestoreTime = true, true, true, time.Hour
	})
	return o
}

func TestXattrsInAnnotations(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, amazon(testOptions{}))
	m.putWith("f", "x", backend.Properties{})
	id := backend.ObjectID{Bucket: testBucket, Key: "f"}
	path := m.path("f")
	setXattr(t, path, "user.s3.annotation.summary", "quarterly")
	if value, err := m.raw.Annotation(t.Context(), id, "", "summary"); string(value) != "quarterly" || err != nil {
		t.Errorf("stored: %q, %v", value, err)
	}
	check(t, m.raw.PutAnnotation(t.Context(), id, "", "theirs", []byte("x\x00y")))
	large := strings.Repeat("large ", 5000)
	setXattr(t, path, "user.large", large) // more than metadata can hold
	setXattr(t, path, "user.small", "1")
	want := map[string]string{"user.s3.annotation.summary": "quarterly", "user.s3.annotation.theirs": "x\x00y", "user.large": large, "user.small": "1"}
	if got := xattrsOf(t, path); len(got) != len(want) || got["user.large"] != large || got["user.s3.annotation.theirs"] != "x\x00y" {
		t.Errorf("%d attributes are listed", len(got))
	}
	if err := unix.Setxattr(path, "user.large", []byte("2"), unix.XATTR_CREATE); !errors.Is(err, unix.EEXIST) {
		t.Errorf("create of one that is an annotation: %v", err)
	}
	check(t, unix.Setxattr(path, "user.large", []byte("small now"), unix.XATTR_REPLACE))
	check(t, unix.Removexattr(path, "user.s3.annotation.theirs"))
	check(t, m.fs.Drain(t.Context(), nil))
	if got := getXattr(t, path, "user.large"); got != "small now" {
		t.Errorf("large is %q", got)
	}
	if left, err := m.raw.Annotations(t.Context(), id, ""); len(left) != 1 || err != nil {
		t.Errorf("annotations: %v, %v", left, err)
	}
}

func TestRestoreAndEncryptionXattrs(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, amazon(testOptions{}))
	m.putWith("cold", "x", backend.Properties{StorageClass: "GLACIER"})
	m.putWith("warm", "x", backend.Properties{})
	_, err := os.ReadDir(m.dir)
	check(t, err)
	if _, err := tryXattr(m.path("cold"), "user.s3.restore"); !errors.Is(err, unix.ENODATA) {
		t.Errorf("before: %v", err)
	}
	m.requests(func() { setXattr(t, m.path("cold"), "user.s3.restore", "7d:Bulk") },
		m.atMost(map[string]int{"HeadObject": 1, "ListObjectAnnotations": 1, "RestoreObject": 1}))
	if got := getXattr(t, m.path("cold"), "user.s3.restore"); got != "ongoing" {
		t.Errorf("restore: %q", got)
	}
	if err := unix.Setxattr(m.path("warm"), "user.s3.restore", []byte("7d"), 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("of an object that is not archived: %v", err)
	}
	if err := unix.Setxattr(m.path("cold"), "user.s3.restore", []byte("soon"), 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("no number of days: %v", err)
	}
	m.requests(func() {
		setXattr(t, m.path("warm"), "user.s3.encryption", "aws:kms:arn:aws:kms:eu-west-1:1:key/2")
		check(t, m.fs.Drain(t.Context(), nil))
	}, m.atMost(map[string]int{"HeadObject": 1, "ListObjectAnnotations": 1, "UpdateObjectEncryption": 1}))
	if got := getXattr(t, m.path("warm"), "user.s3.encryption"); got != "aws:kms:arn:aws:kms:eu-west-1:1:key/2" {
		t.Errorf("encryption: %q", got)
	}
}

// The files of a view of versions show what their version has, and cannot be changed.
func TestXattrsOfVersions(t *testing.T) {
	t.Parallel()
	caps := mem.AllCapabilities()
	caps.Versioned = true
	o := testOptions{posix: PosixOff, caps: &caps, store: mem.New(testBucket)}
	m := newTestMount(t, o)
	check(t, m.raw.SetBucketVersioning(t.Context(), testBucket, "Enabled"))
	for _, which := range []string{"first", "second"} {
		m.putWith("f", which, backend.Properties{Metadata: map[string]string{"which": which}, Tags: map[string]string{"which": which}})
	}
	dir := m.path(".versions/f")
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 2 {
		t.Fatalf("%d versions", len(entries))
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		check(t, err)
		got := xattrsOf(t, path)
		if which := string(data); len(got) != 2 || got["user.s3.meta.which"] != which || got["user.s3.tag.which"] != which {
			t.Errorf("%s (%s) has %v", e.Name(), data, got)
		}
		if id := getXattr(t, path, "user.s3.version-id"); !strings.Contains(e.Name(), escapeID(id)) {
			t.Errorf("%s has the version id %q", e.Name(), id)
		}
		if err := unix.Setxattr(path, "user.x", []byte("1"), 0); !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EACCES) {
			t.Errorf("setting one: %v", err)
		}
	}
	if got := xattrsOf(t, dir); len(got) != 0 {
		t.Errorf("the directory has %v", got)
	}
	if got := strings.Count(getXattr(t, m.path("f"), "user.s3.versions"), "\n"); got != 2 && got != 1 {
		t.Errorf("%d lines of versions", got)
	}
}
