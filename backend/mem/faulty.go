package mem

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/objmount/objmount/backend"
)

// Rule says which calls something happens to.
type Rule struct {
	Op    string                // Call.Op; "" means every one
	Key   func(key string) bool // of Call.Key, or any of Call.Keys; nil: every call
	Nth   int                   // the first affected of the matching calls, from 1; 0 means 1
	Times int                   // how many calls in a row are affected; 0: all from Nth on
	Do    []Action              // in this order
}

func (r Rule) matches(c Call) bool {
	if r.Op != "" && r.Op != c.Op {
		return false
	}
	return r.Key == nil || r.Key(c.Key) && c.Keys == nil || slices.ContainsFunc(c.Keys, r.Key)
}

// Active is a rule in force.
type Active struct {
	faults     *Faults
	rule       Rule
	seen, hits int // guarded by faults.mu
}

// Hits returns how many calls the rule has affected.
func (a *Active) Hits() int {
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	return a.hits
}

// Remove ends the rule; calls that began before are still affected.
func (a *Active) Remove() {
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	a.faults.rules = slices.DeleteFunc(a.faults.rules, func(other *Active) bool { return other == a })
}

// Faults is a backend.Store in which the calls that match a rule go wrong.
type Faults struct {
	wrapper
	mu    sync.Mutex
	rules []*Active
}

var _ backend.Store = (*Faults)(nil)

// Faulty returns a wrapper of store with some rules; Add makes more.
func Faulty(store backend.Store, rules ...Rule) *Faults {
	f := &Faults{}
	f.wrapper = wrapper{store: store, hook: f.begin}
	for _, r := range rules {
		f.Add(r)
	}
	return f
}

// Add puts a rule in force for calls that begin later. All matching rules act, the oldest first.
func (f *Faults) Add(r Rule) *Active {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &Active{faults: f, rule: r}
	f.rules = append(f.rules, a)
	return a
}

// Clear removes every rule.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// DeleteMany implements backend.Writer.
func (f *Faults) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	return f.deleteSome(ctx, bucket, keys, func(pass []int) ([]backend.DeleteResult, error) {
		return f.store.DeleteMany(ctx, bucket, pick(keys, pass))
	})
}

// DeleteVersions implements backend.Versioner.
func (f *Faults) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypass bool) ([]backend.DeleteResult, error) {
	return f.deleteSome(ctx, bucket, keysOf(ids), func(pass []int) ([]backend.DeleteResult, error) {
		return f.store.DeleteVersions(ctx, bucket, pick(ids, pass), bypass)
	})
}

// deleteSome does a DeleteObjects for those keys that no rule refuses.
func (f *Faults) deleteSome(ctx context.Context, bucket string, keys []string, do func(pass []int) ([]backend.DeleteResult, error)) ([]backend.DeleteResult, error) {
	return value(ctx, &f.wrapper, Call{Op: "DeleteObjects", Bucket: bucket, Keys: keys}, func(i interception) ([]backend.DeleteResult, error) {
		results := make([]backend.DeleteResult, len(keys))
		var pass []int
		for n, key := range keys {
			if results[n] = (backend.DeleteResult{Key: key, Err: i.(*faulted).refuse(key)}); results[n].Err == nil {
				pass = append(pass, n)
			}
		}
		if len(pass) == 0 && len(keys) > 0 {
			return results, nil
		}
		done, err := do(pass)
		if err != nil {
			return nil, err
		}
		for n, result := range done {
			results[pass[n]] = result
		}
		return results, nil
	})
}

// pick returns the elements at the places, in their order.
func pick[T any](all []T, places []int) []T {
	var some []T
	for _, n := range places {
		some = append(some, all[n])
	}
	return some
}

// begin finds the actions of a call and runs those that come before it.
func (f *Faults) begin(ctx context.Context, c Call) (interception, error) {
	i := &faulted{ctx: ctx, call: c}
	for _, action := range f.actions(c) {
		if action.before != nil {
			if err := action.before(ctx, c); err != nil {
				return nil, err
			}
			continue
		}
		i.actions = append(i.actions, action)
	}
	return i, nil
}

// actions counts the call and returns what happens to it.
func (f *Faults) actions(c Call) []Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Action
	for _, a := range f.rules {
		if !a.rule.matches(c) {
			continue
		}
		a.seen++
		first := max(a.rule.Nth, 1)
		if a.seen < first || a.rule.Times > 0 && a.seen >= first+a.rule.Times {
			continue
		}
		a.hits++
		all = append(all, a.rule.Do...)
	}
	return all
}

// faulted is one call of Faults. It is used by the call's goroutine only, but for its damage.
type faulted struct {
	ctx     context.Context
	call    Call
	actions []Action
	sent    *damage
}

func (i *faulted) refuse(key string) error {
	for _, action := range i.actions {
		if action.refused == nil {
			continue
		}
		if err := action.refused(key); err != nil {
			return err
		}
	}
	return nil
}

func (i *faulted) upload(r io.ReadSeeker) io.ReadSeeker {
	d := i.damage(r)
	if d == nil {
		return r
	}
	i.sent = d
	d.broken = i.call.lost()
	return &damagedUpload{damage: d, seeker: r}
}

func (i *faulted) download(b *backend.Body) *backend.Body {
	if d := i.damage(b.ReadCloser); d != nil {
		d.broken = io.ErrUnexpectedEOF
		b.ReadCloser = &damagedDownload{damage: d, closer: b.ReadCloser}
	}
	return b
}

func (i *faulted) end(err error) error {
	if i.sent != nil {
		if why := i.sent.failure(); why != nil {
			err = why // whatever the store made of the broken body
		}
	}
	for _, action := range i.actions {
		if action.after != nil {
			action.after(i.ctx, i.call)
		}
		if action.lose {
			err = i.call.lost()
		}
	}
	return err
}

// damage returns what happens to a body, nil when nothing does.
func (i *faulted) damage(r io.Reader) *damage {
	d := &damage{ctx: i.ctx, call: i.call, reader: r, closed: make(chan struct{}), cut: -1, stall: -1}
	hurt := false
	for _, action := range i.actions {
		switch {
		case action.cut != nil:
			d.cut, hurt = *action.cut, true
		case action.stall != nil:
			d.stall, hurt = *action.stall, true
		case action.flip != nil:
			d.flips, hurt = append(d.flips, *action.flip), true
		}
	}
	if !hurt {
		return nil
	}
	return d
}
