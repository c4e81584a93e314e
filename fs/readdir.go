package fs

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/fs/names"
)

const (
	// dirWindow is how many entries an open directory keeps, so that a READDIR can be asked again.
	dirWindow = 4096
	// dirNames is how many names before them it keeps, for seekdir. In a larger directory a seek back
	// lists again, and counts.
	dirNames = 200_000
)

// dirEntry is one name of a directory, with what the listing told about it.
type dirEntry struct {
	name  string
	kind  names.Kind
	entry metadata.Entry // zero for staged files and buckets
	local *node          // a staged file, or a bucket
	dir   bool

	// In a view of versions.
	view    viewKind
	version *backend.Version // a version
	newest  time.Time        // the newest version of a key
}

// dirHandle is one open directory: a stream of entries that can be read on from any cookie in the
// window, and from the start. Its own lock is held over requests: it orders the readers of one
// open directory and nothing else is taken under it but leaves.
type dirHandle struct {
	node  *node
	place place

	mu      sync.Mutex
	began   time.Time
	scan    *metadata.Scan
	entries []dirEntry // the window
	first   int        // index of entries[0]
	passed  []passed   // the names before the window; nil: none, or too many
	ended   bool
	listed  bool             // the buckets were asked for
	local   map[string]*node // staged files when the scan began, not shown yet
	rest    []dirEntry       // what is shown after the listing
	pieces  []string         // the parts of a long name that lead here
	shown   []string         // the parts shown that the next entries may belong to too
	present []string         // components that are directories whatever is listed, not shown yet
	filled  map[string]bool  // components that are directories because staged files are below them, not met in the listing yet

	more func(context.Context) error // in a view of versions: adds entries, io.EOF after the last
}

// passed is what is left of an entry that was shown long ago.
type passed struct {
	name string
	dir  bool
}

// OpenDir begins a listing; no request is made yet.
func (f *FS) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	d := &dirHandle{node: n, place: f.tree.locate(n), pieces: f.tree.pieces(n)}
	out.Fh = f.dirs.add(d)
	return fuse.OK
}

// ReleaseDir ends a listing.
func (f *FS) ReleaseDir(in *fuse.ReleaseIn) {
	d := f.dirs.remove(in.Fh)
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.scan != nil {
		d.scan.Close()
	}
}

// FsyncDir has nothing to do: names are changed in the store before the call that changes them returns.
func (f *FS) FsyncDir(<-chan struct{}, *fuse.FsyncIn) fuse.Status { return fuse.OK }

// restartLocked begins the listing anew.
func (f *FS) restartLocked(d *dirHandle) {
	if d.scan != nil {
		d.scan.Close()
		d.scan = nil
	}
	d.entries, d.first, d.passed, d.ended, d.shown, d.rest = nil, 0, nil, false, nil, nil
	d.began, d.listed = time.Now(), false
	d.node.lock()
	d.node.unread, d.node.unasked, d.node.following = noted[backend.Object]{}, noted[string]{}, noted[string]{} // noted anew
	d.node.unlock()
	d.local = make(map[string]*node)
	for _, n := range f.staged.in(f.tree, d.node) {
		f.tree.mu.RLock()
		name := n.name
		f.tree.mu.RUnlock()
		d.local[name] = n
	}
	switch {
	case f.aboveBuckets(d.node):
	case d.node.view != noView:
		d.more = f.readVersions(d)
	case d.pieces != nil:
		d.scan = f.scanPart(d.place.bucket, d.place.key)
	default:
		d.present, d.filled = f.presentBelow(d.place), f.staged.dirs(f.tree, d.node)
		d.scan = f.cfg.Metadata.Scan(d.place.bucket, d.place.key)
	}
}

// entryLocked returns the entry with this index, false after the last.
func (f *FS) entryLocked(ctx context.Context, d *dirHandle, index int) (*dirEntry, bool, error) {
	switch {
	case index < d.first && len(d.passed) == d.first:
		p := d.passed[index]
		component, kind := names.Decode(p.name)
		return &dirEntry{name: p.name, kind: kind, entry: metadata.Entry{Name: component, Dir: p.dir}, dir: p.dir}, true, nil
	case d.local == nil || index < d.first:
		f.restartLocked(d)
	}
	for index >= d.first+len(d.entries) {
		if d.ended {
			return nil, false, nil
		}
		if err := f.moreLocked(ctx, d); err != nil {
			return nil, false, err
		}
	}
	return &d.entries[index-d.first], true, nil
}

// moreLocked adds the next entry: of the store, then the staged files that it does not have.
func (f *FS) moreLocked(ctx context.Context, d *dirHandle) error {
	if d.more != nil {
		err := d.more(ctx)
		d.ended = errors.Is(err, io.EOF)
		if d.ended {
			return nil
		}
		return err
	}
	if d.scan != nil {
		e, err := d.scan.Next(ctx)
		if err == nil {
			f.pushEntryLocked(ctx, d, e)
			return nil
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if o := f.contentOf(d.place, d.scan); o != nil {
			f.pushObjectLocked(d, metadata.Entry{Object: o, Dir: true})
		}
		d.scan.Close()
		d.scan = nil
		for name, n := range d.local {
			d.rest = append(d.rest, dirEntry{name: name, local: n})
		}
		f.pushPresentLocked(d)
	} else if f.aboveBuckets(d.node) && !d.listed {
		if err := f.bucketsLocked(ctx, d); err != nil {
			return err
		}
	}
	for len(d.rest) > 0 {
		e := d.rest[0]
		d.rest = d.rest[1:]
		if !e.dir {
			e.local = f.tree.named(d.node, e.name, e.local)
		}
		if e.local != nil || e.dir {
			d.pushLocked(e)
			return nil
		}
	}
	d.ended = true
	return nil
}

// pushEntryLocked shows an entry of the store: as a directory, a file, or both. One that is too long for
// a name is shown as its first part, once.
func (f *FS) pushEntryLocked(ctx context.Context, d *dirHandle, e metadata.Entry) {
	if visible := f.visible(ctx, d.place, d.pieces, &e); !d.isDirLocked(&e, visible) && !visible {
		return
	}
	// A directory whose name a staged file has is shown when that is stored.
	if natural := names.Encode(e.Name, names.Natural); e.Dir && d.local[natural] == nil && fits(d.pieces, e.Name, names.Natural) {
		if piece, _, long := names.Split(e.Name); long {
			d.pushPartLocked(e.Name, piece)
		} else {
			d.pushLocked(dirEntry{name: natural, kind: names.Natural, entry: e, dir: true})
		}
	}
	if e.Object != nil {
		f.pushObjectLocked(d, e)
	}
}

func (f *FS) pushObjectLocked(d *dirHandle, e metadata.Entry) {
	kind, split := objectKind(e), names.Split
	if kind == names.File {
		split = names.SplitFile
	}
	if piece, _, long := split(e.Name); long {
		d.pushPartLocked(e.Name, piece)
		return
	}
	if kind == names.File && d.local[names.Encode(e.Name, names.Natural)] != nil {
		return
	}
	name := names.Encode(e.Name, kind)
	delete(d.local, name)
	d.pushLocked(dirEntry{name: name, kind: kind, entry: e, local: f.local(d.node, name)})
}

// pushPartLocked shows the first part of a long name. Those of one part come together, but for others
// that begin with the same bytes.
func (d *dirHandle) pushPartLocked(component, piece string) {
	d.shown = slices.DeleteFunc(d.shown, func(p string) bool { return !strings.HasPrefix(component, p) })
	if slices.Contains(d.shown, piece) {
		return
	}
	d.shown = append(d.shown, piece)
	d.pushLocked(dirEntry{name: names.Encode(piece, names.Part), kind: names.Part, entry: metadata.Entry{Name: piece, Dir: true}, dir: true})
}

func (d *dirHandle) pushLocked(e dirEntry) {
	if len(d.entries) >= 2*dirWindow {
		for _, old := range d.entries[:dirWindow] {
			d.passed = append(d.passed, passed{old.name, old.dir})
		}
		if len(d.passed) > dirNames || len(d.passed) != d.first+dirWindow {
			d.passed = nil
		}
		d.entries = append([]dirEntry(nil), d.entries[dirWindow:]...)
		d.first += dirWindow
	}
	d.entries = append(d.entries, e)
}

// ReadDir gives names only.
func (f *FS) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(cancel, in, out, func(d *dirHandle, e *dirEntry, raw fuse.DirEntry) bool {
		if e != nil {
			f.noteEntry(d, e)
		}
		return out.AddDirEntry(raw)
	})
}

// ReadDirPlus gives names with attributes, as far as they are known without a request.
func (f *FS) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(cancel, in, out, func(d *dirHandle, e *dirEntry, raw fuse.DirEntry) bool {
		slot := out.AddDirLookupEntry(raw)
		if slot == nil {
			return false
		}
		if e == nil {
			return true
		}
		if n := f.knownNode(d, e); n != nil {
			f.tree.remember(n)
			f.entry(n, slot)
		}
		return true
	})
}

func (f *FS) readDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList, add func(*dirHandle, *dirEntry, fuse.DirEntry) bool) fuse.Status {
	d := f.dirs.get(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	if _, err := f.keepingFor(r, d.node); err != nil {
		return f.status("readdir", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.Offset == 0 {
		f.restartLocked(d)
	}
	for cookie := in.Offset; ; cookie++ {
		raw := fuse.DirEntry{Mode: syscall.S_IFDIR, Ino: d.node.ino, Off: cookie + 1}
		var e *dirEntry
		switch cookie {
		case 0:
			raw.Name = "."
		case 1:
			raw.Name = ".."
		default:
			entry, ok, err := f.entryLocked(r, d, int(cookie-2))
			if err != nil && cookie > in.Offset {
				return fuse.OK // what there is; the next call meets the error again
			}
			if err != nil {
				return f.status("readdir", err)
			}
			if !ok {
				return fuse.OK
			}
			e = entry
			raw.Name, raw.Ino, raw.Mode = e.name, f.entryIno(d, e), f.entryMode(d, e)
		}
		if !add(d, e, raw) {
			return fuse.OK
		}
		f.noteFollowing(d, e)
	}
}

// keepingFor is keeping, but for lists of buckets and views of versions.
func (f *FS) keepingFor(ctx context.Context, dir *node) (keepState, error) {
	if f.aboveBuckets(dir) || dir.view != noView {
		return keepState{known: true}, nil
	}
	return f.keeping(ctx, dir)
}

func (f *FS) entryIno(d *dirHandle, e *dirEntry) uint64 {
	if d.node.view != noView {
		return viewIno(d.node, e.name)
	}
	if n := f.tree.child(d.node, e.name); n != nil {
		return n.ino
	}
	if e.local != nil {
		return e.local.ino
	}
	suffix := e.entry.Name
	if e.dir && e.kind != names.Part {
		suffix += "/"
	}
	return inoAt(d.place, suffix, e.dir)
}

// entryMode is the type shown with a name: DT_UNKNOWN where only metadata could tell.
func (f *FS) entryMode(d *dirHandle, e *dirEntry) uint32 {
	if e.dir {
		return syscall.S_IFDIR
	}
	if d.node.view != noView {
		return syscall.S_IFREG
	}
	n := e.local
	if n == nil {
		n = f.tree.child(d.node, e.name)
	}
	if n != nil && !n.dir {
		n.rlock()
		defer n.runlock()
		return n.attr.mode & syscall.S_IFMT
	}
	if e.entry.Object == nil {
		return 0
	}
	state := f.keepState(d.node)
	if o := e.entry.Object; !state.kept || o.Size > maxTarget || o.LastModified.Before(state.since) {
		return syscall.S_IFREG
	}
	if meta, ok := f.cfg.Metadata.Attributes(*e.entry.Object); ok {
		return f.fileAttr(*e.entry.Object, meta).mode & syscall.S_IFMT
	}
	return 0
}
