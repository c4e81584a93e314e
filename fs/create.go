package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/names"
)

// Mknod makes an empty file, or a fifo, socket or device that lives in metadata. Those are committed before it returns; a
// file as one that was created and is open still.
func (f *FS) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if in.Mode&syscall.S_IFMT == 0 {
		in.Mode |= syscall.S_IFREG
	}
	if f.cfg.Posix == PosixOff && in.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fuse.EPERM
	}
	a := f.newAttr(in.Uid, in.Gid, in.Mode)
	a.rdev = in.Rdev
	return f.makeStored(cancel, &in.InHeader, name, a, out)
}

// Link is refused: an object has one key.
func (f *FS) Link(<-chan struct{}, *fuse.LinkIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}

func (f *FS) makeStored(cancel <-chan struct{}, h *fuse.InHeader, name string, a attr, out *fuse.EntryOut) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly || parent.view != noView {
		return fuse.EROFS
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	leave, err := f.enter(r, parent)
	if err != nil {
		return f.status("create", err)
	}
	defer leave()
	store := f.storeNew
	component, _ := names.Decode(name)
	at := f.tree.locate(parent)
	at.key += component
	if a.mode&syscall.S_IFMT == syscall.S_IFREG && (!f.cfg.ExclusiveOpen || f.locksNew(r, at.id(), a.mode)) {
		store = f.makeNew
	}
	n, err := store(r, parent, name, a)
	if err != nil {
		return f.status("create", err)
	}
	f.tree.remember(n)
	f.entry(n, out)
	return fuse.OK
}

// makeNew makes an empty file that is stored when somebody has written it, or if nobody opens it soon: tar makes a file, gives
// it attributes, and opens it then, and where what is stored is locked the first upload is the last. The journal has it at once.
func (f *FS) makeNew(ctx context.Context, parent *node, name string, a attr) (*node, error) {
	n, err := f.newUnder(ctx, parent, name, a)
	if err != nil {
		return nil, err
	}
	made := make(chan struct{})
	n.lock()
	err = f.assureLocked(n)
	if err == nil {
		n.made = made
		n.writers++
		n.active++
	}
	n.unlock()
	if err != nil {
		f.unmake(n)
		return nil, err
	}
	f.background(func() {
		timer := time.NewTimer(attributeDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
			f.endMade(n)
		case <-made:
		case <-f.closing: // the next mount stores it
		}
	})
	f.touchDir(parent)
	return n, nil
}

// assureLocked journals staged content that is not queued: a crash does not lose it, and who commits it seals it again.
func (f *FS) assureLocked(n *node) error {
	if err := n.staged.SetProperties(f.propertiesLocked(n)); err != nil {
		return err
	}
	promise, err := n.staged.Seal(false)
	if err != nil {
		return err
	}
	promise.Release()
	n.assured = true
	return f.resealLocked(n, n.staged)
}

// outgrownLocked takes back what assureLocked promised, before bytes of a file that outgrows staging are given back: the upload that has
// them is of no use to an empty file.
func (f *FS) outgrownLocked(n *node) error {
	if !n.assured {
		return nil
	}
	n.assured = false
	return n.staged.SetState(staging.StateOpen, "the program that wrote it had not closed it")
}

// promiseEmpty journals, at a close, a new file that nobody has written: it is stored after its last close, which nobody waits for.
func (f *FS) promiseEmpty(n *node) error {
	n.lock()
	defer n.unlock()
	file := n.staged
	if file == nil || n.doomed || n.current != nil || file.State() != staging.StateOpen || file.Size() > 0 {
		return nil
	}
	return f.assureLocked(n)
}

// endMade ends the wait for somebody to open a new file; if nobody has, it is stored.
func (f *FS) endMade(n *node) {
	n.lock()
	if n.made == nil {
		n.unlock()
		return
	}
	close(n.made)
	n.made = nil
	n.writers--
	n.active--
	file, idle := n.staged, n.writers == 0 && !n.doomed
	n.unlock()
	switch {
	case file == nil || !idle:
	case file.State() == staging.StateCommitted && !file.Dirty():
		f.settle(n, file)
	default:
		if err := f.commit(f.ctx, n, commitOptions{}); err != nil {
			f.log.Warn("commit of a new file failed; it is kept", "error", err.Error())
		}
	}
}

// unmake takes a new file back whose making failed.
func (f *FS) unmake(n *node) {
	n.lock()
	n.doomed = true
	file := n.staged
	n.unlock()
	if file != nil {
		if _, err := f.queue.Cancel(f.ctx, file); err != nil {
			f.log.Warn("cancel", "error", err.Error())
		}
		if old := covered(file.Spec()); old != nil && file.State() != staging.StateCommitted { // it had been unlinked
			f.promiseAgain(&deferredDelete{Bucket: old.Bucket, Key: old.Key, ETag: old.ETag})
		}
		f.discard(n)
	}
	f.tree.detach(n)
}

// newUnder is newFile under a name that has to be free.
func (f *FS) newUnder(ctx context.Context, parent *node, name string, a attr) (*node, error) {
	switch _, err := f.lookup(ctx, parent, name); {
	case err == nil:
		return nil, syscall.EEXIST
	case !backend.IsKind(err, backend.KindNotExist):
		return nil, err
	}
	return f.newFile(ctx, parent, name, a)
}

func (f *FS) storeNew(ctx context.Context, parent *node, name string, a attr) (*node, error) {
	n, err := f.newUnder(ctx, parent, name, a)
	if err != nil {
		return nil, err
	}
	if a.target != "" {
		if err := f.writeTarget(ctx, n, a.target); err != nil {
			f.unmake(n)
			return nil, err
		}
	}
	if err := f.storeFirst(ctx, n, f.cfg.Commit == CommitClose || f.cfg.ExclusiveOpen); err != nil {
		return nil, err
	}
	f.touchDir(parent)
	return n, nil
}

// storeFirst stores a new file before the call that makes it has returned, and takes it back if that fails: EEXIST when another
// client was the first to have the name. Then nothing is kept, because a call that failed has made nothing.
func (f *FS) storeFirst(ctx context.Context, n *node, wait bool) error {
	n.rlock()
	file := n.staged
	n.runlock()
	err := f.commit(ctx, n, commitOptions{wait: wait})
	if err == nil || backend.IsKind(err, backend.KindCanceled) { // only the wait was ended
		return err
	}
	f.unmake(n)
	if file != nil && file.State() == staging.StateConflict {
		f.queue.Abandon(file)
		f.removeStaged(file)
	}
	if errors.Is(err, syscall.ESTALE) || backend.IsKind(err, backend.KindChanged) {
		return syscall.EEXIST
	}
	return err
}
