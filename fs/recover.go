package fs

import (
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/attributes"
)

// recover takes over what an earlier mount left: finished files are uploaded, promised deletes and
// renames are finished. Interrupted files and conflicts stay where they are and are listed.
func (f *FS) recover() {
	f.recoverCalls()
	var uploads []*staging.Snapshot
	for _, file := range f.cfg.Staging.Files() {
		switch file.State() {
		case staging.StateSealed:
			if snap := f.recoverFile(file); snap != nil {
				uploads = append(uploads, snap)
			}
		case staging.StateScratch:
			f.removeStreamed(file)
		}
	}
	for _, intent := range f.cfg.Staging.Intents() {
		f.recoverIntent(intent)
	}
	for _, snap := range uploads { // when it is known what follows each
		f.queue.Recover(snap)
	}
}

// recoverFile makes the node of a finished file, so that it is visible before it is uploaded. It returns
// what to upload; nil: nothing.
func (f *FS) recoverFile(file *staging.File) *staging.Snapshot {
	spec := file.Spec()
	n := f.recoveredNode(spec, file)
	if n == nil {
		f.log.Warn("staged data outside this mount is kept", slog.String("bucket", spec.Target.Bucket), slog.String("key", spec.Target.Key))
		return nil
	}
	snap, err := file.Seal(false) // as it was sealed before: the same generation
	if err != nil {
		f.log.Warn("resuming upload", slog.String("key", spec.Target.Key), slog.String("error", err.Error()))
		return nil
	}
	f.log.Info("resuming upload", slog.String("bucket", spec.Target.Bucket), slog.String("key", spec.Target.Key), slog.Int64("bytes", file.Size()))
	return snap
}

func (f *FS) recoveredNode(spec staging.Spec, file *staging.File) *node {
	parent := f.tree.root()
	rest, ours := strings.CutPrefix(spec.Target.Key, f.cfg.Prefix)
	switch {
	case f.cfg.Bucket == "":
		list, name := f.bucketList(spec.Target.Bucket)
		if list == nil {
			return nil
		}
		parent = f.bucketNode(list, name)
	case f.cfg.Bucket != spec.Target.Bucket || !ours:
		return nil
	}
	parent, rest, name := f.descend(parent, rest)
	a := attr{mode: syscall.S_IFREG | f.cfg.FileMode, uid: f.cfg.UID, gid: f.cfg.GID, mtime: time.Now()}
	a.apply(spec.Properties.Metadata)
	props := spec.Properties.Clone()
	n := &node{extra: &extra{suffix: rest}, ino: inoAt(f.tree.locate(parent), rest, false), body: &body{attr: a, props: &props, checked: time.Now()}}
	if base := spec.Content; base != nil && spec.Condition.IfMatch == base.ETag {
		n.current = versionOf(base)
	}
	f.tree.add(parent, name, n, false)
	own := attributes.Decode(spec.Properties.Metadata).Has
	n.lock()
	f.attachLocked(n, file)
	n.explicit = spec.Content == nil && own.Has(attributes.Mtime) // of an object that was there before they may be another program's
	if f.ownLocked(n) {
		f.staged.owe(file, true)
	}
	n.unlock()
	return n
}

func (f *FS) recoverIntent(intent staging.Intent) {
	switch intent.Kind {
	case intentDelete:
		d := &deferredDelete{intent: intent.ID}
		if f.readIntent(intent, d) {
			f.recoverPromise(d)
		}
	case intentDeleteAll:
		f.recoverDeletes(intent)
	case intentSpared:
		f.recoverSpared(intent)
	case intentTags:
		f.recoverTags(intent)
	case intentRenameDir:
		f.background(func() {
			if err := f.resumeRename(f.ctx, intent.ID, intent.Payload); err != nil {
				f.log.Warn("resuming a directory rename", slog.String("error", err.Error()))
			}
		})
	case intentRename, intentRenameStaged: // recoverCalls
	default:
		f.log.Warn("unknown promise in the journal is kept", slog.String("kind", intent.Kind))
	}
}

// scratch notes that the staged content of a node is of no use but to programs that have it open: its name is
// gone, or has another object that is stored, and what had to be deleted is deleted or promised. After a
// crash it is not kept. A nil node is nothing.
func (f *FS) scratch(n *node) {
	if n == nil {
		return
	}
	n.lock()
	defer n.unlock()
	if n.staged == nil || !n.doomed || n.staged.State() == staging.StateScratch {
		return
	}
	if err := n.staged.SetState(staging.StateScratch, ""); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
}

// recoverPromise takes up a promised delete: it follows the commit that it is to follow. If that is never made,
// because no program had finished the file, or it is in conflict, the object stays. It stays as well, until it is replaced, where
// content waits under its own key: an unlink that had not got further.
func (f *FS) recoverPromise(d *deferredDelete) {
	if f.promises.has(d.id()) || f.staged.has(d.id()) {
		f.dropIntents(d.intent)
		return
	}
	for _, file := range f.cfg.Staging.Files() {
		if file.ID() != d.File {
			continue
		}
		n := f.staged.node(file)
		if n == nil {
			f.log.Info("the object under the old name of a file that was not finished stays", slog.String("key", d.Key))
			f.dropIntents(d.intent)
			return
		}
		f.promises.add(d)
		n.lock()
		waits := n.staged == file
		if waits {
			n.after = append(n.after, d)
		}
		n.unlock()
		if !waits {
			f.fulfilLater(d)
		}
		return
	}
	f.promises.add(d)
	if !f.waitsForCommit(d) {
		f.fulfilLater(d)
	}
}

// waitsForCommit tells whether staged content under another key still refers to an object, and
// makes its delete follow that commit.
func (f *FS) waitsForCommit(d *deferredDelete) bool {
	waits, id := false, d.id()
	f.tree.below(f.tree.root(), func(n *node) {
		n.lock()
		defer n.unlock()
		if n.staged == nil || n.staged.Spec().Target == id || !n.staged.References(id.Bucket, id.Key) {
			return
		}
		for _, e := range n.staged.Extents(0, n.staged.Size()) {
			if e.Object != nil && e.Object.Bucket == id.Bucket && e.Object.Key == id.Key {
				n.after = append(n.after, d)
				waits = true
				return
			}
		}
	})
	return waits
}
