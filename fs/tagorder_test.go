package fs

import (
	"context"
	"fmt"
	"testing"

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
