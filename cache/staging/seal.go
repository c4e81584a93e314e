package staging

import (
	"slices"
)

// Freeze returns the extents of [off, off+n) as Extents does, and makes their local bytes
// immutable: later writes go to new space. It is for parts that are uploaded while the file is
// written. The bytes stay readable until ForgetUpload, Committed, or the Release of a later
// snapshot, whichever is first: no part may be on its way then.
func (f *File) Freeze(off, n int64) []Extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m.rewrite(max(off, 0), end(off, n), func(p *piece) { p.frozen = p.Local })
	f.space.streams, f.space.frozenAt = true, f.seals
	return f.m.extents(off, end(off, n))
}

// Seal promises the content as it is now: it writes one journal record with the whole map and
// makes the file StateSealed. Without fsynced nothing is synced before it returns; the data and the
// record are within a second. With fsynced both are durable when it returns, in one sync with
// others that wait. Release the snapshot.
func (f *File) Seal(fsynced bool) (*Snapshot, error) {
	s, err := f.seal()
	if err != nil || !fsynced {
		return s, err
	}
	if err := f.area.committer.sync(f); err != nil {
		s.Release()
		return nil, err
	}
	return s, nil
}

func (f *File) seal() (*Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("seal"); err != nil {
		return nil, err
	}
	if f.dirty || f.mapDue || f.promise == nil || f.state != StateSealed {
		if err := f.sealLocked(); err != nil {
			return nil, err
		}
	}
	p := f.promise
	s := &Snapshot{File: f, Generation: p.generation, Size: p.size, Spec: p.spec, Extents: p.extents, number: f.seals}
	f.snapshots = append(f.snapshots, s)
	return s, nil
}

// sealLocked writes the record of a seal.
func (f *File) sealLocked() error {
	f.m.freeze()
	promise := f.contentLocked()
	promise.state = StateSealed
	if err := f.journalLocked(f.record(recordSeal, promise)); err != nil {
		return err
	}
	f.promise = &promise
	f.state, f.reason, f.dirty = StateSealed, "", false
	f.seals++
	f.space.sealed = f.space.tail
	f.dueLocked()
	return nil
}

// DropStored lets go of local bytes that an object has too, to make room: a file that stays open for
// writing would keep all it ever committed. They are read from the object afterwards. The content
// does not change. The caller makes sure that nobody uses extents that were taken before, but for
// snapshots and frozen ones.
func (f *File) DropStored() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("drop"); err != nil {
		return err
	}
	dropped := false
	f.m.rewrite(0, f.m.size, func(p *piece) {
		if p.Local && p.Object != nil {
			f.space.kill(p.Pos, p.Len, p.frozen, f.seals)
			p.Local, p.Pos, p.frozen, dropped = false, 0, false, true
		}
	})
	switch {
	case !dropped:
		return nil
	case f.recorded:
		f.mapDue = true
	default: // committed: no record refers to any of its bytes
		f.space.recorded(f.area.journal.lastSeq())
	}
	f.dueLocked()
	return nil
}

// Sync makes the data and the journal's record of the file durable, in one sync with others that wait.
func (f *File) Sync() error {
	f.mu.Lock()
	err := f.usableLocked("sync")
	if err == nil && f.mapDue {
		err = f.journalLocked(f.record(recordCheckpoint, f.contentLocked()))
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.area.committer.sync(f)
}

// released ends a snapshot.
func (f *File) released(s *Snapshot) {
	f.mu.Lock()
	f.snapshots = slices.DeleteFunc(f.snapshots, func(t *Snapshot) bool { return t == s })
	f.unstreamLocked(s.number)
	last := f.removed && len(f.snapshots) == 0
	f.mu.Unlock()
	if last {
		f.area.discard(f)
	}
}

// Committed says that a snapshot is stored as r. Extents that are still the snapshot's are r's now,
// also those of later snapshots; the condition of the next commit is r's ETag, unless the target was
// changed meanwhile; the multipart upload is forgotten. clean tells that nothing was changed since:
// the file is StateCommitted then. Else it stays StateSealed when it was sealed again or has another
// target now, and is StateOpen when it was only changed.
// Memory is right also when the journal fails; after a crash the upload is then repeated.
func (f *File) Committed(s *Snapshot, r *Remote) (clean bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removed {
		return false, nil
	}
	if s.number < f.stored { // a later one is stored already
		return f.state == StateCommitted, nil
	}
	f.stored = s.number
	waits := f.promise != nil && f.promise.generation != s.Generation
	now := newReplacement(s, r, waits || slices.ContainsFunc(f.snapshots, func(t *Snapshot) bool { return t.number > s.number }))
	now.apply(&f.m)
	now.spec(&f.spec)
	for _, later := range f.snapshots {
		if later != s && later.number >= s.number {
			later.Extents = now.extents(later.Extents)
			now.spec(&later.Spec)
		}
	}
	f.upload = nil
	f.unstreamLocked(1<<64 - 1)
	switch p := f.promise; {
	case f.state == StateCommitted: // the same content was stored again
		return true, nil
	case p != nil && p.generation == s.Generation && p.spec.Target == s.Spec.Target:
		return f.fulfilledLocked()
	case p == nil && !f.dirty && f.generation == s.Generation && f.spec.Target == s.Spec.Target: // taken back too late
		return f.fulfilledLocked()
	}
	return false, f.stillSealedLocked(now)
}

// fulfilledLocked ends the promise of the last seal.
func (f *File) fulfilledLocked() (clean bool, err error) {
	f.promise, f.fallback = nil, 0
	if !f.dirty {
		f.state, f.reason = StateCommitted, ""
		return true, f.journalLocked(record{kind: recordRemove, file: f.id})
	}
	if f.state == StateSealed {
		f.state = StateOpen
	}
	if err := f.journalLocked(f.record(recordCommit, f.contentLocked())); err != nil {
		f.mapDue = true
		f.dueLocked()
		return false, err
	}
	return false, nil
}

// stillSealedLocked writes again what is promised: on another condition, and with other places.
func (f *File) stillSealedLocked(now *replacement) error {
	records := []record{{kind: recordNoUpload, file: f.id}}
	var promise *content
	if f.promise != nil {
		c := *f.promise
		c.extents = now.extents(c.extents)
		now.spec(&c.spec)
		promise = &c
		records = append(records, f.record(recordSeal, c))
	}
	if f.dirty || promise == nil {
		records = append(records, f.record(recordCheckpoint, f.contentLocked()))
	}
	if promise != nil {
		f.promise = promise
	}
	if err := f.journalLocked(records...); err != nil {
		return err
	}
	f.dueLocked()
	return nil
}

// Rebase makes references to old references to now, also in snapshots: an object was copied onto
// itself and got another ETag, or it was renamed. The content counts as unchanged.
func (f *File) Rebase(old, now *Remote) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("rebase"); err != nil {
		return err
	}
	upload := f.upload
	if upload != nil {
		upload = upload.rebased(old, now)
	}
	if f.recorded {
		var e encoder
		e.remote(old)
		e.remote(now)
		records := []record{{kind: recordRebase, file: f.id, payload: e.b}}
		if upload != nil { // parts outlive the next seal, a rebase does not
			for _, p := range upload.Parts {
				records = append(records, f.partRecord(p))
			}
		}
		if err := f.journalLocked(records...); err != nil {
			return err
		}
	}
	f.upload = upload
	f.m.rewrite(0, f.m.size, func(p *piece) {
		if p.Object != nil && p.Object.same(old) {
			p.Object = now
		}
	})
	f.spec.rebase(old, now)
	if f.promise != nil {
		promise := *f.promise
		promise.extents = rebased(promise.extents, old, now)
		promise.spec.rebase(old, now)
		f.promise = &promise
	}
	for _, s := range f.snapshots {
		s.Extents = rebased(s.Extents, old, now)
		s.Spec.rebase(old, now)
	}
	return nil
}
