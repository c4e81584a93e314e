package staging

import (
	"cmp"
	"slices"
)

// space keeps account of the positions of a data file. Positions are given out in ascending order
// and never twice, so that a frozen position names its bytes for ever.
type space struct {
	tail     int64      // the next position
	held     int64      // bytes that count against the limit
	sealed   int64      // the tail at the last seal: what lies before is in that snapshot, if anywhere
	dead     []deadSpan // not in the map any more, not given back yet
	streams  bool       // a Freeze was made whose parts may be on their way
	frozenAt uint64     // number of seals made at the last Freeze
	gaps     []span     // given back; ascending, not touching
}

// deadSpan is a range of the data file that the map does not refer to any more.
type deadSpan struct {
	span
	seal   uint64 // snapshots up to this number may refer to it; 0: none
	died   uint64 // number of seals made when it died
	record uint64 // sequence of the first record that does not refer to it; 0: not written yet
	stream bool   // a part made of it may be on its way
}

// kill notes that the map dropped a range, when so many seals were made.
func (s *space) kill(pos, n int64, frozen bool, seals uint64) {
	d := deadSpan{span: span{pos, n}, died: seals}
	if pos < s.sealed {
		d.seal = seals
	}
	d.stream = frozen && s.streams
	if k := len(s.dead) - 1; k >= 0 {
		last := s.dead[k]
		last.span = span{last.off + last.len, n}
		if last == d {
			s.dead[k].len += n
			return
		}
	}
	s.dead = append(s.dead, d)
}

// recorded says that the journal has a map without the dead ranges.
func (s *space) recorded(seq uint64) {
	for i := range s.dead {
		if s.dead[i].record == 0 {
			s.dead[i].record = seq
		}
	}
}

// unstream says that no part is on its way that was frozen before that many seals were made.
func (s *space) unstream(seals uint64) {
	if s.frozenAt < seals {
		s.streams = false
	}
	for i := range s.dead {
		if s.dead[i].died < seals {
			s.dead[i].stream = false
		}
	}
}

// take returns the dead ranges that nothing refers to: no snapshot from the number oldest on, and no
// record that may be what a power failure leaves.
func (s *space) take(oldest, synced uint64) []span {
	var free []span
	s.dead = slices.DeleteFunc(s.dead, func(d deadSpan) bool {
		if d.stream || d.record == 0 || d.record > synced || d.seal >= oldest {
			return false
		}
		free = append(free, d.span)
		return true
	})
	return free
}

// free merges a range into the gaps and returns the whole gap it is in now.
func (s *space) free(r span) span {
	i, _ := slices.BinarySearchFunc(s.gaps, r, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	lo, hi := i, i
	if lo > 0 && s.gaps[lo-1].off+s.gaps[lo-1].len >= r.off {
		lo--
		end := max(r.off+r.len, s.gaps[lo].off+s.gaps[lo].len)
		r.off = s.gaps[lo].off
		r.len = end - r.off
	}
	for hi < len(s.gaps) && s.gaps[hi].off <= r.off+r.len {
		r.len = max(r.off+r.len, s.gaps[hi].off+s.gaps[hi].len) - r.off
		hi++
	}
	s.gaps = slices.Replace(s.gaps, lo, hi, r)
	return r
}

// punchUnit is the block size of common file systems: only whole blocks are given back.
const punchUnit = 4096

// blocks returns the whole blocks of gap that range r, just merged into it, set free.
func blocks(gap, r span) span {
	lo := max(r.off/punchUnit*punchUnit, (gap.off+punchUnit-1)/punchUnit*punchUnit)
	hi := min((r.off+r.len+punchUnit-1)/punchUnit*punchUnit, (gap.off+gap.len)/punchUnit*punchUnit)
	return span{lo, max(hi-lo, 0)}
}
