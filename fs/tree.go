package fs

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

// tree holds the nodes. Its lock is a leaf beside the staging locks: nothing is called
// while it is held.
type tree struct {
	mu    sync.RWMutex
	index index
	last  uint64

	began time.Time // what times in folded nodes count from
	clock clock     // of files
	hints clock     // of directories that have noted something
	// eager has every body be folded as soon as the lock of its node is given back. For tests.
	eager atomic.Bool

	uses    uint32        // counts useLocked
	weight  int           // of the nodes
	most    int           // more weight is too much; 0: no bound
	askAt   int           // at so much the kernel is asked to forget some
	tooMany chan struct{} // has an element when it should be
}

const rootID = 1

func newTree(bucket, prefix string) *tree {
	t := &tree{last: rootID, began: time.Now(), index: newIndex()}
	t.eager.Store(foldAtOnce)
	t.clock.bound(0)
	t.hints.bound(0)
	root := &node{
		id: rootID, ino: rootID, dir: true, lookups: 1, extra: &extra{suffix: prefix, bucket: bucket}, body: &body{tree: t, tagCount: -1},
	}
	t.insertLocked(root)
	return t
}

func (t *tree) root() *node { return t.get(rootID) }

// get returns the node of a kernel's node id; the kernel names only nodes it holds.
func (t *tree) get(id uint64) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.index.get(id)
}

func (t *tree) child(parent *node, name string) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.index.child(parent, name)
}

// named returns the node that has a name now: another than n, if n was replaced; n, if nobody but the kernel has forgotten it; nil, if n
// has lost the name to nobody.
func (t *tree) named(parent *node, name string, n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if other := t.index.child(parent, name); other != nil {
		return other
	}
	if n.detached || n.parent != parent || n.name != name {
		return nil
	}
	return n
}

// place is where a node lies in the store.
type place struct {
	bucket string
	key    string // of a directory: its prefix, "" or ending in "/" (but for a part of a long name)
}

func (p place) id() backend.ObjectID { return backend.ObjectID{Bucket: p.bucket, Key: p.key} }

// locate returns bucket and key of a node, by way of its parents.
func (t *tree) locate(n *node) place {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.locateLocked(n)
}

func (t *tree) locateLocked(n *node) place {
	var size int
	bucket := ""
	for m := n; m != nil; m = m.parent {
		size += len(m.suffix())
		if bucket = m.bucket(); bucket != "" {
			break
		}
	}
	key := make([]byte, size)
	for m := n; m != nil; m = m.parent {
		size -= len(m.suffix())
		copy(key[size:], m.suffix())
		if m.bucket() != "" {
			break
		}
	}
	return place{bucket, string(key)}
}

// add makes a node under a name, which must be free or is taken over: the node that had
// it is detached. The kernel's reference is counted when lookup is set.
func (t *tree) add(parent *node, name string, n *node, lookup bool) {
	b := n.body
	b.tree = t
	t.addLocked(parent, strings.Clone(name), n, lookup) // of no longer string: it may stay for long
	if !n.dir {
		t.clock.add(n, b)
	}
}

func (t *tree) addLocked(parent *node, name string, n *node, lookup bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	n.id = t.last
	n.parent, n.name = parent, name
	if !n.dir && n.extra.suffix == name {
		n.extra = nil
	} else {
		n.extra.suffix = strings.Clone(n.extra.suffix)
	}
	if lookup {
		n.lookups++
	}
	t.detachLocked(t.index.child(parent, name))
	t.insertLocked(n)
	t.index.name(n)
	parent.extra.children++
	t.useLocked(n)
}

// insertLocked makes a node known by its id.
func (t *tree) insertLocked(n *node) {
	t.index.insert(n)
	t.weight += n.weight()
}

// detachLocked takes a node's name away. Programs that have it open keep it.
func (t *tree) detachLocked(n *node) {
	if n == nil || n.detached || n.parent == nil {
		return
	}
	n.detached = true
	t.index.unname(n)
	t.dropLocked(n)
}

func (t *tree) detach(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.detachLocked(n)
}

// move gives a node another name; a node that had it is detached and returned.
func (t *tree) move(n, parent *node, name, suffix string) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.index.child(parent, name)
	if old == n {
		return nil
	}
	t.detachLocked(old)
	t.index.unname(n)
	from := n.parent
	parent.extra.children++
	t.changeLocked(n, func() { n.resuffixLocked(name, suffix) })
	n.parent, n.name, n.detached = parent, name, false
	t.index.name(n)
	from.extra.children--
	t.dropLocked(from)
	return old
}

// changeLocked changes what a node weighs.
func (t *tree) changeLocked(n *node, how func()) {
	before := n.weight()
	how()
	if t.index.has(n) {
		t.weight += n.weight() - before
	}
}

// resuffixLocked gives a node the suffix that goes with a new name. tree.mu is held.
func (n *node) resuffixLocked(name, suffix string) {
	was := n.suffix()
	if n.extra == nil && (suffix != name || suffix != was) {
		n.extra = &extra{suffix: was}
	}
	if n.extra == nil {
		return
	}
	if n.extra.was == nil && was != suffix {
		n.extra.was = &was
	}
	n.extra.suffix = suffix
}

// remember counts a reference of the kernel.
func (t *tree) remember(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.lookups < math.MaxUint32 {
		n.lookups++
	}
	if !t.index.has(n) { // it had just been forgotten
		t.reviveLocked(n)
	}
	t.useLocked(n)
}

func (t *tree) reviveLocked(n *node) {
	t.insertLocked(n)
	if n.parent == nil {
		return
	}
	n.parent.extra.children++
	if !t.index.has(n.parent) {
		t.reviveLocked(n.parent)
	}
	if t.index.child(n.parent, n.name) == nil && !n.detached {
		t.index.name(n)
	}
}

// pin and unpin keep a node without references of the kernel.
func (t *tree) pin(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.pins++
}

func (t *tree) unpin(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.pins--
	t.dropLocked(n)
}

// forget takes back references of the kernel.
func (t *tree) forget(id, count uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.index.get(id)
	if n == nil {
		return
	}
	if n.lookups < math.MaxUint32 {
		n.lookups -= uint32(min(count, uint64(n.lookups)))
	}
	t.dropLocked(n)
}

// dropLocked removes a node that nothing refers to, and then its parents likewise.
func (t *tree) dropLocked(n *node) {
	for n != nil && n.id != rootID && n.lookups == 0 && n.children() == 0 && n.pins == 0 && t.index.has(n) {
		t.index.remove(n)
		t.index.unname(n)
		t.weight -= n.weight()
		n.parent.extra.children--
		n = n.parent
	}
}

// children counts the nodes whose parent is this. tree.mu is held.
func (n *node) children() int {
	if !n.dir {
		return 0
	}
	return n.extra.children
}

// below calls fn for every node below dir that match selects, in no order. fn runs without the lock.
func (t *tree) below(dir *node, fn func(n *node)) {
	t.mu.RLock()
	var found []*node
	for n := range t.index.all() {
		if n == dir || n.detached {
			continue
		}
		for m := n.parent; m != nil; m = m.parent {
			if m == dir {
				found = append(found, n)
				break
			}
		}
	}
	t.mu.RUnlock()
	for _, n := range found {
		fn(n)
	}
}

// isBelow tells whether a node lies below a directory.
func (t *tree) isBelow(n, dir *node) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for m := n.parent; m != nil; m = m.parent {
		if m == dir {
			return true
		}
	}
	return false
}

// count returns how many nodes there are.
func (t *tree) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.index.count
}
