package fs

import (
	"context"
	"strings"
	"sync"
)

// moving is the directory whose rename is under way. Files below it are not committed meanwhile, because
// their keys are about to change, nor files that refer to objects below it, because these are about to go.
// Names below it do not change: who is about to change some is waited for, who comes later waits.
type moving struct {
	mu      sync.Mutex
	turn    chan struct{} // closed when the next rename of a directory may begin; nil: now
	closed  *node         // names at and below it do not change; nil: none
	dir     *node         // closed, and nobody changes names there any more
	bucket  string
	prefix  string
	done    chan struct{}
	changes map[*node]int // changes of names under way, by directory
	left    chan struct{} // closed when one of them ends; nil: nobody waits
}

// claim waits for the turn to rename a directory: one at a time. Who claims it holds no enter.
func (m *moving) claim(ctx context.Context) error {
	for {
		m.mu.Lock()
		turn := m.turn
		if turn == nil {
			m.turn = make(chan struct{})
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// yield ends a claim.
func (m *moving) yield() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.turn)
	m.turn = nil
}

// begin stops the changes of names at and below a directory, waits for those under way, and then stops commits.
// Those under way may have to commit something, so that comes last. The turn is claimed. With an error nothing is stopped.
func (m *moving) begin(ctx context.Context, t *tree, dir *node, at place) error {
	m.mu.Lock()
	m.closed, m.done = dir, make(chan struct{})
	for m.changesBelowLocked(t) {
		if m.left == nil {
			m.left = make(chan struct{})
		}
		left := m.left
		m.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			m.end()
			return ctx.Err()
		}
		m.mu.Lock()
	}
	m.dir, m.bucket, m.prefix = dir, at.bucket, at.key
	m.mu.Unlock()
	return nil
}

func (m *moving) changesBelowLocked(t *tree) bool {
	for dir := range m.changes {
		if dir == m.closed || t.isBelow(dir, m.closed) {
			return true
		}
	}
	return false
}

// end lets everything go on; calling it again does nothing.
func (m *moving) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed != nil {
		close(m.done)
		m.closed, m.dir = nil, nil
	}
}

// insideKey is the context value of the directories that its request has entered: []*node.
type insideKey struct{}

// enter announces that names in these directories, or their markers, are about to change, and waits until no
// rename of a directory above stands in the way. leave ends it. A request that has entered a directory which
// a rename waits for does not wait for that rename.
func (f *FS) enter(ctx context.Context, dirs ...*node) (leave func(), err error) {
	m := &f.moving
	inside, _ := ctx.Value(insideKey{}).([]*node)
	for {
		m.mu.Lock()
		if !m.closesLocked(f.tree, dirs) || m.closesLocked(f.tree, inside) {
			break
		}
		done := m.done
		m.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if m.changes == nil {
		m.changes = make(map[*node]int)
	}
	for _, dir := range dirs {
		m.changes[dir]++
	}
	m.mu.Unlock()
	r, first := ctx.(*request)
	if first = first && r.inside == nil; first {
		r.inside = dirs
	}
	return func() {
		if first {
			r.inside = nil
		}
		m.leave(dirs)
	}, nil
}

func (m *moving) leave(dirs []*node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, dir := range dirs {
		if m.changes[dir]--; m.changes[dir] == 0 {
			delete(m.changes, dir)
		}
	}
	if m.left != nil {
		close(m.left)
		m.left = nil
	}
}

func (m *moving) closesLocked(t *tree, dirs []*node) bool {
	if m.closed == nil {
		return false
	}
	for _, dir := range dirs {
		if dir == m.closed || t.isBelow(dir, m.closed) {
			return true
		}
	}
	return false
}

// enterRename is enter for both directories of a rename. If it is a directory that is renamed, it has its
// turn then, too.
func (f *FS) enterRename(ctx context.Context, from *node, name string, to *node) (leave func(), err error) {
	n := f.tree.child(from, name)
	if n == nil || !n.dir {
		return f.enter(ctx, from, to)
	}
	if err := f.moving.claim(ctx); err != nil {
		return nil, err
	}
	left, err := f.enter(ctx, from, to)
	if err != nil {
		f.moving.yield()
		return nil, err
	}
	if r, ok := ctx.(*request); ok {
		r.turn = true
	}
	return func() { left(); f.moving.yield() }, nil
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
		n.lock()
		done := f.moving.stopsLocked(f.tree, n)
		if done == nil {
			return nil
		}
		n.unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
