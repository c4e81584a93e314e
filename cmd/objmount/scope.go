package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/cache/staging"
)

// scope is what a mount covers. Local files belong to one scope, so that a mount never takes up
// uploads for another store or bucket.
type scope struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"`
}

// covers tells whether everything that a mount of other holds lies in this scope too. Of several stores that is so if each of them is
// here, under the same name and at the same address.
func (s scope) covers(other scope) bool {
	if s.Endpoint != other.Endpoint && !withinRemotes(s.Endpoint, other.Endpoint) || s.Bucket != "" && s.Bucket != other.Bucket {
		return false
	}
	return strings.HasPrefix(other.Prefix, s.Prefix)
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
	kept  slotNote // what it says about the mount it belongs to
}

// slotNote is the readable file "scope" in the directory of a slot.
type slotNote struct {
	scope
	Source     string    `json:"source"`
	Mountpoint string    `json:"mountpoint"`
	Pending    int       `json:"pending"`              // files and promises that are kept here; -1: a mount runs, or was killed
	AdoptedBy  string    `json:"adopted_by,omitempty"` // the mountpoint that uploads what is here instead
	Written    time.Time `json:"written"`
}

const (
	readOnlyName = "-ro" // in the names of slots that never hold anything
	pastName     = "-ro-at"
	maxSlots     = 64
	slotPatience = 5 * time.Second // for the end of the mount that was at the same place
	noteName     = "scope"
	lockName     = "lock"
)

// takeSlot finds or makes a slot that no process holds and locks it: the one that this
// mountpoint had last, else the first. kind is that of config.slotKind.
func takeSlot(state string, sc scope, src source, mountpoint, kind string, log *slog.Logger) (*slot, error) {
	base := filepath.Join(state, "mounts")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fail(exitLocal, "no place for files that are not uploaded yet: %v; choose another with --state-dir", err)
	}
	id := sc.id() + kind
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
		for end := time.Now().Add(slotPatience); errors.Is(err, unix.EWOULDBLOCK) && notes[name].at(mountpoint) && time.Now().Before(end); {
			time.Sleep(slotPatience / 100) // nothing of ours is mounted there any more: it still uploads
			lock, err = lockSlot(dir)
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, fail(exitLocal, "no place for files that are not uploaded yet: %v; choose another with --state-dir", err)
		}
		s := &slot{scope: sc, dir: dir, name: name, lock: lock}
		s.kept = slotNote{scope: sc, Source: src.String(), Mountpoint: mountpoint}
		if err := errors.Join(s.dropSpare(), s.take(log)); err != nil {
			lock.Close()
			return nil, fail(exitLocal, "the state directory cannot be written: %v; choose another with --state-dir", err)
		}
		return s, nil
	}
	return nil, fail(exitLocal, "%s is mounted %d times on this machine; unmount one", src, maxSlots)
}

// take notes that a mount runs here. A note that says so, as one after a crash does, is left alone, and on a full disk so is one that says that
// something is kept here: to upload that makes room.
func (s *slot) take(log *slog.Logger) error {
	before, there := readNote(s.dir) // as it is now that nobody else changes it
	ours := there && before.scope == s.scope && before.Source == s.kept.Source && before.at(s.kept.Mountpoint)
	if ours && before.Pending == -1 {
		s.kept.Pending = -1
		return nil
	}
	err := s.note(-1)
	if errors.Is(err, unix.ENOSPC) && there && before.scope == s.scope && before.Pending != 0 {
		log.Warn("the disk with the state directory is full; what is kept there is uploaded, and writing has to wait for that",
			slog.String("dir", s.dir), slog.Int("files", before.Pending))
		return nil
	}
	return err
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

// at tells whether a slot is the one of a mountpoint. One that another mount took up is not.
func (n slotNote) at(mountpoint string) bool { return n.Mountpoint == mountpoint && n.AdoptedBy == "" }

// orphans takes the slots that no process holds, that may not be empty, and whose keys a mount of
// this slot covers; a read-only mount gets none. They stay where they are, locked; each mount gets others.
func (s *slot) orphans(log *slog.Logger) []*slot {
	if strings.Contains(s.name, readOnlyName) {
		return nil
	}
	entries, err := os.ReadDir(filepath.Dir(s.dir))
	if err != nil {
		log.Warn("files that other mounts left cannot be looked for", slog.String("error", err.Error()))
		return nil
	}
	var found []*slot
	for _, e := range entries {
		if o := s.orphan(e.Name()); o != nil {
			found = append(found, o)
		} else if n := s.strayed(e.Name()); n != nil {
			log.Warn("files may wait here for other remotes than those of the configuration file; a mount with those uploads them",
				slog.String("remotes", n.Endpoint), slog.String("now", s.scope.Endpoint), slog.String("dir", filepath.Join(filepath.Dir(s.dir), e.Name())))
		}
	}
	return found
}

func (s *slot) orphan(name string) *slot {
	dir := filepath.Join(filepath.Dir(s.dir), name)
	note, ok := readNote(dir)
	if !ok || dir == s.dir || strings.Contains(name, readOnlyName) || note.Pending == 0 || !s.scope.covers(note.scope) {
		return nil
	}
	lock, err := lockSlot(dir)
	if err != nil {
		return nil // in use, or of another user
	}
	o := &slot{scope: note.scope, dir: dir, name: name, lock: lock}
	if o.kept, ok = readNote(dir); ok && o.kept.Pending != 0 { // as it is now that nobody else changes it
		o.kept.AdoptedBy = s.kept.Mountpoint
		if errors.Join(o.dropSpare(), o.note(-1)) == nil {
			return o
		}
	}
	_ = o.release() // a lock that nobody else wants yet
	return nil
}

// strayed returns the note of a slot that a mount of several stores had at this place when its configuration named others.
func (s *slot) strayed(name string) *slotNote {
	n, ok := readNote(filepath.Join(filepath.Dir(s.dir), name))
	same := s.scope.Endpoint == n.Endpoint || !strings.HasPrefix(s.scope.Endpoint, allEndpoints) || !strings.HasPrefix(n.Endpoint, allEndpoints)
	if !ok || same || !n.at(s.kept.Mountpoint) || n.Pending == 0 || strings.Contains(name, readOnlyName) || s.scope.covers(n.scope) {
		return nil
	}
	return &n
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
	return n, true
}

// note writes down how many files the slot holds.
func (s *slot) note(pending int) error {
	s.kept.Pending, s.kept.Written = pending, time.Now().UTC().Truncate(time.Second)
	return writeJSON(filepath.Join(s.dir, noteName), s.kept)
}

// adoption is a slot of another mountpoint that this mount has taken up.
type adoption struct {
	slot *slot
	area *staging.Area
}

// adopt takes up what mounts that do not run any more left for this one's keys. What cannot be opened stays
// as it is.
func adopt(area *staging.Area, orphans []*slot, log *slog.Logger) []adoption {
	var list []adoption
	for _, o := range orphans {
		attrs := []any{slog.String("mountpoint", o.kept.Mountpoint), slog.String("source", o.kept.Source), slog.String("dir", o.dir)}
		other, err := area.Adopt(o.staging())
		switch {
		case err != nil:
			log.Warn("files that another mount left cannot be taken up", append(attrs, slog.String("error", err.Error()))...)
			err = o.handBack(-1)
		case other == nil:
			err = o.handBack(0)
		default:
			log.Info("taking up files that another mount left", append(attrs, slog.Int("files", len(other.Files())))...)
			list = append(list, adoption{o, other})
		}
		if err != nil {
			log.Warn("note of a state directory", append(attrs, slog.String("error", err.Error()))...)
		}
	}
	return list
}

// end counts what is left of an adoption after its area was closed, and gives the slot back.
func (a adoption) end(closed bool) (kept int) {
	_, kept = left(a.area)
	note := kept
	if !closed {
		note = -1
	}
	if err := a.slot.handBack(note); err != nil {
		a.slot.lock.Close() // again is harmless
	}
	return kept
}

// handBack gives an adopted slot back with what is left in it.
func (s *slot) handBack(pending int) error {
	s.kept.AdoptedBy = ""
	return errors.Join(s.leave(pending), s.release())
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
