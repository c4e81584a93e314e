package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// taggedMount is a mount whose tags are sent slower than anybody waits for, and can be refused.
func taggedMount(t *testing.T, o testOptions, rules ...mem.Rule) *testMount {
	o.posix = PosixOff
	if len(rules) > 0 {
		o.wrap = func(s backend.Store) backend.Store { return mem.Faulty(s, rules...) }
	}
	return newTestMount(t, o)
}

// What other clients tag between two changes of this mount stays.
func TestTagsAreMerged(t *testing.T) {
	t.Parallel()
	m := taggedMount(t, testOptions{})
	m.putWith("f", "x", backend.Properties{Tags: map[string]string{"ours": "0", "gone": "0"}})
	setXattr(t, m.path("f"), "user.s3.tag.ours", "1")
	check(t, unix.Removexattr(m.path("f"), "user.s3.tag.gone"))
	id := backend.ObjectID{Bucket: testBucket, Key: "f"}
	m.fs.facts.mu.Lock() // what is known is old by now
	for _, e := range m.fs.facts.entries {
		e.Value.(*factEntry).tagsAt = time.Now().Add(-2 * tagsKnown)
	}
	m.fs.facts.mu.Unlock()
	check(t, m.raw.PutTags(t.Context(), id, "", map[string]string{"ours": "0", "gone": "0", "theirs": "2"}))
	check(t, m.fs.flushTags(t.Context(), id))
	if got := fmt.Sprint(m.tagsOf("f")); got != "map[ours:1 theirs:2]" {
		t.Errorf("tags: %s", got)
	}
}

// Tags that were set just before reach the file under its new name, and nothing that was set of a file that is gone
// reaches what has its name now.
func TestTagsFollowNames(t *testing.T) {
	t.Parallel()
	m := taggedMount(t, testOptions{})
	for _, key := range []string{"a", "gone", "target", "dir/x", "dir/sub/y", "edited"} {
		m.put(key, []byte("data of "+key))
	}
	setXattr(t, m.path("a"), "user.s3.tag.t", "a")
	setXattr(t, m.path("target"), "user.s3.tag.t", "target")
	setXattr(t, m.path("dir/x"), "user.s3.tag.t", "x")
	setXattr(t, m.path("dir/sub/y"), "user.s3.tag.t", "y")
	setXattr(t, m.path("gone"), "user.s3.tag.t", "gone")
	setXattr(t, m.path("edited"), "user.s3.tag.t", "edited")
	check(t, os.Rename(m.path("a"), m.path("target")))
	check(t, os.Rename(m.path("dir"), m.path("moved")))
	check(t, os.Remove(m.path("gone")))
	check(t, os.WriteFile(m.path("gone"), []byte("another"), 0o644))
	appendTo(t, m.path("edited"), " and more")
	check(t, m.fs.Drain(t.Context(), nil))
	if len(m.fs.cfg.Staging.Intents()) != 0 {
		t.Errorf("left in the journal: %v", m.fs.cfg.Staging.Intents())
	}
	for key, want := range map[string]string{"target": "a", "moved/x": "x", "moved/sub/y": "y", "gone": "", "edited": "edited"} {
		if got := m.tagsOf(key)["t"]; got != want {
			t.Errorf("%s has the tag %q, want %q", key, got, want)
		}
		if got, _ := tryXattr(m.path(key), "user.s3.tag.t"); got != want {
			t.Errorf("%s shows %q, want %q", key, got, want)
		}
	}
}

// A crash right after setfattr loses nothing.
func TestTagsAfterACrash(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := taggedMount(t, testOptions{state: state}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	m.putWith("f", "x", backend.Properties{Tags: map[string]string{"kept": "k", "gone": "g"}})
	setXattr(t, m.path("f"), "user.s3.tag.new", "n")
	check(t, unix.Removexattr(m.path("f"), "user.s3.tag.gone"))
	setXattr(t, m.path("f"), "user.s3.tag.new", "newer")
	m.lost = true
	next := m.killed(state)
	if got := xattrsOf(t, next.path("f")); fmt.Sprint(got) != "map[user.s3.tag.kept:k user.s3.tag.new:newer]" {
		t.Errorf("after the crash: %v", got)
	}
	check(t, next.fs.Drain(t.Context(), nil))
	if got := fmt.Sprint(next.tagsOf("f")); got != "map[kept:k new:newer]" {
		t.Errorf("tags: %s", got)
	}
	if left := next.fs.cfg.Staging.Intents(); len(left) != 0 {
		t.Errorf("left in the journal: %v", left)
	}
}

// A store that is away for a while gets the tags when it is back; until then they are listed.
func TestTagsAreTriedAgain(t *testing.T) {
	t.Parallel()
	var faults *mem.Faults
	m := newTestMount(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store {
		faults = mem.Faulty(s)
		return faults
	}})
	fault := faults.Add(mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	m.put("f", []byte("x"))
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	setXattr(t, m.path("f"), "user.s3.tag.a", "1")
	if err := file.Sync(); !errors.Is(err, unix.EIO) {
		t.Errorf("fsync while the store is away: %v", err)
	}
	pending := m.fs.Status().Pending
	if len(pending) != 1 || pending[0].State != "tags" || pending[0].Key != "f" || pending[0].LastError == "" {
		t.Errorf("listed: %+v", pending)
	}
	if got := getXattr(t, m.path("f"), "user.s3.tag.a"); got != "1" {
		t.Errorf("shown: %q", got)
	}
	fault.Remove()
	check(t, file.Sync())
	if got := m.tagsOf("f"); got["a"] != "1" {
		t.Errorf("tags: %v", got)
	}
	if pending := m.fs.Status().Pending; len(pending) != 0 {
		t.Errorf("listed: %+v", pending)
	}
}

// With --fsync=local, fsync does not wait for the store: the journal has the tags when setfattr returns.
func TestTagsOnTheLocalDisk(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	m := taggedMount(t, testOptions{state: state}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	m.fs.cfg.LocalFsync = true
	m.put("f", []byte("x"))
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	setXattr(t, m.path("f"), "user.s3.tag.a", "1")
	check(t, file.Sync())
	m.lost = true
	next := m.killed(state)
	check(t, next.fs.Drain(t.Context(), nil))
	if got := next.tagsOf("f"); got["a"] != "1" {
		t.Errorf("tags: %v", got)
	}
}

// A refusal is told by the next fsync, and listed; what is shown is then what the store has.
func TestTagsRefused(t *testing.T) {
	t.Parallel()
	m := taggedMount(t, testOptions{}, mem.Rule{Op: "PutObjectTagging", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	m.putWith("f", "x", backend.Properties{Tags: map[string]string{"a": "1"}})
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	setXattr(t, m.path("f"), "user.s3.tag.a", "2")
	if err := file.Sync(); !errors.Is(err, unix.EACCES) {
		t.Errorf("fsync: %v", err)
	}
	if status := m.fs.Status(); len(status.Kept) != 1 || status.Kept[0].State != "tags refused" || status.Kept[0].Reason == "" || len(status.Pending) != 0 {
		t.Errorf("listed: %+v", status)
	}
	if got := getXattr(t, m.path("f"), "user.s3.tag.a"); got != "1" {
		t.Errorf("shown: %q", got)
	}
	if left := m.fs.cfg.Staging.Intents(); len(left) != 0 {
		t.Errorf("left in the journal: %v", left)
	}
}

// Attributes that are set while an upload of the file runs are not lost, and reach the content that was written.
func TestXattrsDuringAnUpload(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	started := make(chan struct{}, 10)
	m := taggedMount(t, testOptions{commit: CommitBackground}, mem.Rule{Op: "PutObject", Key: func(key string) bool { return key == "f" }, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
		started <- struct{}{}
		<-hold
	})}})
	check(t, os.WriteFile(m.path("f"), []byte("content"), 0o644))
	<-started
	setXattr(t, m.path("f"), "user.s3.tag.a", "1")
	setXattr(t, m.path("f"), "user.s3.meta.b", "2")
	if state := getXattr(t, m.path("f"), "user.s3.upload-state"); state != "uploading 0%" && state != "queued" {
		t.Errorf("state %q", state)
	}
	close(hold)
	eventually(t, func() bool { _, err := m.stored("f"); return err == nil })
	n := m.nodeOf("f")
	eventually(t, func() bool { n.rlock(); defer n.runlock(); return n.current != nil })
	setXattr(t, m.path("f"), "user.own", "3") // built upon what was set, not upon what the upload had
	check(t, os.Rename(m.path("f"), m.path("g")))
	check(t, m.fs.Drain(t.Context(), nil))
	data, obj := m.object("g")
	if string(data) != "content" || obj.Metadata["b"] != "2" || m.tagsOf("g")["a"] != "1" || obj.Headers.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("stored: %q %v %v %v", data, obj.Metadata, obj.Headers, m.tagsOf("g"))
	}
	if got := xattrsOf(t, m.path("g")); len(got) != 3 || got["user.own"] != "3" {
		t.Errorf("shown: %v", got)
	}
}

// Retention and a legal hold that are set while a file is written come with its upload; on a stored object they are
// set at once. Other attributes of a locked object cannot change, its tags can.
func TestXattrsOfLocks(t *testing.T) {
	t.Parallel()
	caps := mem.AllCapabilities()
	caps.ObjectLock, caps.Versioned = true, true
	store := mem.New()
	store.Configure(func(s *mem.Settings) { s.Capabilities = caps })
	check(t, store.CreateBucket(t.Context(), testBucket))
	m := taggedMount(t, testOptions{caps: &caps, store: store})
	file, err := os.Create(m.path("f"))
	check(t, err)
	_, err = file.WriteString("data")
	check(t, err)
	setXattr(t, m.path("f"), "user.s3.retention", "GOVERNANCE 30d")
	setXattr(t, m.path("f"), "user.s3.legal-hold", "on")
	m.requests(func() { check(t, file.Close()) }, m.atMost(map[string]int{"PutObject": 1, "HeadObject": 1}))
	id := backend.ObjectID{Bucket: testBucket, Key: "f"}
	lock, err := m.raw.Lock(t.Context(), id, "")
	check(t, err)
	if !lock.LegalHold || lock.Retention.Mode != backend.Governance || time.Until(lock.Retention.Until) < 29*24*time.Hour {
		t.Errorf("stored with %+v", lock)
	}
	if got := getXattr(t, m.path("f"), "user.s3.retention.mode"); got != "GOVERNANCE" {
		t.Errorf("mode %q", got)
	}
	if err := unix.Setxattr(m.path("f"), "user.s3.meta.a", []byte("1"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("metadata of a locked object: %v", err)
	}
	setXattr(t, m.path("f"), "user.s3.tag.a", "1")
	setXattr(t, m.path("f"), "user.s3.legal-hold", "off")
	if err := unix.Removexattr(m.path("f"), "user.s3.retention"); !errors.Is(err, unix.EPERM) {
		t.Errorf("removing governance without a bypass: %v", err)
	}
	setXattr(t, m.path("f"), "user.s3.retention.until", "60d")
	check(t, m.fs.Drain(t.Context(), nil))
	lock, err = m.raw.Lock(t.Context(), id, "")
	check(t, err)
	if lock.LegalHold || time.Until(lock.Retention.Until) < 59*24*time.Hour || m.tagsOf("f")["a"] != "1" {
		t.Errorf("now %+v, tags %v", lock, m.tagsOf("f"))
	}
}
