package fs

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
)

// Mkdir writes a marker object, so that an empty directory exists for everybody.
func (f *FS) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	parent := f.tree.get(in.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly || parent.view != noView {
		return fuse.EROFS
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("mkdir", err)
	}
	defer leave()
	switch {
	case f.isGroupList(parent): // groups come from the configuration
		return fuse.EPERM
	case f.isBucketList(parent):
		return f.makeBucket(r, parent, name, out)
	}
	switch _, err := f.lookup(r, parent, name); {
	case err == nil:
		return fuse.Status(syscall.EEXIST)
	case !backend.IsKind(err, backend.KindNotExist):
		return f.status("mkdir", err)
	}
	component, err := f.newComponent(r, parent, name, true)
	if err != nil {
		return f.status("mkdir", err)
	}
	n, err := f.makeDir(r, parent, name, component, f.newAttr(in.Uid, in.Gid, syscall.S_IFDIR|in.Mode&0o7777))
	if err != nil {
		return f.status("mkdir", err)
	}
	f.tree.remember(n)
	f.entry(n, out)
	return fuse.OK
}

func (f *FS) makeDir(ctx context.Context, parent *node, name, component string, a attr) (*node, error) {
	at := f.tree.locate(parent)
	key := at.key + component + "/"
	if len(key) > maxKey {
		return nil, syscall.ENAMETOOLONG
	}
	n := &node{dir: true, extra: &extra{suffix: component + "/"}, ino: inoOf(at.bucket, key, ""), body: &body{attr: a, tagCount: -1, checked: time.Now()}}
	above, err := f.keeping(ctx, parent)
	if err != nil {
		return nil, err
	}
	own := f.cfg.Posix != PosixOff && (f.ownLocked(n) || above.kept)
	given := f.givenTo(backend.ObjectID{Bucket: at.bucket, Key: key}, syscall.S_IFDIR)
	if err := f.canHave(backend.ObjectID{Bucket: at.bucket, Key: key}, given); err != nil {
		return nil, err
	}
	props := backend.Properties{Headers: backend.Headers{ContentType: markerType}, Metadata: map[string]string{}, Encryption: given.Encryption}
	since := time.Now().Add(-24 * time.Hour)
	if final := !own && f.cfg.Posix == PosixAuto && f.retains(ctx, at.bucket); final {
		// The marker cannot be written again: it has attributes from the beginning, if those above it have.
		own = f.markKeeping(ctx, parent) == nil
	} else if own {
		if err := f.markKeeping(ctx, parent); err != nil {
			return nil, err
		}
	}
	if own {
		a.encode(props.Metadata)
		props.Metadata[metaSince] = strconv.FormatInt(since.Unix(), 10)
	}
	f.finishMove(ctx, backend.ObjectID{Bucket: at.bucket, Key: at.key + component})
	obj, err := f.storeMarker(ctx, backend.ObjectID{Bucket: at.bucket, Key: key}, nil, props, true)
	if err != nil {
		return nil, err
	}
	tell(&obj, props)
	n.props = &props
	n.keeps = keepState{known: true, kept: own, since: since, exists: true, checked: time.Now(), asked: true, marker: &obj}
	f.tree.add(parent, name, n, false)
	f.cfg.Metadata.PrefixCreated(at.bucket, key, &obj)
	f.touchDir(parent)
	return n, nil
}

// finishMove stores a file that was renamed while it was written, so that the object under its old name goes now: VersityGW keeps no
// directory beside a file of its name. What fails is tried again by others; the caller's request says what comes of it.
func (f *FS) finishMove(ctx context.Context, old backend.ObjectID) {
	d := f.promises.get(old)
	if d == nil || d.File == "" {
		return
	}
	f.staged.mu.RLock()
	n := f.staged.nodes[d.File]
	f.staged.mu.RUnlock()
	if n != nil {
		_ = f.commit(ctx, n, commitOptions{wait: true})
	}
}

// touchDir shows that a directory's content changed.
func (f *FS) touchDir(dir *node) {
	dir.lock()
	dir.attr.mtime = time.Now()
	dir.unlock()
}

func (f *FS) makeBucket(ctx context.Context, list *node, name string, out *fuse.EntryOut) fuse.Status {
	if err := f.cfg.Store.CreateBucket(ctx, bucketNamed(list, name)); err != nil {
		return f.status("mkdir", err)
	}
	n := f.bucketNode(list, name)
	f.tree.remember(n)
	f.entry(n, out)
	return fuse.OK
}

// Rmdir deletes an empty directory's marker; the store is asked afresh whether it is empty.
func (f *FS) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	switch {
	case f.cfg.ReadOnly:
		return fuse.EROFS
	case parent.view != noView: // objmount ctl versions purge removes versions
		return fuse.EPERM
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("rmdir", err)
	}
	defer leave()
	known := f.tree.child(parent, name)
	n, err := f.lookup(r, parent, name)
	if backend.IsKind(err, backend.KindNotExist) && known != nil && f.isPart(known) {
		f.tree.detach(known) // it went with the last of what is in it
		return fuse.OK
	}
	switch {
	case err != nil:
		return f.status("rmdir", err)
	case !n.dir:
		return fuse.ENOTDIR
	case n.view != noView, n.group() != "":
		return fuse.EPERM
	case f.isPart(n):
		return fuse.Status(syscall.ENOTEMPTY)
	case n.bucket() != "":
		return f.removeBucket(r, n)
	case f.staysPresent(f.tree.locate(n)):
		return fuse.Status(syscall.EBUSY)
	}
	marker, err := f.emptyDir(r, n)
	if err == nil {
		err = f.mayRemoveMarker(r, marker)
	}
	if err == nil {
		err = f.keepDirectory(r, parent)
	}
	if err == nil && marker != nil {
		err = f.cfg.Store.Delete(r, backend.DeleteInput{Bucket: marker.Bucket, Key: marker.Key})
	}
	if err != nil {
		return f.status("rmdir", err)
	}
	at := f.tree.locate(n)
	f.markers.drop(at.id())
	f.facts.drop(at.id())
	f.cfg.Metadata.PrefixRemoved(at.bucket, at.key)
	f.tree.detach(n)
	f.touchDir(parent)
	return fuse.OK
}

// emptyDir makes sure that nothing is below a directory, and returns its marker, if it has one.
func (f *FS) emptyDir(ctx context.Context, n *node) (*backend.Object, error) {
	if f.staged.below(f.tree, n) {
		return nil, syscall.ENOTEMPTY
	}
	at := f.tree.locate(n)
	own := f.markerOf(n).Key // with bytes in it, it is a file
	var marker *backend.Object
	in := backend.ListInput{Bucket: at.bucket, Prefix: at.key, MaxKeys: 10}
	gone := f.promises.gone()
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			switch {
			case o.Key == own && o.Size == 0:
				o.Bucket = at.bucket
				marker = &o
			case !gone(backend.ObjectID{Bucket: at.bucket, Key: o.Key}):
				return nil, syscall.ENOTEMPTY
			}
		}
		if page.Next == "" {
			return marker, nil
		}
		in.Token = page.Next
	}
}

func (f *FS) removeBucket(ctx context.Context, n *node) fuse.Status {
	marker, err := f.emptyDir(ctx, n)
	if err == nil {
		err = f.mayRemoveMarker(ctx, marker)
	}
	if err == nil && marker != nil {
		err = f.cfg.Store.Delete(ctx, backend.DeleteInput{Bucket: marker.Bucket, Key: marker.Key})
	}
	if err == nil {
		err = f.cfg.Store.DeleteBucket(ctx, n.bucket())
	}
	if err != nil {
		return f.status("rmdir", err)
	}
	f.tree.detach(n)
	return fuse.OK
}
