package test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// secondTTL is how old an answer of the second mount may be.
const secondTTL = 100 * time.Millisecond

// releaseTime is how long the end of a file may take that a program has closed: what its last close leaves to do (storing a file that
// was emptied, deleting one that had no name any more) is not waited for by anybody.
const releaseTime = 20 * time.Second

// look compares what others see with a plain directory: the foreign client and a mount as on another machine. What is held open may be
// ahead of the store, and names that a held file has lost may be there until it is closed.
func (run *modelRun) look(ours, theirs *actor, dir string) error {
	open, err := openInodes(theirs)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(releaseTime); ; time.Sleep(secondTTL) {
		if _, err = run.m.ask("pending/flush", dir, nil); err != nil {
			return err
		}
		if err = run.foreignLooks(dir, theirs, open); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		return err
	}
	time.Sleep(2 * secondTTL)
	return run.secondLooks(dir, theirs, open)
}

// eachClosed calls f for all of a plain directory but the files that are open.
func eachClosed(theirs *actor, open map[uint64]bool, f func(name string, s *unix.Stat_t) error) error {
	return filepath.WalkDir(theirs.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == theirs.root {
			return err
		}
		name, err := filepath.Rel(theirs.root, path)
		if err != nil {
			return err
		}
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil {
			return err
		}
		if open[s.Ino] {
			return nil
		}
		return f(name, &s)
	})
}

func (run *modelRun) foreignLooks(dir string, theirs *actor, open map[uint64]bool) error {
	var reply struct{ Objects map[string]object }
	client, err := run.store.foreign()
	if err == nil {
		err = client.ask(map[string]any{"op": "snapshot", "bucket": run.bucket, "prefix": dir + "/"}, &reply)
	}
	if err != nil {
		return err
	}
	err = eachClosed(theirs, open, func(name string, s *unix.Stat_t) error {
		o, stored := reply.Objects[dir+"/"+name]
		delete(reply.Objects, dir+"/"+name)
		switch s.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			want, err := os.ReadFile(theirs.path(name))
			if err == nil && (!stored || o.Size != int64(len(want)) || o.SHA256 != digest(want)) {
				err = fmt.Errorf("%s: the store has %d bytes (%.12s), not %d (%s)", name, o.Size, o.SHA256, len(want), mark(want))
			}
			return err
		case unix.S_IFLNK:
			if !stored {
				return fmt.Errorf("the link %s is not in the store", name)
			}
		}
		return nil
	})
	for key := range reply.Objects {
		if err == nil && len(open) == 0 && !strings.HasSuffix(key, "/") {
			err = fmt.Errorf("the store has %s", key)
		}
	}
	return err
}

func (run *modelRun) secondLooks(dir string, theirs *actor, open map[uint64]bool) error {
	root := filepath.Join(run.second.dir, dir)
	err := eachClosed(theirs, open, func(name string, s *unix.Stat_t) error {
		kind := s.Mode & unix.S_IFMT
		if kind == unix.S_IFLNK { // that it is a link, another mount knows a while later
			return nil
		}
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.IsDir() != (kind == unix.S_IFDIR) {
			return fmt.Errorf("the second mount shows %s as %v, %w", name, info, err)
		}
		if info.IsDir() {
			return nil
		}
		want, err := os.ReadFile(theirs.path(name))
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || info.Size() != s.Size || mark(got) != mark(want) {
			return fmt.Errorf("the second mount shows %s with %d bytes and reads %d (%s), not %d (%s), %w", name, info.Size(), len(got), mark(got), len(want), mark(want), err)
		}
		return nil
	})
	for _, name := range modelNames {
		if _, absent := os.Lstat(theirs.path(name)); err != nil || absent == nil || len(open) > 0 {
			continue
		}
		if _, shown := os.Lstat(filepath.Join(root, name)); errno(shown) != unix.ENOENT && errno(shown) != unix.ENOTDIR {
			err = fmt.Errorf("the second mount shows %s: %v", name, shown)
		}
	}
	return err
}

// stored looks at what a call has just closed, where that means that it is stored.
func (run *modelRun) stored(c call, dir string, theirs *actor) error {
	if run.background || c.n == 0 || c.seed%8 != 0 || c.what != "put" && c.what != "append" {
		return nil
	}
	path, err := filepath.EvalSymlinks(theirs.path(c.a))
	if err != nil {
		return err
	}
	name, err := filepath.Rel(theirs.root, path)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if got := run.store.get(run.T, run.bucket, dir+"/"+name); mark(got) != mark(want) {
		return fmt.Errorf("after the close %s has %d bytes (%s) in the store, not %d (%s)", name, len(got), mark(got), len(want), mark(want))
	}
	return nil
}

// openInodes are the files of a plain directory that are open, also to be read: that may have emptied them.
func openInodes(a *actor) (map[uint64]bool, error) {
	open := map[uint64]bool{}
	for _, fd := range a.files {
		if fd < 0 {
			continue
		}
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil {
			return nil, err
		}
		open[s.Ino] = true
	}
	return open, nil
}

// TestLookersComplain: they see what is not as in the plain directory.
func TestLookersComplain(t *testing.T) {
	t.Parallel()
	run := newModelRun(t, combination{store: "versitygw"})
	ours, theirs := newActor(filepath.Join(run.m.dir, "case")), newActor(filepath.Join(run.plain, "case"))
	c := call{what: "put", a: "a", n: 10, seed: 8}
	if got, want := ours.do(c), theirs.do(c); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if err := run.look(ours, theirs, "case"); err != nil {
		t.Error(err)
	}
	if err := run.stored(c, "case", theirs); err != nil {
		t.Error(err)
	}
	complain := func(when string) {
		time.Sleep(2 * secondTTL)
		if run.foreignLooks("case", theirs, nil) == nil || run.secondLooks("case", theirs, nil) == nil {
			t.Errorf("no complaint about %s", when)
		}
	}
	run.store.put(t, run.bucket, "case/a", contentOf(9, 10))
	complain("other bytes")
	if run.stored(c, "case", theirs) == nil {
		t.Error("no complaint after a close")
	}
	run.store.put(t, run.bucket, "case/a", contentOf(8, 10))
	run.store.put(t, run.bucket, "case/b", nil)
	complain("an object too many")
	run.store.remove(t, run.bucket, "case/b")
	run.store.remove(t, run.bucket, "case/a")
	complain("a missing object")
}
