package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// withVersions is a bucket that keeps versions.
func withVersions(b *mem.BucketSettings) { b.Versioning = "Enabled" }

// remove deletes an object as another client does.
func (m *testMount) remove(key string) {
	m.t.Helper()
	check(m.t, m.store.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: key}))
}

// readRange reads at an offset.
func readRange(file *os.File, off int64, n int) ([]byte, error) {
	buf := make([]byte, n)
	n, err := file.ReadAt(buf, off)
	return buf[:n], err
}

// An open file reads all of its version, also ranges that were never read, whatever another client does to the name.
func TestOpenFileKeepsItsVersion(t *testing.T) {
	t.Parallel()
	old, now := randomBytes(1, 9<<20), randomBytes(2, 9<<20)
	for name, change := range map[string]func(m *testMount){
		"overwritten": func(m *testMount) { m.put("f", now) },
		"deleted":     func(m *testMount) { m.remove("f") },
		"deleted and made again, and again": func(m *testMount) {
			m.remove("f")
			m.put("f", now)
			m.put("f", now[:10])
		},
	} {
		for mode, consistency := range map[string]Consistency{"told by open": CloseToOpen, "told by the first GET": TTLOnly} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				m := newTestMount(t, testOptions{settings: withVersions, consistency: consistency, ttl: 200 * time.Millisecond})
				m.put("f", old)
				file, err := os.Open(m.path("f"))
				check(t, err)
				defer file.Close()
				if consistency == TTLOnly {
					_, err = readRange(file, 0, 4096)
					check(t, err)
				}
				change(m)
				for _, off := range []int64{8 << 20, 5<<20 + 123} {
					if got, err := readRange(file, off, 64<<10); err != nil || !bytes.Equal(got, old[off:off+64<<10]) {
						t.Errorf("at %d: %d bytes, the old ones: %v, %v", off, len(got), bytes.Equal(got, old[off:off+64<<10]), err)
					}
				}
				time.Sleep(250 * time.Millisecond)
				if data, err := os.ReadFile(m.path("f")); err == nil && bytes.Equal(data, old) {
					t.Error("who opens it later gets the old version, too")
				}
				m.same(file, old)
			})
		}
	}
}

// A small file that is cached answers open's GET with a 304, which tells no version id.
func TestCachedFileKeepsItsVersion(t *testing.T) {
	t.Parallel()
	data, cache := randomBytes(1, 100<<10), t.TempDir()
	first := newTestMount(t, testOptions{settings: withVersions, cacheDir: cache})
	first.put("f", data)
	got, err := os.ReadFile(first.path("f"))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Fatal("other bytes")
	}
	first.unmount()
	m := newTestMount(t, testOptions{store: first.raw, cacheDir: cache})
	_, err = os.ReadDir(m.dir)
	check(t, err)
	var file *os.File
	m.requests(func() { file, err = os.Open(m.path("f")); check(t, err) }, map[string]int{"HeadObject": 1})
	defer file.Close()
	n := m.fs.tree.child(m.fs.tree.root(), "f")
	n.rlock()
	id := n.current.remote.VersionID
	n.runlock()
	if id == "" {
		t.Error("its version is not known")
	}
	m.fs.cfg.Blocks.Drop(testBucket, "f") // as if it was pushed out
	m.put("f", []byte("new"))
	m.same(file, data)
	again, err := os.Open(m.path("f"))
	check(t, err)
	defer again.Close()
	m.requests(func() { check(t, openFor(m.path("f"), os.O_RDONLY)) }, map[string]int{"GetObject": 1}) // a 304: the id is known
}

// Where the version cannot be had by its id, readers get ESTALE, never bytes of another one.
func TestPinnedVersionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	old, now := randomBytes(1, 9<<20), randomBytes(2, 9<<20)
	suspended := func(b *mem.BucketSettings) { b.Versioning = "Suspended" }
	for name, c := range map[string]struct {
		settings func(*mem.BucketSettings)
		forbid   bool
		purge    bool
	}{
		"null version": {settings: suspended},
		"forbidden":    {settings: withVersions, forbid: true},
		"purged":       {settings: withVersions, purge: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refused atomic.Int32
			m := newTestMount(t, testOptions{settings: c.settings, wrap: func(s backend.Store) backend.Store {
				if c.forbid {
					return noVersions{s, &refused}
				}
				return s
			}})
			m.put("f", old)
			m.put("other", old)
			file, err := os.Open(m.path("f"))
			check(t, err)
			defer file.Close()
			if got, err := readRange(file, 0, 4096); err != nil || !bytes.Equal(got, old[:4096]) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			m.put("f", now)
			if c.purge {
				for _, id := range m.versions()["f"][1:] {
					check(t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: "f", VersionID: id}))
				}
			}
			if got, err := readRange(file, 8<<20, 4096); !errors.Is(err, syscall.ESTALE) {
				t.Errorf("%d bytes, new ones: %v, %v; want ESTALE", len(got), bytes.Equal(got, now[8<<20:8<<20+4096]), err)
			}
			if got, err := os.ReadFile(m.path("other")); err != nil || !bytes.Equal(got, old) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if n := refused.Load(); c.forbid && (n == 0 || n > 4) { // what is under way at once
				t.Errorf("%d GETs were refused, later ones do not try", n)
			}
		})
	}
}

// noVersions is a store with credentials that may not read by version id (s3:GetObjectVersion).
type noVersions struct {
	backend.Store
	refused *atomic.Int32
}

func (s noVersions) check(id backend.ObjectID, version string) error {
	if version == "" {
		return nil
	}
	s.refused.Add(1)
	return &backend.Error{Kind: backend.KindPermission, Op: "GetObject", Bucket: id.Bucket, Key: id.Key, Code: "AccessDenied"}
}

func (s noVersions) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	if err := s.check(id, opt.VersionID); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, id, opt)
}

func (s noVersions) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if err := s.check(backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key}, in.Source.VersionID); err != nil {
		return backend.Object{}, err
	}
	return s.Store.Copy(ctx, in)
}

func (s noVersions) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	if err := s.check(backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key}, in.Source.VersionID); err != nil {
		return backend.Part{}, err
	}
	return s.Store.CopyPart(ctx, in)
}

// The same bytes stored again are another version with the same ETag: it serves when the first is gone.
func TestSameBytesStoredAgain(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 9<<20)
	m := newTestMount(t, testOptions{settings: withVersions})
	m.put("f", data)
	file, err := os.Open(m.path("f"))
	check(t, err)
	defer file.Close()
	first := m.versions()["f"][0]
	m.put("f", data)
	check(t, m.raw.Delete(context.Background(), backend.DeleteInput{Bucket: testBucket, Key: "f", VersionID: first}))
	m.same(file, data)
}

// Edits, copies, renames and attribute changes of a file whose version id is known go on as where no versions are kept: on the
// condition that it is current. So they do where reading by version is forbidden.
func TestChangesOfPinnedFiles(t *testing.T) {
	t.Parallel()
	for name, forbid := range map[string]bool{"allowed": false, "forbidden": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refused atomic.Int32
			m := newTestMount(t, testOptions{settings: withVersions, partSize: 256 << 10,
				capabilities: func(c *backend.Capabilities) { c.CopyDestination = false },
				wrap: func(s backend.Store) backend.Store {
					if forbid {
						return noVersions{s, &refused}
					}
					return s
				}})
			data := randomBytes(1, 4<<20)
			for _, key := range []string{"edited", "copied", "renamed", "changed"} {
				m.put(key, data)
			}
			file, err := os.OpenFile(m.path("edited"), os.O_RDWR, 0)
			check(t, err)
			_, err = file.WriteAt([]byte("edit"), 2<<20)
			check(t, err)
			check(t, file.Close())
			want := bytes.Clone(data)
			copy(want[2<<20:], "edit")
			m.mustBe("edited", want)

			source, err := os.Open(m.path("copied"))
			check(t, err)
			target, err := os.Create(m.path("copy"))
			check(t, err)
			_, err = io.Copy(target, source) // copy_file_range
			check(t, err)
			check(t, source.Close())
			check(t, target.Close())
			m.mustBe("copy", data)

			check(t, openFor(m.path("renamed"), os.O_RDONLY))
			check(t, os.Rename(m.path("renamed"), m.path("new")))
			m.mustBe("new", data)

			check(t, openFor(m.path("changed"), os.O_RDONLY))
			check(t, os.Chmod(m.path("changed"), 0o600))
			m.unmount()
			m.mustBe("changed", data)
			if s := m.fs.queue.Stats(); s.Unguarded > 1 { // the copy to a new name, which has no condition here
				t.Errorf("%+v", s)
			}
			if s := m.fs.Status(); len(s.Kept) > 0 || len(s.Pending) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func (m *testMount) mustBe(key string, want []byte) {
	m.t.Helper()
	if data, err := m.stored(key); err != nil || !bytes.Equal(data, want) {
		m.t.Errorf("%s: %d bytes, %v", key, len(data), err)
	}
}

// What another client has replaced is not renamed, nor edited: an old version must not take the place of a new one.
func TestPinnedIsNotCurrent(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withVersions, ttl: time.Hour})
	old, now := randomBytes(1, 2<<20), randomBytes(2, 2<<20)
	for _, key := range []string{"renamed", "edited"} {
		m.put(key, old)
	}
	_, err := os.ReadDir(m.dir)
	check(t, err)
	check(t, openFor(m.path("renamed"), os.O_RDONLY))
	file, err := os.OpenFile(m.path("edited"), os.O_RDWR, 0)
	check(t, err)
	_, err = file.WriteAt([]byte("edit"), 1<<20)
	check(t, err)
	m.put("renamed", now)
	m.put("edited", now)
	check(t, unix.Rename(m.path("renamed"), m.path("elsewhere"))) // the kernel tries again with what is current
	if err := file.Close(); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("close: %v", err)
	}
	m.mustBe("elsewhere", now)
	m.mustBe("edited", now)
	m.gone("renamed")
}

// A copy of a file that another client has replaced since it was opened is one of the version that is open.
func TestCopyOfAnOldVersion(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{settings: withVersions})
	old := randomBytes(1, 2<<20)
	m.put("f", old)
	source, err := os.Open(m.path("f"))
	check(t, err)
	defer source.Close()
	m.put("f", []byte("new"))
	target, err := os.Create(m.path("copy"))
	check(t, err)
	m.store.Reset()
	_, err = io.Copy(target, source)
	check(t, err)
	check(t, target.Close())
	m.mustBe("copy", old)
	if got := m.store.Requests(); got["CopyObject"] != 1 || m.store.BytesSent() > 0 {
		t.Errorf("%v", m.store)
	}
}

// Passthrough and version ids do not disturb each other.
func TestPassthroughPinned(t *testing.T) {
	t.Parallel()
	old, now := randomBytes(1, 3<<20), randomBytes(2, 3<<20)
	m := throughMount(t, "file", old, withVersions)
	reader, err := os.Open(m.path("file"))
	check(t, err)
	defer reader.Close()
	m.put("file", now)
	later, err := os.Open(m.path("file"))
	check(t, err)
	defer later.Close()
	m.remove("file")
	m.same(reader, old)
	m.same(later, now)
}
