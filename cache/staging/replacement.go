package staging

import (
	"cmp"
	"slices"

	"github.com/objmount/objmount/backend"
)

// replacement is what a commit does to the maps that outlive it: a snapshot is an object now, and
// objects that it was made of may be gone, first of all the one that had its key before.
//
// A map refers to such an object where nothing was changed since, and then the new object has the
// bytes at the same offset; or because a range was copied inside the file, and then it has them
// somewhere else. While a later snapshot waits for its own commit, which ends the new object in turn, the
// map must not refer to anything of it that the later snapshot does not have: then only the second rule is
// used, which gives one place to each byte of an old object, and only for the object that is gone for sure.
type replacement struct {
	snapshot []Extent // gapless from 0
	target   backend.ObjectID
	object   *Remote
	moved    map[Remote][]Extent // what the snapshot has of each object: ascending by ObjectOff, disjoint
	later    bool                // a later snapshot waits
}

func newReplacement(s *Snapshot, r *Remote, later bool) *replacement {
	n := &replacement{snapshot: s.Extents, target: s.Spec.Target, object: r, later: later, moved: make(map[Remote][]Extent)}
	var table remoteTable
	var lists [][]Extent
	for _, e := range s.Extents {
		if e.Object == nil {
			continue
		}
		id := int(table.id(e.Object))
		if id == len(lists) {
			lists = append(lists, nil)
		}
		lists[id] = append(lists[id], e)
	}
	for id, list := range lists {
		n.moved[*table.list[id]] = disjoint(list)
	}
	return n
}

// disjoint sorts ranges of one object by their place in it. Of bytes that are there more than once,
// the range that begins first counts.
func disjoint(list []Extent) []Extent {
	slices.SortStableFunc(list, func(a, b Extent) int { return cmp.Compare(a.ObjectOff, b.ObjectOff) })
	done := int64(0)
	places := list[:0]
	for _, e := range list {
		stop := e.ObjectOff + e.Len
		if stop <= done {
			continue
		}
		if e.ObjectOff < done {
			e = e.cut(e.Off+done-e.ObjectOff, e.End())
		}
		done = stop
		places = append(places, e)
	}
	return places
}

// apply makes every piece that is still the snapshot's, or a copy of a part of it, one of the new
// object.
func (n *replacement) apply(m *extentMap) {
	with := n.snapshot
	var list []piece
	m.each(0, m.size, func(p piece) bool {
		for p.Len > 0 {
			for len(with) > 0 && with[0].End() <= p.Off {
				with = with[1:]
			}
			q := p
			if len(with) > 0 {
				q = p.cut(p.Off, min(p.End(), with[0].End()))
			}
			if len(with) > 0 && !q.zero() && (q.Local || !n.later) && q.sameBytes(with[0].cut(q.Off, q.End())) {
				q.Object, q.ObjectOff = n.object, q.Off
				if q.Streamed {
					q.Local, q.Streamed, q.Pos, q.frozen = false, false, 0, false
				}
				list = push(list, q)
			} else {
				list = n.relocate(list, q)
			}
			p = p.cut(q.End(), p.End())
		}
		return true
	})
	m.load(list)
}

// relocate pushes a piece with its reference moved to where the new object has those bytes. What the
// snapshot does not have stays: it was never in it, so it is not gone by its commit.
func (n *replacement) relocate(list []piece, p piece) []piece {
	if p.Object == nil || n.later && objectOf(p.Object) != n.target {
		return push(list, p)
	}
	places := n.moved[*p.Object]
	i, _ := slices.BinarySearchFunc(places, p.ObjectOff, func(e Extent, off int64) int {
		if e.ObjectOff+e.Len <= off {
			return -1
		}
		return 1
	})
	for ; i < len(places) && p.Len > 0; i++ {
		e := places[i]
		if gap := min(e.ObjectOff-p.ObjectOff, p.Len); gap > 0 {
			list = push(list, p.cut(p.Off, p.Off+gap))
			if p = p.cut(p.Off+gap, p.End()); p.Len == 0 {
				return list
			}
		}
		q := p.cut(p.Off, p.Off+min(p.Len, e.ObjectOff+e.Len-p.ObjectOff))
		p = p.cut(q.End(), p.End())
		q.Object, q.ObjectOff = n.object, e.Off+q.ObjectOff-e.ObjectOff
		list = push(list, q)
	}
	return push(list, p)
}

// extents is apply for a list.
func (n *replacement) extents(list []Extent) []Extent {
	var m extentMap
	m.load(pieces(list))
	n.apply(&m)
	return m.extents(0, m.size)
}

// spec makes the next commit one over the new object.
func (n *replacement) spec(s *Spec) {
	if s.Target == n.target {
		s.Content, s.Condition = n.object, backend.Condition{IfMatch: n.object.ETag}
	}
}
