package fs

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/staging"
)

// version is one version of an object as an inode pins it: its bytes never change.
type version struct {
	remote   *staging.Remote
	modified time.Time // LastModified; zero when the store has not said it yet
	sum      string    // CRC64NVME of the whole, in base64; empty: none, or not known
	summed   bool      // the store was asked for sum
}

func newVersion(o backend.Object) *version {
	return &version{
		remote:   &staging.Remote{Source: backend.Source{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, VersionID: o.VersionID}, Size: o.Size},
		modified: o.LastModified,
	}
}

func (v *version) blocks() blocks.Source {
	return blocks.Source{Source: v.remote.Source, Size: v.remote.Size}
}

// node is an inode. Directories and files share the type; dir says which it is.
type node struct {
	id  uint64 // the kernel's node id; never reused while the mount lives
	ino uint64 // st_ino
	dir bool
	// view says what it is in a view of versions. Immutable.
	view viewKind
	// group is set on the directory of a group of buckets. Immutable.
	group string

	// Guarded by tree.mu.
	parent   *node  // nil for the root
	name     string // directory entry
	suffix   string // what it adds to its parent's key prefix; of a directory with the slash
	bucket   string // set on a bucket's own directory (and the root of a mount of one bucket)
	lookups  uint64
	children int    // nodes whose parent is this
	pins     int    // reasons to stay without lookups: staged content, a promised delete
	used     uint64 // tree.uses when the kernel asked for it last
	detached bool

	mu sync.RWMutex
	// Guarded by mu.
	attr      attr
	current   *version            // the object behind it; nil: never stored
	marker    *backend.Object     // the delete marker that a file of a view of versions stands for, as listed
	staged    *staging.File       // nil: clean
	props     *backend.Properties // of current, when known
	propsAt   time.Time           // when props were last known to be true
	given     *backend.Properties // what of props the configuration gave when the file was made; nil: nothing
	dated     bool                // the retention in given has begun
	tagCount  int                 // of current; -1 unknown
	inherited string              // content type of the object that a copy's first bytes come from
	guessed   bool                // this mount has told its content type by its first bytes, because its name said nothing
	explicit  bool                // mode, owner or times were set by a program: they must be stored
	opens     int                 // open handles
	holds     int                 // renames and unlinks under way that take its name
	writers   int                 // of these, open for writing; and one for made
	active    int                 // of these, not closed by their opener since they wrote
	made      chan struct{}       // made by mknod, and nobody has opened it for writing yet; closed when that ends
	open      openMode
	wrong     bool                  // the kernel may have pages that do not match the object's checksum
	doomed    bool                  // unlinked or replaced: no name leads here
	lost      bool                  // its content lost against another client's: all I/O is ESTALE
	written   bool                  // written since the last commit began
	assured   bool                  // its staged content is sealed and not queued (assureLocked)
	replacing bool                  // O_TRUNC over a stored object, and nothing was committed since
	doomedID  *deferredDelete       // the object to delete at the last close
	after     []*deferredDelete     // promises to carry out once the staged content is stored (a rename)
	failure   error                 // the last failed commit, for the next close or fsync
	unfit     error                 // why the bucket does not take what is staged; nil: not known, or it does
	refused   error                 // tags that the store has refused, for the next close or fsync, whatever is stored meanwhile
	keeps     keepState             // directories: are attributes kept here
	unread    noted[backend.Object] // directories: listed, attributes not read yet
	unasked   noted[string]         // directories: listed below, marker not known yet
	following noted[string]         // directories: listed, extended attributes not asked for yet
	checked   time.Time             // when attr and current were last known to be true
}

// inoOf gives a stable inode number: a hash of bucket and key, and of the ETag for a
// version that took the place of one that this mount had shown before.
func inoOf(bucket, key, etag string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(bucket))
	h.Write([]byte{0})
	h.Write([]byte(key))
	if etag != "" {
		h.Write([]byte{0})
		h.Write([]byte(etag))
	}
	ino := h.Sum64()
	if ino < 2 {
		ino += 2
	}
	return ino
}

type childKey struct {
	parent uint64
	name   string
}

// tree holds the nodes. Its lock is a leaf beside the staging locks: nothing is called
// while it is held.
type tree struct {
	mu     sync.RWMutex
	byID   map[uint64]*node
	byName map[childKey]*node
	last   uint64

	uses    uint64        // counts useLocked
	most    int           // more nodes are too many; 0: no bound
	askAt   int           // with so many the kernel is asked to forget some
	tooMany chan struct{} // has an element when it should be
}

const rootID = 1

func newTree(bucket, prefix string) *tree {
	root := &node{id: rootID, ino: rootID, dir: true, suffix: prefix, bucket: bucket, lookups: 1, tagCount: -1}
	return &tree{byID: map[uint64]*node{rootID: root}, byName: map[childKey]*node{}, last: rootID}
}

func (t *tree) root() *node { return t.get(rootID) }

// get returns the node of a kernel's node id; the kernel names only nodes it holds.
func (t *tree) get(id uint64) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

func (t *tree) child(parent *node, name string) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byName[childKey{parent.id, name}]
}

// named returns the node that has a name now: another than n, if n was replaced; n, if nobody but the kernel has forgotten it; nil, if n
// has lost the name to nobody.
func (t *tree) named(parent *node, name string, n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if other := t.byName[childKey{parent.id, name}]; other != nil {
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
		size += len(m.suffix)
		if m.bucket != "" {
			bucket = m.bucket
			break
		}
	}
	key := make([]byte, size)
	for m := n; m != nil; m = m.parent {
		size -= len(m.suffix)
		copy(key[size:], m.suffix)
		if m.bucket != "" {
			break
		}
	}
	return place{bucket, string(key)}
}

// add makes a node under a name, which must be free or is taken over: the node that had
// it is detached. The kernel's reference is counted when lookup is set.
func (t *tree) add(parent *node, name string, n *node, lookup bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	n.id = t.last
	n.parent, n.name = parent, name
	if lookup {
		n.lookups++
	}
	t.detachLocked(t.byName[childKey{parent.id, name}])
	t.byID[n.id] = n
	t.byName[childKey{parent.id, name}] = n
	parent.children++
	t.useLocked(n)
}

// detachLocked takes a node's name away. Programs that have it open keep it.
func (t *tree) detachLocked(n *node) {
	if n == nil || n.detached || n.parent == nil {
		return
	}
	n.detached = true
	delete(t.byName, childKey{n.parent.id, n.name})
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
	old := t.byName[childKey{parent.id, name}]
	if old == n {
		return nil
	}
	t.detachLocked(old)
	if !n.detached {
		delete(t.byName, childKey{n.parent.id, n.name})
	}
	from := n.parent
	parent.children++
	n.parent, n.name, n.suffix, n.detached = parent, name, suffix, false
	t.byName[childKey{parent.id, name}] = n
	from.children--
	t.dropLocked(from)
	return old
}

// remember counts a reference of the kernel.
func (t *tree) remember(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.lookups++
	if t.byID[n.id] == nil { // it had just been forgotten
		t.reviveLocked(n)
	}
	t.useLocked(n)
}

func (t *tree) reviveLocked(n *node) {
	t.byID[n.id] = n
	if n.parent == nil {
		return
	}
	n.parent.children++
	if t.byID[n.parent.id] == nil {
		t.reviveLocked(n.parent)
	}
	key := childKey{n.parent.id, n.name}
	if t.byName[key] == nil && !n.detached {
		t.byName[key] = n
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
	n := t.byID[id]
	if n == nil {
		return
	}
	n.lookups -= min(count, n.lookups)
	t.dropLocked(n)
}

// dropLocked removes a node that nothing refers to, and then its parents likewise.
func (t *tree) dropLocked(n *node) {
	for n != nil && n.id != rootID && n.lookups == 0 && n.children == 0 && n.pins == 0 && t.byID[n.id] == n {
		delete(t.byID, n.id)
		key := childKey{n.parent.id, n.name}
		if t.byName[key] == n {
			delete(t.byName, key)
		}
		n.parent.children--
		n = n.parent
	}
}

// below calls fn for every node below dir that match selects, in no order. fn runs without the lock.
func (t *tree) below(dir *node, fn func(n *node)) {
	t.mu.RLock()
	var found []*node
	for _, n := range t.byID {
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
	return len(t.byID)
}
