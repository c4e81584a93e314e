package fs

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// What a person does about data that is not in the store: see "Data that is kept" in SEMANTICS.md. A staged file is
// named by its id, as Status gives it.

// byID returns a staged file that Status lists.
func (f *FS) byID(id string) (*staging.File, error) {
	for _, file := range f.cfg.Staging.Files() {
		if file.ID() != id {
			continue
		}
		switch file.State() {
		case staging.StateConflict, staging.StateInterrupted, staging.StateSealed:
			return file, nil
		}
		return nil, keptError(file, backend.KindBusy, "a program is writing it, or it is stored already")
	}
	return nil, &backend.Error{Kind: backend.KindNotExist, Op: "Kept", Message: "nothing with the id " + id + " waits or is kept any more"}
}

func keptError(file *staging.File, kind backend.Kind, text string) error {
	target := file.Spec().Target
	return &backend.Error{Kind: kind, Op: "Kept", Bucket: target.Bucket, Key: target.Key, Message: text}
}

// Retry tries the uploads that wait for their next attempt at a place, or below it, now, with an id only that one, and returns how many
// files it is about. Tags that wait are not counted.
func (f *FS) Retry(l Located, id string) int {
	count := 0
	for _, file := range f.cfg.Staging.Files() {
		target := file.Spec().Target
		if file.State() == staging.StateSealed && (id == "" || file.ID() == id) && l.holds(place{target.Bucket, target.Key}) {
			f.queue.Retry(file)
			count++
		}
	}
	return count
}

// StoreKept stores a conflict, or what was interrupted, as an object: its own, replacing what is there now, or a new one
// (fresh), where nothing may be. It fails with KindBusy where a program writes that object through this mount or
// something of it waits, and with KindLocked where a lock forbids it; the data is kept then, and also when it loses again. The end of ctx
// ends only the waiting: the data waits in the queue as every other file does then.
func (f *FS) StoreKept(ctx context.Context, id string, to backend.ObjectID, fresh bool) (backend.Object, error) {
	release, err := f.claimKept(id)
	if err != nil {
		return backend.Object{}, err
	}
	defer release()
	file, err := f.byID(id)
	if err != nil {
		return backend.Object{}, err
	}
	before := file.Spec()
	snap, err := f.takeKept(ctx, file, to, fresh)
	if err != nil {
		return backend.Object{}, err
	}
	obj, err := f.queue.Submit(snap)(ctx)
	switch {
	case err == nil:
		f.Changed(to.Bucket, to.Key)
	case file.State() == staging.StateConflict: // it lost again: it belongs to its own name still
		err = errors.Join(err, file.SetTarget(before.Target, before.Condition))
	}
	return obj, err
}

// claimKept is for one decision about a staged file at a time.
func (f *FS) claimKept(id string) (release func(), err error) {
	if _, busy := f.deciding.LoadOrStore(id, true); busy {
		return nil, &backend.Error{Kind: backend.KindBusy, Op: "Kept", Message: "somebody else is deciding about " + id + " at this moment"}
	}
	return func() { f.deciding.Delete(id) }, nil
}

// takeKept makes a kept file one to be uploaded.
func (f *FS) takeKept(ctx context.Context, file *staging.File, to backend.ObjectID, fresh bool) (*staging.Snapshot, error) {
	if file.State() == staging.StateSealed {
		return nil, keptError(file, backend.KindBusy, "it is uploaded by itself; nothing has to be decided")
	}
	if len(f.unsent(Located{Bucket: to.Bucket, Key: to.Key})) > 0 {
		return nil, keptError(file, backend.KindBusy, "a program is writing that file through this mount, or its upload waits; let it end first")
	}
	if err := f.mayBeStored(ctx, file, to); err != nil {
		return nil, err
	}
	condition := backend.Condition{IfNoneMatch: true}
	now, err := f.cfg.Store.Head(ctx, to, backend.GetOptions{})
	switch {
	case backend.IsKind(err, backend.KindNotExist):
	case err != nil:
		return nil, err
	case fresh:
		return nil, &backend.Error{Kind: backend.KindExist, Op: "Kept", Bucket: to.Bucket, Key: to.Key, Message: "there is such a file; choose another name"}
	default:
		if err := f.unlocked(ctx, now); err != nil {
			return nil, err
		}
		condition = backend.Condition{IfMatch: now.ETag}
	}
	before := file.Spec()
	if err := file.SetTarget(to, condition); err != nil {
		return nil, err
	}
	snap, err := file.Seal(false)
	if err != nil { // as it was, or the journal says it is
		return nil, errors.Join(err, file.SetTarget(before.Target, before.Condition))
	}
	return snap, nil
}

// Drop forgets a conflict, what was interrupted, or a file whose upload waits; the name shows what the store has, and
// programs that have the file open get ESTALE. It fails with KindBusy while a program writes the file. stored: it came into the store
// before it could be dropped.
func (f *FS) Drop(ctx context.Context, id string) (stored bool, err error) {
	release, err := f.claimKept(id)
	if err != nil {
		return false, err
	}
	defer release()
	file, err := f.byID(id)
	if err != nil {
		return false, err
	}
	if file.State() == staging.StateSealed {
		if stored, err = f.dropWaiting(ctx, file); stored || err != nil {
			return stored, err
		}
	}
	f.log.Info("staged data dropped as it was asked for", slog.String("key", file.Spec().Target.Key), slog.Int64("bytes", file.Size()))
	f.queue.Abandon(file)
	return false, file.Remove()
}

// errDropped is what programs hear of a file whose data was dropped.
var errDropped = errors.New("what was written was dropped by objmount ctl drop")

// dropWaiting takes a file out of the queue and out of its node's hands.
func (f *FS) dropWaiting(ctx context.Context, file *staging.File) (stored bool, err error) {
	n := f.staged.node(file)
	if n == nil { // recovered, and its name was taken since
		obj, err := f.queue.Cancel(ctx, file)
		return obj != nil, err
	}
	n.rlock()
	written := n.writers > 0
	n.runlock()
	if written {
		return false, keptError(file, backend.KindBusy, "a program has it open for writing; let it end first")
	}
	f.hold(n)
	defer f.letGo(n)
	obj, err := f.queue.Cancel(ctx, file)
	if err == nil && obj == nil {
		err = file.SetState(staging.StateInterrupted, errDropped.Error())
	}
	if err != nil || obj != nil {
		f.revive(n)
		return obj != nil, err
	}
	target := file.Spec().Target
	f.cfg.Metadata.Invalidate(target.Bucket, prefixOf(target.Key))
	f.lose(n, errDropped)
	return false, nil
}

// ReadKept writes up to limit bytes of a staged file to w. Ranges that are those of an object are fetched from the
// store: where that version is gone, KindChanged or KindNotExist.
func (f *FS) ReadKept(ctx context.Context, id string, limit int64, w io.Writer) error {
	file, err := f.byID(id)
	if err != nil {
		return err
	}
	for _, e := range file.Extents(0, limit) {
		switch {
		case e.Local && e.Streamed:
			return keptError(file, backend.KindUnsupported, "some of it is only in its unfinished multipart upload, which cannot be read")
		case e.Local:
			_, err = io.Copy(w, file.Reader([]staging.Extent{e}))
		case e.Object == nil:
			_, err = io.CopyN(w, zeros{}, e.Len)
		default:
			err = f.copyRemote(ctx, w, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (f *FS) copyRemote(ctx context.Context, w io.Writer, e staging.Extent) error {
	r := e.Object
	body, err := f.cfg.Store.Get(ctx, backend.ObjectID{Bucket: r.Bucket, Key: r.Key}, backend.GetOptions{
		Range: &backend.Range{Off: e.ObjectOff, Len: e.Len}, IfMatch: r.ETag, VersionID: r.VersionID,
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return errors.Join(err, body.Close())
}
