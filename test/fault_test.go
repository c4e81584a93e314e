package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A faulty is a mount whose store misbehaves.
type faulty struct {
	*testing.T
	store  *store
	bucket string
	proxy  *proxy
	m      *mount
}

func newFaulty(t *testing.T, storeName, noisy string, args ...string) *faulty {
	t.Helper()
	s := openStore(t, storeName)
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: args, noisy: noisy})
	return &faulty{T: t, store: s, bucket: bucket, proxy: p, m: m}
}

// operations matches requests by operation.
func operations(names ...string) func(operation, path string) bool {
	return func(operation, _ string) bool { return slices.Contains(names, operation) }
}

// TestLostReplies: the store has done it, but the answer was lost. A repeat must recognise its own
// success and not report a conflict, or store twice.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for _, storeName := range []string{"versitygw", "minio"} {
		t.Run(storeName, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t, storeName, `(?i)retry|repeat|again|lost|unknown`)
			f.store.put(t, f.bucket, "replaced", []byte("old"))
			f.store.put(t, f.bucket, "moved", []byte("content"))
			for _, name := range []string{"PutObject", "CompleteMultipartUpload", "UploadPart", "CopyObject", "DeleteObject"} {
				f.proxy.on(&rule{match: operations(name), lose: true, times: 1})
			}
			small, big := bytesOf(1, 10_000), bytesOf(2, 20*mib)
			for name, data := range map[string][]byte{"replaced": small, "created": small, "big": big} {
				if err := os.WriteFile(filepath.Join(f.m.dir, name), data, 0o644); err != nil {
					t.Errorf("writing %s: %v", name, err)
				}
			}
			if err := os.Rename(filepath.Join(f.m.dir, "moved"), filepath.Join(f.m.dir, "there")); err != nil {
				t.Errorf("rename: %v", err)
			}
			for name, data := range map[string][]byte{"replaced": small, "created": small, "big": big, "there": []byte("content")} {
				if got := f.store.get(t, f.bucket, name); !bytes.Equal(got, data) {
					t.Errorf("%s: %s", name, firstDifference(got, data))
				}
			}
			if _, ok := f.store.snapshot(t, f.bucket, "moved")["moved"]; ok {
				t.Error("the old name is still there")
			}
			p := &pair{T: t, store: f.store, bucket: f.bucket}
			p.nothingKept(f.m)
			f.m.unmount()
		})
	}
}

// TestSlowDown: a store that answers 503 to a third of the requests is slow and nothing worse.
func TestSlowDown(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "versitygw", `.`)
	n := 0
	f.proxy.on(&rule{status: 503, match: func(string, string) bool { n++; return n%3 == 0 }})
	if err := os.Mkdir(filepath.Join(f.m.dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		name, data := filepath.Join(f.m.dir, fmt.Sprintf("d/%d", i)), bytesOf(uint64(i), i*100_000)
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v, %s", name, err, firstDifference(got, data))
		}
	}
	tree := mustTree(t, f.m.dir)
	f.proxy.clear()
	f.m.unmount()
	compareObjects(t, f.store.snapshot(t, f.bucket, ""), "", tree)
}

// TestCutDownloads: connections that break in the middle of a body.
func TestCutDownloads(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "versitygw", `(?i)retry|repeat|again|cut|broke|EOF`)
	big, small := bytesOf(1, 40*mib), bytesOf(2, 300_000)
	f.store.put(t, f.bucket, "big", big)
	f.store.put(t, f.bucket, "small", small)
	f.proxy.on(&rule{match: operations("GetObject"), cut: 100_000, times: 5})
	for name, want := range map[string][]byte{"small": small, "big": big} {
		got, err := os.ReadFile(filepath.Join(f.m.dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %s", name, err, firstDifference(got, want))
		}
	}
	f.m.unmount()
}

// TestRefusedWrite: close says EACCES, the old object stays, what was written can still be read here,
// and is kept over a remount.
func TestRefusedWrite(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "versitygw", `.`)
	f.store.put(t, f.bucket, "file", []byte("old"))
	f.proxy.on(&rule{match: operations("PutObject"), status: 403})
	data := bytesOf(1, 100_000)
	file, err := os.Create(filepath.Join(f.m.dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); errno(err) != syscall.EACCES {
		t.Errorf("close: %v, want EACCES", err)
	}
	if got := f.store.get(t, f.bucket, "file"); string(got) != "old" {
		t.Errorf("the store has %d bytes, want the old object", len(got))
	}
	p := &pair{T: t, store: f.store, bucket: f.bucket}
	p.showsFile(f.m, "file", data)
	f.m.kill()
	f.proxy.clear()
	m := f.m.again()
	w := &workspace{T: t}
	w.eventually("the upload after all", func() bool { return bytes.Equal(f.store.get(t, f.bucket, "file"), data) })
	m.unmount()
}

// TestUnreachableStore: a mount says what is wrong within the time of a first request and its
// repeats, and leaves no mount.
func TestUnreachableStore(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	m := &mount{t: t, options: mountOptions{state: newState(t)}}
	dir := t.TempDir()
	binary, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string][]string{
		"s3://" + s.newBucket(t) + "-missing": {s.endpoint, "bucket"},
		"s3://bucket":                         {"http://127.0.0.1:1", "127.0.0.1:1"},
	} {
		start := time.Now()
		out, err := m.objmount(binary, "mount", "--endpoint-url", want[0], "--region", region, source, dir)
		if err == nil {
			t.Errorf("mounting %s succeeded", source)
		}
		if !strings.Contains(out, want[1]) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
			t.Errorf("mounting %s printed %q, want a line that says %q", source, out, want[1])
		}
		if mounted(dir) || time.Since(start) > time.Minute {
			t.Errorf("mounted: %v, after %v", mounted(dir), time.Since(start))
		}
	}
}
