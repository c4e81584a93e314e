package fs

import (
	"context"
	"strings"
	"sync"
)

// moving is the directory whose rename is under way. Files below it are not committed meanwhile, because
// their keys are about to change, nor files that refer to objects below it, because these are about to go.
type moving struct {
	mu     sync.Mutex
	dir    *node
	bucket string
	prefix string
	done   chan struct{}
}

func (m *moving) begin(dir *node, at place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dir, m.bucket, m.prefix, m.done = dir, at.bucket, at.key, make(chan struct{})
}

// end lets the commits go on; calling it again does nothing.
func (m *moving) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir != nil {
		close(m.done)
		m.dir = nil
	}
}

// stopsLocked returns what to wait for before a node may be committed; nil: nothing. n.mu is held.
func (m *moving) stopsLocked(t *tree, n *node) <-chan struct{} {
	m.mu.Lock()
	dir, bucket, prefix, done := m.dir, m.bucket, m.prefix, m.done
	m.mu.Unlock()
	if dir == nil || !t.isBelow(n, dir) && !n.refersBelowLocked(bucket, prefix) {
		return nil
	}
	return done
}

// refersBelowLocked tells whether staged content refers to objects below a prefix.
func (n *node) refersBelowLocked(bucket, prefix string) bool {
	if n.staged == nil {
		return false
	}
	for _, e := range n.staged.Extents(0, n.staged.Size()) {
		if e.Object != nil && e.Object.Bucket == bucket && strings.HasPrefix(e.Object.Key, prefix) {
			return true
		}
	}
	return false
}

// lockSteady locks a node when no rename of a directory stands in the way of its commit. With an
// error it is not locked.
func (f *FS) lockSteady(ctx context.Context, n *node) error {
	for {
		n.mu.Lock()
		done := f.moving.stopsLocked(f.tree, n)
		if done == nil {
			return nil
		}
		n.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
