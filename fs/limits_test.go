package fs

import (
	"bytes"
	"context"
	"errors"
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

// limit sets the limits of a bucket as another client does; the mount learns them by itself.
func (m *testMount) limit(bucket string, size int64, types ...string) {
	m.t.Helper()
	tags, err := backend.BucketLimits{FileSize: size, Types: types}.SetIn(map[string]string{"of": "others"})
	check(m.t, err)
	check(m.t, m.raw.PutBucketTags(m.t.Context(), bucket, tags))
}

func wants(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) || err == nil && want != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\x00"

// nothing looks that neither an object nor an upload of a key is there.
func (m *testMount) nothing(key string) {
	m.t.Helper()
	if _, err := m.stored(key); !backend.IsKind(err, backend.KindNotExist) {
		m.t.Errorf("%s is in the store (%v)", key, err)
	}
	ups, err := m.raw.ListUploads(m.t.Context(), backend.ObjectID{Bucket: testBucket, Key: key})
	if err != nil || len(ups) > 0 {
		m.t.Errorf("%d uploads of %s are left (%v)", len(ups), key, err)
	}
}

func TestRequestsForLimits(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{ttl: time.Hour})
	m.put("f", []byte("x"))
	m.put("g", []byte("x"))
	asked := func() int { return m.store.Requests()["GetBucketTagging"] }
	_, err := os.ReadDir(m.dir)
	check(t, err)
	_, err = os.ReadFile(m.path("f"))
	check(t, err)
	check(t, os.Remove(m.path("g")))
	if n := asked(); n != 0 {
		t.Errorf("%d requests of who reads", n)
	}
	for _, name := range []string{"a", "b", "f"} {
		check(t, os.WriteFile(m.path(name), []byte("y"), 0o644))
	}
	appendTo(t, m.path("a"), "z")
	check(t, os.Rename(m.path("a"), m.path("c.txt")))
	if n := asked(); n != 1 {
		t.Errorf("%d requests for some files, want 1", n)
	}
	m.limit(testBucket, 0, "image/*")
	wants(t, "known for a while", os.WriteFile(m.path("e.txt"), []byte("y"), 0o644), nil)
	m.fs.Changed(testBucket, "") // as ctl says it
	wants(t, "known at once", os.WriteFile(m.path("d.txt"), []byte("y"), 0o644), syscall.EPERM)
	if n := asked(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestLimitsOfOthersAreSeen: within the time that what is known counts.
func TestLimitsOfOthersAreSeen(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{ttl: time.Millisecond})
	check(t, os.WriteFile(m.path("f"), make([]byte, 20), 0o644))
	file, err := os.OpenFile(m.path("f"), os.O_WRONLY, 0)
	check(t, err)
	defer file.Close()
	m.limit(testBucket, 10)
	time.Sleep(2 * time.Millisecond)
	wants(t, "create", os.WriteFile(m.path("g"), make([]byte, 11), 0o644), syscall.EFBIG)
	eventually(t, func() bool {
		_, err := file.WriteAt(make([]byte, 11), 30)
		return errors.Is(err, syscall.EFBIG)
	})
}

func TestFilesDoNotGrowOverTheLimit(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("large", []byte("twelve bytes"))
		m.put("small", []byte("four"))
		m.limit(testBucket, 10)
		data, err := os.ReadFile(m.path("large"))
		if err != nil || string(data) != "twelve bytes" {
			t.Errorf("read %q, %v", data, err)
		}
		file, err := os.Create(m.path("f"))
		check(t, err)
		n, err := file.Write([]byte("0123456789ab")) // as far as there is room, as with RLIMIT_FSIZE
		if n != 10 || !errors.Is(err, syscall.EFBIG) {
			t.Errorf("%d bytes written, %v", n, err)
		}
		wants(t, "truncate", file.Truncate(11), syscall.EFBIG)
		wants(t, "fallocate", unix.Fallocate(int(file.Fd()), 0, 5, 6), syscall.EFBIG)
		wants(t, "zero range", unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_ZERO_RANGE, 10, 1), syscall.EFBIG)
		wants(t, "allocate less", unix.Fallocate(int(file.Fd()), 0, 0, 10), nil)
		check(t, file.Close())
		eventually(t, func() bool { data, err := m.stored("f"); return err == nil && string(data) == "0123456789" })

		large, err := os.OpenFile(m.path("large"), os.O_RDWR, 0)
		check(t, err)
		dst, err := os.Create(m.path("copied"))
		check(t, err)
		count, err := unix.CopyFileRange(int(large.Fd()), nil, int(dst.Fd()), nil, 12, 0)
		if count != 10 || err != nil {
			t.Errorf("%d bytes copied, %v", count, err)
		}
		off := int64(10)
		_, err = unix.CopyFileRange(int(large.Fd()), new(int64), int(dst.Fd()), &off, 2, 0)
		wants(t, "copy beyond", err, syscall.EFBIG)
		check(t, dst.Close())
		_, err = large.WriteAt([]byte("x"), 12)
		wants(t, "write behind a large file", err, syscall.EFBIG)
		_, err = large.WriteAt([]byte("T"), 0) // no larger than it was
		wants(t, "write in a large file", err, nil)
		check(t, large.Close())
		eventually(t, func() bool { data, _ := m.stored("large"); return string(data) == "Twelve bytes" })
		check(t, os.Chmod(m.path("large"), 0o600))
		check(t, os.Rename(m.path("large"), m.path("larger")))
		check(t, os.Truncate(m.path("larger"), 11)) // still too large, and less
		check(t, os.Truncate(m.path("larger"), 3))
		wants(t, "truncate by path", os.Truncate(m.path("small"), 11), syscall.EFBIG)
		check(t, m.fs.Drain(t.Context(), nil))
		m.mustHave("larger", "Twe")
		m.mustHave("small", "four")
		m.mustHave("copied", "twelve byt")
		check(t, os.Remove(m.path("larger")))
	})
}

func TestNamesAndContentAreKeptToTheTypes(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.limit(testBucket, 0, "application/pdf", "image/*")
		write := func(name, data string) error { return os.WriteFile(m.path(name), []byte(data), 0o644) }
		wants(t, "its name", write("a.txt", "x"), syscall.EPERM)
		wants(t, "mknod", unix.Mknod(m.path("a.txt"), syscall.S_IFREG|0o644, 0), syscall.EPERM)
		if _, err := os.Stat(m.path("a.txt")); !os.IsNotExist(err) {
			t.Errorf("a file that may not be made: %v", err)
		}
		wants(t, "text without a name for it", write("notes", "some text"), syscall.EPERM)
		wants(t, "its content", write("a.pdf", "<!DOCTYPE html><html>"), syscall.EPERM)
		wants(t, "picture", write("a.png", png), nil)
		wants(t, "picture without a name for it", write("picture", png), nil)
		wants(t, "empty", write("empty", ""), nil)
		check(t, os.Mkdir(m.path("dir"), 0o755))
		check(t, os.Symlink("a.txt", m.path("link.txt")))
		check(t, m.fs.Drain(t.Context(), nil))
		for _, key := range []string{"a.txt", "notes", "a.pdf"} {
			m.nothing(key)
		}
		m.mustHave("a.png", png)
		m.mustHave("picture", png)
		eventually(t, func() bool { _, err := m.stored("empty"); return err == nil })

		if got, err := os.ReadFile(m.path("notes")); err != nil || string(got) != "some text" {
			t.Errorf("what was refused reads as %q, %v", got, err) // it is kept
		}
		refused := map[string]string{}
		for _, k := range m.fs.Status().Kept {
			refused[k.Key] = k.State + ": " + k.Reason
		}
		if len(refused) != 2 || !strings.HasPrefix(refused["notes"], "refused: ") || !strings.Contains(refused["a.pdf"], "looks like text/html, and the bucket takes only application/pdf, image/*") {
			t.Errorf("status lists %q", refused)
		}
		wants(t, "rename to a type that is not allowed", os.Rename(m.path("notes"), m.path("notes.txt")), syscall.EPERM)
		wants(t, "rename to a type that it is not", os.Rename(m.path("notes"), m.path("notes.png")), syscall.EPERM)
		check(t, os.Remove(m.path("notes")))
		file, err := os.OpenFile(m.path("a.pdf"), os.O_WRONLY, 0)
		check(t, err)
		_, err = file.WriteAt([]byte("%PDF-1.7"), 0)
		check(t, err)
		check(t, file.Close()) // now it is one
		check(t, m.fs.Drain(t.Context(), nil))
		m.mustHave("a.pdf", "%PDF-1.7E html><html>")
		m.nothing("notes")
		if kept := m.fs.Status().Kept; len(kept) != 0 {
			t.Errorf("still kept: %+v", kept)
		}
	})
}

// TestTypesAreKeptToByAttributesRenamesAndCopies: the ways around a name.
func TestTypesAreKeptToByAttributesRenamesAndCopies(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit})
		m.put("old.txt", []byte("some text"))
		m.put("old", []byte("some text"))
		m.limit(testBucket, 0, "image/*", "text/csv")
		wants(t, "content type", unix.Setxattr(m.path("old"), "user.s3.content-type", []byte("text/html"), 0), syscall.EPERM)
		wants(t, "content type", unix.Setxattr(m.path("old"), "user.s3.content-type", []byte("text/csv; charset=utf-8"), 0), nil)
		check(t, m.fs.Drain(t.Context(), nil))
		wants(t, "rename to an allowed name", os.Rename(m.path("old.txt"), m.path("new.png")), syscall.EPERM) // it is no picture
		wants(t, "rename to the same type", os.Rename(m.path("old.txt"), m.path("new.txt")), nil)             // it is there already
		wants(t, "rename to a type that text can be", os.Rename(m.path("new.txt"), m.path("new.csv")), nil)
		m.mustHave("new.csv", "some text")
		src, err := os.Open(m.path("new.csv"))
		check(t, err)
		defer src.Close()
		dst, err := os.Create(m.path("copy.png"))
		check(t, err)
		_, err = unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, 9, 0)
		check(t, err)
		wants(t, "close of a copy", dst.Close(), syscall.EPERM)
		m.nothing("copy.png")
		check(t, os.Remove(m.path("copy.png")))
		// As rsync and editors replace a file.
		check(t, os.WriteFile(m.path(".data.csv.Ab12cd"), []byte("1,2\n"), 0o644))
		check(t, os.Rename(m.path(".data.csv.Ab12cd"), m.path("data.csv")))
		check(t, os.WriteFile(m.path("tmp123"), []byte(png), 0o644))
		check(t, os.Rename(m.path("tmp123"), m.path("photo.png")))
		wants(t, "content under another name", os.WriteFile(m.path("tmp124"), []byte("1,2\n"), 0o644), syscall.EPERM)
		check(t, os.Rename(m.path("tmp124"), m.path("data2.csv"))) // what was refused is stored under a name that fits
		check(t, m.fs.Drain(t.Context(), nil))
		m.mustHave("data.csv", "1,2\n")
		eventually(t, func() bool { _, err := m.stored("data2.csv"); return err == nil }) // the kernel tells of the last close later
		m.mustHave("data2.csv", "1,2\n")
		m.mustHave("photo.png", png)
		// What is there already is read, changed in its attributes and removed.
		m.put("old.exe", []byte("MZ"))
		m.fs.cfg.Metadata.Invalidate(testBucket, "")
		check(t, os.Chmod(m.path("old.exe"), 0o600))
		check(t, m.fs.Drain(t.Context(), nil))
		wants(t, "O_TRUNC", os.WriteFile(m.path("old.exe"), []byte("new"), 0o644), syscall.EPERM)
		m.mustHave("old.exe", "MZ")
		check(t, os.Remove(m.path("old.exe")))
	})
}

// TestRefusedFilesAreKeptByTheNextMount: with the reason.
func TestRefusedFilesAreKeptByTheNextMount(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		state := t.TempDir()
		m := newTestMount(t, testOptions{commit: commit, state: state})
		check(t, os.WriteFile(m.path("stored"), []byte("some text"), 0o644))
		check(t, m.fs.Drain(t.Context(), nil))
		m.limit(testBucket, 0, "image/*")
		m.fs.Changed(testBucket, "")
		wants(t, "new", os.WriteFile(m.path("new"), []byte("some text"), 0o644), syscall.EPERM)
		file, err := os.OpenFile(m.path("stored"), os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		_, err = file.WriteString(" and more")
		check(t, err)
		wants(t, "close", file.Close(), syscall.EPERM)
		m.unmount()
		m = newTestMount(t, testOptions{commit: commit, state: state, store: m.raw})
		kept := map[string]string{}
		for _, k := range m.fs.Status().Kept {
			kept[k.Key] = k.State + ": " + k.Reason
		}
		for _, key := range []string{"new", "stored"} {
			if !strings.HasPrefix(kept[key], "interrupted: ") || !strings.Contains(kept[key], "looks like text/plain") {
				t.Errorf("%s is kept as %q", key, kept[key])
			}
		}
		m.nothing("new")
		m.mustHave("stored", "some text")
		for _, k := range m.fs.Status().Kept { // who decides that it be stored after all is told the same
			_, err := m.fs.StoreKept(t.Context(), k.ID, backend.ObjectID{Bucket: testBucket, Key: k.Key}, false)
			if !backend.IsKind(err, backend.KindRefused) {
				t.Errorf("%s: %v", k.Key, err)
			}
		}
	})
}

// TestNothingOfARefusedFileGoesUp: not even while it grows, and it may be larger than a part.
func TestNothingOfARefusedFileGoesUp(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{partSize: 64 << 10})
	m.limit(testBucket, 0, "image/png")
	for name, head := range map[string]string{"text.png": "some text ", "a.png": png} {
		file, err := os.Create(m.path(name))
		check(t, err)
		_, err = file.WriteString(head)
		check(t, err)
		for range 16 {
			_, err := file.Write(bytes.Repeat([]byte("x"), 32<<10))
			check(t, err)
		}
		if head == png {
			check(t, file.Close())
			continue
		}
		wants(t, "close", file.Close(), syscall.EPERM)
		requests := m.store.Requests()
		if name == "text.png" && requests["CreateMultipartUpload"] > 1 {
			t.Errorf("an upload was begun: %v", requests)
		}
		m.nothing(name)
	}
	if data, err := m.stored("a.png"); err != nil || len(data) != len(png)+16*32<<10 {
		t.Errorf("a picture: %d bytes, %v", len(data), err)
	}
	check(t, os.Remove(m.path("text.png")))
}

// TestOtherBucketsHaveOtherLimits: files and directories that come from elsewhere.
func TestOtherBucketsHaveOtherLimits(t *testing.T) {
	t.Parallel()
	store := mem.New(testBucket, "limited")
	m := newTestMount(t, testOptions{store: store, buckets: true})
	m.limit("limited", 20, "image/png")
	put := func(key, data string) {
		_, err := store.Put(t.Context(), backend.PutInput{Bucket: testBucket, Key: key, Body: strings.NewReader(data), Size: int64(len(data))})
		check(t, err)
	}
	put("a.png", png)
	put("b.png", "some text")
	put("c.txt", "some text")
	put("large.png", png+"0123456789")
	put("good/a.png", png)
	put("good/sub/a.png", png)
	put("bad/a.png", png)
	put("bad/sub/b.png", "some text")
	put("big/a.png", png+"0123456789")
	for name, want := range map[string]error{
		"a.png": nil, "b.png": syscall.EPERM, "c.txt": syscall.EPERM, "large.png": syscall.EFBIG, "good": nil, "bad": syscall.EPERM, "big": syscall.EFBIG,
	} {
		wants(t, name, os.Rename(m.path(testBucket+"/"+name), m.path("limited/"+name)), want)
		_, err := os.Stat(m.path("limited/" + name))
		if os.IsNotExist(err) != (want != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, os.WriteFile(m.path(testBucket+"/free.exe"), make([]byte, 100), 0o644))
}

// untelling is a store that does not tell tags of buckets.
type untelling struct {
	backend.Store
	kind  backend.Kind
	asked atomic.Int32
}

func (u *untelling) BucketTags(context.Context, string) (map[string]string, error) {
	u.asked.Add(1)
	return nil, &backend.Error{Kind: u.kind, Op: "GetBucketTagging", Message: "as the test says"}
}

// TestLimitsThatAreNotTold: who may not ask keeps to none; while the store is away, nobody can know.
func TestLimitsThatAreNotTold(t *testing.T) {
	t.Parallel()
	for kind, want := range map[backend.Kind]error{
		backend.KindPermission: nil, backend.KindUnsupported: nil, backend.KindUnreachable: syscall.EIO, backend.KindCredentials: syscall.EACCES,
	} {
		u := &untelling{kind: kind}
		m := newTestMount(t, testOptions{ttl: time.Millisecond, wrap: func(s backend.Store) backend.Store { u.Store = s; return u }})
		for range 3 {
			wants(t, kind.String(), os.WriteFile(m.path("f.txt"), make([]byte, 100), 0o644), want)
		}
		if n := u.asked.Load(); want == nil && n != 1 {
			t.Errorf("%v: asked %d times", kind, n)
		}
		if want != nil {
			m.nothing("f.txt")
		}
	}
}

// TestLimitsAreAttributesOfTheBucket: what is set through the mount counts at once.
func TestLimitsAreAttributesOfTheBucket(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	check(t, os.WriteFile(m.path("a.txt"), []byte("x"), 0o644))
	setXattr(t, m.dir, "user.s3.bucket.allowed-mime-types", "image/*")
	setXattr(t, m.dir, "user.s3.bucket.file-size-limit", "20")
	wants(t, "type", os.WriteFile(m.path("b.txt"), []byte("x"), 0o644), syscall.EPERM)
	wants(t, "size", os.WriteFile(m.path("b.png"), make([]byte, 21), 0o644), syscall.EFBIG)
	tags, err := m.raw.BucketTags(t.Context(), testBucket)
	if err != nil || tags[backend.FileSizeTag] != "20" || tags[backend.TypesTag] != "image/" {
		t.Errorf("tags %q, %v", tags, err)
	}
	check(t, unix.Removexattr(m.dir, "user.s3.bucket.allowed-mime-types"))
	wants(t, "any type", os.WriteFile(m.path("b.txt"), []byte("x"), 0o644), nil)
}

// TestLimitsWhileTheStoreIsAway: in background mode one writes without the store, as if there were no limits where none are known; what is known is
// kept to.
func TestLimitsWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{commit: CommitBackground, ttl: time.Millisecond, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	m.limit(testBucket, 3)
	away := func() (back func() (asked int)) {
		gate := make(chan struct{})
		rule := faults.Add(mem.Rule{Op: "GetBucketTagging", Do: []mem.Action{mem.Before(func(ctx context.Context, _ mem.Call) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		})}})
		return func() int {
			rule.Remove()
			close(gate)
			return rule.Hits()
		}
	}
	back := away()
	for _, name := range []string{"a", "b", "c", "d"} { // only the first waits
		check(t, os.WriteFile(m.path(name), []byte("much"), 0o666))
	}
	if n := back(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	eventually(t, func() bool { return errors.Is(os.WriteFile(m.path("e"), []byte("much"), 0o666), syscall.EFBIG) })
	back = away()
	wants(t, "with limits that are known", os.WriteFile(m.path("f"), []byte("much"), 0o666), syscall.EFBIG)
	check(t, os.WriteFile(m.path("g"), []byte("few"), 0o666))
	back()
}
