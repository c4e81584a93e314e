package fs

import (
	"time"

	"github.com/objmount/objmount/fs/names"
)

func (f *FS) keepState(dir *node) keepState {
	dir.mu.RLock()
	defer dir.mu.RUnlock()
	return dir.keeps
}

// knownNode returns the node of an entry if its attributes need no request. Entries that need one are
// noted: the first lookup among them fetches them all, many at once.
func (f *FS) knownNode(d *dirHandle, e *dirEntry) *node {
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
			n.mu.Lock()
			n.checked = e.asked(d)
			n.mu.Unlock()
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

// noteEntry notes an entry of a directory that keeps attributes: when one of them is looked at, those of all
// are fetched.
func (f *FS) noteEntry(d *dirHandle, e *dirEntry) {
	state := f.keepState(d.node)
	o := e.entry.Object
	if !state.kept || e.local != nil || e.kind == names.Part || !e.dir && (o == nil || o.HasMetadata || o.LastModified.Before(state.since)) {
		return
	}
	if known := f.tree.child(d.node, e.name); e.dir && known != nil && f.keepState(known).known {
		return
	}
	n := d.node
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case e.dir && len(n.unasked) < maxUnread:
		n.unasked = append(n.unasked, e.entry.Name)
	case !e.dir && len(n.unread) < maxUnread:
		n.unread = append(n.unread, *o)
	}
}

// readUnread fetches the attributes of everything noted for a directory, in the background.
func (f *FS) readUnread(dir *node) {
	dir.mu.Lock()
	noted := dir.unread
	dir.unread = nil
	dir.mu.Unlock()
	if len(noted) < 2 {
		return
	}
	f.background(func() { f.cfg.Metadata.Fill(f.ctx, noted) })
}
