package fs

import (
	"sync"
	"sync/atomic"

	"github.com/objmount/objmount/backend"
)

// clock chooses which bodies are folded, and which directories lose what they have noted. It goes round over those that it knows
// and passes over who was used since it came by the last time, as the clock algorithm of paging does. Its lock may be taken with a
// node.mu held, and it takes those of other nodes only by TryLock.
type clock struct {
	mu    sync.Mutex
	most  int // more bodies are too many
	hand  int
	slots []slot
	noted atomic.Int64 // about how many bytes directories have noted
}

// slot is a body that is known to the clock. If its node has another one by now it is gone.
type slot struct {
	node *node
	body *body
}

const (
	// Of all inodes one in bodiesPart has a body while nothing else keeps it, but within these bounds.
	bodiesPart  = 64
	leastBodies = 512
	mostBodies  = 4096
	// mostNoted is about how many bytes all directories may have noted: what a listing of the longest directory notes.
	mostNoted = 8 << 20
	// clockTurns is how many bodies are looked at for each that is made.
	clockTurns = 8
)

// foldAtOnce is tree.eager of new trees. Tests set it, before there are any.
var foldAtOnce = false

// bound says how many inodes there may be; 0: any number.
func (c *clock) bound(inodes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = mostBodies
	if inodes > 0 {
		c.most = max(leastBodies, min(mostBodies, inodes/bodiesPart))
	}
}

// add makes a body known, and folds others if there are too many.
func (c *clock) add(n *node, b *body) {
	known := b.listed.Swap(true)
	if known && c.noted.Load() <= mostNoted {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !known {
		c.slots = append(c.slots, slot{n, b})
	}
	for range min(clockTurns, len(c.slots)) {
		if len(c.slots) <= c.most && c.noted.Load() <= mostNoted {
			return
		}
		c.turnLocked()
	}
}

// turnLocked looks at the next body. c.mu is held.
func (c *clock) turnLocked() {
	if c.hand >= len(c.slots) {
		c.hand = 0
	}
	s := c.slots[c.hand]
	if s.body.recent.Swap(false) || !s.node.mu.rw.TryLock() {
		c.hand++
		return
	}
	s.node.leaveLocked(s.body)
	s.node.mu.rw.Unlock()
	last := len(c.slots) - 1
	c.slots[c.hand], c.slots[last] = c.slots[last], slot{}
	c.slots = c.slots[:last]
	c.hand++
}

// leaveLocked folds a body that the clock forgets. What cannot be folded comes back when somebody changes it. n.mu is held for
// writing.
func (n *node) leaveLocked(b *body) {
	if n.body != b || n.foldLocked() {
		return
	}
	b.unread, b.unasked, b.following = noted[backend.Object]{}, noted[string]{}, noted[string]{}
	b.weigh()
	b.listed.Store(false)
}

// weigh tells the clock of its tree how much a directory has noted, and whether that is anything. node.mu is held for writing.
func (b *body) weigh() bool {
	const perObject, perName = 512, 64
	now := int64(cap(b.unread.all)*perObject + (cap(b.unasked.all)+cap(b.following.all))*perName)
	if was := b.noted; was != now {
		b.noted = now
		b.tree.hints.noted.Add(now - was)
	}
	return now > 0
}

// lock takes node.mu for writing.
func (n *node) lock() {
	n.mu.rw.Lock()
	if n.body == nil {
		n.unfoldLocked()
	}
	n.use()
}

func (n *node) unlock() {
	b, of := n.body, (*clock)(nil)
	switch {
	case b.tree == nil:
	case !n.dir:
		of = &b.tree.clock
	case b.weigh():
		of = &b.tree.hints
	}
	if of != nil && b.tree.eager.Load() {
		n.foldLocked()
	}
	n.mu.rw.Unlock()
	if of != nil {
		of.add(n, b)
	}
}

// rlock takes node.mu for reading.
func (n *node) rlock() {
	for {
		n.mu.rw.RLock()
		if n.body != nil {
			n.use()
			return
		}
		n.mu.rw.RUnlock()
		n.mu.rw.Lock()
		if n.body == nil {
			n.unfoldLocked()
		}
		n.use()
		b := n.body
		n.mu.rw.Unlock()
		b.tree.clock.add(n, b)
	}
}

// tryRLock is rlock if nobody has to be waited for, and there is a body.
func (n *node) tryRLock() bool {
	if !n.mu.rw.TryRLock() {
		return false
	}
	if n.body == nil {
		n.mu.rw.RUnlock()
		return false
	}
	n.use()
	return true
}

func (n *node) runlock() {
	t := n.tree
	n.mu.rw.RUnlock()
	if t != nil && t.eager.Load() && n.mu.rw.TryLock() {
		if n.body != nil {
			n.foldLocked()
		}
		n.mu.rw.Unlock()
	}
}

// use tells the clock that a body is used. n.mu is held.
func (n *node) use() {
	if !n.recent.Load() {
		n.recent.Store(true)
	}
}

// idle tells whether no program has a node open, without giving it a body.
func (n *node) idle() bool {
	n.mu.rw.RLock()
	defer n.mu.rw.RUnlock()
	return n.body == nil || n.opens == 0
}
