package fs

import "sync"

// errandsAtOnce is how many errands run at a time: more than that a store does not take faster.
const errandsAtOnce = 64

// errands is work that nobody waits for, and of which there may be any amount at once: ten thousand files that were
// unlinked while they were open may be closed in one moment.
type errands struct {
	mu      sync.Mutex // leaf
	running int
	queue   []func()
}

// errand runs fn later, in the order of calls, at most errandsAtOnce at a time. Close waits for it as for background.
func (f *FS) errand(fn func()) {
	e := &f.errands
	f.work.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, fn)
	if e.running == errandsAtOnce {
		return
	}
	e.running++
	go f.runErrands()
}

func (f *FS) runErrands() {
	e := &f.errands
	for {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.running--
			e.queue = nil
			e.mu.Unlock()
			return
		}
		fn := e.queue[0]
		e.queue[0] = nil
		e.queue = e.queue[1:]
		e.mu.Unlock()
		fn()
		f.work.Done()
	}
}
