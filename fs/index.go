package fs

import (
	"hash/maphash"
	"iter"
)

// index finds nodes by their ids, and by parent and name. It is two tables of one length whose rows are lists through the nodes
// themselves: a map would cost three times as much. Guarded by tree.mu.
type index struct {
	seed  maphash.Seed
	ids   []*node // linked by nextID
	names []*node // linked by nextName
	count int     // nodes in ids
}

// leastRows is how many rows the tables have at least. A power of two.
const leastRows = 64

func newIndex() index {
	return index{seed: maphash.MakeSeed(), ids: make([]*node, leastRows), names: make([]*node, leastRows)}
}

func (x *index) idRow(id uint64) **node { return &x.ids[id&uint64(len(x.ids)-1)] }

func (x *index) nameRow(parent *node, name string) **node {
	h := maphash.String(x.seed, name) ^ parent.id*0x9e3779b97f4a7c15
	h ^= h >> 32
	return &x.names[h&uint64(len(x.names)-1)]
}

// get returns the node with an id; nil: there is none.
func (x *index) get(id uint64) *node {
	n := *x.idRow(id)
	for n != nil && n.id != id {
		n = n.nextID
	}
	return n
}

// has tells whether a node is found by its id.
func (x *index) has(n *node) bool { return x.get(n.id) == n }

// child returns the node with a name; nil: there is none.
func (x *index) child(parent *node, name string) *node {
	n := *x.nameRow(parent, name)
	for n != nil && (n.parent != parent || n.name != name) {
		n = n.nextName
	}
	return n
}

// insert adds a node that has no row of ids.
func (x *index) insert(n *node) {
	x.count++
	x.fit()
	row := x.idRow(n.id)
	n.nextID, *row = *row, n
}

// remove takes a node out that insert added.
func (x *index) remove(n *node) {
	for at := x.idRow(n.id); *at != nil; at = &(*at).nextID {
		if *at == n {
			*at, n.nextID = n.nextID, nil
			x.count--
			x.fit()
			return
		}
	}
}

// name makes a node be found by its parent and name, which nobody else has.
func (x *index) name(n *node) {
	row := x.nameRow(n.parent, n.name)
	n.nextName, *row = *row, n
}

// unname takes back what name did, if it did.
func (x *index) unname(n *node) {
	for at := x.nameRow(n.parent, n.name); *at != nil; at = &(*at).nextName {
		if *at == n {
			*at, n.nextName = n.nextName, nil
			return
		}
	}
}

// fit gives the tables a row for every three nodes, or for less than that.
func (x *index) fit() {
	rows := len(x.ids)
	switch {
	case x.count > 3*rows:
		rows *= 2
	case x.count < rows/2 && rows > leastRows:
		rows /= 2
	default:
		return
	}
	ids, names := x.ids, x.names
	x.ids, x.names = make([]*node, rows), make([]*node, rows)
	for _, n := range ids {
		for n != nil {
			next, row := n.nextID, x.idRow(n.id)
			n.nextID, *row = *row, n
			n = next
		}
	}
	for _, n := range names {
		for n != nil {
			next := n.nextName
			x.name(n)
			n = next
		}
	}
}

// all yields every node, in no order.
func (x *index) all() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for _, n := range x.ids {
			for ; n != nil; n = n.nextID {
				if !yield(n) {
					return
				}
			}
		}
	}
}
