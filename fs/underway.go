package fs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// A call that changes more than one thing announces in the journal what it is about to do: the next mount makes it done or not done.

const (
	intentRename = "rename"
	// recoverWait is how long a mount waits for the store to tell how far renames had come; then they are found out later.
	recoverWait = 10 * time.Second
)

// fileMove is a rename of a file that is stored. It is announced before the copy, until the delete of the old object is promised.
type fileMove struct {
	From   backend.Source   `json:"from"`
	To     backend.ObjectID `json:"to"`
	Before string           `json:"before,omitempty"` // ETag of the object that has the new name; empty: none has
	Over   string           `json:"over,omitempty"`   // staged file that has the new name; empty: none has
}

// stagedMove is a rename of a file that is not stored yet. It is announced before the file gets its new name, until what is stored under the
// old one is promised to go, and what is staged under the new one is not uploaded any more.
type stagedMove struct {
	File string           `json:"file"`
	From backend.ObjectID `json:"from"`
	To   backend.ObjectID `json:"to"`
	ETag string           `json:"etag,omitempty"` // of the object that the old name has; empty: none
	Over string           `json:"over,omitempty"` // staged file that has the new name; empty: none has

	Condition backend.Condition `json:"condition"` // of storing the file under the old name
}

const intentRenameStaged = "rename-staged"

// announce journals what a call is about to do. over ends that; calling it again does nothing.
func (f *FS) announce(kind string, what any) (over func(), err error) {
	id, err := f.addIntent(kind, what, false)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { f.dropIntents(id) }), nil
}

// announceStaged announces that a staged file is about to get another name. What is promised to go already is not promised again.
func (f *FS) announceStaged(file *staging.File, before staging.Spec, to backend.ObjectID, over string) (func(), error) {
	m := stagedMove{File: file.ID(), From: before.Target, To: to, Over: over, Condition: before.Condition}
	if old := covered(before); old != nil && !f.promises.has(before.Target) {
		m.ETag = old.ETag
	}
	return f.announce(intentRenameStaged, m)
}

// stagedUnder is the staged file that has a name; empty: none.
func stagedUnder(n *node) string {
	if n == nil {
		return ""
	}
	n.rlock()
	defer n.runlock()
	if n.staged == nil {
		return ""
	}
	return n.staged.ID()
}

// recoverCalls finishes or forgets the renames of files that a crash cut short, before anything of them is uploaded.
func (f *FS) recoverCalls() {
	files := make(map[string]*staging.File)
	for _, file := range f.cfg.Staging.Files() {
		files[file.ID()] = file
	}
	ctx, cancel := context.WithTimeout(f.ctx, recoverWait)
	defer cancel()
	for _, intent := range f.cfg.Staging.Intents() {
		switch intent.Kind {
		case intentRenameStaged:
			var m stagedMove
			if f.readIntent(intent, &m) {
				f.recoverStagedMove(ctx, intent.ID, m, files)
			}
		case intentRename:
			var m fileMove
			if f.readIntent(intent, &m) {
				f.recoverMove(ctx, intent.ID, m, files[m.Over])
			}
		}
	}
}

// recoverStagedMove: the rename is done if the file has its new name, and what the old name has goes when the file is stored. But if an upload
// of this very file has arrived under the old name, it is not done: ranges of what was there before, which the file may refer to, are gone.
func (f *FS) recoverStagedMove(ctx context.Context, intent uint64, m stagedMove, files map[string]*staging.File) {
	file := files[m.File]
	if file != nil && file.Spec().Target == m.To && file.State() == staging.StateSealed {
		if made, err := f.madeBy(ctx, m.From, m.File); err == nil && made != "" {
			if err := file.SetTarget(m.From, m.Condition); err != nil {
				f.log.Warn("journal", slog.String("error", err.Error()))
				return
			}
			f.dropIntents(intent)
			return
		}
		f.overwritten(files[m.Over])
		d := &deferredDelete{Bucket: m.From.Bucket, Key: m.From.Key, ETag: m.ETag, File: m.File, Made: true}
		if _, err := f.announce(intentDelete, d); err != nil { // taken up with the others
			f.log.Warn("journal", slog.String("error", err.Error()))
			return
		}
	}
	f.dropIntents(intent)
}

// overwritten notes that staged content lost its name to a rename; nil is nothing.
func (f *FS) overwritten(file *staging.File) {
	if file == nil || file.State() != staging.StateSealed {
		return
	}
	if err := file.SetState(staging.StateScratch, ""); err != nil {
		f.log.Warn("journal", slog.String("error", err.Error()))
	}
}

// recoverMove finds out whether the copy was made, and then finishes the rename. When the store does not tell, it is asked again later.
func (f *FS) recoverMove(ctx context.Context, intent uint64, m fileMove, over *staging.File) {
	d := &deferredDelete{Bucket: m.From.Bucket, Key: m.From.Key, ETag: m.From.ETag}
	copied, err := f.wasCopied(ctx, m)
	if err == nil {
		if copied {
			f.overwritten(over)
			if _, err := f.announce(intentDelete, d); err != nil { // taken up with the others
				f.log.Warn("journal", slog.String("error", err.Error()))
				return
			}
		}
		f.dropIntents(intent)
		return
	}
	f.log.Warn("a rename that was cut short is finished later", slog.String("key", m.From.Key), slog.String("error", err.Error()))
	f.background(func() {
		for pause := time.Second; err != nil; pause = min(2*pause, time.Minute) {
			if !f.pause(pause) {
				return
			}
			copied, err = f.wasCopied(f.ctx, m)
		}
		if copied && !f.promises.has(d.id()) {
			if _, err := f.journalPromise(d); err != nil {
				f.log.Warn("journal", slog.String("error", err.Error()))
				return
			}
			f.fulfilLater(d)
			f.cfg.Metadata.Invalidate(m.To.Bucket, prefixOf(m.To.Key))
		}
		f.dropIntents(intent)
	})
}

// wasCopied tells whether the new name has a copy of the object that the old one still has. What has the same size, and the same ETag or comes
// from the same upload, is one.
func (f *FS) wasCopied(ctx context.Context, m fileMove) (bool, error) {
	from, err := f.cfg.Store.Head(ctx, backend.ObjectID{Bucket: m.From.Bucket, Key: m.From.Key}, backend.GetOptions{})
	if err != nil || from.ETag != m.From.ETag {
		return false, unlessGone(err)
	}
	to, err := f.cfg.Store.Head(ctx, m.To, backend.GetOptions{})
	if err != nil || to.ETag == m.Before || to.Size != from.Size {
		return false, unlessGone(err)
	}
	made := from.Metadata[backend.MetaGeneration]
	if to.ETag == from.ETag || made != "" && made == to.Metadata[backend.MetaGeneration] {
		return true, nil
	}
	f.log.Warn("a rename was cut short, and another object is under the new name: both stay", slog.String("from", m.From.Key), slog.String("to", m.To.Key))
	return false, nil
}

// unlessGone is err, but nil when it only says that there is nothing, or that it may not be seen.
func unlessGone(err error) error {
	if err == nil || backend.IsKind(err, backend.KindCanceled) || errors.Is(err, context.DeadlineExceeded) || backend.Temporary(err) {
		return err
	}
	return nil
}

// madeBy is the ETag of what uploads of a staged file made under a key; empty: nothing.
func (f *FS) madeBy(ctx context.Context, id backend.ObjectID, file string) (string, error) {
	obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
	if err != nil || !strings.HasSuffix(obj.Metadata[backend.MetaGeneration], "-"+file) {
		return "", unlessGone(err)
	}
	return obj.ETag, nil
}
