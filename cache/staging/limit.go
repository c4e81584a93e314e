package staging

import (
	"context"
	"sync"

	"github.com/objmount/objmount/backend"
)

// limiter counts the bytes of local data against the limit. An area shares it with those it adopts.
type limiter struct {
	limit int64 // 0: none

	mu         sync.Mutex
	used       int64
	room       chan struct{} // closed when used shrinks; nil: nobody waits
	committers []*committer  // of the areas; they give space back
}

func (l *limiter) join(c *committer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committers = append(l.committers, c)
}

// hurry has all areas give back what they can.
func (l *limiter) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.committers {
		c.hurry()
	}
}

// take counts n bytes, unless that goes over the limit.
func (l *limiter) take(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit > 0 && n > 0 && l.used+n > l.limit {
		return false
	}
	l.used += n
	return true
}

// add counts bytes that are there already.
func (l *limiter) add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used += n
}

func (l *limiter) give(n int64) {
	if n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used -= n
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// wait returns nil when n bytes fit, else a channel that is closed when there may be room.
func (l *limiter) wait(n int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit == 0 || l.used+n <= l.limit {
		return nil
	}
	if l.room == nil {
		l.room = make(chan struct{})
	}
	return l.room
}

// waited tells whether somebody waits for room.
func (l *limiter) waited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room != nil
}

// reserve counts n bytes of new local data; KindNoSpace over the limit.
func (a *Area) reserve(n int64, id backend.ObjectID) error {
	if a.space.take(n) {
		return nil
	}
	a.space.hurry()
	return refuse(backend.KindNoSpace, "write", id, "the staging limit is reached")
}

func (a *Area) giveBack(n int64) { a.space.give(n) }

// WaitSpace waits until n bytes fit under the limit, which does not reserve them. KindNoSpace when they
// never will, KindCanceled when ctx ends first.
func (a *Area) WaitSpace(ctx context.Context, n int64) error {
	if a.space.limit > 0 && n > a.space.limit {
		return refuse(backend.KindNoSpace, "write", backend.ObjectID{}, "more than the staging limit")
	}
	for {
		room := a.space.wait(n)
		if room == nil {
			return nil
		}
		a.space.hurry()
		select {
		case <-room:
		case <-ctx.Done():
			return &backend.Error{Kind: backend.KindCanceled, Op: "wait for staging space", Err: ctx.Err()}
		}
	}
}
