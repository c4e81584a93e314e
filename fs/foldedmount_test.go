package fs

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
)

// TestFoldedFilesAreTheSame: on a mount that folds a file whenever nobody holds it, a file is the same inode with the same
// attributes all the time, and whatever is changed of it, the rest is stored with it. It lost its properties when it was
// folded between the request for them and its staging.
func TestFoldedFilesAreTheSame(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, ttl: time.Minute})
		m.fs.tree.eager.Store(true)
		props := backend.Properties{
			Headers:  backend.Headers{ContentType: "text/x-own", CacheControl: "no-store"},
			Metadata: map[string]string{"kept": "yes"}, Tags: map[string]string{"a": "1"},
		}
		names := []string{"attribute", "mode", "bytes", "name"}
		first := map[string]os.FileInfo{}
		for _, name := range names {
			m.putWith(name, "content", props)
			info, err := os.Stat(m.path(name))
			check(t, err)
			first[name] = info
			n := m.nodeOf(name)
			eventually(t, func() bool { n.mu.rw.RLock(); defer n.mu.rw.RUnlock(); return n.body == nil })
		}
		setXattr(t, m.path("attribute"), "user.x", "y")
		check(t, os.Chmod(m.path("mode"), 0o640))
		appendTo(t, m.path("bytes"), " and more")
		check(t, os.Rename(m.path("name"), m.path("renamed")))
		check(t, m.fs.Drain(t.Context(), nil))
		names[3], first["renamed"] = "renamed", first["name"]
		for _, name := range names {
			info, err := os.Stat(m.path(name))
			check(t, err)
			before, after := first[name].Sys().(*syscall.Stat_t), info.Sys().(*syscall.Stat_t)
			if before.Ino != after.Ino || before.Uid != after.Uid || name != "bytes" && before.Mtim != after.Mtim {
				t.Errorf("%s was %+v, is %+v", name, before, after)
			}
			_, obj := m.object(name)
			if obj.Headers.ContentType != "text/x-own" || obj.Headers.CacheControl != "no-store" || obj.Metadata["kept"] != "yes" || m.tagsOf(name)["a"] != "1" {
				t.Errorf("%s is stored as %+v, with tags %v", name, obj, m.tagsOf(name))
			}
		}
		if got := getXattr(t, m.path("attribute"), "user.x"); got != "y" {
			t.Errorf("user.x is %q", got)
		}
		if info, err := os.Stat(m.path("mode")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode: %v %v", info, err)
		}
		m.mustHave("bytes", "content and more")
	})
}

// TestFoldingCostsNoRequest: what a listing told is not asked for again because a file was folded.
func TestFoldingCostsNoRequest(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff, ttl: time.Minute})
	m.fs.tree.eager.Store(true)
	m.put("d/f", []byte("content"))
	_, err := os.ReadDir(m.path("d"))
	check(t, err)
	m.requests(func() {
		for range 3 {
			m.fs.notifyEntry(m.nodeOf("d"), "f")
			var st unix.Stat_t
			if check(t, unix.Stat(m.path("d/f"), &st)); st.Size != 7 {
				t.Errorf("%d bytes", st.Size)
			}
		}
	}, map[string]int{})
}
