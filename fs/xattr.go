package fs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/xattr"
)

// The flags of setxattr(2).
const (
	xattrCreate  = 1
	xattrReplace = 2
)

// contentTypeName is the attribute of what a file's content is said to be.
const contentTypeName = xattr.Prefix + "content-type"

// maxXattrList is the longest list of names that the kernel takes, in bytes (Linux, XATTR_LIST_MAX).
const maxXattrList = 64 << 10

// refusals is the one table from the reasons of package xattr to an errno.
var refusals = []struct {
	kind error
	no   syscall.Errno
}{
	{xattr.ErrUnknown, syscall.EINVAL},
	{xattr.ErrForeign, syscall.EOPNOTSUPP},
	{xattr.ErrReadOnly, syscall.EPERM},
	{xattr.ErrValue, syscall.EINVAL},
	{xattr.ErrTooBig, syscall.E2BIG},
	{xattr.ErrNoRoom, syscall.ENOSPC},
	{xattr.ErrUnsupported, syscall.EOPNOTSUPP},
	{xattr.ErrAbsent, syscall.ENODATA},
}

// xattrStatus is status for what package xattr refuses; the reason goes to the log, because an errno says little.
func (f *FS) xattrStatus(op string, err error) fuse.Status {
	var refusal *xattr.Error
	if !errors.As(err, &refusal) {
		return f.status(op, err)
	}
	for _, row := range refusals {
		if errors.Is(refusal.Kind, row.kind) {
			if row.no != syscall.ENODATA && !errors.Is(row.kind, xattr.ErrForeign) {
				f.log.Info("refused", "op", op, "errno", row.no.Error(), "error", refusal.Error())
			}
			return fuse.Status(row.no)
		}
	}
	return fuse.EIO
}

// ours tells whether a name can exist here at all. The others are answered from memory: the kernel asks for
// security.capability before every write. Never ENOSYS, which would switch attributes off for as long as the mount lives.
func ours(name string) bool { return strings.HasPrefix(name, "user.") }

// GetXAttr returns the value of an attribute, or its size when there is no room for it.
func (f *FS) GetXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	if !ours(name) {
		return 0, fuse.ENODATA
	}
	n := f.tree.get(h.NodeId)
	if n == nil {
		return 0, fuse.Status(syscall.ESTALE)
	}
	attribute, err := xattr.Parse(name, f.scopeOf(n))
	if err != nil {
		return 0, fuse.ENODATA // what is not known is not there
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	value, err := f.readXattr(r, n, attribute)
	if err != nil {
		return 0, f.xattrStatus("getxattr", err)
	}
	if len(value) > xattr.MaxValue {
		return 0, fuse.Status(syscall.E2BIG)
	}
	return answerXattr(value, dest)
}

// answerXattr copies what was asked for. ERANGE with the size is what go-fuse makes the size of for those who
// ask with an empty buffer.
func answerXattr(value, dest []byte) (uint32, fuse.Status) {
	if len(dest) < len(value) {
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}

// ListXAttr lists what is worth copying.
func (f *FS) ListXAttr(cancel <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	n := f.tree.get(h.NodeId)
	if n == nil {
		return 0, fuse.Status(syscall.ESTALE)
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	names, err := f.listXattrs(r, n)
	if err != nil {
		return 0, f.xattrStatus("listxattr", err)
	}
	var list []byte
	for _, name := range names {
		list = append(append(list, name...), 0)
	}
	if len(list) > maxXattrList {
		return 0, fuse.Status(syscall.E2BIG)
	}
	return answerXattr(list, dest)
}

// SetXAttr changes an attribute, or refuses; what cannot be kept is not accepted.
func (f *FS) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	flags := in.Flags & (xattrCreate | xattrReplace)
	if n := f.tree.get(in.NodeId); name == contentTypeName && n != nil && !n.dir && n.view == noView && !f.cfg.ReadOnly {
		r := f.request(cancel, in.Pid)
		defer r.finish()
		if err := f.takesType(r, n, string(data)); err != nil {
			return f.status("setxattr", err)
		}
	}
	return f.changeXattr(cancel, &in.InHeader, "setxattr", name, func(a xattr.Attribute, facts *xattr.Facts) (xattrChange, error) {
		_, there := a.Value(facts)
		switch {
		case there && flags&xattrCreate != 0:
			return nil, syscall.EEXIST
		case !there && flags&xattrReplace != 0:
			return nil, syscall.ENODATA
		}
		return func(p *backend.Properties, r xattr.Rules) (xattr.Request, error) { return a.Set(p, data, r) }, nil
	})
}

// RemoveXAttr removes an attribute.
func (f *FS) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.changeXattr(cancel, in, "removexattr", name, func(a xattr.Attribute, _ *xattr.Facts) (xattrChange, error) {
		return a.Remove, nil
	})
}

// xattrChange changes properties; it may be called again with fresher ones.
type xattrChange func(p *backend.Properties, r xattr.Rules) (xattr.Request, error)

// xattrDecision looks at what is there and says what to do.
type xattrDecision func(a xattr.Attribute, facts *xattr.Facts) (xattrChange, error)

// changeXattr is what setxattr and removexattr have in common. One change of a node at a time: what a change has
// looked at stays so until it is made.
func (f *FS) changeXattr(cancel <-chan struct{}, h *fuse.InHeader, op, name string, decide xattrDecision) fuse.Status {
	n := f.tree.get(h.NodeId)
	switch {
	case n == nil:
		return fuse.Status(syscall.ESTALE)
	case f.cfg.ReadOnly:
		return fuse.EROFS
	case f.aboveBuckets(n) || n.dir && f.isPart(n):
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	scope := f.scopeOf(n)
	a, err := xattr.Parse(name, scope)
	if err != nil {
		return f.xattrStatus(op, err)
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	dir := n
	if !n.dir {
		dir = f.parentOf(n)
	}
	leave, err := f.enter(r, dir) // no rename of a directory above meanwhile; who has a turn does not wait for one
	if err != nil {
		return f.status(op, err)
	}
	defer leave()
	done, err := f.turns.claim(r, n)
	if err != nil {
		return f.status(op, err)
	}
	defer done()
	if n.dir {
		return f.xattrStatus(op, f.changeDirXattr(r, n, a, decide))
	}
	return f.xattrStatus(op, f.changeFileXattr(r, n, a, decide))
}

// scopeOf says what a node's attributes are attributes of.
func (f *FS) scopeOf(n *node) xattr.Scope {
	switch {
	case !n.dir:
		return xattr.File
	case f.isBucketNode(n):
		return xattr.Bucket
	default:
		return xattr.Directory
	}
}

// isBucketNode tells whether a directory is all of a bucket.
func (f *FS) isBucketNode(n *node) bool {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.dir && n.bucket() != "" && n.suffix() == ""
}

// turns order the changes of attributes, and those of directories' markers, one at a time for each node. They are held over
// requests. Who has a file's may claim its directory's, and so on upwards.
type turns struct {
	mu   sync.Mutex
	busy map[*node]chan struct{} // closed when its change has ended
}

func (t *turns) claim(ctx context.Context, n *node) (done func(), err error) {
	for {
		t.mu.Lock()
		other := t.busy[n]
		if other == nil {
			mine := make(chan struct{})
			if t.busy == nil {
				t.busy = make(map[*node]chan struct{})
			}
			t.busy[n] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.busy, n)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// StatFs reports a filesystem that is very large and never full: a bucket has no size.
func (f *FS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const blockSize, blocks, files = 4096, 1 << 38, 1 << 40
	*out = fuse.StatfsOut{Bsize: blockSize, Frsize: blockSize, Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: files, Ffree: files, NameLen: 255}
	return fuse.OK
}
