package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// blockOf stops the first call of an operation until let go.
func blockOf(op string) (rule mem.Rule, started chan struct{}, release chan struct{}) {
	started, release = make(chan struct{}), make(chan struct{})
	return mem.Rule{Op: op, Times: 1, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
		close(started)
		<-release
	})}}, started, release
}

// A change that comes while a slow request for tags is under way is sent after it, though its own time has come
// meanwhile.
func TestTagsAfterASlowRequest(t *testing.T) {
	t.Parallel()
	rule, started, release := blockOf("PutObjectTagging")
	m := taggedMount(t, testOptions{}, rule)
	m.put("f", []byte("x"))
	setXattr(t, m.path("f"), "user.s3.tag.a", "1")
	<-started
	setXattr(t, m.path("f"), "user.s3.tag.b", "2")
	id := backend.ObjectID{Bucket: testBucket, Key: "f"}
	eventually(t, func() bool { // its time has come
		m.fs.tags.mu.Lock()
		defer m.fs.tags.mu.Unlock()
		return m.fs.tags.byID[id].timer == nil
	})
	close(release)
	eventually(t, func() bool { return fmt.Sprint(m.tagsOf("f")) == "map[a:1 b:2]" })
}

// Several changes of one object that a crash has left are all sent, without waiting for anything.
func TestAllTagsAfterACrash(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := taggedMount(t, testOptions{state: state}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	m.put("f", []byte("x"))
	for i := range 9 {
		setXattr(t, m.path("f"), fmt.Sprintf("user.s3.tag.t%d", i), "v")
	}
	m.lost = true
	m.killed(state)
	eventually(t, func() bool { return len(m.tagsOf("f")) == 9 })
}

// What a crash has left of an object that another client has replaced since is not done to the new one.
func TestTagsOfReplacedObjectAfterACrash(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := taggedMount(t, testOptions{state: state}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	m.put("f", []byte("x"))
	setXattr(t, m.path("f"), "user.s3.tag.of", "the old one")
	m.lost = true
	m.putWith("f", "another object", backend.Properties{Tags: map[string]string{"of": "the new one"}})
	next := m.killed(state)
	eventually(t, func() bool { return len(next.fs.cfg.Staging.Intents()) == 0 })
	if got := fmt.Sprint(m.tagsOf("f")); got != "map[of:the new one]" {
		t.Errorf("tags of the new object: %s", got)
	}
}

// Before a directory moves, a change that the store refuses does not hide that another one could not be sent yet.
func TestTagsBelowARefusal(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	m.put("d/refused", []byte("a"))
	m.put("d/late", []byte("b"))
	refused := make(chan struct{})
	faults.Add(mem.Rule{Op: "PutObjectTagging", Key: func(key string) bool { return key == "d/refused" }, Do: []mem.Action{
		mem.Fail(backend.KindPermission)}})
	away := faults.Add(mem.Rule{Op: "PutObjectTagging", Key: func(key string) bool { return key == "d/late" }, Do: []mem.Action{
		mem.Before(func(context.Context, mem.Call) { <-refused }), mem.Fail(backend.KindTransient)}})
	setXattr(t, m.path("d/refused"), "user.s3.tag.x", "1")
	setXattr(t, m.path("d/late"), "user.s3.tag.x", "1")
	result := make(chan error)
	go func() { result <- os.Rename(m.path("d"), m.path("e")) }()
	eventually(t, func() bool { return !m.fs.tags.pending(idOf("d/refused")) })
	close(refused)
	if err := <-result; !errors.Is(err, unix.EIO) {
		t.Errorf("rename while a change could not be sent: %v", err)
	}
	away.Remove()
	check(t, os.Rename(m.path("d"), m.path("e")))
	if got := m.tagsOf("e/late"); got["x"] != "1" {
		t.Errorf("tags: %v", got)
	}
}
