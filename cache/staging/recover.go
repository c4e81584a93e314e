package staging

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
)

// recover reads the journal, writes a new segment of what still counts, and settles what was left.
func (a *Area) recover() error {
	quarantined, err := a.disk.ReadDir(a.quarantineDir)
	if err != nil {
		return err
	}
	a.quarantined = len(quarantined)
	r := &recovery{area: a, sizes: make(map[string]int64)}
	if err := r.readData(); err != nil {
		return err
	}
	old, err := r.readJournal()
	if err != nil {
		if old != nil {
			old.Close()
		}
		return err
	}
	for _, h := range slices.SortedFunc(maps.Values(r.said.files), func(x, y *history) int { return cmp.Compare(x.file, y.file) }) {
		r.file(h)
	}
	a.journal.mu.Lock()
	err = a.journal.rewriteLocked(old)
	a.journal.mu.Unlock()
	if err != nil {
		if a.journal.file == nil && old != nil {
			old.Close()
		}
		return err
	}
	return r.settle()
}

// recovery is the state of one start.
type recovery struct {
	area  *Area
	sizes map[string]int64 // of the files in data/, by name; those of known files are taken out
	said  *replayed
	later []later
	fixes []record // to be journalled once the new segment is in place
	gone  []uint64 // files whose data is to be unlinked
	holes []*File  // files with space that nothing refers to
}

// later is content that was written after a seal: it becomes a file of its own.
type later struct {
	of      uint64
	content *content
	reason  string
}

func (r *recovery) readData() error {
	entries, err := r.area.disk.ReadDir(r.area.dataDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Dir {
			r.sizes[e.Name] = -1
			continue
		}
		r.sizes[e.Name] = e.Size
	}
	return nil
}

// readJournal replays the segment. What is not understood is copied to quarantine first.
func (r *recovery) readJournal() (DiskFile, error) {
	a := r.area
	r.said = &replayed{}
	file, err := a.disk.Open(path.Join(a.dir, journalName), false)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	segment, err := readSegment(file)
	if err != nil {
		return file, err
	}
	said, err := replay(segment, a.disk.Boot(), a.journal)
	if err != nil {
		return file, err
	}
	r.said = said
	a.intents = said.intents
	if said.torn > 0 {
		a.log.Info("the journal ends in a record that was being written", "bytes", said.torn)
	}
	for _, s := range said.lost {
		a.log.Error("part of the journal is damaged and was put into quarantine", "offset", s.off, "bytes", s.len)
		if err := a.quarantineBytes(fmt.Sprintf("journal-%d", s.off), segment[s.off:s.off+s.len]); err != nil {
			return file, err
		}
	}
	return file, nil
}

// file makes a staged file of what the journal says about it.
func (r *recovery) file(h *history) {
	a := r.area
	a.lastID = max(a.lastID, h.file)
	name := fileName(h.file)
	size, exists := r.sizes[name]
	delete(r.sizes, name)
	if h.removed {
		r.gone = append(r.gone, h.file)
		return
	}
	if h.state == StateScratch && (h.upload == nil || h.upload.UploadID == "") { // else its upload is to be aborted
		r.gone = append(r.gone, h.file)
		r.fixes = append(r.fixes, record{kind: recordRemove, file: h.file})
		return
	}
	power := r.said.boot != a.disk.Boot() && !r.said.closed
	now, state, reason := r.choose(h, size, exists, power)
	if now == nil {
		a.log.Info("dropping a staged file without content", "file", name)
		r.gone = append(r.gone, h.file)
		r.fixes = append(r.fixes, record{kind: recordRemove, file: h.file})
		return
	}
	f := a.fileOf(h.file)
	f.recorded, f.created = true, exists
	f.spec, f.generation, f.state, f.reason = now.spec, now.generation, state, reason
	f.upload = h.upload
	switch {
	case now == h.open:
		f.dirty = true
	case now == h.prev || h.synced:
		f.promise, f.sealSeq, f.seals, f.durable, f.fallback = now, h.sealSeq, 1, true, 1
	default:
		f.promise, f.sealSeq, f.seals, f.dataDirty = now, h.sealSeq, 1, exists
		if h.prev != nil { // until this one is synced, a power failure falls back to that one
			f.seals, f.durable, f.fallback = 2, true, 1
		}
		f.dueLocked()
	}
	f.restore(now, max(size, tailOf(h)))
	a.space.add(f.space.held)
	a.files[f.id] = f
	if len(f.space.dead) > 0 {
		r.holes = append(r.holes, f)
	}
	if state != h.state || reason != h.reason || now == h.prev && state != StateSealed {
		r.fixes = append(r.fixes, stateRecord(f.id, state, reason))
	}
}

// settle does what needs the new segment: later content gets files of its own, states are journalled,
// removed data goes.
func (r *recovery) settle() error {
	a := r.area
	for _, l := range r.later {
		if err := r.split(l); err != nil {
			return err
		}
	}
	if err := r.journalFixes(); err != nil {
		return err
	}
	if err := a.committer.flush(); err != nil {
		return err
	}
	synced := a.journal.syncedSeq()
	for _, f := range r.holes {
		f.space.recorded(synced)
		f.reclaim(synced)
	}
	for _, id := range r.gone {
		if err := a.disk.Remove(path.Join(a.dataDir, fileName(id))); err != nil && !isNotExist(err) {
			return err
		}
		a.journal.forget(id)
	}
	return r.orphans()
}

// journalFixes writes what recovery decided. A seal that is written again has durable data: that is why
// it was chosen.
func (r *recovery) journalFixes() error {
	a := r.area
	if len(r.fixes) == 0 {
		return nil
	}
	seq := a.journal.lastSeq()
	var marks encoder
	for i, fix := range r.fixes {
		if fix.kind == recordSeal {
			f := a.files[fix.file]
			f.sealSeq = seq + 1 + uint64(i)
			marks.uint(f.id)
			marks.uint(f.sealSeq)
		}
	}
	if len(marks.b) > 0 {
		r.fixes = append(r.fixes, record{kind: recordSynced, payload: marks.b})
	}
	_, err := a.journal.append(r.fixes...)
	return err
}

// split makes a file of its own of content that was written after a seal, with a copy of its bytes.
func (r *recovery) split(l later) error {
	a := r.area
	f := a.newFileLocked()
	f.spec, f.generation, f.state, f.reason, f.dirty = l.content.spec, newGeneration(), StateInterrupted, l.reason, true
	list := slices.Clone(l.content.extents)
	if slices.ContainsFunc(list, func(e Extent) bool { return e.Streamed }) {
		f.reason += reasonGiven
	}
	from := a.files[l.of]
	if l.content.local() > 0 && from.created {
		src, err := a.handles.acquire(&from.data, false)
		if err != nil {
			return err
		}
		defer a.handles.release(&from.data)
		dst, err := a.handles.acquire(&f.data, true)
		if err != nil {
			return err
		}
		defer a.handles.release(&f.data)
		if err := f.adoptBytes(list, dst, src); err != nil {
			return err
		}
	}
	f.recorded, f.rewritten = true, true
	f.m.load(pieces(list))
	a.space.add(f.space.held)
	a.files[f.id] = f
	r.fixes = append(r.fixes, f.record(recordCheckpoint, f.contentLocked()), stateRecord(f.id, f.state, f.reason))
	return nil
}

// adoptBytes copies the local bytes of a list from another data file, as far as they are there, and
// changes the list to the new places.
func (f *File) adoptBytes(list []Extent, dst, src DiskFile) error {
	size, err := src.Size()
	if err != nil {
		return err
	}
	streamed := int64(0)
	for i := range list {
		e := &list[i]
		if !e.Local {
			continue
		}
		if e.Streamed { // in the upload of the promise
			e.Pos = f.space.tail
			f.space.tail += e.Len
			streamed += e.Len
			continue
		}
		if n := min(e.Len, size-e.Pos); n > 0 {
			if err := dst.CopyFrom(f.space.tail, src, e.Pos, n); err != nil {
				return err
			}
		}
		e.Pos = f.space.tail
		f.space.tail += e.Len
	}
	f.created, f.space.held, f.space.sealed = true, f.space.tail-streamed, f.space.tail
	f.area.namesDirty.Store(true)
	return dst.Sync()
}

// orphans puts files of data/ that the journal does not know into quarantine.
func (r *recovery) orphans() error {
	a := r.area
	for _, name := range slices.Sorted(maps.Keys(r.sizes)) {
		from := path.Join(a.dataDir, name)
		if r.sizes[name] == 0 { // nothing in it to keep
			if err := a.disk.Remove(from); err != nil {
				return err
			}
			continue
		}
		a.log.Error("staging holds a file that its journal does not know; it was put into quarantine", "file", name)
		to, err := a.quarantineName("data-" + name)
		if err != nil {
			return err
		}
		if err := a.disk.Rename(from, to); err != nil {
			return err
		}
	}
	return nil
}

// quarantineName is a path in quarantine/ that is free.
func (a *Area) quarantineName(name string) (string, error) {
	entries, err := a.disk.ReadDir(a.quarantineDir)
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(entries))
	for _, e := range entries {
		taken[e.Name] = true
	}
	free := name
	for i := 1; taken[free]; i++ {
		free = fmt.Sprintf("%s.%d", name, i)
	}
	a.quarantined++
	return path.Join(a.quarantineDir, free), nil
}

// quarantineBytes keeps a copy of bytes, durably.
func (a *Area) quarantineBytes(name string, b []byte) error {
	to, err := a.quarantineName(name)
	if err != nil {
		return err
	}
	file, err := a.disk.Open(to, true)
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(b, 0); err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return a.disk.SyncDir(a.quarantineDir)
}
