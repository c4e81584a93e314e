package ctl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// outage watches over a verb that has been silent: a request may hang, and repeats itself, for much longer than
// somebody who asked wants to wait. A store that works for long and one that is away look the same from outside,
// so the store is asked something else meanwhile, that it answers at once.
type outage struct {
	call  *call
	limit time.Duration // Verbs.Patience
}

const (
	askAfter   = time.Second // of silence; also the pause between questions
	tellAfter  = 3 * time.Second
	leastLimit = 2 * time.Second // an answer may take a moment
)

// watch ends the context it returns when the store has not answered for Verbs.Patience, and tells before that it does
// not. done ends the watch and returns what the verb's error is to be.
func (c *call) watch(parent context.Context) (ctx context.Context, done func(err error) error) {
	if c.Alive == nil {
		return parent, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(parent)
	o := &outage{c, c.Patience}
	if o.limit > 0 {
		o.limit = max(o.limit, leastLimit)
	}
	var ended sync.WaitGroup
	ended.Go(func() { o.run(ctx, cancel) })
	return ctx, func(err error) error {
		own, away := errors.AsType[*Error](context.Cause(ctx))
		cancel(nil)
		ended.Wait()
		if err != nil && away {
			return own
		}
		return err
	}
}

func (o *outage) run(ctx context.Context, cancel context.CancelCauseFunc) {
	pause := askAfter
	if o.limit > 0 {
		pause = min(pause, o.limit/4)
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			silentSince := o.call.heardAt()
			if now.Sub(silentSince) < pause || o.call.idle.Load() {
				continue
			}
			if err := o.ask(ctx, silentSince); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// ask waits until the store answers. The error is for the verb: it does not.
func (o *outage) ask(ctx context.Context, since time.Time) error {
	var limit <-chan time.Time
	if o.limit > 0 {
		t := time.NewTimer(o.limit - time.Since(since))
		defer t.Stop()
		limit = t.C
	}
	tell := time.NewTimer(tellAfter - time.Since(since))
	defer tell.Stop()
	ctx, cancel := context.WithCancel(ctx)
	answered := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		o.answer(ctx)
		close(answered)
	})
	defer asking.Wait()
	defer cancel()
	told := false
	for {
		select {
		case <-answered: // or ctx ended
			if told && ctx.Err() == nil {
				_ = o.call.note("the store answers again") // nobody listens: the verb sees it, too
			}
			o.call.heard()
			return nil
		case <-tell.C:
			told = true
			text := "the store " + o.call.Endpoint + " does not answer"
			if o.limit > 0 {
				text += fmt.Sprintf("; it is waited for, up to %v", o.limit)
			}
			_ = o.call.note(text)
		case <-limit:
			return &Error{Kind: KindUnreachable, Message: fmt.Sprintf("the store %s has not answered for %v", o.call.Endpoint, o.limit)}
		}
	}
}

// answer asks until there is an answer, whatever it is, or ctx ends.
func (o *outage) answer(ctx context.Context) {
	for {
		err := o.call.Alive(ctx)
		if k := backend.KindOf(err); err == nil || ctx.Err() != nil || k != backend.KindUnreachable && k != backend.KindTransient {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(askAfter):
		}
	}
}

// heard notes that the store has answered.
func (c *call) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
}

func (c *call) heardAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
