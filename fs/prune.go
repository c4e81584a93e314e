package fs

import (
	"cmp"
	"math"
	"slices"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// The kernel keeps inodes for as long as it has memory, and each of them costs memory here. So when there are more than
// Config.MaxInodes, the kernel is asked to forget those that were not looked up for the longest time; which of them
// programs use, it knows itself, and keeps.

const (
	// pruneBatch is how many inodes one notification names. Measured: the kernel takes 512 in a few hundred microseconds.
	pruneBatch = 512
	// Where the kernel keeps what it was asked to forget, it is asked again when there are so many more: a part of
	// MaxInodes.
	pruneAgain = 16
)

// bound says how many nodes there may be before the kernel is asked to forget some, each counted by its weight; 0: any
// number. It is called once, before the first request.
func (t *tree) bound(most int) {
	t.clock.bound(most)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most, t.askAt, t.tooMany = most, most, make(chan struct{}, 1)
}

// What is bounded is the memory of nodes, in idle files. A directory takes as much as so many, where attributes are kept, and so
// does a file that has more than most: a version id, for example.
const (
	dirWeight   = 8
	extraWeight = 2
)

// weight is how many idle files take as much memory as a node. tree.mu is held.
func (n *node) weight() int {
	switch {
	case n.dir:
		return dirWeight
	case n.extra != nil:
		return extraWeight
	default:
		return 1
	}
}

// useLocked notes that the kernel has asked for a node, and whether there are too many now.
func (t *tree) useLocked(n *node) {
	if t.uses == math.MaxUint32 { // those that were used long ago stay those
		for m := range t.index.all() {
			m.used /= 2
		}
		t.uses /= 2
	}
	t.uses++
	n.used = t.uses
	if t.most == 0 || t.weight <= t.askAt {
		return
	}
	t.askAt = t.weight + t.most/pruneAgain + 1
	select {
	case t.tooMany <- struct{}{}:
	default:
	}
}

// crowded tells whether there are so many nodes that none should be made that nobody asked for.
func (t *tree) crowded() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.most > 0 && t.weight > t.most+t.most/8
}

// surplus returns the nodes that were not used for the longest time, a quarter more than there are too many.
func (t *tree) surplus() []*node {
	type candidate struct {
		node   *node
		used   uint32
		weight int
	}
	t.mu.RLock()
	excess := t.weight - t.most*3/4
	idle := make([]candidate, 0, t.index.count)
	for n := range t.index.all() {
		if n.id == rootID || n.children() > 0 || n.pins > 0 || n.lookups == 0 {
			continue
		}
		idle = append(idle, candidate{n, n.used, n.weight()})
	}
	t.mu.RUnlock()
	slices.SortFunc(idle, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	var most []*node
	for _, c := range idle {
		if excess <= 0 {
			break
		}
		most = append(most, c.node)
		excess -= c.weight
	}
	return most
}

// settled is called when the kernel has been asked.
func (t *tree) settled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.askAt = max(t.most, t.weight+t.most/pruneAgain)
}

// prune asks the kernel to forget inodes whenever there are too many, until the mount ends.
func (f *FS) prune() {
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-f.tree.tooMany:
		}
		for batch := range slices.Chunk(f.tree.surplus(), pruneBatch) {
			if !f.tell(f.ctx, func(s *fuse.Server) { f.pruneBatch(s, batch) }) {
				return
			}
		}
		f.tree.settled()
	}
}

// pruneBatch asks for some inodes. Linux has a notification for that since 6.18; before, names of files that are not open
// are taken away from it, which has it forget their inodes, too. Directories stay then: one that is somebody's working
// directory would lose its path.
func (f *FS) pruneBatch(s *fuse.Server, batch []*node) {
	ids := make([]uint64, 0, len(batch))
	for _, n := range batch {
		if n.idle() {
			ids = append(ids, n.id)
		}
	}
	if status := s.PruneNotify(ids); status != fuse.ENOSYS {

		return
	}
	for _, n := range batch {
		if parent, name := f.tree.nameOf(n); n.idle() && !n.dir && parent != nil {
			s.EntryNotify(parent.id, name)
		}
	}
}

// nameOf returns where a node is; nil: nowhere any more.
func (t *tree) nameOf(n *node) (parent *node, name string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n.detached {
		return nil, ""
	}
	return n.parent, n.name
}
