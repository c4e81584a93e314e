package fs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// cp copies as cp(1) does, by copy_file_range(2).
func cp(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// versionsOf is what another client sees of a key, the newest first.
func (m *versioned) versionsOf(key string) []backend.Version {
	m.t.Helper()
	page, err := m.raw.ListVersions(context.Background(), backend.ListVersionsInput{Bucket: testBucket, Prefix: key})
	check(m.t, err)
	return slices.DeleteFunc(page.Versions, func(v backend.Version) bool { return v.Key != key })
}

func TestVersionCopiedBack(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newVersioned(t, testOptions{commit: commit, posix: PosixOff})
		first := m.put("d/file", "the first")
		m.put("d/file", "the second, longer")
		m.wantNames("d/.versions/file", m.names("d/.versions/file")...)
		m.wantNames("d", "file")
		m.requests(func() {
			cp(t, m.path("d/.versions/file/"+first), m.path("d/file"))
			check(t, m.fs.Drain(t.Context(), nil))
		}, m.atMost(map[string]int{"CopyObject": 1, "HeadObject": 2}))
		if m.store.BytesReceived()+m.store.BytesSent() != 0 || m.store.Requests()["CopyObject"] != 1 {
			t.Errorf("%s", m.store)
		}
		m.wantFile("d/file", "the first")
		if data, _ := m.object("d/file"); string(data) != "the first" {
			t.Errorf("in the store: %q", data)
		}
		if all := m.versionsOf("d/file"); len(all) != 3 {
			t.Errorf("%d versions", len(all))
		}
		if names := m.names("d/.versions/file"); len(names) != 3 {
			t.Errorf("own change is not shown: %q", names)
		}
	})
}

func TestVersionRestoresWhatIsGone(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	m.clock.Add(1)
	o, err := m.raw.Put(context.Background(), backend.PutInput{
		Bucket: testBucket, Key: "d/sub/gone", Body: bytes.NewReader([]byte("content")), Size: 7,
		Properties: backend.Properties{Headers: backend.Headers{ContentType: "image/x-own"}},
	})
	check(t, err)
	name := versionName(backend.Version{Object: backend.Object{VersionID: o.VersionID, LastModified: time.Unix(m.clock.Load(), 0)}})
	m.remove("d/sub/gone")
	check(t, os.MkdirAll(m.path("d/sub"), 0o755))
	cp(t, m.path("d/.versions/sub/gone/"+name), m.path("d/sub/gone"))
	data, obj := m.object("d/sub/gone")
	if string(data) != "content" || obj.Headers.ContentType != "image/x-own" {
		t.Errorf("%q, %q", data, obj.Headers.ContentType)
	}
}

// More than one CopyObject can do, and a copy that is changed: parts are copied by version id.
func TestVersionCopiedInParts(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	m := newVersioned(t, testOptions{posix: PosixOff, partSize: 1 << 20, maxCopy: 4 << 20})
	data := randomBytes(3, size)
	first := m.put("file", string(data))
	m.put("file", "small")
	m.requests(func() { cp(t, m.path(".versions/file/"+first), m.path("file")) }, m.atMost(map[string]int{
		"GetBucketVersioning": 1, "ListObjectVersions": 2, "ListObjectsV2": 2, "HeadObject": 3, "CreateMultipartUpload": 1, "UploadPartCopy": 8, "CompleteMultipartUpload": 1,
	}))
	if m.store.BytesReceived()+m.store.BytesSent() != 0 {
		t.Errorf("%s", m.store)
	}
	if got, _ := m.object("file"); !bytes.Equal(got, data) {
		t.Error("other bytes")
	}
	m.put("file", "small again")
	m.store.Reset()
	dst, err := os.Create(m.path("changed"))
	check(t, err)
	src, err := os.Open(m.path(".versions/file/" + first))
	check(t, err)
	defer src.Close()
	for left := size; left > 0; {
		n, err := unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, left, 0)
		check(t, err)
		left -= n
	}
	_, err = dst.WriteAt([]byte("changed"), 5<<20)
	check(t, err)
	check(t, dst.Close())
	copy(data[5<<20:], "changed")
	if m.store.Requests()["UploadPartCopy"] == 0 || m.store.BytesReceived()+m.store.BytesSent() > 2<<20 {
		t.Errorf("%s", m.store)
	}
	if got, _ := m.object("changed"); !bytes.Equal(got, data) {
		t.Error("other bytes in the changed copy")
	}
}

// The content of a version survives a crash between close and upload: the reference has the id.
func TestVersionCopyAfterCrash(t *testing.T) {
	t.Parallel()
	o := testOptions{commit: CommitBackground, posix: PosixOff, state: t.TempDir(), store: mem.New(testBucket)}
	var faults *mem.Faults
	o.wrap = func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}
	m := newVersioned(t, o)
	first := m.put("file", "the first")
	m.put("file", "the second")
	m.wantNames("", "file")
	faults.Add(mem.Rule{Op: "CopyObject", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	cp(t, m.path(".versions/file/"+first), m.path("file"))
	m.wantFile("file", "the first")
	m.lost = true
	m.unmount()
	o.wrap = nil
	again := newVersioned(t, o)
	again.wantFile("file", "the first")
	check(t, again.fs.Drain(t.Context(), nil))
	if data, _ := again.object("file"); string(data) != "the first" {
		t.Errorf("in the store: %q", data)
	}
}

// A version that is removed for good, and one in an archive.
func TestVersionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	first := m.put("file", "the first")
	m.put("file", "the second")
	m.wantNames(".versions/file", m.names(".versions/file")...)
	old := m.versionsOf("file")[1]
	_, err := m.raw.DeleteVersions(context.Background(), testBucket, []backend.VersionID{{Key: "file", VersionID: old.VersionID}}, false)
	check(t, err)
	if _, err := os.ReadFile(m.path(".versions/file/" + first)); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("a version that is gone: %v", err)
	}
	m.raw.Configure(func(s *mem.Settings) { s.Archive = true })
	m.clock.Add(1)
	_, err = m.raw.Put(context.Background(), backend.PutInput{
		Bucket: testBucket, Key: "cold", Body: bytes.NewReader([]byte("content")), Size: 7, Properties: backend.Properties{StorageClass: "GLACIER"},
	})
	check(t, err)
	names := m.names(".versions/cold")
	if _, err := os.ReadFile(m.path(".versions/cold/" + names[0])); !errors.Is(err, syscall.EACCES) {
		t.Errorf("an archived version: %v", err)
	}
}

// nameless is a store whose versions may not be read by their ids (s3:GetObjectVersion).
type nameless struct{ backend.Store }

func (s nameless) refuse(id backend.ObjectID, opt backend.GetOptions) error {
	if opt.VersionID == "" {
		return nil
	}
	return &backend.Error{Kind: backend.KindPermission, Op: "GetObject", Bucket: id.Bucket, Key: id.Key}
}

func (s nameless) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	if err := s.refuse(id, opt); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, id, opt)
}

func (s nameless) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	if err := s.refuse(id, opt); err != nil {
		return backend.Object{}, err
	}
	return s.Store.Head(ctx, id, opt)
}

func TestVersionThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store { return nameless{s} }})
	old := m.put("file", "the first")
	now := m.put("file", "the second")
	if _, err := os.ReadFile(m.path(".versions/file/" + old)); !errors.Is(err, syscall.EACCES) {
		t.Errorf("an old version: %v", err)
	}
	m.wantFile(".versions/file/"+now, "the second") // it is the current one, which may be read
	m.wantFile("file", "the second")
}

// The bytes of the current object that are cached serve its version, and bytes that were not read come by
// the version's id when another one is current.
func TestVersionSharesCache(t *testing.T) {
	t.Parallel()
	m := newVersioned(t, testOptions{posix: PosixOff})
	data := randomBytes(5, 12<<20)
	first := m.put("file", string(data))
	src, err := os.Open(m.path("file"))
	check(t, err)
	head := make([]byte, 1<<20)
	_, err = src.ReadAt(head, 0)
	check(t, err)
	check(t, src.Close())
	m.put("file", "another")
	got, err := os.ReadFile(m.path(".versions/file/" + first))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes")
	}
	m.wantFile("file", "another")
}
