package fs

import (
	"context"
	"errors"
	"maps"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Write stages bytes; no request is made but, for the first change of a stored object whose
// properties are not known, one HEAD.
func (f *FS) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h := f.handles.get(in.Fh)
	if h == nil || !h.writable {
		return 0, fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	n := h.node
	most, err := f.roomFor(r, n)
	if err != nil {
		return 0, f.status("write", err)
	}
	written := 0
	err = f.change(r, n, func(file *staging.File) error {
		h.activeLocked(true)
		at := int64(in.Offset) + int64(written)
		piece, err := cutLocked(n, file, at, data[written:], most)
		if err != nil {
			return err
		}
		count, err := file.WriteAt(piece, at)
		written += count
		if count > 0 { // also when there was no room for the rest: close stores it
			n.written = true
			n.attr.mtime = time.Now()
		}
		return err
	})
	if err != nil && written == 0 {
		return 0, f.status("write", err)
	}
	return uint32(written), fuse.OK
}

// change stages a node and lets fn change the staged file under the node's lock. Where there is no
// room, it waits for uploads to make some and calls fn again.
func (f *FS) change(ctx context.Context, n *node, fn func(*staging.File) error) error {
	var room roomWait
	for {
		if err := f.lockStaged(ctx, n); err != nil {
			return err
		}
		if n.lost {
			n.unlock()
			return syscall.ESTALE
		}
		file := n.staged
		err := fn(file)
		if err == nil {
			n.written = true
			n.attr.mtime = time.Now()
		}
		n.unlock()
		if err == nil {
			f.growing(n, file)
			return nil
		}
		if !backend.IsKind(err, backend.KindNoSpace) {
			return err
		}
		if refused := f.checkLimits(ctx, n, false); refused != nil { // nothing of it goes up, so there will be no room
			return refused
		}
		if !f.makeRoom(ctx, n, file, &room) {
			return err
		}
	}
}

// lockStaged stages a node and, unless it fails, returns with its lock held and its content staged.
func (f *FS) lockStaged(ctx context.Context, n *node) error {
	for {
		if err := f.stage(ctx, n); err != nil {
			return err
		}
		n.lock()
		if n.staged != nil {
			return nil
		}
		n.unlock() // committed and let go since
	}
}

// stage gives a node staged content: at first one reference to the version it pins. When that is another one
// after the requests this takes (the file was renamed, or stored), it begins again.
func (f *FS) stage(ctx context.Context, n *node) error {
	for {
		n.rlock()
		staged, v, props, lost := n.staged != nil, n.current, n.props, n.lost
		if time.Since(n.propsAt) >= f.ttl() && f.cfg.Consistency != Immutable {
			props = nil // another client may have changed them and left the bytes
		}
		n.runlock()
		switch {
		case lost:
			return syscall.ESTALE
		case staged:
			return f.mayChangeAgain(ctx, n)
		case v == nil:
			return syscall.ESTALE
		}
		props, err := f.fullProperties(ctx, n, v, props)
		n.lock()
		if n.current.is(v) || n.staged != nil || n.lost {
			if err == nil {
				err = f.stageLocked(n, props)
			}
			n.unlock()
			return err
		}
		n.unlock()
	}
}

// stageLocked stages the current version, unless something is staged already.
func (f *FS) stageLocked(n *node, props *backend.Properties) error {
	if n.staged != nil || n.lost {
		return nil
	}
	r := n.current.remote
	file, err := f.cfg.Staging.Create(staging.Spec{
		Target:     n.current.remoteID(),
		Condition:  backend.Condition{IfMatch: r.ETag},
		Properties: props.Clone(), Content: r,
	})
	if err != nil {
		return err
	}
	if n.props == nil { // folded since they were asked for
		n.props = props
	}
	f.attachLocked(n, file)
	return nil
}

// fullProperties returns everything that a rewrite of a stored object must carry: one HEAD where it
// is not known from open, and the tags where the object has some.
func (f *FS) fullProperties(ctx context.Context, n *node, v *version, props *backend.Properties) (*backend.Properties, error) {
	n.rlock()
	tagCount, asked := n.tagCount, n.propsAt
	n.runlock()
	if props == nil {
		asked = time.Now()
		obj, err := f.cfg.Store.Head(ctx, v.remoteID(), backend.GetOptions{IfMatch: v.remote.ETag})
		if err != nil {
			if backend.IsKind(err, backend.KindNotExist) {
				return nil, errors.Join(syscall.ESTALE, err)
			}
			return nil, err
		}
		obj.Bucket, obj.Key = v.remote.Bucket, v.remote.Key
		f.facts.told(obj, asked)
		told := backend.PropertiesOf(obj)
		props, tagCount = &told, obj.TagCount
		kept := f.showsKept(n)
		n.lock()
		if kept && n.current.is(v) && n.staged == nil {
			f.refreshLocked(n, obj, obj.Metadata)
		}
		n.unlock()
	}
	own := props.Clone()
	if own.Tags == nil && tagCount != 0 && f.cfg.Capabilities(v.remote.Bucket).Tagging {
		known, err := f.ask(ctx, factQuestion{factKey{ObjectID: v.remoteID()}, true})
		if err != nil {
			return nil, err
		}
		own.Tags = maps.Clone(known.tags)
	}
	props = &own
	n.lock()
	own.Tags = f.tags.over(v.remoteID(), own.Tags)
	if n.current.is(v) && n.staged == nil { // else they may have been changed since
		n.props, n.propsAt, n.tagCount = props, asked, tagCount
	}
	n.unlock()
	return props, nil
}

// attachLocked makes a staged file the content of a node.
func (f *FS) attachLocked(n *node, file *staging.File) {
	n.staged = file
	f.staged.set(file, n)
	f.tree.pin(n)
}

// detachStaged takes the staged file from a node; the caller decides what becomes of it.
func (f *FS) detachStagedLocked(n *node) *staging.File {
	file := n.staged
	if file == nil {
		return nil
	}
	if n.attr.mode&syscall.S_IFMT == syscall.S_IFREG {
		n.attr.size = file.Size()
	}
	n.staged = nil
	n.written, n.replacing = false, false
	f.staged.drop(file)
	f.tree.unpin(n)
	return file
}

// Fallocate extends a file or makes a hole.
func (f *FS) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const keepSize, punchHole, zeroRange = 1, 2, 16
	h := f.handles.get(in.Fh)
	if h == nil || !h.writable {
		return fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	off, length := int64(in.Offset), int64(in.Length)
	most, err := f.roomFor(r, h.node)
	if err != nil {
		return f.status("fallocate", err)
	}
	return f.status("fallocate", f.change(r, h.node, func(file *staging.File) error {
		if in.Mode == 0 || in.Mode == zeroRange {
			if err := growsLocked(h.node, file, off+length, most); err != nil {
				return err
			}
		}
		switch in.Mode {
		case 0:
			if off+length > file.Size() {
				return file.Truncate(off + length)
			}
			return nil
		case punchHole | keepSize:
			if length = min(length, file.Size()-off); length <= 0 {
				return nil
			}
			return file.Punch(off, length)
		case zeroRange:
			if off+length > file.Size() {
				if err := file.Truncate(off + length); err != nil {
					return err
				}
			}
			return file.Punch(off, length)
		default:
			return syscall.EOPNOTSUPP
		}
	}))
}
