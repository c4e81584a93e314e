package fs

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/objmount/objmount/backend/mem"
)

// throughMount is a mount with a disk tier that has all of an object, which the kernel then reads by itself.
func throughMount(t *testing.T, key string, data []byte, settings ...func(*mem.BucketSettings)) *testMount {
	t.Helper()
	m := newTestMount(t, testOptions{cacheDir: t.TempDir(), settings: func(b *mem.BucketSettings) {
		for _, set := range settings {
			set(b)
		}
	}})
	if !m.fs.passthrough.Load() {
		t.Skip("the kernel offers no passthrough here (Linux 6.9 and root)")
	}
	m.put(key, data)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h, err := os.Open(m.path(key))
		check(t, err)
		got, err := io.ReadAll(h)
		check(t, err)
		if !bytes.Equal(got, data) {
			t.Fatal("read other bytes than were stored")
		}
		n := m.fs.tree.child(m.fs.tree.root(), key)
		n.rlock()
		through := n.open.passthrough
		n.runlock()
		check(t, h.Close())
		if through > 0 {
			return m
		}
		if time.Now().After(end) {
			t.Fatal("the file is never opened by passthrough")
		}
	}
}

func (m *testMount) same(h *os.File, want []byte) {
	m.t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(h, 0, int64(len(want))+1))
	check(m.t, err)
	if !bytes.Equal(got, want) {
		m.t.Errorf("%s: read other bytes than expected", h.Name())
	}
}

// A file that is complete on the disk tier is read without a request for its data.
func TestPassthroughReads(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 3<<20+123)
	m := throughMount(t, "file", data)
	m.store.Reset()
	h, err := os.Open(m.path("file"))
	check(t, err)
	defer h.Close()
	m.same(h, data)
	if sent := m.store.BytesReceived(); sent != 0 || m.store.Total() > 1 {
		t.Errorf("%d bytes, %v; want one HEAD", sent, m.store)
	}
}

// Readers by passthrough keep their version whatever becomes of the name; who opens it later gets the new one.
func TestPassthroughReadersKeepTheirVersion(t *testing.T) {
	t.Parallel()
	old, now := randomBytes(1, 3<<20), randomBytes(2, 2<<20)
	changes := map[string]func(m *testMount){
		"written here": func(m *testMount) { check(t, os.WriteFile(m.path("file"), now, 0o644)) },
		"replaced by rename": func(m *testMount) {
			check(t, os.WriteFile(m.path("new"), now, 0o644))
			check(t, os.Rename(m.path("new"), m.path("file")))
		},
		"removed and made anew": func(m *testMount) {
			check(t, os.Remove(m.path("file")))
			check(t, os.WriteFile(m.path("file"), now, 0o644))
		},
		"written elsewhere": func(m *testMount) { m.put("file", now) },
		"truncated": func(m *testMount) {
			check(t, os.Truncate(m.path("file"), 0))
			check(t, os.WriteFile(m.path("file"), now, 0o644))
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := throughMount(t, "file", old)
			reader, err := os.Open(m.path("file"))
			check(t, err)
			defer reader.Close()
			change(m)
			later, err := os.Open(m.path("file"))
			check(t, err)
			defer later.Close()
			m.same(reader, old)
			m.same(later, now)
		})
	}
}

// A program that only changes attributes does not disturb readers by passthrough.
func TestPassthroughAndAttributes(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 2<<20)
	m := throughMount(t, "file", data)
	reader, err := os.Open(m.path("file"))
	check(t, err)
	defer reader.Close()
	check(t, os.Chmod(m.path("file"), 0o600))
	second, err := os.Open(m.path("file"))
	check(t, err)
	defer second.Close()
	m.same(reader, data)
	m.same(second, data)
	info, err := os.Stat(m.path("file"))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	check(t, os.Chmod(m.path("file"), 0o640))
	check(t, os.WriteFile(m.path("file"), []byte("new"), 0o644)) // another inode, which replaces the object
	m.same(reader, data)
	if info, err = os.Stat(m.path("file")); err != nil || info.Size() != 3 || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info, err)
	}
}

// Where the kernel refuses passthrough, files are read through objmount.
func TestWithoutPassthrough(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 2<<20)
	m := throughMount(t, "file", data)
	m.fs.passthrough.Store(false)
	m.store.Reset()
	h, err := os.Open(m.path("file"))
	check(t, err)
	defer h.Close()
	m.same(h, data)
	if m.store.BytesReceived() != 0 {
		t.Errorf("%v", m.store)
	}
}
