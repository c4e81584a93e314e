package fs

import (
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/names"
)

func (f *FS) keepState(dir *node) keepState {
	dir.rlock()
	defer dir.runlock()
	return dir.keeps
}

// knownNode returns the node of an entry if its attributes need no request. Entries that need one are
// noted: a lookup among them fetches those that follow too, many at once.
func (f *FS) knownNode(d *dirHandle, e *dirEntry) *node {
	if e.local == nil && f.tree.crowded() && f.tree.child(d.node, e.name) == nil { // who wants to know more, asks
		f.noteEntry(d, e)
		return nil
	}
	if d.node.view != noView {
		return f.knownView(d, e)
	}
	if e.local != nil && e.dir && f.cfg.Posix != PosixOff && !f.keepState(e.local).known { // a bucket
		f.noteEntry(d, e)
		return nil
	}
	if e.local != nil {
		return e.local
	}
	state := f.keepState(d.node)
	if e.dir {
		if e.kind == names.Part || !state.kept {
			suffix := e.entry.Name + "/"
			if e.kind == names.Part {
				suffix = e.entry.Name
			}
			n := f.dirNode(d.node, e.name, suffix)
			n.lock()
			n.checked = e.asked(d)
			n.unlock()
			return n
		}
		f.noteEntry(d, e)
		return nil
	}
	if e.entry.Object == nil {
		return nil
	}
	o := *e.entry.Object
	var meta map[string]string
	if state.kept && o.HasMetadata {
		meta = o.Metadata
	} else if state.kept && !o.LastModified.Before(state.since) {
		known, ok := f.cfg.Metadata.Attributes(o)
		if !ok {
			f.noteEntry(d, e)
			return nil
		}
		meta = known
	}
	return f.fileNode(d.node, e.name, e.entry.Name, o, meta, e.asked(d))
}

// asked is when the store was asked for what is known of an entry.
func (e *dirEntry) asked(d *dirHandle) time.Time {
	if e.entry.Asked.IsZero() {
		return d.began
	}
	return e.entry.Asked
}

// maxUnread bounds the objects noted per directory.
const maxUnread = 10_000

// noteEntry notes an entry of a directory that keeps attributes: when one of them is looked at, those that
// follow are fetched with it.
func (f *FS) noteEntry(d *dirHandle, e *dirEntry) {
	n := d.node
	if n.view != noView {
		return
	}
	if f.isBucketList(n) && f.cfg.Posix != PosixOff && e.local != nil && !f.keepState(e.local).known {
		n.lock()
		n.unasked.note(e.name)
		n.unlock()
		return
	}
	state := f.keepState(n)
	o := e.entry.Object
	if !state.kept || e.local != nil || e.kind == names.Part || !e.dir && (o == nil || o.HasMetadata || o.LastModified.Before(state.since)) {
		return
	}
	if known := f.tree.child(n, e.name); e.dir && known != nil && f.keepState(known).known {
		return
	}
	n.lock()
	defer n.unlock()
	if e.dir {
		n.unasked.note(e.entry.Name)
	} else {
		n.unread.note(*o)
	}
}

// noted are entries of one kind that a listing showed and nobody looked at, in their order.
type noted[T any] struct {
	all  []T
	step int  // how many are fetched next
	seen bool // one was looked at, see next
}

// firstStep is how many neighbours are fetched when the first of them is looked at; who goes on gets more.
const firstStep = 64

func (a *noted[T]) note(v T) {
	if len(a.all) < maxUnread {
		a.all = append(a.all, v)
	}
}

// take returns the entries to fetch now that one of them is looked at: it and those that follow it.
func (a *noted[T]) take(looked func(T) bool) []T {
	at := slices.IndexFunc(a.all, looked)
	if at < 0 {
		return nil
	}
	a.step = max(firstStep, a.step)
	next := slices.Clone(a.all[at:min(at+a.step, len(a.all))])
	a.all = slices.Delete(a.all, at, at+len(next))
	a.step *= 4
	return next
}

// readUnread fetches, in the background, the attributes of the neighbours of an object that are noted.
func (f *FS) readUnread(dir *node, o backend.Object) {
	dir.lock()
	next := dir.unread.take(func(other backend.Object) bool { return other.Key == o.Key })
	dir.unlock()
	if len(next) > 1 {
		f.background(func() { f.cfg.Metadata.Fill(f.ctx, next) })
	}
}
