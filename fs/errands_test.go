package fs

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestErrandsAreBounded: whatever is asked for is done, in order of arrival, and not all at once.
func TestErrandsAreBounded(t *testing.T) {
	t.Parallel()
	const all = 1000
	f := &FS{}
	gate := make(chan struct{})
	var running, most, done atomic.Int64
	var mu sync.Mutex
	for i := range all {
		f.errand(func() {
			now := running.Add(1)
			mu.Lock()
			most.Store(max(most.Load(), now))
			mu.Unlock()
			<-gate
			running.Add(-1)
			if done.Add(1); i == all-1 { // the last asks for one more
				f.errand(func() { done.Add(1) })
			}
		})
	}
	close(gate)
	f.work.Wait()
	if done.Load() != all+1 || most.Load() > errandsAtOnce {
		t.Errorf("%d of %d errands are done, up to %d at once", done.Load(), all+1, most.Load())
	}
}
