package fs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// TestFirstWriteThroughRename: the first change of a stored file asks for its properties. A rename meanwhile is
// no harm, whether the store answers before it or after it.
func TestFirstWriteThroughRename(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(func(context.Context, mem.Call)) mem.Action{"before": mem.Before, "after": mem.After} {
		for from, to := range map[string]string{"d": "e"} { // the kernel lets a file's own rename wait for the write
			t.Run(name+" "+from, func(t *testing.T) {
				t.Parallel()
				var faults *mem.Faults
				m := newTestMount(t, testOptions{ttl: time.Millisecond, wrap: func(s backend.Store) backend.Store {
					faults = mem.Faulty(s)
					return faults
				}})
				m.put("d/f", []byte("stored"))
				file, err := os.OpenFile(m.path("d/f"), os.O_RDWR, 0)
				check(t, err)
				time.Sleep(5 * time.Millisecond)
				asked, release := make(chan struct{}), make(chan struct{})
				faults.Add(mem.Rule{Op: "HeadObject", Key: func(key string) bool { return key == "d/f" }, Times: 1, Do: []mem.Action{when(func(context.Context, mem.Call) {
					close(asked)
					<-release
				})}})
				wrote := make(chan error, 1)
				go func() {
					_, err := file.WriteAt([]byte("S"), 0)
					wrote <- err
				}()
				<-asked
				check(t, os.Rename(m.path(from), m.path(to)))
				close(release)
				check(t, <-wrote)
				check(t, file.Close())
				key := to + "/f"
				if data, err := m.stored(key); err != nil || string(data) != "Stored" {
					t.Errorf("%s has %q (%v)", key, data, err)
				}
				m.gone("d/f")
				if kept := m.fs.Status().Kept; len(kept) > 0 {
					t.Errorf("kept: %+v", kept)
				}
			})
		}
	}
}

// TestPartOfAWrite: what was written before the disk was full is stored by close.
func TestPartOfAWrite(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts a small disk")
	}
	m := newTestMount(t, testOptions{})
	disk := t.TempDir()
	check(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"))
	defer func() { check(t, unix.Unmount(disk, unix.MNT_DETACH)) }()
	area, err := staging.Open(staging.Config{Dir: filepath.Join(disk, "staging"), Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	defer area.Close()
	file, err := os.Create(m.path("f"))
	check(t, err)
	defer file.Close()
	n := m.fs.tree.child(m.fs.tree.root(), "f")
	n.lock()
	spec := n.staged.Spec()
	m.fs.removeStaged(m.fs.detachStagedLocked(n))
	small, err := area.Create(spec)
	check(t, err)
	m.fs.attachLocked(n, small)
	n.unlock()
	ballast := filepath.Join(disk, "ballast")
	check(t, os.WriteFile(ballast, make([]byte, 800<<10), 0o600))
	var handle uint64
	m.fs.handles.mu.Lock()
	for id, h := range m.fs.handles.all {
		if h.node == n {
			handle = id
		}
	}
	m.fs.handles.mu.Unlock()
	killed := make(chan struct{})
	close(killed) // it does not wait for room
	in := fuse.WriteIn{InHeader: fuse.InHeader{Caller: fuse.Caller{Pid: 1 << 30}}, Fh: handle}
	data := randomBytes(13, 512<<10)
	count, status := m.fs.Write(killed, &in, data)
	if !status.Ok() || count == 0 || int(count) == len(data) {
		t.Fatalf("%d bytes were written (%v)", count, status)
	}
	check(t, os.Remove(ballast))
	check(t, file.Close())
	if stored, err := m.stored("f"); err != nil || string(stored) != string(data[:count]) {
		t.Errorf("%d bytes are stored, want %d (%v)", len(stored), count, err)
	}
}

// TestKilledReplacerLeavesTheTime: the old content has a time that it may have.
func TestKilledReplacerLeavesTheTime(t *testing.T) {
	t.Parallel()
	for _, posix := range []PosixMode{PosixAuto, PosixOn} {
		t.Run(fmt.Sprint(posix), func(t *testing.T) {
			t.Parallel()
			m := newTestMount(t, testOptions{posix: posix})
			check(t, os.WriteFile(m.path("f"), []byte("old"), 0o600))
			when := time.Now().Add(-time.Hour).Truncate(time.Second)
			if posix == PosixOn {
				check(t, os.Chtimes(m.path("f"), when, when))
				check(t, m.fs.Drain(t.Context(), nil))
			}
			cmd := exec.Command("sh", "-c", `exec dd if=/dev/zero of="$1" bs=1k count=1000000 status=none`, "sh", m.path("f"))
			check(t, cmd.Start())
			time.Sleep(200 * time.Millisecond)
			check(t, cmd.Process.Kill())
			_ = cmd.Wait() // it was killed
			info, err := os.Stat(m.path("f"))
			check(t, err)
			if age := time.Since(info.ModTime()); info.Size() != 3 || age < -time.Minute || age > 2*time.Hour || posix == PosixOn && !info.ModTime().Equal(when) {
				t.Errorf("%d bytes of %v", info.Size(), info.ModTime())
			}
		})
	}
}

// A truncate to the size that a file has is a change of its date, also while other attributes wait to be sent.
func TestTruncateToTheSameSize(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{commit: CommitBackground})
	m.put("f", []byte("four"))
	began := time.Now()
	check(t, os.Chtimes(m.path("f"), time.Unix(1, 0), time.Unix(2, 0)))
	check(t, os.Truncate(m.path("f"), 4))
	m.unmount()
	m.mustHave("f", "four")
	next := newTestMount(t, testOptions{store: m.raw})
	info, err := os.Stat(next.path("f"))
	check(t, err)
	if info.ModTime().Before(began.Add(-2 * time.Second)) {
		t.Errorf("dated %v", info.ModTime())
	}
}

// TestEmptiedByAReader: O_TRUNC empties a file that is opened for reading only, for who has it open already, and in the store after
// the last close.
func TestEmptiedByAReader(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	m.put("f", []byte("stored"))
	before, err := os.OpenFile(m.path("f"), os.O_RDWR, 0)
	check(t, err)
	_, err = before.WriteAt([]byte("more"), 6)
	check(t, err)
	reader, err := os.OpenFile(m.path("f"), os.O_RDONLY|os.O_TRUNC, 0)
	check(t, err)
	info, err := before.Stat()
	check(t, err)
	if info.Size() != 0 {
		t.Errorf("%d bytes", info.Size())
	}
	check(t, before.Close())
	check(t, reader.Sync())
	check(t, reader.Close())
	if data, err := m.stored("f"); err != nil || len(data) > 0 {
		t.Errorf("the store has %q (%v)", data, err)
	}
}
