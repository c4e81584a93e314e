package fs

import (
	"context"
	"encoding/json"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// deferredDelete is a promised DeleteObject; the journal keeps it until it is done.
type deferredDelete struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	ETag   string `json:"etag"`

	intent uint64
}

const intentDelete = "delete"

func (d *deferredDelete) id() backend.ObjectID {
	return backend.ObjectID{Bucket: d.Bucket, Key: d.Key}
}

// promiseDelete journals a delete and hides the name until it is done.
func (f *FS) promiseDelete(r *staging.Remote) (*deferredDelete, error) {
	d := &deferredDelete{Bucket: r.Bucket, Key: r.Key, ETag: r.ETag}
	payload, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if d.intent, err = f.cfg.Staging.AddIntent(intentDelete, payload, false); err != nil {
		return nil, err
	}
	f.hidden.add(d.id())
	return d, nil
}

// fulfil carries out a promised delete. An object that is another one by now stays.
func (f *FS) fulfil(ctx context.Context, d *deferredDelete) error {
	err := f.deleteObject(ctx, d.id(), d.ETag)
	switch {
	case err == nil, backend.IsKind(err, backend.KindNotExist):
	case backend.IsKind(err, backend.KindChanged):
		f.log.Info("promised delete dropped: another client wrote the object", slog.String("key", d.Key))
	default:
		return err
	}
	f.cfg.Metadata.Removed(d.Bucket, d.Key)
	f.hidden.drop(d.id())
	return f.cfg.Staging.DropIntent(d.intent)
}

// deleteObject is a DeleteObject on the condition that the object is the one we saw. Where the
// store has no such condition, a HEAD goes before.
func (f *FS) deleteObject(ctx context.Context, id backend.ObjectID, etag string) error {
	in := backend.DeleteInput{Bucket: id.Bucket, Key: id.Key}
	switch {
	case etag == "":
	case f.cfg.Capabilities(id.Bucket).DeleteIfMatch:
		in.IfMatch = etag
	default:
		obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
		if err != nil {
			return err
		}
		if obj.ETag != etag {
			return &backend.Error{Kind: backend.KindChanged, Op: "DeleteObject", Bucket: id.Bucket, Key: id.Key}
		}
	}
	err := f.cfg.Store.Delete(ctx, in)
	if backend.IsKind(err, backend.KindUnknown) { // a lost reply: look
		obj, headErr := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
		switch {
		case backend.IsKind(headErr, backend.KindNotExist):
			return nil
		case headErr == nil && obj.ETag == etag:
			return f.cfg.Store.Delete(ctx, in)
		case headErr == nil:
			return &backend.Error{Kind: backend.KindChanged, Op: "DeleteObject", Bucket: id.Bucket, Key: id.Key}
		}
	}
	return err
}

// Unlink removes a file. One that is open here loses its name; its object goes at the last close.
func (f *FS) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	parent := f.tree.get(h.NodeId)
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if f.cfg.ReadOnly {
		return fuse.EROFS
	}
	r := f.request(cancel, h.Pid)
	defer r.finish()
	n, err := f.lookup(r, parent, name)
	if err != nil {
		return f.status("unlink", err)
	}
	if n.dir {
		return fuse.Status(syscall.EISDIR)
	}
	if err := f.keepDirectory(r, parent); err != nil {
		return f.status("unlink", err)
	}
	if err := f.remove(r, n); err != nil {
		if backend.IsKind(err, backend.KindChanged) {
			f.cfg.Metadata.Invalidate(f.tree.locate(parent).bucket, f.tree.locate(parent).key)
			f.tree.detach(n)
		}
		return f.status("unlink", err)
	}
	f.tree.detach(n)
	return fuse.OK
}

// remove takes a file's content away: what is staged is not committed any more, what is stored
// is deleted, now or at the last close.
func (f *FS) remove(ctx context.Context, n *node) error {
	n.mu.Lock()
	n.doomed = true
	file := n.staged
	n.mu.Unlock()
	if file != nil {
		if _, err := f.queue.Cancel(ctx, file); err != nil {
			f.revive(n)
			return err
		}
	}
	n.mu.Lock()
	v, opens, after := n.current, n.opens, n.after
	n.after = nil
	n.mu.Unlock()
	if v != nil {
		if err := f.removeStored(ctx, n, v, opens); err != nil {
			f.revive(n)
			return err
		}
		f.cfg.Metadata.Removed(v.remote.Bucket, v.remote.Key)
	}
	for _, source := range after {
		f.deleteAfter(source)
	}
	if file != nil && opens == 0 {
		f.discard(n)
	}
	return nil
}

func (f *FS) removeStored(ctx context.Context, n *node, v *version, opens int) error {
	if opens == 0 {
		err := f.deleteObject(ctx, v.remoteID(), v.remote.ETag)
		if backend.IsKind(err, backend.KindNotExist) {
			return nil
		}
		if err == nil {
			f.cfg.Blocks.Drop(v.remote.Bucket, v.remote.Key)
		}
		return err
	}
	d, err := f.promiseDelete(v.remote)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.doomedID = d
	n.mu.Unlock()
	return nil
}

func (v *version) remoteID() backend.ObjectID {
	return backend.ObjectID{Bucket: v.remote.Bucket, Key: v.remote.Key}
}

// revive takes back a removal that failed; content that waited is queued again.
func (f *FS) revive(n *node) {
	n.mu.Lock()
	n.doomed = false
	file, writers := n.staged, n.writers
	n.mu.Unlock()
	if file != nil && writers == 0 {
		if err := f.commit(f.ctx, n, commitOptions{}); err != nil {
			f.log.Warn("upload", "error", err.Error())
		}
	}
}

// discard removes the staged content of a doomed node that nobody has open.
func (f *FS) discard(n *node) {
	n.mu.Lock()
	file := f.detachStagedLocked(n)
	n.mu.Unlock()
	if file == nil {
		return
	}
	if err := file.Remove(); err != nil {
		f.log.Warn("staging", "error", err.Error())
	}
}

// buryLast ends a doomed node at its last close.
func (f *FS) buryLast(n *node) {
	f.discard(n)
	n.mu.Lock()
	d := n.doomedID
	n.doomedID = nil
	n.mu.Unlock()
	if d == nil {
		return
	}
	f.background(func() {
		if err := f.fulfil(f.ctx, d); err != nil {
			f.log.Warn("promised delete failed; it is repeated at the next mount", slog.String("key", d.Key), slog.String("error", err.Error()))
		}
	})
}

// deleteAfter deletes an object whose content was stored under another key.
func (f *FS) deleteAfter(source staging.Remote) {
	d := &deferredDelete{Bucket: source.Bucket, Key: source.Key, ETag: source.ETag}
	f.renamesMu.Lock()
	if known := f.promised[d.id()]; known != nil {
		d = known
		delete(f.promised, d.id())
	}
	f.renamesMu.Unlock()
	if err := f.fulfil(f.ctx, d); err != nil {
		f.log.Warn("delete after rename failed; it is repeated at the next mount", slog.String("key", source.Key), slog.String("error", err.Error()))
	}
}

// keepDirectory writes a directory's marker if the entry that is about to go is its last: a
// directory does not vanish with its content.
func (f *FS) keepDirectory(ctx context.Context, dir *node) error {
	if dir.id == rootID || dir.bucket != "" {
		return nil
	}
	dir.mu.RLock()
	exists := dir.keeps.exists
	dir.mu.RUnlock()
	if exists {
		return nil
	}
	at := f.tree.locate(dir)
	if len(at.key) == 0 || at.key[len(at.key)-1] != '/' {
		return nil
	}
	scan := f.cfg.Metadata.Scan(at.bucket, at.key)
	defer scan.Close()
	for entries := 0; entries < 2; entries++ {
		if _, err := scan.Next(ctx); err != nil {
			break
		}
		if entries == 1 {
			return nil
		}
	}
	if scan.Self() != nil {
		dir.mu.Lock()
		dir.keeps.exists = true
		dir.mu.Unlock()
		return nil
	}
	return f.writeMarker(ctx, dir, false)
}
