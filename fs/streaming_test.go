package fs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestStreamedProperties: a large new file goes up while it is written, with the properties that it has at
// the end, so the object is not made a second time.
func TestStreamedProperties(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{partSize: 256 << 10})
	data := append([]byte("\x89PNG\x0D\x0A\x1A\x0A"), randomBytes(1, 1536<<10)...)
	file, err := os.Create(m.path("picture"))
	check(t, err)
	_, err = file.Write(data)
	check(t, err)
	for deadline := time.Now().Add(20 * time.Second); m.store.Requests()["UploadPart"] < 6; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not sent while it is written: %v", m.store.Requests())
		}
	}
	m.requests(func() { check(t, file.Close()) }, m.atMost(map[string]int{"UploadPart": 1, "CompleteMultipartUpload": 1}))
	got, obj := m.object("picture")
	if len(got) != len(data) || obj.Headers.ContentType != "image/png" {
		t.Errorf("%d bytes, %q", len(got), obj.Headers.ContentType)
	}
}

// TestOutgrowsStaging: a file several times as large as staging is written like any other. Until its commit what
// was given back is busy; the name, and what is still here, are not.
func TestOutgrowsStaging(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]CommitMode{"close": CommitClose, "background": CommitBackground} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{commit: mode, limit: 3 << 20, partSize: 256 << 10})
			data := randomBytes(3, 9<<20)
			file, err := os.Create(m.path("big"))
			check(t, err)
			_, err = file.Write(data)
			check(t, err)
			busy := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, syscall.EBUSY) {
					t.Errorf("%s: %v", what, err)
				}
			}
			reader, err := os.Open(m.path("big"))
			check(t, err)
			defer reader.Close()
			head := make([]byte, 1000)
			if _, err = reader.ReadAt(head, 0); err != nil { // else they are in the kernel's cache
				busy("read", err)
			} else if !bytes.Equal(head, data[:len(head)]) {
				t.Error("other bytes are read")
			}
			_, err = file.WriteAt([]byte("x"), 0)
			busy("write", err)
			busy("truncate", file.Truncate(100))
			busy("rename", os.Rename(m.path("big"), m.path("other")))
			tail := make([]byte, 1000)
			if _, err := reader.ReadAt(tail, int64(len(data)-len(tail))); err != nil || !bytes.Equal(tail, data[len(data)-len(tail):]) {
				t.Errorf("the tail is other bytes: %v", err)
			}
			if p := m.fs.Status().Pending; len(p) != 1 || p[0].State != "streamed" {
				t.Errorf("status %+v", p)
			}
			check(t, file.Close())
			if whole, err := os.ReadFile(m.path("big")); err != nil || !bytes.Equal(whole, data) { // in background mode it waits
				t.Errorf("after the close: %d bytes, %v", len(whole), err)
			}
			check(t, os.Rename(m.path("big"), m.path("other")))
			if _, err := reader.ReadAt(tail, 0); err != nil || !bytes.Equal(tail, data[:len(tail)]) {
				t.Errorf("after the commit: %v", err)
			}
			ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
			defer stop()
			check(t, m.fs.Drain(ctx, nil))
			got, obj := m.object("other")
			if !bytes.Equal(got, data) || obj.Headers.ContentType != "application/octet-stream" {
				t.Errorf("%d other bytes, %q", len(got), obj.Headers.ContentType)
			}
		})
	}
}

// TestOutgrownAndUnlinked: a file that gave parts back takes its upload along, however it goes.
func TestOutgrownAndUnlinked(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{limit: 3 << 20, partSize: 256 << 10})
	for _, name := range []string{"unlinked", "replaced"} {
		file, err := os.Create(m.path(name))
		check(t, err)
		_, err = file.Write(randomBytes(4, 6<<20))
		check(t, err)
		if name == "unlinked" {
			check(t, os.Remove(m.path(name)))
		} else {
			check(t, os.WriteFile(m.path("small"), []byte("small"), 0o666))
			check(t, os.Rename(m.path("small"), m.path(name)))
		}
		check(t, file.Close())
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			ups, err := m.raw.ListUploads(context.Background(), backend.ObjectID{Bucket: testBucket, Key: name})
			check(t, err)
			if len(ups) == 0 && m.fs.Status().Staging.Files == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: uploads %v and %+v stay", name, ups, m.fs.Status().Staging)
			}
		}
	}
	m.gone("unlinked")
	if got, _ := m.object("replaced"); string(got) != "small" {
		t.Errorf("replaced by %d bytes", len(got))
	}
}

// TestOutgrownConflict: the loser gets ESTALE, and its upload is kept and listed.
func TestOutgrownConflict(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{limit: 3 << 20, partSize: 256 << 10})
	file, err := os.Create(m.path("big"))
	check(t, err)
	_, err = file.Write(randomBytes(5, 6<<20))
	check(t, err)
	m.put("big", []byte("a rival's"))
	if err := file.Close(); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("close: %v", err)
	}
	ups, err := m.raw.ListUploads(context.Background(), backend.ObjectID{Bucket: testBucket, Key: "big"})
	check(t, err)
	kept := m.fs.Status().Kept
	if len(ups) != 1 || len(kept) != 1 || kept[0].State != "conflict" || !strings.Contains(kept[0].Reason, ups[0].UploadID) {
		t.Errorf("uploads %v, kept %+v", ups, kept)
	}
}

// TestUploadOfAnUnlinkedFile: killed while a program had an unlinked file open that gave parts back, the next mount
// aborts its upload, which nothing else would end.
func TestUploadOfAnUnlinkedFile(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := newTestMount(t, testOptions{state: state, limit: 3 << 20, partSize: 256 << 10})
	file, err := os.Create(m.path("big"))
	check(t, err)
	defer file.Close()
	_, err = file.Write(randomBytes(6, 6<<20))
	check(t, err)
	check(t, os.Remove(m.path("big")))
	uploads := func() int {
		ups, err := m.raw.ListUploads(context.Background(), backend.ObjectID{Bucket: testBucket, Key: "big"})
		check(t, err)
		return len(ups)
	}
	if n := uploads(); n != 1 {
		t.Fatalf("%d uploads", n)
	}
	next := m.killed(state)
	for deadline := time.Now().Add(10 * time.Second); uploads() > 0 || next.fs.Status().Staging.Files > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d uploads and %+v stay", uploads(), next.fs.Status().Staging)
		}
	}
}
