package fs

import (
	"encoding/json"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/objmount/objmount/cache/staging"
)

// recover takes over what an earlier mount left: finished files are uploaded, promised deletes and
// renames are finished. Interrupted files and conflicts stay where they are and are listed.
func (f *FS) recover() {
	for _, file := range f.cfg.Staging.Files() {
		switch file.State() {
		case staging.StateSealed:
			f.recoverFile(file)
		case staging.StateScratch:
			f.removeStreamed(file)
		}
	}
	for _, intent := range f.cfg.Staging.Intents() {
		f.recoverIntent(intent)
	}
}

// recoverFile makes the node of a finished file, so that it is visible before it is uploaded.
func (f *FS) recoverFile(file *staging.File) {
	spec := file.Spec()
	n := f.recoveredNode(spec, file)
	if n == nil {
		f.log.Warn("staged data outside this mount is kept", slog.String("bucket", spec.Target.Bucket), slog.String("key", spec.Target.Key))
		return
	}
	snap, err := file.Seal(false) // as it was sealed before: the same generation
	if err != nil {
		f.log.Warn("resuming upload", slog.String("key", spec.Target.Key), slog.String("error", err.Error()))
		return
	}
	f.log.Info("resuming upload", slog.String("bucket", spec.Target.Bucket), slog.String("key", spec.Target.Key), slog.Int64("bytes", file.Size()))
	f.queue.Recover(snap)
}

func (f *FS) recoveredNode(spec staging.Spec, file *staging.File) *node {
	parent := f.tree.root()
	rest, ours := strings.CutPrefix(spec.Target.Key, f.cfg.Prefix)
	switch {
	case f.cfg.Bucket == "":
		parent = f.bucketNode(parent, spec.Target.Bucket)
	case f.cfg.Bucket != spec.Target.Bucket || !ours:
		return nil
	}
	parent, rest, name := f.descend(parent, rest)
	a := attr{mode: syscall.S_IFREG | f.cfg.FileMode, uid: f.cfg.UID, gid: f.cfg.GID, mtime: time.Now()}
	a.apply(spec.Properties.Metadata)
	props := spec.Properties.Clone()
	n := &node{suffix: rest, ino: inoAt(f.tree.locate(parent), rest, false), attr: a, props: &props, checked: time.Now()}
	if base := spec.Content; base != nil && spec.Condition.IfMatch == base.ETag {
		n.current = &version{remote: base}
	}
	f.tree.add(parent, name, n, false)
	n.mu.Lock()
	f.attachLocked(n, file)
	n.mu.Unlock()
	return n
}

func (f *FS) recoverIntent(intent staging.Intent) {
	switch intent.Kind {
	case intentDelete:
		d := &deferredDelete{intent: intent.ID}
		if err := json.Unmarshal(intent.Payload, d); err != nil {
			f.log.Warn("unreadable promise in the journal is kept", slog.String("error", err.Error()))
			return
		}
		f.promises.add(d)
		if !f.waitsForCommit(d) {
			f.fulfilLater(d)
		}
	case intentDeleteAll:
		var sources []deferredDelete
		if err := json.Unmarshal(intent.Payload, &sources); err != nil {
			f.log.Warn("unreadable promise in the journal is kept", slog.String("error", err.Error()))
			return
		}
		f.background(func() { f.deleteAllLater(intent.ID, sources) })
	case intentRenameDir:
		f.background(func() {
			if err := f.resumeRename(f.ctx, intent.ID, intent.Payload); err != nil {
				f.log.Warn("resuming a directory rename", slog.String("error", err.Error()))
			}
		})
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
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.staged == nil || !n.doomed || n.staged.State() == staging.StateScratch {
		return
	}
	if err := n.staged.SetState(staging.StateScratch, ""); err != nil {
		f.log.Warn("journal", "error", err.Error())
	}
}

// waitsForCommit tells whether staged content under another key still refers to an object, and
// makes its delete follow that commit.
func (f *FS) waitsForCommit(d *deferredDelete) bool {
	waits, id := false, d.id()
	f.tree.below(f.tree.root(), func(n *node) {
		n.mu.Lock()
		defer n.mu.Unlock()
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
