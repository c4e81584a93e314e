package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// secondTTL is how old an answer of the second mount may be.
const secondTTL = 100 * time.Millisecond

// look compares what others see, after a flush, with a plain directory: the foreign client and a mount as on another machine. What
// is held open may be ahead of the store, and names that a held file has lost may be there until it is closed.
func (run *modelRun) look(dir string, theirs *actor) error {
	time.Sleep(2 * secondTTL)
	open, held, err := heldFiles(theirs)
	if err != nil {
		return err
	}
	objects := run.store.snapshot(run.T, run.bucket, dir+"/")
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	err = filepath.WalkDir(theirs.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == theirs.root {
			return err
		}
		name, err := filepath.Rel(theirs.root, path)
		if err != nil {
			return err
		}
		o, stored := objects[dir+"/"+name]
		delete(objects, dir+"/"+name)
		there := filepath.Join(run.second.dir, dir, name)
		if d.IsDir() {
			if info, err := os.Stat(there); err != nil || !info.IsDir() {
				complain("the second mount does not show the directory %s: %v", name, err)
			}
			return nil
		}
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil {
			return err
		}
		if open[s.Ino] {
			return nil
		}
		if !stored {
			complain("%s is not in the store", name)
			return nil
		}
		if s.Mode&unix.S_IFMT != unix.S_IFREG { // whether it is a link, a second mount knows a while later
			return nil
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if o.Size != int64(len(want)) || o.SHA256 != digest(want) {
			complain("%s: the store has %d bytes (%.12s), not %d (%s)", name, o.Size, o.SHA256, len(want), mark(want))
		}
		info, err := os.Stat(there)
		if err != nil || info.Size() != s.Size {
			complain("%s: the second mount shows %v, %v", name, info, err)
		}
		if got, err := os.ReadFile(there); err != nil || mark(got) != mark(want) {
			complain("%s: the second mount reads %d bytes (%s), not %d (%s), %v", name, len(got), mark(got), len(want), mark(want), err)
		}
		return nil
	})
	for key := range objects {
		if !held && !strings.HasSuffix(key, "/") {
			complain("the store has %s", key)
		}
	}
	for _, name := range modelNames {
		if _, err := os.Lstat(theirs.path(name)); err == nil || held {
			continue
		}
		if _, err := os.Lstat(filepath.Join(run.second.dir, dir, name)); errno(err) != unix.ENOENT && errno(err) != unix.ENOTDIR {
			complain("the second mount shows %s: %v", name, err)
		}
	}
	return errors.Join(append(problems, err)...)
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

// heldFiles are the files of a plain directory that are open, by inode number, and whether there is any. One that was opened to be
// read counts: that may have emptied it.
func heldFiles(a *actor) (inodes map[uint64]bool, any bool, err error) {
	inodes = map[uint64]bool{}
	for _, fd := range a.files {
		if fd < 0 {
			continue
		}
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil {
			return nil, true, err
		}
		inodes[s.Ino] = true
	}
	return inodes, len(inodes) > 0, nil
}
