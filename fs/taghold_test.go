package fs

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// While an object is being deleted, nothing sends what was to be changed of its tags: the request could reach a
// successor of the same name.
func TestTagsAreNotSentDuringAnUnlink(t *testing.T) {
	t.Parallel()
	rule, started, release := blockOf("DeleteObject")
	m := taggedMount(t, testOptions{}, rule)
	m.put("f", []byte("x"))
	n := m.nodeOf("f")
	value, id := "1", idOf("f")
	intent, err := m.fs.cfg.Staging.AddIntent(intentTags, []byte(`{}`), false)
	check(t, err)
	if !m.fs.noteTags(tagIntent{Bucket: testBucket, Key: "f", Change: map[string]*string{"a": &value}}, n, intent, time.Hour) {
		t.Fatal("held")
	}
	removed := make(chan error)
	go func() { removed <- os.Remove(m.path("f")) }()
	<-started
	underWay := func() bool {
		m.fs.tags.mu.Lock()
		defer m.fs.tags.mu.Unlock()
		return m.fs.tags.byID[id].flight != nil
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"fsync":  m.fs.flushNodeTags(impatient, n),
		"settle": m.fs.Settle(impatient, Located{Bucket: testBucket, Key: "f", Exists: true}),
		"umount": m.fs.flushTagsBelow(impatient, "", ""),
	} {
		if !backend.IsKind(err, backend.KindCanceled) || underWay() {
			t.Errorf("%s during the unlink: %v, request under way: %v", what, err, underWay())
		}
	}
	settled := make(chan error)
	go func() { settled <- m.fs.Settle(t.Context(), Located{Bucket: testBucket, Key: "f", Exists: true}) }()
	close(release)
	check(t, <-removed)
	check(t, <-settled)
	if count := m.store.Requests()["PutObjectTagging"]; count != 0 || m.fs.tags.pending(id) {
		t.Errorf("%d requests, pending: %v", count, m.fs.tags.pending(id))
	}
	if left := m.fs.cfg.Staging.Intents(); len(left) != 0 {
		t.Errorf("left in the journal: %v", left)
	}
}

// A tag that is set by a descriptor while its file is being unlinked stays with the file, and is not sent to its key.
func TestTagSetDuringAnUnlink(t *testing.T) {
	t.Parallel()
	m := taggedMount(t, testOptions{})
	m.put("f", []byte("x"))
	file, err := os.Open(m.path("f"))
	check(t, err)
	defer file.Close()
	n := m.nodeOf("f")
	release, err := m.fs.holdNodeTags(t.Context(), n)
	check(t, err)
	set := make(chan fuse.Status)
	go func() { // the kernel lets nobody unlink the inode before this is answered, or set an attribute before that is
		in := &fuse.SetXAttrIn{InHeader: fuse.InHeader{NodeId: n.id}}
		set <- m.fs.SetXAttr(nil, in, "user.s3.tag.a", []byte("1"))
	}()
	eventually(t, func() bool { // it waits
		m.fs.tags.mu.Lock()
		defer m.fs.tags.mu.Unlock()
		return m.fs.tags.freed != nil
	})
	check(t, m.fs.remove(t.Context(), n, nil))
	m.fs.tree.detach(n)
	release(true)
	if status := <-set; status != fuse.OK {
		t.Errorf("setxattr: %v", status)
	}
	if m.fs.tags.pending(idOf("f")) {
		t.Error("a request for tags of the key is to be sent")
	}
	value := make([]byte, 10)
	if size, err := unix.Fgetxattr(int(file.Fd()), "user.s3.tag.a", value); err != nil || string(value[:size]) != "1" {
		t.Errorf("by the descriptor: %q %v", value[:max(size, 0)], err)
	}
}

// A refusal is told by the next close, though other content is stored meanwhile.
func TestTagsRefusedBeforeAWrite(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := taggedMount(t, testOptions{commit: commit}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
		m.put("f", []byte("x"))
		file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
		check(t, err)
		setXattr(t, m.path("f"), "user.s3.tag.a", "2")
		eventually(t, func() bool { return !m.fs.tags.pending(idOf("f")) })
		n := m.nodeOf("f")
		eventually(t, func() bool { n.rlock(); defer n.runlock(); return n.refused != nil })
		_, err = file.WriteString("written")
		check(t, err)
		check(t, m.fs.commit(t.Context(), n, commitOptions{wait: true})) // as another program's close
		if err := file.Close(); !errors.Is(err, unix.EACCES) {
			t.Errorf("close: %v", err)
		}
		appendTo(t, m.path("f"), " and more") // it is told once
		check(t, m.fs.Drain(t.Context(), nil))
		if data, _ := m.object("f"); string(data) != "written and more" {
			t.Errorf("in the store: %q", data)
		}
	})
}
