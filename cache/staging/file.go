package staging

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// File is one staged file. Its methods are safe for concurrent use and never wait for the network.
// After Remove the ones that change it fail with KindNotExist.
type File struct {
	area *Area
	id   uint64
	data dataFile // own lock: handles.mu

	syncMu sync.Mutex // held while the data is synced; before mu

	mu sync.Mutex
	// Guarded by mu.
	spec       Spec
	state      State
	reason     string
	generation string
	dirty      bool // changed since the last seal
	m          extentMap
	space      space
	upload     *Upload

	created   bool        // the data file exists
	recorded  bool        // the journal has records of it that do not say it is gone
	promise   *content    // sealed and not committed, as the journal has it; replaced, never changed
	sealSeq   uint64      // sequence of its record
	seals     uint64      // made so far; numbers the snapshots
	snapshots []*Snapshot // not released, ascending
	stored    uint64      // number of the last one that is stored
	mapDue    bool        // the map is newer than its last record
	dataDirty bool        // local data may not be on the disk
	durable   bool        // the disk had a seal together with its data
	fallback  uint64      // number of the last such seal, until its promise is kept; 0: none
	syncErr   error       // the disk refused data; kept for ever
	nextMap   time.Time   // not before this is the map of an unsealed file journalled
	removed   bool
	pending   bool // in Area.due
	rewritten bool // not only appended to
}

// Snapshot is the content of a file at a Seal. Its bytes never change until its Release. Where they
// are can: when an earlier snapshot of the file is Committed, or by Rebase, Extents and Spec are
// replaced by ones that name the object which has the bytes now, and the condition that holds now.
// So an upload takes both by Current when it begins.
type Snapshot struct {
	File       *File
	Generation string
	Size       int64
	Extents    []Extent // gapless from 0 to Size
	Spec       Spec

	number  uint64
	release sync.Once
}

// Current returns the snapshot's Extents and Spec as they are now; the list is never changed.
func (s *Snapshot) Current() ([]Extent, Spec) {
	s.File.mu.Lock()
	defer s.File.mu.Unlock()
	return s.Extents, s.Spec
}

// Release ends the use of a snapshot: space that was overwritten since may be given back. More
// than one call does no harm.
func (s *Snapshot) Release() {
	s.release.Do(func() { s.File.released(s) })
}

func newGeneration() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// ID is unique for ever, and names the data file.
func (f *File) ID() string { return fileName(f.id) }

func fileName(id uint64) string { return fmt.Sprintf("%016x", id) }

// Spec returns what the file is to become. Its maps are shared: do not change them.
func (f *File) Spec() Spec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec
}

// State returns how far the file got.
func (f *File) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// Reason says why the file is in conflict or interrupted.
func (f *File) Reason() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason
}

// Size is the file's size in bytes.
func (f *File) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.m.size
}

// Generation identifies the content as it is now. A new one begins with the first change after a Seal.
func (f *File) Generation() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.generation
}

// Dirty tells whether bytes, size or properties were changed since the last Seal.
func (f *File) Dirty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dirty
}

// Extents returns where the bytes of [off, off+n) are, cut at the size: ascending, gapless, joined
// as far as possible. The list is the caller's.
func (f *File) Extents(off, n int64) []Extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.m.extents(off, end(off, n))
}

// References tells whether any extent, of the file or of a snapshot that is not released, refers
// to a version of that object. An extent that has its bytes here too counts.
func (f *File) References(bucket, key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := false
	f.m.each(0, f.m.size, func(p piece) bool {
		found = p.Object != nil && p.Object.Bucket == bucket && p.Object.Key == key
		return !found
	})
	for i := 0; i < len(f.snapshots) && !found; i++ {
		found = slices.ContainsFunc(f.snapshots[i].Extents, func(e Extent) bool {
			return e.Object != nil && e.Object.Bucket == bucket && e.Object.Key == key
		})
	}
	return found
}

// end is off+n without overflow.
func end(off, n int64) int64 {
	if n > 0 && off+n < off {
		return 1<<63 - 1
	}
	return off + n
}

// SetTarget changes where the file goes and on which condition: a rename before the upload. It does
// not make the file dirty. Snapshots keep the target they were made with. KindBusy for another target of
// a file with streamed ranges: an upload has one key.
func (f *File) SetTarget(target backend.ObjectID, condition backend.Condition) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("rename"); err != nil {
		return err
	}
	if target != f.spec.Target && f.m.streamed(0, f.m.size) {
		return f.busyLocked("rename")
	}
	spec := f.spec
	spec.Target, spec.Condition = target, condition
	if f.recorded {
		var e encoder
		e.spec(Spec{Target: target, Condition: condition})
		if err := f.journalLocked(record{kind: recordSpec, file: f.id, payload: e.b}); err != nil {
			return err
		}
	}
	f.spec = spec
	if f.promise != nil {
		promise := *f.promise
		promise.spec.Target, promise.spec.Condition = target, condition
		f.promise = &promise
	}
	return nil
}

// SetProperties changes headers, metadata, tags and the like, and makes the file dirty.
func (f *File) SetProperties(p backend.Properties) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("set properties"); err != nil {
		return err
	}
	f.spec.Properties = p.Clone()
	f.changedLocked()
	return nil
}

// SetState records that the file lost (StateConflict), that its writer did not finish
// (StateInterrupted), that what it holds now is to be uploaded after all (StateSealed), or that it is
// not, which takes the promise of its last seal back: StateOpen is interrupted after a crash, with that
// reason, and StateScratch is gone. So a file becomes StateScratch only when it is certain, and in the journal
// before, that nobody but the programs that have it open will ask for its bytes; its multipart upload
// was cancelled before. Both can be sealed again. StateCommitted is set by Committed only.
func (f *File) SetState(state State, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usableLocked("set state"); err != nil {
		return err
	}
	var records []record
	switch state {
	case StateSealed:
		return f.sealLocked()
	case StateOpen, StateScratch:
		if !f.recorded && state == StateScratch { // its first record says it
			f.state, f.reason = state, reason
			return nil
		}
		records = f.unsealLocked(state)
	case StateConflict, StateInterrupted:
		if !f.recorded || f.mapDue {
			records = append(records, f.record(recordCheckpoint, f.contentLocked()))
		}
	default:
		return refuse(backend.KindInvalid, "set state", f.spec.Target, "a staged file cannot be made "+state.String())
	}
	records = append(records, stateRecord(f.id, state, reason))
	if err := f.journalLocked(records...); err != nil {
		return err
	}
	if state == StateOpen || state == StateScratch {
		f.promise, f.fallback = nil, 0
	}
	f.state, f.reason = state, reason
	return nil
}

// unsealLocked returns the records of a file without a promise: its content, and its upload.
func (f *File) unsealLocked(state State) []record {
	c := f.contentLocked()
	c.state = state
	records := []record{f.record(recordCommit, c)}
	if f.upload != nil {
		records = append(records, f.uploadRecord(f.upload))
		for _, p := range f.upload.Parts {
			records = append(records, f.partRecord(p))
		}
	}
	return records
}

func stateRecord(file uint64, state State, reason string) record {
	var e encoder
	e.uint(uint64(state))
	e.string(reason)
	return record{kind: recordState, file: file, payload: e.b}
}

// usableLocked refuses changes of a removed file.
func (f *File) usableLocked(op string) error {
	if f.removed {
		return refuse(backend.KindNotExist, op, f.spec.Target, errRemoved.Error())
	}
	return nil
}

// changedLocked begins a new generation when this is the first change after a seal, and sees to it
// that the journal gets the new map within a second.
func (f *File) changedLocked() {
	if !f.dirty {
		f.dirty = true
		if f.seals > 0 {
			f.generation = newGeneration()
		}
		if f.state == StateCommitted {
			f.state = StateOpen
		}
	}
	f.mapDue = true
	f.dueLocked()
}

// dueLocked puts the file on the list that the sync goroutine works through.
func (f *File) dueLocked() {
	if !f.pending && !f.removed {
		f.pending = true
		f.area.addDue(f)
	}
}

// contentLocked is the file as it is now.
func (f *File) contentLocked() content {
	return content{
		state: f.state, generation: f.generation, spec: f.spec, size: f.m.size,
		tail: f.space.tail, extents: f.m.extents(0, f.m.size),
	}
}

func (f *File) record(kind recordType, c content) record {
	return record{kind: kind, file: f.id, payload: c.encode()}
}

// journalLocked appends records of this file by one write.
func (f *File) journalLocked(records ...record) error {
	last, err := f.area.journal.append(records...)
	if err != nil {
		return diskError("journal", f.spec.Target, err)
	}
	f.recorded = true
	for i, r := range records {
		seq := last - uint64(len(records)-1-i)
		switch r.kind {
		case recordSeal:
			f.sealSeq = seq
			fallthrough
		case recordCheckpoint, recordCommit, recordRemove:
			f.mapDue = false
			f.space.recorded(seq)
			f.recorded = r.kind != recordRemove
		}
	}
	f.area.committer.wakeUp()
	return nil
}
