package test

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
)

// What follows is all that the reference model is: maps of what the store has, of what each of two mounts has that is not in the store,
// and of what programs have open. fs/SEMANTICS.md says how they change.

// A mapsVersion is what a key had at one time. The same bytes under another key, or later, are another one.
type mapsVersion struct{ bytes []byte }

// sameTag tells whether a store takes one for the other: the ETag is a digest of the bytes.
func sameTag(a, b *mapsVersion) bool {
	return a == b || a != nil && b != nil && bytes.Equal(a.bytes, b.bytes)
}

// A mapsStore is a bucket.
type mapsStore struct {
	objects map[string]*mapsVersion // files
	markers map[string]bool         // directories that have one, without the slash
	news    bool                    // a mount has stored a file since the markers were looked at
}

// A mapsNode is a file as a mount has it: a version, and what was changed since.
type mapsNode struct {
	key     string       // empty: it has lost its name
	base    *mapsVersion // that it was made from; nil: none, it is new
	content []byte
	staged  bool // its truth is at the mount: it was changed, and somebody has it open for writing
	dirty   bool // not stored yet, and not promised to be
	pending bool // promised to be stored
	whole   bool // nothing of its content is a range of an object: it was all written here, and is kept here
	lost    bool // another client was faster
	opens   int
	writers int
}

// A mapsMount is what one mount has.
type mapsMount struct {
	nodes     map[string]*mapsNode
	deferred  map[string]*mapsVersion // unlinked, and deleted when the last program closes them
	owners    map[string]*mapsNode    // who keeps those from being deleted
	conflicts []mapsConflict
}

type mapsConflict struct {
	key     string
	content []byte
	whole   bool
}

func newMapsMount() *mapsMount {
	return &mapsMount{nodes: map[string]*mapsNode{}, deferred: map[string]*mapsVersion{}, owners: map[string]*mapsNode{}}
}

// parentOf is empty for what is in the root.
func mapsParent(key string) string {
	dir := path.Dir(key)
	if dir == "." {
		return ""
	}
	return dir
}

func isBelow(key, dir string) bool { return dir == "" || strings.HasPrefix(key, dir+"/") }

// local is the file whose truth is at the mount; nil: there is none.
func (m *mapsMount) local(key string) *mapsNode {
	if n := m.nodes[key]; n != nil && n.staged {
		return n
	}
	return nil
}

// seen is what a mount shows under a name; false: nothing.
func (m *mapsMount) seen(s *mapsStore, key string) ([]byte, bool) {
	if n := m.local(key); n != nil {
		return n.content, true
	}
	v := s.objects[key]
	if v == nil || m.deferred[key] != nil {
		return nil, false
	}
	return v.bytes, true
}

// unsure tells that what a mount shows under a name is not said anywhere: the object is going to be deleted, and another client has put
// another one there; or the bytes that a program has open are there again.
func (m *mapsMount) unsure(s *mapsStore, key string) bool {
	if v := m.deferred[key]; v != nil && s.objects[key] != v {
		return true
	}
	n := m.nodes[key]
	return n != nil && !n.staged && n.opens > 0 && n.base != s.objects[key] && sameTag(n.base, s.objects[key])
}

// unsureBelow is unsure for a directory.
func (m *mapsMount) unsureBelow(s *mapsStore, dir string) bool {
	for key := range m.deferred {
		if isBelow(key, dir) && m.unsure(s, key) {
			return true
		}
	}
	return false
}

// hasDir tells whether a mount shows a directory.
func (m *mapsMount) hasDir(s *mapsStore, dir string) bool {
	return dir == "" || s.markers[dir] || m.names(s, dir, true) != nil
}

// names lists what a mount shows in a directory; nil: nothing. With deep, what it shows anywhere below.
func (m *mapsMount) names(s *mapsStore, dir string, deep bool) []string {
	found := map[string]bool{}
	note := func(key, slash string) {
		rest := strings.TrimPrefix(key, dir+"/")
		if dir == "" {
			rest = key
		}
		first, _, more := strings.Cut(rest, "/")
		switch {
		case deep:
			found[rest] = true
		case more:
			found[first+"/"] = true
		default:
			found[first+slash] = true
		}
	}
	for key := range s.objects {
		if _, ok := m.seen(s, key); ok && isBelow(key, dir) {
			note(key, "")
		}
	}
	for key, n := range m.nodes {
		if n.staged && isBelow(key, dir) {
			note(key, "")
		}
	}
	for d := range s.markers {
		if isBelow(d, dir) {
			note(d, "/")
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// opened is the file that open(2) gives a descriptor of: what the name had, if it is the same version, else another one.
func (m *mapsMount) opened(s *mapsStore, key string) *mapsNode {
	if n := m.local(key); n != nil {
		return n
	}
	v := s.objects[key]
	if n := m.nodes[key]; n != nil && n.base == v && !n.lost {
		return n
	}
	n := &mapsNode{key: key, base: v, content: v.bytes}
	m.nodes[key] = n
	return n
}

// created is a new file.
func (m *mapsMount) created(key string) *mapsNode {
	n := &mapsNode{key: key, base: m.deferred[key], staged: true, dirty: true, whole: true}
	delete(m.deferred, key) // it is replaced instead
	delete(m.owners, key)
	m.nodes[key] = n
	return n
}

// current tells whether the store has what a file was made from.
func (n *mapsNode) current(s *mapsStore) bool { return sameTag(s.objects[n.key], n.base) }

func (n *mapsNode) write(data []byte, off int64) {
	content := make([]byte, max(len(n.content), int(off)+len(data)))
	copy(content, n.content)
	copy(content[off:], data)
	n.content, n.staged, n.dirty = content, true, true
}

func (n *mapsNode) truncate(size int) {
	content := make([]byte, size)
	copy(content, n.content)
	n.content, n.staged, n.dirty = content, true, true
	n.whole = n.whole || size == 0
}

// store is a commit; false: another client was faster.
func (m *mapsMount) store(s *mapsStore, n *mapsNode) bool {
	n.dirty, n.pending = false, false
	s.news = true
	if !n.current(s) {
		m.lose(n)
		return false
	}
	n.base = &mapsVersion{n.content}
	s.objects[n.key] = n.base
	n.settle()
	return true
}

// settle is what follows when nobody has it open for writing: its content is the object's.
func (n *mapsNode) settle() {
	if n.writers == 0 && !n.dirty && !n.pending {
		n.staged, n.whole = false, false
	}
}

// lose keeps what was written for a person to decide about.
func (m *mapsMount) lose(n *mapsNode) {
	m.conflicts = append(m.conflicts, mapsConflict{n.key, n.content, n.whole})
	n.lost, n.staged, n.dirty, n.pending = true, false, false, false
	if m.nodes[n.key] == n {
		delete(m.nodes, n.key)
	}
	n.key = ""
}

// nameless takes the name from what has it.
func (m *mapsMount) nameless(key string) {
	if n := m.nodes[key]; n != nil {
		n.key, n.pending = "", false
		delete(m.nodes, key)
	}
}
