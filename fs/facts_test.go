package fs

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
)

// Who looks at one file of a listed directory pays for one; who goes on gets those that follow.
func TestFactsAhead(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, ttl: time.Minute})
	for i := range 200 {
		m.put(fmt.Sprintf("d/%03d", i), []byte("x"))
	}
	_, err := os.Stat(m.path("d/000"))
	check(t, err)
	_ = xattrsOf(t, m.path("d/000")) // that there are no annotations is known from now on
	look := func(i int) { _ = xattrsOf(t, m.path(fmt.Sprintf("d/%03d", i))) }
	_, err = os.ReadDir(m.path("d"))
	check(t, err)
	m.requests(func() { look(50) }, map[string]int{"HeadObject": 1})
	m.requests(func() { look(150) }, map[string]int{"HeadObject": 1})
	m.requests(func() {
		look(151)
		eventually(t, func() bool { return m.store.Requests()["HeadObject"] == 200-151 })
		for i := 152; i < 200; i++ {
			look(i)
		}
	}, map[string]int{"HeadObject": 200 - 151})
}

// What is believed is bounded.
func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFacts()
	began := time.Now()
	for i := range maxFacts + 10 {
		f.told(backend.Object{Key: fmt.Sprint(i), ETag: "e"}, began)
		f.get(factKey{ObjectID: backend.ObjectID{Key: "0"}}) // in use
	}
	if len(f.entries) != maxFacts || f.lru.Len() != maxFacts {
		t.Errorf("%d entries, %d in order", len(f.entries), f.lru.Len())
	}
	if f.get(factKey{ObjectID: backend.ObjectID{Key: "0"}}).obj.ETag != "e" || !f.get(factKey{ObjectID: backend.ObjectID{Key: "1"}}).at.IsZero() {
		t.Error("not the one that was not used for the longest time is forgotten")
	}
}

// Answers come in any order; the one that was asked for last counts, and none that was asked for before a change of
// this mount.
func TestFactsInOrder(t *testing.T) {
	t.Parallel()
	f := newFacts()
	id := backend.ObjectID{Bucket: "b", Key: "k"}
	key := factKey{ObjectID: id}
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	object := func(etag string, tags int) backend.Object {
		return backend.Object{Bucket: "b", Key: "k", ETag: etag, TagCount: tags}
	}
	f.told(object("2", 1), at(2))
	f.told(object("1", 0), at(1))
	if got := f.get(key); got.obj.ETag != "2" || got.obj.TagCount != 1 || !got.tagsAt.IsZero() {
		t.Errorf("an older answer counts: %+v", got)
	}
	f.taggedLocked(key, map[string]string{"a": "1"}, at(3))
	f.told(object("2", 1), at(4))
	if got := f.get(key); got.tags["a"] != "1" {
		t.Errorf("the same number of tags: %+v", got)
	}
	f.told(object("2", 2), at(5))
	if got := f.get(key); !got.tagsAt.IsZero() || got.obj.TagCount != 2 {
		t.Errorf("another number of tags: %+v", got)
	}
	f.told(object("2", 0), at(6))
	if got := f.get(key); got.tagsAt != at(6) || len(got.tags) != 0 {
		t.Errorf("no tags: %+v", got)
	}
	for _, q := range []factQuestion{{key, false}, {key, true}} {
		flight, mine := f.begin(q)
		if again, other := f.begin(q); !mine || other || again != flight {
			t.Fatal("two ask the same")
		}
		f.drop(id)
		if next, mine := f.begin(q); !mine || next == flight {
			t.Error("who asks after a change gets the answer to an earlier question")
		}
		flight.fact = fact{obj: object("old", 3), tags: map[string]string{"old": "1"}, at: flight.began, tagsAt: flight.began}
		f.end(q, flight, func(backend.Object) { t.Error("it is remembered elsewhere") })
		if got := f.get(key); got.obj.ETag == "old" || got.tags["old"] != "" {
			t.Errorf("an answer to what was asked before a change is believed: %+v", got)
		}
	}
	f.retagged(id, map[string]string{"new": "1"})
	f.told(object("2", 0), time.Now().Add(-time.Minute))
	if got := f.get(key); got.tags["new"] != "1" || got.obj.TagCount != 1 {
		t.Errorf("tags that were set here: %+v", got)
	}
}

// Content that lost against another client's says so, to those who have it open.
func TestXattrOfAConflict(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	m.put("f", []byte("old"))
	file, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	_, err = file.WriteString("ours")
	check(t, err)
	m.put("f", []byte("theirs"))
	if err := file.Sync(); !errors.Is(err, unix.ESTALE) {
		t.Fatalf("fsync: %v", err)
	}
	buf := make([]byte, 100)
	n, err := unix.Fgetxattr(int(file.Fd()), "user.s3.upload-state", buf)
	if err != nil || string(buf[:n]) != "conflict" {
		t.Errorf("upload-state %q, %v", buf[:max(n, 0)], err)
	}
	if err := unix.Fsetxattr(int(file.Fd()), "user.a", nil, 0); !errors.Is(err, unix.ESTALE) {
		t.Errorf("setting one: %v", err)
	}
	eventually(t, func() bool { // the kernel is told just after
		got, err := tryXattr(m.path("f"), "user.s3.upload-state")
		return err == nil && got == "stored"
	})
}
