package staging

import "slices"

// span is a range: of the segment, where it holds one frame, or of a data file.
type span struct{ off, len int64 }

// trail is which records of one file are still needed to recover it: the others are left out when
// the journal is compacted. It follows the same rules as history (replay.go).
type trail struct {
	seal     span   // the promise: content that must be uploaded
	sealSeq  uint64 // its sequence
	synced   bool   // the data of the seal is durable
	mods     []span // specs and rebases after seal or open
	prev     span   // the last seal with durable data, while that of seal is not
	prevSeq  uint64
	prevMods []span
	open     span // begin, checkpoint or commit: content that is being written
	state    span
	upload   span
	parts    map[int32]span
	gone     span // remove: needed until the data file is unlinked
}

// all returns the spans that are live.
func (t *trail) all() []span {
	list := slices.Concat([]span{t.seal, t.prev, t.open, t.state, t.upload, t.gone}, t.mods, t.prevMods)
	for _, s := range t.parts {
		list = append(list, s)
	}
	return slices.DeleteFunc(list, func(s span) bool { return s.len == 0 })
}

// note takes in one record that was appended or found.
func (t *trail) note(f frame) {
	s := span{f.off, f.size()}
	switch f.kind {
	case recordBegin, recordCheckpoint:
		t.open, t.gone = s, span{}
		if t.seal.len == 0 {
			t.mods = nil
		}
	case recordSeal:
		next := trail{seal: s, sealSeq: f.seq, upload: t.upload, parts: t.parts}
		if t.synced {
			next.prev, next.prevSeq, next.prevMods = t.seal, t.sealSeq, t.mods
		} else if t.prev.len > 0 {
			next.prev, next.prevSeq, next.prevMods = t.prev, t.prevSeq, append(t.prevMods, t.mods...)
		}
		*t = next
	case recordSpec, recordRebase:
		t.mods = append(t.mods, s)
	case recordState:
		t.state = s
	case recordCommit:
		*t = trail{open: s}
	case recordRemove:
		*t = trail{gone: s}
	case recordUpload:
		t.upload, t.parts = s, nil
	case recordPart:
		if t.parts == nil {
			t.parts = make(map[int32]span)
		}
		d := decoder{b: f.payload}
		t.parts[int32(d.int())] = s
	case recordNoUpload:
		t.upload, t.parts = span{}, nil
	case recordNoOpen:
		t.open = span{}
	}
}

// markSynced takes in that the data of the seal with that sequence is durable.
func (t *trail) markSynced(seq uint64) {
	if t.sealSeq == seq && t.seal.len > 0 {
		t.synced = true
		t.prev, t.prevSeq, t.prevMods = span{}, 0, nil
	}
}

// durableSeal is the sequence of the newest seal whose data is durable, or 0.
func (t *trail) durableSeal() uint64 {
	switch {
	case t.synced:
		return t.sealSeq
	case t.prev.len > 0:
		return t.prevSeq
	}
	return 0
}
