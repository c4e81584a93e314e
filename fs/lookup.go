package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/fs/names"
)

// maxKey is the longest key of S3, in bytes (user guide, "Naming Amazon S3 objects").
const maxKey = 1024

// Lookup finds a name; a name that does not exist is remembered by the kernel for NegativeTTL.
func (f *FS) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	n, err := f.lookup(r, parent, name)
	if err == nil {
		f.tree.remember(n)
		f.entry(n, out)
		return fuse.OK
	}
	if absent := f.negativeTTL(); backend.IsKind(err, backend.KindNotExist) && absent > 0 && parent.view == noView {
		out.NodeId = 0
		out.SetEntryTimeout(absent)
		return fuse.OK
	}
	return f.status("lookup", err)
}

func notExist(p place) error {
	return &backend.Error{Kind: backend.KindNotExist, Op: "lookup", Bucket: p.bucket, Key: p.key}
}

// lookup returns the node of a name. The kernel's reference is not counted.
func (f *FS) lookup(ctx context.Context, parent *node, name string) (*node, error) {
	switch {
	case f.isGroupList(parent):
		return f.lookupGroup(parent, name)
	case f.isBucketList(parent):
		return f.lookupBucket(ctx, parent, name)
	case parent.view != noView:
		return f.lookupVersions(ctx, parent, name)
	case name == versionsName, name == versionsOther:
		return f.lookupView(ctx, parent, name)
	}
	return f.lookupName(ctx, parent, name)
}

// lookupName finds what the store, or this mount, has under a name.
func (f *FS) lookupName(ctx context.Context, parent *node, name string) (*node, error) {
	if n := f.local(parent, name); n != nil {
		return n, nil
	}
	at := f.tree.locate(parent)
	component, kind := names.Decode(name)
	if len(at.key)+len(component) > maxKey {
		return nil, syscall.ENAMETOOLONG
	}
	began := time.Now()
	var entry metadata.Entry
	var err error
	switch pieces := f.tree.pieces(parent); {
	case kind == names.Part:
		return f.lookupPart(ctx, parent, name, at, component)
	case !fits(pieces, component, kind):
		return nil, notExist(at)
	case name == contentName:
		entry, err = f.contentEntry(ctx, at)
	case kind == names.Natural && f.present(at, component):
		return f.presentNode(ctx, parent, name, component)
	default:
		entry, err = f.cfg.Metadata.Lookup(ctx, at.bucket, at.key, component)
		if backend.IsKind(err, backend.KindNotExist) && f.stagedBelow(parent, name) {
			entry, err = metadata.Entry{Name: component, Dir: true}, nil
		}
		entry.Dir = entry.Dir || err == nil && f.present(at, component)
	}
	if err != nil {
		return nil, err
	}
	if !entry.Asked.IsZero() {
		began = entry.Asked
	}
	return f.resolve(ctx, parent, name, kind, entry, began)
}

// local returns the node of a name whose truth is here and not in the store: its content is staged.
func (f *FS) local(parent *node, name string) *node {
	n := f.tree.child(parent, name)
	if n == nil || n.dir {
		return nil
	}
	n.rlock()
	defer n.runlock()
	if n.staged != nil && !n.doomed {
		return n
	}
	return nil
}

// resolve turns an entry of the store into a node.
func (f *FS) resolve(ctx context.Context, parent *node, name string, kind names.Kind, e metadata.Entry, began time.Time) (*node, error) {
	at := f.tree.locate(parent)
	if !f.visible(ctx, at, nil, &e) {
		if !f.stagedBelow(parent, name) {
			return nil, notExist(at)
		}
		e.Dir = true
	}
	if e.Dir && kind == names.Natural {
		n := f.dirNode(parent, name, e.Name+"/")
		if e.Marker != nil && !f.keepState(n).known {
			if known, ok := f.cfg.Metadata.Details(*e.Marker); ok {
				f.markers.know(known)
			}
		}
		if _, err := f.keeping(ctx, n); err != nil {
			return nil, err
		}
		n.lock()
		n.checked = began
		n.unlock()
		return n, nil
	}
	if e.Object == nil || kind != objectKind(e) {
		return nil, notExist(at)
	}
	meta, err := f.metaFor(ctx, parent, *e.Object)
	if err != nil {
		return nil, err
	}
	return f.fileNode(parent, name, e.Name, *e.Object, meta, began), nil
}

// dirNode returns the node of a directory that exists, making one if need be.
func (f *FS) dirNode(parent *node, name, suffix string) *node {
	if n := f.tree.child(parent, name); n != nil && n.dir && n.view == noView {
		return n
	}
	n := &node{dir: true, extra: &extra{suffix: suffix}, body: &body{attr: f.dirAttr(), tagCount: -1, checked: time.Now()}}
	n.ino = inoAt(f.tree.locate(parent), suffix, true)
	f.tree.add(parent, name, n, false)
	return n
}

// fileNode returns the node that pins this version of an object. A node under the same name that
// pins another version loses the name; it lives on for programs that have it open.
func (f *FS) fileNode(parent *node, name, suffix string, o backend.Object, meta map[string]string, began time.Time) *node {
	p := f.tree.locate(parent)
	ino := inoAt(p, suffix, false)
	if n := f.tree.child(parent, name); n != nil && !n.dir {
		n.lock()
		// An answer that was asked for before our own commit does not count.
		same := n.staged != nil || n.checked.After(began) || n.current != nil && n.current.remote.ETag == o.ETag
		if same && n.staged == nil && n.current != nil && n.current.remote.ETag == o.ETag {
			n.checked = began
			n.current.modified = o.LastModified
			f.refreshLocked(n, o, meta)
		}
		n.unlock()
		if same {
			return n
		}
		ino = inoOf(p.bucket, p.key+suffix, o.ETag)
	}
	n := &node{ino: ino, extra: &extra{suffix: suffix}, body: &body{
		attr: f.fileAttr(o, meta), current: newVersion(o), tagCount: o.TagCount, checked: began,
	}}
	f.tree.add(parent, name, n, false)
	return n
}

// refreshLocked takes over the attributes of the version that a node pins. Its mtime stays what the mount has
// shown, unless one is kept: our own commits and renames date the object anew.
func (f *FS) refreshLocked(n *node, o backend.Object, meta map[string]string) {
	if meta == nil && !n.attr.mtime.IsZero() {
		return
	}
	shown := n.attr.mtime
	n.attr = f.fileAttr(o, meta)
	if !shown.IsZero() && attributes.Decode(meta).Has&attributes.Mtime == 0 {
		n.attr.mtime = shown
	}
}

// showsKept tells whether a file's attributes are those kept with its object. Where the store has just told
// them, they are taken over: what another mount changed is not undone by a change of this one.
func (f *FS) showsKept(n *node) bool {
	parent := f.parentOf(n)
	return parent != nil && f.keepState(parent).kept
}

// stagedBelow tells whether a directory that the store does not know has staged files in it.
func (f *FS) stagedBelow(parent *node, name string) bool {
	dir := f.tree.child(parent, name)
	return dir != nil && dir.dir && f.staged.below(f.tree, dir)
}

func (f *FS) lookupBucket(ctx context.Context, list *node, name string) (*node, error) {
	if n := f.tree.child(list, name); n != nil {
		n.rlock()
		fresh := time.Since(n.checked) < f.ttl()
		n.runlock()
		if fresh {
			f.askBucket(ctx, n)
			return n, nil
		}
	}
	bucket := bucketNamed(list, name)
	if err := f.cfg.Store.HeadBucket(ctx, bucket); err != nil {
		if backend.IsKind(err, backend.KindNoBucket) || backend.IsKind(err, backend.KindInvalid) {
			return nil, notExist(place{bucket: bucket})
		}
		return nil, err
	}
	n := f.bucketNode(list, name)
	f.askBucket(ctx, n)
	return n, nil
}

// askBucket asks for the attributes of a bucket's directory; where the store does not tell, those of the
// mount are shown.
func (f *FS) askBucket(ctx context.Context, n *node) {
	if _, err := f.keeping(ctx, n); err != nil {
		f.log.Debug("marker of a bucket", "bucket", n.bucket(), "error", err.Error())
	}
}

// bucketNode returns the node of a bucket that exists.
func (f *FS) bucketNode(list *node, name string) *node {
	n := f.tree.child(list, name)
	if n == nil {
		bucket := bucketNamed(list, name)
		n = &node{dir: true, extra: &extra{bucket: bucket}, body: &body{attr: f.dirAttr(), tagCount: -1}, ino: inoOf(bucket, "", "")}
		f.tree.add(list, name, n, false)
	}
	n.lock()
	n.checked = time.Now()
	n.unlock()
	return n
}

// Forget takes back lookups; it does no I/O.
func (f *FS) Forget(id, count uint64) { f.tree.forget(id, count) }
