package fs

import (
	"strings"
	"sync"

	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/names"
)

// openMode counts how an inode is open in the kernel: through its page cache, or straight to
// a file of the disk tier. The kernel forbids both at once for one inode (fs/fuse/iomode.c).
type openMode struct {
	cached      int
	passthrough int
	backing     int32
}

// handle is one open file.
type handle struct {
	node     *node
	opener   uint32 // thread group that opened it for writing; 0 unknown
	thread   uint32 // and the thread
	writable bool
	through  bool // passthrough
	// flushed: its opener has closed it; RELEASE may come much later. Guarded by node.mu.
	flushed bool
	// What open was told of the checksum of a version. Immutable once the handle has a number.
	version *staging.Remote
	sum     string
	summed  bool

	mu      sync.Mutex
	readers map[*staging.Remote]*blocks.Reader // guarded by mu
}

// maxReaders bounds the versions that one open file reads from at a time: each commit makes one more.
const maxReaders = 16

// reader returns the handle's reader of a version: read-ahead belongs to one open file.
func (h *handle) reader(c *blocks.Cache, v *staging.Remote) *blocks.Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.readers[v]
	if r == nil {
		if h.readers == nil {
			h.readers = make(map[*staging.Remote]*blocks.Reader)
		}
		if len(h.readers) >= maxReaders {
			for old, reader := range h.readers {
				reader.Close()
				delete(h.readers, old)
				break
			}
		}
		src := blocks.Source{Source: v.Source, Size: v.Size}
		if v == h.version {
			src.CRC64NVME, src.Told = h.sum, h.summed
		}
		r = c.NewReader(src)
		h.readers[v] = r
	}
	return r
}

// activeLocked says whether the handle is still in use by a writer. node.mu is held.
func (h *handle) activeLocked(active bool) {
	if !h.writable || h.flushed != active {
		return
	}
	h.flushed = !active
	if active {
		h.node.active++
	} else {
		h.node.active--
	}
}

func (h *handle) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.readers {
		r.Close()
	}
	h.readers = nil
}

// table numbers open files and open directories.
type table[T any] struct {
	mu   sync.RWMutex
	last uint64
	all  map[uint64]T
}

func (t *table[T]) add(v T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = make(map[uint64]T)
	}
	t.last++
	t.all[t.last] = v
	return t.last
}

// get returns the zero value for a number that is not open.
func (t *table[T]) get(fh uint64) T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all[fh]
}

func (t *table[T]) remove(fh uint64) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.all[fh]
	delete(t.all, fh)
	return v
}

func (t *table[T]) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.all)
}

// stagedNodes finds the node of a staged file.
type stagedNodes struct {
	mu    sync.RWMutex
	nodes map[string]*node // by staging.File.ID
	// unmarked are files with attributes of their own whose upload has to write the marker of their directory first.
	unmarked map[string]bool
}

func (s *stagedNodes) set(file *staging.File, n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes == nil {
		s.nodes = make(map[string]*node)
	}
	s.nodes[file.ID()] = n
}

func (s *stagedNodes) drop(file *staging.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, file.ID())
	delete(s.unmarked, file.ID())
}

func (s *stagedNodes) node(file *staging.File) *node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes[file.ID()]
}

// all returns every node with staged content.
func (s *stagedNodes) all() []*node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := make([]*node, 0, len(s.nodes))
	for _, n := range s.nodes {
		found = append(found, n)
	}
	return found
}

// in returns the nodes with staged content whose parent is dir.
func (s *stagedNodes) in(t *tree, dir *node) []*node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []*node
	for _, n := range s.nodes {
		if n.parent == dir && !n.detached {
			found = append(found, n)
		}
	}
	return found
}

// dirs returns the components of directories in dir that have staged content below them, each once.
func (s *stagedNodes) dirs(t *tree, dir *node) map[string]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	found := make(map[string]bool)
	for _, n := range s.nodes {
		if n.detached {
			continue
		}
		for m := n.parent; m != nil; m = m.parent {
			if m.parent != dir || m == dir {
				continue
			}
			if _, kind := names.Decode(m.name); kind == names.Natural && !m.detached {
				found[strings.TrimSuffix(m.suffix(), "/")] = true
			}
			break
		}
	}
	return found
}

// below tells whether a directory has staged content anywhere below it.
func (s *stagedNodes) below(t *tree, dir *node) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, n := range s.nodes {
		if n.detached {
			continue
		}
		for m := n.parent; m != nil; m = m.parent {
			if m == dir {
				return true
			}
		}
	}
	return false
}
