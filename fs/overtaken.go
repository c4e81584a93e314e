package fs

import (
	"sync"
	"time"
)

// The kernel repeats a system call by name once when the answer was ESTALE (retry_estale in Linux's fs/namei.c), after it has looked the
// name up again. For open that is what is wanted. An unlink that did not remove an object because another client had just replaced it would
// remove the new object then, which nobody has seen here, and a rename would replace it: the repeat is refused, too, and the kernel gives
// ESTALE to the program.

// overtaken remembers which unlinks, and renames to a name, were refused, at most one per thread: the repeat comes from the same thread, before
// anything else that it asks for by name. Should it not come, the next of that name by that thread is refused once for nothing, and
// the kernel repeats it.
type overtaken struct {
	mu       sync.Mutex
	byThread map[uint32]refusal
}

type refusal struct {
	parent uint64
	name   string
	at     time.Time
}

// refusalsKept is from how many on old ones are forgotten; repeatTime is when one is old. The kernel's new lookup is a request to the store.
const (
	refusalsKept = 64
	repeatTime   = 5 * time.Minute
)

// refuse notes that a thread's call was answered with ESTALE.
func (o *overtaken) refuse(thread uint32, parent uint64, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byThread == nil {
		o.byThread = map[uint32]refusal{}
	}
	if len(o.byThread) >= refusalsKept {
		for t, r := range o.byThread {
			if time.Since(r.at) > repeatTime {
				delete(o.byThread, t)
			}
		}
	}
	o.byThread[thread] = refusal{parent: parent, name: name, at: time.Now()}
}

// repeated tells whether a call is the kernel's repeat of one that was refused, and forgets it.
func (o *overtaken) repeated(thread uint32, parent uint64, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, there := o.byThread[thread]
	delete(o.byThread, thread)
	return there && r.parent == parent && r.name == name && time.Since(r.at) < repeatTime
}
