package fs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/attributes"
)

// Flush is one close(2) of perhaps several of an open file. It commits when the process that
// opened the file sends it and the file was written.
func (f *FS) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h := f.handles.get(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	if !h.writable {
		return fuse.OK
	}
	if in.Pid != h.thread {
		if closer := threadGroup(in.Pid); closer != 0 && h.opener != 0 && closer != h.opener {
			return fuse.OK
		}
	}
	if f.interruptedReplace(h, in.Pid) {
		return fuse.OK
	}
	n := h.node
	n.lock()
	h.activeLocked(false)
	due := n.written || n.failure != nil || n.refused != nil
	n.unlock()
	if !due {
		return f.status("close", f.promiseEmpty(n))
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	err := f.commit(r, n, commitOptions{wait: f.cfg.Commit == CommitClose})
	return f.status("close", n.orRefused(err))
}

// orRefused returns err, or the refusal of tags that is still to be told. Either is told once.
func (n *node) orRefused(err error) error {
	n.lock()
	defer n.unlock()
	refused := n.refused
	if backend.IsKind(err, backend.KindCanceled) { // nobody has heard it
		return err
	}
	n.refused = nil
	if err == nil {
		err = refused
	}
	return err
}

// interruptedReplace keeps the old object when the program that was replacing it is killed: what
// it wrote stays in staging as interrupted.
func (f *FS) interruptedReplace(h *handle, pid uint32) bool {
	n := h.node
	n.rlock()
	replacing := n.replacing && n.staged != nil && n.writers == 1 && len(n.after) == 0 // not renamed since
	n.runlock()
	if !replacing || !killedBySignal(pid) {
		return false
	}
	kept := f.showsKept(n)
	n.lock()
	file := f.detachStagedLocked(n)
	n.propsAt = time.Time{} // it may have been given others
	if n.current != nil {
		n.attr.size = n.current.remote.Size
		mtime := n.current.modified
		if kept && n.props != nil {
			if a := attributes.Decode(n.props.Metadata); a.Has.Has(attributes.Mtime) {
				mtime = a.Mtime
			}
		}
		if !mtime.IsZero() { // of a commit of our own it is not known
			n.attr.mtime = mtime
		}
	}
	n.unlock()
	if file == nil {
		return false
	}
	if _, err := f.queue.Cancel(f.ctx, file); err != nil {
		f.log.Warn("cancel", "error", err.Error())
	}
	if err := file.SetState(staging.StateInterrupted, "the program that was replacing the object was killed"); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
	f.notifyContent(n)
	return true
}

// Fsync waits for the store, or with LocalFsync for the local disk.
func (f *FS) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h := f.handles.get(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	r := f.request(cancel, in.Pid)
	defer r.finish()
	o := commitOptions{wait: true}
	if f.cfg.LocalFsync {
		o = commitOptions{fsync: true}
	}
	err := f.commit(r, h.node, o)
	if !f.cfg.LocalFsync {
		if tagErr := f.flushNodeTags(r, h.node); err == nil {
			err = tagErr
		}
	}
	return f.status("fsync", h.node.orRefused(err))
}

// Release is the last close of an open file; nobody waits for its answer.
func (f *FS) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	h := f.handles.remove(in.Fh)
	if h == nil {
		return
	}
	h.close()
	n := h.node
	n.lock()
	f.closeModeLocked(n, h)
	if h.writable {
		h.activeLocked(false)
		n.writers--
	}
	file, last, doomed := n.staged, n.opens == 0 && n.holds == 0, n.doomed
	idle := n.writers == 0
	n.unlock()
	switch {
	case doomed && last:
		f.buryLast(n)
	case doomed || file == nil || !idle:
	case file.State() == staging.StateCommitted && !file.Dirty():
		f.settle(n, file)
	case h.writable:
		if err := f.commit(f.ctx, n, commitOptions{}); err != nil {
			f.log.Warn("commit at the last close failed; the data is kept", "error", err.Error())
		}
	}
}
