package fs

import (
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/attributes"
)

// attr is what stat shows of a node, but its size where the content is staged.
type attr struct {
	mode   uint32 // with the type bits
	uid    uint32
	gid    uint32
	rdev   uint32
	size   int64 // bytes
	mtime  time.Time
	atime  time.Time // zero: as mtime
	target string    // of a symlink; empty: it is the content, not read yet
}

// same compares times as moments, whatever zone they are told in.
func (a attr) same(b attr) bool {
	if !a.mtime.Equal(b.mtime) || !a.atime.Equal(b.atime) {
		return false
	}
	a.mtime, a.atime = b.mtime, b.atime
	return a == b
}

func (f *FS) dirAttr() attr {
	return attr{mode: syscall.S_IFDIR | f.cfg.DirMode, uid: f.cfg.UID, gid: f.cfg.GID, mtime: f.started}
}

// fileAttr is the attributes of an object; meta is its user metadata where attributes are kept, else nil.
func (f *FS) fileAttr(o backend.Object, meta map[string]string) attr {
	a := attr{mode: syscall.S_IFREG | f.cfg.FileMode, uid: f.cfg.UID, gid: f.cfg.GID, size: o.Size, mtime: o.LastModified}
	a.apply(meta)
	if a.target != "" { // else it is the object's bytes
		a.size = int64(len(a.target))
	}
	return a
}

// apply lays the attributes kept in user metadata over a. The type of a directory never changes.
func (a *attr) apply(meta map[string]string) {
	if len(meta) == 0 {
		return
	}
	kept := attributes.Decode(meta)
	if kept.Has&attributes.Mode != 0 {
		kind := kept.Mode & syscall.S_IFMT
		if kind == 0 || a.mode&syscall.S_IFMT == syscall.S_IFDIR || kind == syscall.S_IFDIR {
			kind = a.mode & syscall.S_IFMT
		}
		a.mode = kind | kept.Mode&0o7777
	}
	if kept.Has&attributes.UID != 0 {
		a.uid = kept.UID
	}
	if kept.Has&attributes.GID != 0 {
		a.gid = kept.GID
	}
	if kept.Has&attributes.Mtime != 0 {
		a.mtime = kept.Mtime
	}
	if kept.Has&attributes.Atime != 0 {
		a.atime = kept.Atime
	}
	if kept.Has&attributes.Symlink != 0 && a.mode&syscall.S_IFMT != syscall.S_IFDIR {
		a.mode = syscall.S_IFLNK | 0o777
		a.target = kept.Symlink
	}
	if kept.Has&attributes.Rdev != 0 {
		a.rdev = kept.Rdev
	}
}

// encode writes the attributes into user metadata.
func (a attr) encode(meta map[string]string) {
	kept := attributes.Attr{
		Mode: a.mode, UID: a.uid, GID: a.gid, Mtime: a.mtime, Atime: a.atime, Symlink: a.target, Rdev: a.rdev,
		Has: attributes.Mode | attributes.UID | attributes.GID | attributes.Mtime,
	}
	if !a.atime.IsZero() {
		kept.Has |= attributes.Atime
	}
	switch a.mode & syscall.S_IFMT {
	case syscall.S_IFLNK:
		kept.Has |= attributes.Symlink
	case syscall.S_IFBLK, syscall.S_IFCHR:
		kept.Has |= attributes.Rdev
	}
	attributes.Encode(meta, kept)
}

// fill writes a node's attributes for the kernel. n.mu is held (read).
func (f *FS) fillLocked(n *node, out *fuse.Attr) {
	a := n.attr
	size := a.size
	if n.staged != nil && a.mode&syscall.S_IFMT == syscall.S_IFREG {
		size = n.staged.Size()
	}
	atime := a.atime
	if atime.IsZero() {
		atime = a.mtime
	}
	*out = fuse.Attr{
		Ino: n.ino, Size: uint64(size), Blocks: uint64(size+511) / 512, Blksize: 1 << 20,
		Mode: a.mode, Nlink: 1, Owner: fuse.Owner{Uid: a.uid, Gid: a.gid}, Rdev: a.rdev,
	}
	if n.doomed {
		out.Nlink = 0
	}
	out.SetTimes(&atime, &a.mtime, &a.mtime)
}

func (f *FS) fill(n *node, out *fuse.Attr) {
	n.rlock()
	defer n.runlock()
	f.fillLocked(n, out)
}

// entry answers a lookup: the kernel holds one reference more.
func (f *FS) entry(n *node, out *fuse.EntryOut) {
	f.fill(n, &out.Attr)
	out.NodeId, out.Generation = n.id, 1
	left := f.goodFor(n)
	out.SetEntryTimeout(left)
	out.SetAttrTimeout(left)
}

// goodFor is how long the kernel may believe what is known of a node: until it is TTL old.
func (f *FS) goodFor(n *node) time.Duration {
	n.rlock()
	defer n.runlock()
	if n.staged != nil || n.opens > 0 || n.doomed || n.id == rootID || n.group() != "" || f.cfg.Consistency == Immutable {
		return f.ttl()
	}
	ttl := f.ttl()
	return max(0, min(ttl, ttl-time.Since(n.checked)))
}

// GetAttr answers from the node while its content is pinned (open or staged) or fresh, else looks
// the name up again. Another version is another inode: ESTALE, and the kernel looks it up.
func (f *FS) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	if err := f.freshen(r, n); err != nil {
		return f.status("getattr", err)
	}
	f.fill(n, &out.Attr)
	out.SetTimeout(f.goodFor(n))
	return fuse.OK
}

// freshen makes sure that a node's attributes are at most TTL old.
func (f *FS) freshen(r *request, n *node) error {
	n.rlock()
	pinned := n.staged != nil || n.opens > 0 || n.doomed
	fresh := time.Since(n.checked) < f.ttl() || f.cfg.Consistency == Immutable
	n.runlock()
	f.tree.mu.RLock()
	parent, name, detached, isBucket := n.parent, n.name, n.detached, n.bucket() != ""
	f.tree.mu.RUnlock()
	switch {
	case n.id == rootID || isBucket || n.group() != "":
		if _, err := f.keepingFor(r, n); err != nil {
			f.log.Debug("marker of the root", "error", err.Error()) // shown as last known
		}
		return nil
	case pinned || fresh:
		return nil
	case detached:
		return syscall.ESTALE
	}
	again, err := f.lookup(r, parent, name)
	if err != nil {
		if backend.IsKind(err, backend.KindNotExist) {
			return syscall.ESTALE
		}
		return err
	}
	if again != n {
		return syscall.ESTALE
	}
	return nil
}
