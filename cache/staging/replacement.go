package staging

import (
	"cmp"
	"slices"

	"github.com/objmount/objmount/backend"
)

// replacement is what a commit does to the maps that outlive it: a snapshot is an object now, and
// the object that was there before is gone.
type replacement struct {
	snapshot []Extent // gapless from 0
	target   backend.ObjectID
	object   *Remote
	// old are the ranges of objects under the target's key that went into the snapshot, by object
	// offset: what else refers to them is found at their place in the new object.
	old []Extent
}

func newReplacement(s *Snapshot, r *Remote) *replacement {
	n := &replacement{snapshot: s.Extents, target: s.Spec.Target, object: r}
	for _, e := range s.Extents {
		if n.replaces(e.Object) {
			n.old = append(n.old, e)
		}
	}
	slices.SortFunc(n.old, func(a, b Extent) int { return cmp.Compare(a.ObjectOff, b.ObjectOff) })
	return n
}

// replaces tells whether a version was overwritten by the commit.
func (n *replacement) replaces(r *Remote) bool {
	return r != nil && objectOf(r) == n.target && !r.same(n.object)
}

// apply makes every piece that is still the snapshot's one of the new object.
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
				if q = p.cut(p.Off, min(p.End(), with[0].End())); q.sameBytes(with[0].cut(q.Off, q.End())) {
					if !q.zero() {
						q.Object, q.ObjectOff = n.object, q.Off
					}
				}
			}
			list = n.relocate(list, q)
			p = p.cut(q.End(), p.End())
		}
		return true
	})
	m.load(list)
}

// relocate pushes a piece that may refer to the object that is gone, as a copy inside the file
// leaves behind, with that reference moved to the new object.
func (n *replacement) relocate(list []piece, p piece) []piece {
	for n.replaces(p.Object) {
		i := slices.IndexFunc(n.old, func(e Extent) bool {
			return e.ObjectOff <= p.ObjectOff && p.ObjectOff < e.ObjectOff+e.Len && e.Object.same(p.Object)
		})
		if i < 0 {
			break // it was not in the snapshot: reading it will say so
		}
		e := n.old[i]
		q := p.cut(p.Off, min(p.End(), p.Off+e.ObjectOff+e.Len-p.ObjectOff))
		rest := p.cut(q.End(), p.End())
		q.Object, q.ObjectOff = n.object, e.Off+p.ObjectOff-e.ObjectOff
		list = push(list, q)
		if p = rest; p.Len == 0 {
			return list
		}
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
