package test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// unlink removes a name. What is open at this mount is deleted at its last close, if it is still the same object then.
func (a *mapsActor) unlink(c mapsCall) (string, error) {
	m, s := a.model, a.store
	n := m.nodes[c.key]
	if m.unsure(s, c.key) || n != nil && n.staged && !n.current(s) {
		return "left out", nil
	}
	_, exists := m.seen(s, c.key)
	err := done(func() error { return unix.Unlink(a.path(c.key)) })
	if !exists {
		return outcome(err), allowed(err, unix.ENOENT)
	}
	if wrong := allowed(err); wrong != nil {
		return "", wrong
	}
	v := s.objects[c.key]
	held := n != nil && n.opens > 0 && n.base == v
	m.nameless(c.key)
	switch {
	case v == nil:
	case held:
		m.deferred[c.key], m.owners[c.key] = v, n
	default:
		delete(s.objects, c.key)
	}
	return "ok", a.stays(mapsParent(c.key))
}

// stays looks that a directory has not gone with its last file: it has a marker now, if it has nothing else.
func (a *mapsActor) stays(dir string) error {
	if err := a.learnMarkers(); err != nil {
		return err
	}
	// A mount that has written a marker does not look whether another client has deleted it since.
	if !a.model.hasDir(a.store, dir) && !a.cleared[dir] {
		return fmt.Errorf("%s went with what was in it", dir)
	}
	return nil
}

// rename moves a stored file. Those that are being written, and what is only promised to be deleted, are left to the other model test.
func (a *mapsActor) rename(c mapsCall) (string, error) {
	m, s := a.model, a.store
	for _, key := range []string{c.key, c.other} {
		if m.unsure(s, key) || m.local(key) != nil || m.deferred[key] != nil {
			return "left out", nil
		}
	}
	_, exists := m.seen(s, c.key)
	err := done(func() error { return unix.Rename(a.path(c.key), a.path(c.other)) })
	switch {
	case !exists, !m.hasDir(s, mapsParent(c.other)):
		return outcome(err), allowed(err, unix.ENOENT)
	case c.key == c.other:
		return outcome(err), allowed(err)
	}
	if wrong := allowed(err); wrong != nil {
		return "", wrong
	}
	old := s.objects[c.key]
	v := &mapsVersion{old.bytes}
	delete(s.objects, c.key)
	s.objects[c.other] = v
	m.nameless(c.other)
	if n := m.nodes[c.key]; n != nil {
		delete(m.nodes, c.key)
		if n.key = ""; n.base == old { // else it was of another version, and has lost the name already
			n.key, n.base = c.other, v
			m.nodes[c.other] = n
		}
	}
	return "ok", a.stays(mapsParent(c.key))
}

func (a *mapsActor) changeDir(c mapsCall) (string, error) {
	m, s := a.model, a.store
	dir := mapsFolders[int(c.seed)%len(mapsFolders)]
	if m.unsureBelow(s, dir) {
		return "left out", nil
	}
	there, above := m.hasDir(s, dir), m.hasDir(s, mapsParent(dir))
	if c.what == "mkdir" {
		err := done(func() error { return unix.Mkdir(a.path(dir), 0o755) })
		switch {
		case !above:
			return outcome(err), allowed(err, unix.ENOENT)
		case there:
			return outcome(err), allowed(err, unix.EEXIST)
		}
		s.markers[dir] = true
		return outcome(err), allowed(err)
	}
	err := done(func() error { return unix.Rmdir(a.path(dir)) })
	switch {
	case !there:
		return outcome(err), allowed(err, unix.ENOENT)
	case len(m.names(s, dir, true)) > 0:
		return outcome(err), allowed(err, unix.ENOTEMPTY)
	}
	delete(s.markers, dir)
	if wrong := allowed(err); wrong != nil {
		return "", wrong
	}
	return "ok", a.stays(mapsParent(dir))
}

func (a *mapsActor) readdir(c mapsCall) (string, error) {
	m, s := a.model, a.store
	dir := append(mapsFolders, "")[int(c.seed)%(len(mapsFolders)+1)]
	if m.unsureBelow(s, dir) {
		return "left out", nil
	}
	entries, err := os.ReadDir(a.path(dir))
	if !m.hasDir(s, dir) {
		return outcome(err), allowed(err, unix.ENOENT)
	}
	if wrong := allowed(err); wrong != nil {
		return "", wrong
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name()+map[bool]string{true: "/"}[e.IsDir()])
	}
	slices.Sort(got)
	if want := m.names(s, dir, false); !slices.Equal(got, want) {
		return "", fmt.Errorf("%q, want %q", got, want)
	}
	return strings.Join(got, " "), nil
}

// flush waits until all is stored that is promised, or lost. A flush by the control socket leaves what is open for writing; fsync does not.
func (a *mapsActor) flush() error {
	for _, h := range a.held {
		if h != nil && h.node.pending && h.node.writers > 0 {
			_ = unix.Fsync(h.fd) // what it says is compared below
		}
	}
	_, failed := a.ask("pending/flush", "", nil)
	lost := 0
	for _, n := range a.model.waiting() {
		if !a.model.store(a.store, n) {
			lost++
		}
		n.settle()
	}
	if lost > 0 {
		return a.checkConflicts()
	}
	return failed
}

// closeAll closes what programs have open, and waits until all is stored.
func (a *mapsActor) closeAll() error {
	for i, h := range a.held {
		if h == nil {
			continue
		}
		a.held[i] = nil
		if _, err := a.close(h); err != nil {
			return fmt.Errorf("close of %d: %w", i, err)
		}
	}
	return a.flush()
}

// remount ends the mount, which stores what waits, and mounts again. Programs close their files before.
func (a *mapsActor) remount() error {
	if err := a.closeAll(); err != nil {
		return err
	}
	a.model.nodes = map[string]*mapsNode{}
	mount := &a.mounts[a.who]
	(*mount).unmount()
	if a.Failed() {
		return errors.New("unmounting")
	}
	*mount = (*mount).again()
	return nil
}
