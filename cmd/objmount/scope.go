package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// scope is what a mount covers. Local files belong to one scope, so that a mount never takes up
// uploads for another store or bucket.
type scope struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"`
}

// id names the directories of a scope.
func (s scope) id() string {
	sum := sha256.Sum256([]byte(s.Endpoint + "\x00" + s.Bucket + "\x00" + s.Prefix))
	return hex.EncodeToString(sum[:8])
}

// slot is the local home of one mount. Several mounts of one scope on one machine have a slot
// each; after a restart each finds its own again by its mountpoint.
type slot struct {
	scope scope
	dir   string
	name  string
	lock  *os.File
	// orphans are slots that no process holds and whose uploads have not ended.
	orphans []slotNote
}

// slotNote is the readable file "scope" in the directory of a slot.
type slotNote struct {
	scope
	Source     string    `json:"source"`
	Mountpoint string    `json:"mountpoint"`
	Pending    int       `json:"pending"` // files that are kept here; -1: a mount runs, or was killed
	Written    time.Time `json:"written"`
	dir        string
}

const (
	maxSlots     = 64
	slotPatience = 5 * time.Second // for the end of the mount that was at the same place
	noteName     = "scope"
	lockName     = "lock"
)

// takeSlot finds or makes a slot that no process holds and locks it: the one that this
// mountpoint had last, else the first.
func takeSlot(state string, sc scope, src source, mountpoint string, readOnly bool) (*slot, error) {
	base := filepath.Join(state, "mounts")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fail(exitLocal, "no place for files that are not uploaded yet: %v; choose another with --state-dir", err)
	}
	id := sc.id()
	if readOnly {
		id += "-ro" // has nothing to take up
	}
	var names []string
	notes := map[string]slotNote{}
	for n := 1; n <= maxSlots; n++ {
		name := id + "-" + strconv.Itoa(n)
		note, ok := readNote(filepath.Join(base, name))
		if ok {
			notes[name] = note
		}
		if ok && note.Mountpoint == mountpoint {
			names = append([]string{name}, names...)
		} else {
			names = append(names, name)
		}
	}
	for _, name := range names {
		dir := filepath.Join(base, name)
		lock, err := lockSlot(dir)
		for end := time.Now().Add(slotPatience); errors.Is(err, unix.EWOULDBLOCK) && notes[name].Mountpoint == mountpoint && time.Now().Before(end); {
			time.Sleep(slotPatience / 100) // nothing of ours is mounted there any more: it still uploads
			lock, err = lockSlot(dir)
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			delete(notes, name)
			continue
		}
		if err != nil {
			return nil, fail(exitLocal, "no place for files that are not uploaded yet: %v; choose another with --state-dir", err)
		}
		delete(notes, name)
		s := &slot{scope: sc, dir: dir, name: name, lock: lock}
		for _, note := range notes {
			if note.Pending != 0 && !held(note.dir) {
				s.orphans = append(s.orphans, note)
			}
		}
		if err := s.note(src, mountpoint, -1); err != nil {
			lock.Close()
			return nil, fail(exitLocal, "the state directory cannot be written: %v; choose another with --state-dir", err)
		}
		return s, nil
	}
	return nil, fail(exitLocal, "%s is mounted %d times on this machine; unmount one", src, maxSlots)
}

// lockSlot makes the directory and takes its lock, which ends with the process.
func lockSlot(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// held reports whether a process has the lock of a slot.
func held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

func readNote(dir string) (slotNote, bool) {
	text, err := os.ReadFile(filepath.Join(dir, noteName))
	if err != nil {
		return slotNote{}, false
	}
	var n slotNote
	if err := json.Unmarshal(text, &n); err != nil {
		return slotNote{}, false
	}
	n.dir = dir
	return n, true
}

// note writes down what the slot holds.
func (s *slot) note(src source, mountpoint string, pending int) error {
	return writeJSON(filepath.Join(s.dir, noteName), slotNote{
		scope: s.scope, Source: src.String(), Mountpoint: mountpoint, Pending: pending, Written: time.Now().UTC().Truncate(time.Second),
	})
}

// staging is the directory of the staging area.
func (s *slot) staging() string { return filepath.Join(s.dir, "staging") }

// release gives the slot back. Nothing but the journal's directory may be left in it then.
func (s *slot) release() error { return s.lock.Close() }

// writeJSON replaces a file at once: a reader, or a crash, meets the old or the new one.
func writeJSON(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
