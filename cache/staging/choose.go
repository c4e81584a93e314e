package staging

import (
	"cmp"
	"slices"
)

// Reasons of recovered files.
const (
	reasonKilled  = "the mount ended while the file was being written"
	reasonGuess   = "the mount ended within a second of the first write; the bytes after it are assumed to be in the order they were written"
	reasonPower   = "power failed within a second of the close; bytes may be missing"
	reasonMissing = "bytes are missing on the disk"
	reasonDamaged = "a record of the journal is damaged"
	reasonLater   = "written after the last close or fsync when the mount ended"
	reasonGiven   = "; what was given back before that is only in the object of that close"
)

// choose decides which content of a file counts, and what state it is in. nil: nothing was promised
// and nothing is left.
func (r *recovery) choose(h *history, size int64, exists, power bool) (*content, State, string) {
	if h.seal == nil {
		return r.chooseOpen(h, size, exists, power)
	}
	now, state, reason := h.seal, h.state, h.reason
	rest, restReason := h.open, reasonLater
	if power && !h.synced && h.seal.local() > 0 {
		switch {
		case h.prev != nil: // durable; what followed it may not be
			if now = h.prev; rest == nil {
				rest, restReason = h.seal, reasonPower
			}
			r.fixes = append(r.fixes, record{kind: recordSeal, file: h.file, payload: now.encode()})
		case !exists && state == StateSealed: // never on the disk, or removed after the upload
			return nil, 0, ""
		case state == StateSealed:
			state, reason = StateInterrupted, reasonPower
		}
	}
	switch {
	case h.damaged && (state == StateSealed || state == StateOpen):
		state, reason = StateInterrupted, reasonDamaged
	case state != StateSealed:
	case now.local() > max(size, 0):
		state, reason = StateInterrupted, reasonMissing
	}
	if rest != nil && !(rest.size == now.size && SameContent(rest.extents, now.extents)) {
		r.later = append(r.later, later{of: h.file, content: rest, reason: restReason})
	}
	if h.open != nil {
		r.fixes = append(r.fixes, record{kind: recordNoOpen, file: h.file})
	}
	return now, state, reason
}

func (r *recovery) chooseOpen(h *history, size int64, exists, power bool) (*content, State, string) {
	now := h.open
	if now == nil {
		return nil, 0, ""
	}
	keep := h.state == StateConflict || h.state == StateInterrupted || h.state == StateScratch
	grown := size - now.tail // bytes the record does not know
	switch {
	case h.begun && grown > 0:
		guess := *now
		var m extentMap
		m.load(pieces(now.extents))
		if now.first > m.size {
			m.truncate(now.first)
		}
		m.replace(piece{Extent: Extent{Off: now.first, Len: grown, Local: true, Pos: now.tail}})
		guess.extents, guess.size, guess.tail = m.extents(0, m.size), m.size, size
		r.fixes = append(r.fixes, record{kind: recordCheckpoint, file: h.file, payload: guess.encode()})
		h.open, now = &guess, &guess
		if !keep {
			return now, StateInterrupted, reasonGuess
		}
	case keep:
	case h.begun, power && !exists && now.local() > 0:
		return nil, 0, ""
	}
	switch {
	case keep:
		return now, h.state, h.reason
	case h.damaged:
		return now, StateInterrupted, reasonDamaged
	case now.local() > max(size, 0):
		return now, StateInterrupted, reasonMissing
	case h.reason != "":
		return now, StateInterrupted, h.reason
	}
	return now, StateInterrupted, reasonKilled
}

// local is the end of the local bytes in the data file.
func (c *content) local() int64 {
	last := int64(0)
	for _, e := range c.extents {
		if e.Local && !e.Streamed {
			last = max(last, e.Pos+e.Len)
		}
	}
	return last
}

// tailOf is a position that no record of a file goes beyond.
func tailOf(h *history) int64 {
	tail := int64(0)
	for _, c := range []*content{h.seal, h.prev, h.open} {
		if c != nil {
			tail = max(tail, c.tail, c.local())
		}
	}
	if h.upload != nil {
		for _, p := range h.upload.Parts {
			tail = max(tail, (&content{extents: p.Content}).local())
		}
	}
	return tail
}

func pieces(list []Extent) []piece {
	out := make([]piece, len(list))
	for i, e := range list {
		out[i] = piece{Extent: e, frozen: e.Local}
	}
	return out
}

// restore makes a recorded content the file's. What it does not refer to is dead space; of a file with
// a durable seal to fall back to, that seal may refer to it.
func (f *File) restore(c *content, tail int64) {
	f.m.load(pieces(c.extents))
	f.space.tail = tail
	f.rewritten = true // perhaps: nobody knows
	if !f.created {
		return
	}
	f.space.held = tail
	if f.seals > 1 {
		f.space.sealed = tail
	}
	var used []span
	for _, e := range c.extents {
		if e.Local && !e.Streamed {
			used = append(used, span{e.Pos, e.Len})
		}
	}
	slices.SortFunc(used, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	pos := int64(0)
	for _, s := range append(used, span{tail, 0}) {
		if s.off > pos {
			f.space.kill(pos, s.off-pos, false, f.fallback)
		}
		pos = max(pos, s.off+s.len)
	}
	f.space.sealed = tail
}
