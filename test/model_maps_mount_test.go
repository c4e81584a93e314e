package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mapsActor makes calls on one of the mounts and says what the maps allow as an answer.
type mapsActor struct {
	*mapsCase
	who   int
	model *mapsMount
	held  [handles]*mapsHandle
}

// A mapsHandle is an open file.
type mapsHandle struct {
	fd       int
	node     *mapsNode
	readable bool
	writable bool
	appends  bool
}

func (a *mapsActor) path(key string) string { return a.mount().dir + "/" + a.dir + "/" + key }

// allowed compares an errno with those that are allowed; no error is allowed when the list is empty or has 0.
func allowed(err error, errnos ...unix.Errno) error {
	got := errno(err)
	if err != nil && got == 0 {
		return err
	}
	if got == 0 && len(errnos) == 0 || slices.Contains(errnos, got) {
		return nil
	}
	var names []string
	for _, e := range errnos {
		names = append(names, outcome(e))
	}
	return fmt.Errorf("the answer is %s, want %s", outcome(err), strings.Join(append(names, "ok")[:max(1, len(names))], " or "))
}

func (a *mapsActor) do(c mapsCall) (said string, err error) {
	switch c.what {
	case "open":
		return a.open(c)
	case "write", "truncate", "read", "fsync", "close":
		h := a.held[c.handle]
		if h == nil {
			return "not open", nil
		}
		return a.onHandle(c, h)
	case "stat", "cat":
		return a.look(c)
	case "unlink":
		return a.unlink(c)
	case "rename":
		return a.rename(c)
	case "mkdir", "rmdir":
		return a.changeDir(c)
	case "readdir":
		return a.readdir(c)
	case "evict":
		_, err := a.ask("cache/evict", "", nil)
		return "", err
	case "flush":
		return "", a.flush()
	case "remount":
		return "", a.remount()
	}
	panic("no call " + c.what)
}

func (a *mapsActor) open(c mapsCall) (string, error) {
	m, s := a.model, a.store
	if a.held[c.handle] != nil || m.unsure(s, c.key) {
		return "left out", nil
	}
	data, exists := m.seen(s, c.key)
	var want unix.Errno
	switch create := c.flags&unix.O_CREAT != 0; {
	case !m.hasDir(s, mapsParent(c.key)), !exists && !create:
		want = unix.ENOENT
	case exists && create && c.flags&unix.O_EXCL != 0:
		want = unix.EEXIST
	}
	fd, err := openAt(a.path(c.key), c.flags)
	if err := allowed(err, want); err != nil || want != 0 {
		return outcome(want), err
	}
	access := c.flags & unix.O_ACCMODE
	h := &mapsHandle{fd: fd, readable: access != unix.O_WRONLY, writable: access != unix.O_RDONLY, appends: c.flags&unix.O_APPEND != 0}
	a.held[c.handle] = h
	if exists {
		h.node = m.opened(s, c.key)
	} else {
		h.node = m.created(c.key)
	}
	h.node.opens++
	if h.writable {
		h.node.writers++
	}
	if exists && (c.flags&unix.O_TRUNC == 0 || !h.writable) {
		return fmt.Sprintf("%d bytes", len(data)), nil
	}
	if exists {
		h.node.truncate(0)
	}
	// A file that nobody writes to is stored after the last close, which nobody can wait for.
	return "empty; " + outcome(nil), a.write(h, c, max(1, c.n))
}

func (a *mapsActor) onHandle(c mapsCall, h *mapsHandle) (string, error) {
	switch {
	case c.what == "read" && h.readable:
		return a.read(h, c)
	case c.what == "write" && h.writable:
		return "", a.write(h, c, c.n)
	case c.what == "truncate" && h.writable:
		size := min(c.n, len(h.node.content)+10_000)
		err := done(func() error { return unix.Ftruncate(h.fd, int64(size)) })
		return a.changed(h, err, func() { h.node.truncate(size) })
	case c.what == "fsync":
		err := done(func() error { return unix.Fsync(h.fd) })
		return a.committed(h, err, true)
	case c.what == "close":
		a.held[c.handle] = nil
		return a.close(h)
	}
	return "left out", nil
}

func (a *mapsActor) write(h *mapsHandle, c mapsCall, n int) error {
	data := a.newBytes(n)
	off := min(c.off, int64(len(h.node.content)))
	if h.appends {
		off = int64(len(h.node.content))
	}
	_, err := writeAll(h.fd, data, off)
	if n == 0 {
		return allowed(err)
	}
	_, err = a.changed(h, err, func() { h.node.write(data, off) })
	return err
}

// changed takes over a change of content. One that lost is ESTALE; so may be the first change of a version that is not the store's any more.
func (a *mapsActor) changed(h *mapsHandle, err error, change func()) (string, error) {
	n := h.node
	switch {
	case n.lost:
		return outcome(err), allowed(err, unix.ESTALE)
	case !n.staged && n.key != "" && !n.current(a.store), !n.staged && n.key == "":
		if errno(err) == unix.ESTALE {
			return outcome(err), nil
		}
	}
	if wrong := allowed(err); wrong != nil {
		return "", wrong
	}
	change()
	return "ok", nil
}

// read allows the bytes of the file, or ESTALE where another client has taken some of them away; never others.
func (a *mapsActor) read(h *mapsHandle, c mapsCall) (string, error) {
	n := h.node
	off := min(c.off, int64(len(n.content)))
	want := n.content[off:min(len(n.content), int(off)+c.n)]
	got := make([]byte, c.n)
	total := 0
	var err error
	for total < len(got) {
		var more int
		more, err = uninterrupted(func() (int, error) { return unix.Pread(h.fd, got[total:], off+int64(total)) })
		if err != nil || more == 0 {
			break
		}
		total += more
	}
	got = got[:total]
	gone := n.lost || !n.whole && (n.key == "" || !n.current(a.store))
	switch {
	case err != nil && (!gone || errno(err) != unix.ESTALE):
		return "", allowed(err)
	case err == nil && !bytes.Equal(got, want), err != nil && !bytes.HasPrefix(want, got):
		return "", fmt.Errorf("read of %d at %d: %s", c.n, off, firstDifference(got, want))
	}
	return outcome(err, total), nil
}

// committed is what close and fsync do with a file that was written.
func (a *mapsActor) committed(h *mapsHandle, err error, wait bool) (string, error) {
	n, m := h.node, a.model
	switch {
	case n.lost: // told before
		return outcome(err), allowed(err, 0, unix.ESTALE)
	case n.key == "" || !n.dirty && !n.pending:
		return outcome(err), allowed(err)
	}
	if a.background && !wait {
		if n.dirty {
			n.dirty, n.pending = false, true
		}
		return outcome(err), allowed(err)
	}
	if m.store(a.store, n) {
		return outcome(err), allowed(err)
	}
	if err := allowed(err, unix.ESTALE); err != nil {
		return "", err
	}
	return "ESTALE", a.checkConflicts()
}

func (a *mapsActor) close(h *mapsHandle) (string, error) {
	n := h.node
	n.opens--
	if h.writable {
		n.writers--
	}
	err := unix.Close(h.fd)
	said := outcome(err)
	if h.writable {
		said, err = a.committed(h, err, false)
	} else {
		err = allowed(err)
	}
	n.settle()
	if err == nil && n.pending && !n.current(a.store) { // certain to be lost
		err = a.flush()
	}
	if n.opens == 0 && err == nil {
		err = a.buried(n)
	}
	return said, err
}

// buried waits for the delete of what was unlinked while it was open. What another client has put there stays.
func (a *mapsActor) buried(n *mapsNode) error {
	for key, owner := range a.model.owners {
		if owner != n {
			continue
		}
		if a.store.objects[key] == a.model.deferred[key] {
			delete(a.store.objects, key)
		}
		delete(a.model.deferred, key)
		delete(a.model.owners, key)
		return a.eventually(func() error {
			if err := a.stored(key); err != nil {
				return err
			}
			return a.shown(key, "stat")
		})
	}
	return nil
}

// eventually is for what follows a last close, which nobody waits for.
func (a *mapsActor) eventually(check func() error) error {
	for deadline := time.Now().Add(releaseTime); ; time.Sleep(5 * time.Millisecond) {
		if err := check(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// look looks at a name: it shows what the store has, or what this mount is going to store.
func (a *mapsActor) look(c mapsCall) (string, error) {
	if a.model.unsure(a.store, c.key) {
		return "left out", nil
	}
	return "", a.shown(c.key, c.what)
}

func (a *mapsActor) shown(key, how string) error {
	want, exists := a.model.seen(a.store, key)
	n := a.model.local(key)
	if how == "stat" {
		var s unix.Stat_t
		err := done(func() error { return unix.Lstat(a.path(key), &s) })
		if !exists {
			return allowed(err, unix.ENOENT)
		}
		if err == nil && s.Size != int64(len(want)) {
			return fmt.Errorf("%d bytes, want %d", s.Size, len(want))
		}
		return allowed(err)
	}
	got, err := os.ReadFile(a.path(key))
	switch {
	case !exists:
		return allowed(err, unix.ENOENT)
	case n != nil && !n.whole && !n.current(a.store) && errno(err) == unix.ESTALE:
		return nil
	case err == nil && !bytes.Equal(got, want):
		return errors.New(firstDifference(got, want))
	}
	return allowed(err)
}
