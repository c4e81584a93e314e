package fs

import (
	"context"
	"sync"
)

// moving is the directory whose rename is under way: files below it are not committed meanwhile, because
// their keys are about to change.
type moving struct {
	mu   sync.Mutex
	dir  *node
	done chan struct{}
}

func (m *moving) begin(dir *node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dir, m.done = dir, make(chan struct{})
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

// wait returns when no rename of a directory above n is under way.
func (m *moving) wait(ctx context.Context, t *tree, n *node) error {
	for {
		m.mu.Lock()
		dir, done := m.dir, m.done
		m.mu.Unlock()
		if dir == nil || !t.isBelow(n, dir) {
			return nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
