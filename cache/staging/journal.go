package staging

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
)

const (
	journalName = "journal"
	journalTemp = "journal.new"
	// compactAt is the size in bytes below which a journal is not worth compacting.
	compactAt = 4 << 20
)

// journal is the append-only log of one area: a single segment, which compaction replaces by a
// new one. Appending is one write without a sync. mu is a leaf lock below File.mu; it is not held
// while the disk syncs, except by compaction. sync and compact are called by one goroutine at a
// time (the holder of committer.run).
type journal struct {
	disk Disk
	dir  string
	boot string

	mu      sync.Mutex
	file    DiskFile
	end     int64  // where the next frame goes
	seq     uint64 // of the last record
	durable int64  // everything before this offset is synced
	synced  uint64 // sequence up to which everything is synced
	trails  map[uint64]*trail
	intents map[uint64]span
	marks   map[uint64]uint64 // while a segment is read or made: the newest durable seal of each file
	checkAt int64             // size at which to look again whether compaction pays
	broken  error             // the segment cannot be trusted; compaction mends it
	buf     []byte
}

func newJournal(disk Disk, dir string) *journal {
	return &journal{
		disk: disk, dir: dir, boot: disk.Boot(),
		trails: make(map[uint64]*trail), intents: make(map[uint64]span),
	}
}

// append writes records by one write and returns the sequence of the last. On an error none of
// them counts.
func (j *journal) append(records ...record) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(records...)
}

func (j *journal) appendLocked(records ...record) (uint64, error) {
	if j.file == nil {
		return 0, errClosed
	}
	if j.broken != nil {
		return 0, j.broken
	}
	j.buf = j.buf[:0]
	seq := j.seq
	for _, r := range records {
		if len(r.payload) > maxPayload {
			return 0, fmt.Errorf("a journal record of %d bytes is too large", len(r.payload))
		}
		seq++
		j.buf = appendFrame(j.buf, r, seq, j.durable)
	}
	first := j.seq + 1
	j.seq = seq // used up even if the write fails: what it left behind must not look newer
	if _, err := j.file.WriteAt(j.buf, j.end); err != nil {
		if cutErr := j.file.Truncate(j.end); cutErr != nil {
			j.broken = fmt.Errorf("the journal holds half a record: %w", errors.Join(err, cutErr))
		}
		return 0, err
	}
	for i, r := range records {
		f := frame{record: r, seq: first + uint64(i), off: j.end}
		j.note(f)
		j.end += f.size()
	}
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return seq, nil
}

// note keeps account of which frames are needed.
func (j *journal) note(f frame) {
	switch f.kind {
	case recordSession, recordClosed:
	case recordSynced:
		for file, seq := range syncedPairs(f.payload) {
			if t := j.trails[file]; t != nil {
				t.markSynced(seq)
			}
		}
	case recordIntent:
		j.intents[f.file] = span{f.off, f.size()}
	case recordNoIntent:
		delete(j.intents, f.file)
	default:
		t := j.trails[f.file]
		if t == nil {
			t = &trail{}
			j.trails[f.file] = t
		}
		t.note(f)
		if f.kind == recordSeal && j.marks[f.file] == f.seq {
			t.markSynced(f.seq)
		}
	}
}

// forget says that nothing of a file is left on the disk.
func (j *journal) forget(file uint64) {
	j.mu.Lock()
	delete(j.trails, file)
	j.mu.Unlock()
}

// unsynced tells whether records wait for a sync.
func (j *journal) unsynced() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken != nil || j.durable < j.end
}

// lastSeq is the sequence of the last record.
func (j *journal) lastSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seq
}

// syncedSeq is the sequence up to which all records are durable.
func (j *journal) syncedSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced
}

// sync makes everything that was appended before the call durable. A segment whose sync failed is
// replaced at once: the kernel may have dropped what it could not write.
func (j *journal) sync() error {
	j.mu.Lock()
	file, end, seq := j.file, j.end, j.seq
	broken := j.broken
	j.mu.Unlock()
	if file == nil {
		return errClosed
	}
	if broken == nil {
		err := file.Sync()
		if err == nil {
			j.mu.Lock()
			j.durable, j.synced = end, max(j.synced, seq)
			j.mu.Unlock()
			return nil
		}
		j.mu.Lock()
		j.broken = fmt.Errorf("the journal could not be synced: %w", err)
		j.mu.Unlock()
	}
	return j.compact()
}

// wasteful tells whether most of the segment is not needed any more.
func (j *journal) wasteful() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.end < max(compactAt, j.checkAt) {
		return false
	}
	live := int64(0)
	for _, t := range j.trails {
		for _, s := range t.all() {
			live += s.len
		}
	}
	for _, s := range j.intents {
		live += s.len
	}
	j.checkAt = 2 * live
	return live < j.end/2
}

// compact writes the records that are needed to a new segment, syncs it and renames it into place.
func (j *journal) compact() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return errClosed
	}
	err := j.rewriteLocked(j.file)
	if err != nil {
		j.checkAt = 2 * j.end // not again every second
	}
	return err
}

// rewriteLocked makes a new segment of the live frames of the old one.
func (j *journal) rewriteLocked(old DiskFile) error {
	spans := make([]span, 0, len(j.trails)*2+len(j.intents))
	for _, t := range j.trails {
		spans = append(spans, t.all()...)
	}
	for _, s := range j.intents {
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.off, b.off) })

	temp := path.Join(j.dir, journalTemp)
	if err := j.disk.Remove(temp); err != nil && !isNotExist(err) {
		return err
	}
	file, err := j.disk.Open(temp, true)
	if err != nil {
		return err
	}
	next := &journal{
		disk: j.disk, dir: j.dir, boot: j.boot, file: file, seq: j.seq,
		trails: make(map[uint64]*trail), intents: make(map[uint64]span),
	}
	if err := next.fill(old, spans, j.trails); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := j.disk.Rename(temp, path.Join(j.dir, journalName)); err != nil {
		return errors.Join(err, file.Close())
	}
	// From here on the new segment counts, whatever the directory's sync says.
	j.file, j.end, j.durable, j.seq, j.synced = file, next.end, next.end, next.seq, next.seq
	j.trails, j.intents, j.broken = next.trails, next.intents, nil
	if old != nil {
		old.Close() // it has no name any more
	}
	if err := j.disk.SyncDir(j.dir); err != nil {
		j.broken = fmt.Errorf("the directory of the journal could not be synced: %w", err)
		return j.broken
	}
	return nil
}

// fill writes a whole segment: the session, the frames at spans of old, and which seals are durable.
//
// The marks about durable data are made anew, in one record at the end.
func (j *journal) fill(old DiskFile, spans []span, trails map[uint64]*trail) error {
	buf := segmentHeader()
	add := func(r record, seq uint64) {
		f := frame{record: r, seq: seq, off: j.end + int64(len(buf))}
		buf = appendFrame(buf, r, seq, 0)
		j.note(f)
	}
	flush := func(limit int) error {
		if len(buf) <= limit {
			return nil
		}
		n, err := j.file.WriteAt(buf, j.end)
		j.end += int64(n)
		buf = buf[:0]
		return err
	}
	var e encoder
	j.marks = make(map[uint64]uint64)
	for file, t := range trails {
		if seq := t.durableSeal(); seq != 0 {
			j.marks[file] = seq
			e.uint(file)
			e.uint(seq)
		}
	}
	add(record{kind: recordSession, payload: []byte(j.boot)}, 0)
	for _, s := range spans {
		raw := make([]byte, s.len)
		if _, err := old.ReadAt(raw, s.off); err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		f, state := parseFrame(raw, 0)
		if state != frameGood {
			return errors.New("a record of the journal was damaged while it was in use")
		}
		add(f.record, f.seq)
		if err := flush(1 << 20); err != nil {
			return err
		}
	}
	// The last frame says that everything before it was synced: the segment gets its name later.
	j.seq++
	last := record{kind: recordSynced, payload: e.b}
	f := frame{record: last, seq: j.seq, off: j.end + int64(len(buf))}
	buf = appendFrame(buf, last, j.seq, f.off)
	j.note(f)
	if err := flush(0); err != nil {
		return err
	}
	j.marks = nil
	return j.file.Sync()
}

// finish notes an orderly end: everything is durable.
func (j *journal) finish() error {
	if _, err := j.append(record{kind: recordClosed}); err != nil {
		return err
	}
	return j.sync()
}

// close closes the segment and syncs nothing.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// syncedPairs reads the payload of a recordSynced: file numbers and sequences of their seals.
func syncedPairs(payload []byte) map[uint64]uint64 {
	pairs := make(map[uint64]uint64)
	for d := (decoder{b: payload}); len(d.b) > 0; {
		file := d.uint()
		seq := d.uint()
		if d.err == nil {
			pairs[file] = seq
		}
	}
	return pairs
}
