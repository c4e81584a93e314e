package fs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend/mem"
)

// These tests pin how many requests an operation costs: the latency of a distant store is what a
// user waits for. The table is in the README's terms; each row is one test.

func TestBudgetStat(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("dir/file", []byte("x"))
	_, err := os.Stat(m.path("dir"))
	check(t, err)
	m.requests(func() {
		_, err := os.Stat(m.path("dir/file"))
		check(t, err)
	}, map[string]int{"ListObjectsV2": 1})
	_, err = os.ReadDir(m.path("dir"))
	check(t, err)
	m.requests(func() {
		_, err := os.Stat(m.path("dir/file"))
		check(t, err)
		if _, err := os.Stat(m.path("dir/absent")); !os.IsNotExist(err) {
			t.Errorf("absent: %v", err)
		}
	}, map[string]int{})
}

func TestBudgetStatWithAttributes(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	first := newTestMount(t, testOptions{state: state})
	check(t, os.Mkdir(first.path("dir"), 0o700))
	check(t, os.WriteFile(first.path("dir/file"), []byte("x"), 0o600))
	first.unmount()
	m := newTestMount(t, testOptions{store: first.raw})
	_, err := os.Stat(m.path("dir"))
	check(t, err)
	m.requests(func() {
		info, err := os.Stat(m.path("dir/file"))
		check(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
	}, map[string]int{"ListObjectsV2": 1, "HeadObject": 1})
}

func TestBudgetReadSmallFile(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("dir/file", bytes.Repeat([]byte("x"), 1<<20))
	_, err := os.ReadDir(m.path("dir"))
	check(t, err)
	m.requests(func() {
		data, err := os.ReadFile(m.path("dir/file"))
		check(t, err)
		if len(data) != 1<<20 {
			t.Errorf("%d bytes", len(data))
		}
	}, map[string]int{"GetObject": 1})
	received := m.store.BytesReceived()
	data, err := os.ReadFile(m.path("dir/file"))
	check(t, err)
	if len(data) != 1<<20 || m.store.BytesReceived() != received {
		t.Errorf("the second read moved %d bytes", m.store.BytesReceived()-received)
	}
}

func TestBudgetWriteSmallFile(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put("dir/other", []byte("x"))
	_, err := os.ReadDir(m.path("dir"))
	check(t, err)
	m.requests(func() {
		check(t, os.WriteFile(m.path("dir/file"), []byte("content"), 0o644))
	}, map[string]int{"PutObject": 1})
	m.requests(func() {
		data, err := os.ReadFile(m.path("dir/file"))
		check(t, err)
		if string(data) != "content" {
			t.Errorf("read back %q", data)
		}
		if moved := m.store.BytesReceived(); moved != 0 {
			t.Errorf("%d bytes fetched of a file just written", moved)
		}
	}, m.atMost(map[string]int{"GetObject": 1})) // 304; none while RELEASE has not come
}

func TestBudgetList(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	for i := range 900 {
		m.put(fmt.Sprintf("plain/%04d", i), []byte("x"))
	}
	_, err := os.Stat(m.path("plain"))
	check(t, err)
	m.requests(func() {
		entries, err := os.ReadDir(m.path("plain"))
		check(t, err)
		for _, e := range entries {
			_, err := e.Info()
			check(t, err)
		}
		if len(entries) != 900 {
			t.Errorf("%d entries", len(entries))
		}
	}, map[string]int{"ListObjectsV2": 1})
}

func TestBudgetFind(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	for d := range 1000 {
		for i := range 10 {
			m.put(fmt.Sprintf("tree/%03d/%d", d, i), nil)
		}
	}
	m.store.Reset()
	count := 0
	check(t, filepath.WalkDir(m.path("tree"), func(_ string, e os.DirEntry, err error) error {
		count++
		return err
	}))
	if count != 11_001 {
		t.Errorf("%d names", count)
	}
	if lists := m.store.Requests()["ListObjectsV2"]; lists > 16 {
		t.Errorf("%d LISTs for 1,000 directories of 10 files, want about 10", lists)
	}
	if others := m.store.Total() - m.store.Requests()["ListObjectsV2"]; others > 1 {
		t.Errorf("other requests: %v", m.store.Requests())
	}
}

func TestBudgetAttributesThenRename(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	check(t, os.WriteFile(m.path("first"), []byte("x"), 0o600)) // the root keeps attributes now
	m.put("file", []byte("content"))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	_, err = os.Stat(m.path("file"))
	check(t, err)
	m.requests(func() {
		check(t, os.Chmod(m.path("file"), 0o640))
		when := time.Unix(1_600_000_000, 0)
		check(t, os.Chtimes(m.path("file"), when, when))
		check(t, os.Rename(m.path("file"), m.path("renamed")))
		check(t, m.fs.Drain(t.Context(), nil))
	}, map[string]int{"HeadObject": 1, "CopyObject": 1, "DeleteObject": 1})
	if _, obj := m.object("renamed"); obj.Metadata["file-permissions"] != "0100640" {
		t.Errorf("metadata: %v", obj.Metadata)
	}
	m.gone("file")
}

func TestBudgetRename(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("file", []byte("content"))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	want := map[string]int{"CopyObject": 1, "DeleteObject": 1}
	if m.fs.cfg.Capabilities(testBucket).Classes {
		want["HeadObject"] = 1
	}
	m.requests(func() { check(t, os.Rename(m.path("file"), m.path("renamed"))) }, want)
}

func TestBudgetEditInLargeFile(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	const size = 1 << 30
	m.raw.Configure(func(s *mem.Settings) { s.OpaqueCopies = true })
	_, err := m.raw.PutZeros(testBucket, "large", size)
	check(t, err)
	m.store.Reset()
	file, err := os.OpenFile(m.path("large"), os.O_WRONLY, 0)
	check(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte("y"), 1<<20), 500<<20)
	check(t, err)
	check(t, file.Close())
	if sent := m.store.BytesSent(); sent > 16<<20 {
		t.Errorf("1 MiB changed in 1 GiB sent %d bytes", sent)
	}
	m.store.Reset()
	appendTo(t, m.path("large"), "z")
	if sent := m.store.BytesSent(); sent > 16<<20 {
		t.Errorf("1 byte appended to 1 GiB sent %d bytes", sent)
	}
	m.store.Reset()
	src, err := os.Open(m.path("large"))
	check(t, err)
	defer src.Close()
	dst, err := os.Create(m.path("copy"))
	check(t, err)
	for left := int64(size + 1); left > 0; {
		n, err := unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, int(left), 0)
		check(t, err)
		left -= int64(n)
	}
	check(t, dst.Close())
	if moved := m.store.BytesSent() + m.store.BytesReceived(); moved != 0 {
		t.Errorf("a copy of 1 GiB moved %d bytes", moved)
	}
}

func TestBudgetRereadAfterRemount(t *testing.T) {
	t.Parallel()
	o := testOptions{posix: PosixOff, state: t.TempDir(), cacheDir: t.TempDir()}
	m := newTestMount(t, o)
	data := randomBytes(9, 5<<20)
	m.put("file", data)
	_, err := os.ReadFile(m.path("file"))
	check(t, err)
	m.unmount()
	o.store = m.raw
	again := newTestMount(t, o)
	got, err := os.ReadFile(again.path("file"))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes after the remount")
	}
	if received := again.store.BytesReceived(); received != 0 {
		t.Errorf("%d bytes fetched again after a remount with a disk cache", received)
	}
}
