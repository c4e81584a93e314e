package writeback

import "github.com/objmount/objmount/cache/staging"

// roomParts is how many parts of a growing file fit under the staging limit at least, if the store's limits
// allow that: one that is written, and others on their way.
const roomParts = 8

// streamPart is the usual size of the parts of a growing file.
func (q *Queue) streamPart(f *staging.File) int64 {
	if most := f.Limit() / roomParts; most > 0 {
		return min(q.cfg.PartSize, most)
	}
	return q.cfg.PartSize
}

// MakeRoom is called when a write to the file found no room in staging: from now on the local bytes of each
// part that goes up while the file is written are given back when the store has it. That needs a file which is
// written strictly from its start to its end (staging.File.DropPart); for others it does nothing. Until
// the file's commit its upload is then the only place that has those bytes. It returns how many bytes went up
// this way so far: when that grows, waiting for room pays.
func (q *Queue) MakeRoom(f *staging.File) int64 {
	q.Grown(f) // a part may have failed
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.files[f]
	if e == nil || e.stream == nil || e.stream.halted {
		return 0
	}
	e.stream.frugal = true
	e.stream.giveBackLocked()
	return e.stream.bytes
}

// giveBackLocked gives back the parts that the store has.
func (s *stream) giveBackLocked() {
	if !s.frugal || s.halted {
		return
	}
	for _, number := range s.stored {
		s.file.DropPart(number)
	}
	s.stored = nil
}
