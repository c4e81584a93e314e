package ctl

import (
	"context"
	"time"
)

// waitingID names what waits: tags have no staged file, and so no id.
type waitingID struct{ id, bucket, key string }

func (w Waiting) identity() waitingID { return waitingID{w.ID, w.Bucket, string(w.Key)} }

// flushes: it is stored by a flush, because it is finished, and nobody has to decide about it.
func (w Waiting) flushes() bool { return !w.Kept && w.State != "streaming" && w.State != "streamed" }

// flushWaiting stores what is finished, and says how far it is meanwhile.
func flushWaiting(ctx context.Context, c *call, p Place, _ WaitingRequest) error {
	const often = 250 * time.Millisecond // steps may be said more often than that, so none is left out
	f := &flush{call: c, p: p, before: c.Stage.Waiting(p), moved: time.Now()}
	ended := make(chan error, 1)
	go func() { ended <- c.Stage.Flush(ctx, p) }()
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			return f.end()
		case <-tick.C:
			if err := f.look(); err != nil {
				return err // ctx ends with the call
			}
		}
	}
}

// flush is one that is under way.
type flush struct {
	*call
	p      Place
	before []Waiting
	step   Step
	moved  time.Time // when something was stored last
	said   time.Time // when a step was said last
	told   bool      // why nothing was stored
}

// look says how far it is when that has changed, and every second, and once why it does not change. A store that is away shows by
// saying nothing.
func (f *flush) look() error {
	const soon, again = 3 * time.Second, time.Second
	left := map[waitingID]Waiting{}
	for _, w := range f.Stage.Waiting(f.p) {
		left[w.identity()] = w
	}
	step, reason := Step{Doing: "uploading"}, ""
	for _, w := range f.before {
		now, waits := left[w.identity()]
		if !w.flushes() {
			continue
		}
		step.All++
		step.Total += w.Size
		switch {
		case !waits:
			step.Done++
			step.Bytes += w.Size
			continue
		case now.State == "uploading" && step.Now == "":
			step.Now = now.Key
		case now.Reason != "" && reason == "":
			reason = keyName(now) + ": " + now.Reason
		}
		step.Bytes += min(now.Done, w.Size)
	}
	step.Bytes = max(step.Bytes, f.step.Bytes) // parts of an attempt that failed may be sent again
	now := time.Now()
	if step != f.step {
		f.moved = now
	}
	if step != f.step || now.Sub(f.said) >= again {
		f.step, f.said = step, now
		if err := f.progress(func(s *Step) { *s = step }); err != nil {
			return err
		}
	}
	if f.told || reason == "" || now.Sub(f.moved) < soon {
		return nil
	}
	f.told = true
	return f.note("uploads fail and are tried again: " + reason + "; Ctrl-C ends the waiting, and the uploads go on")
}

func keyName(w Waiting) string { return Place{Bucket: w.Bucket, Key: string(w.Key)}.String() }

// end says what was stored, and what was not: what programs still write, and what is kept.
func (f *flush) end() error {
	left := map[waitingID]bool{}
	kept := int64(0)
	for _, w := range f.Stage.Waiting(f.p) {
		left[w.identity()] = true
		if w.Kept {
			kept++
		}
	}
	var sum Summary
	for _, w := range f.before {
		if !left[w.identity()] {
			sum.Done++
			sum.Bytes += w.Size
		}
	}
	if kept > 0 {
		if err := f.note(things(kept, "file is", "files are") + " kept until somebody decides; objmount ctl conflicts list shows them"); err != nil {
			return err
		}
	}
	if open := f.Tree.Unsent(f.p); open > 0 {
		if err := f.note(things(int64(open), "file is", "files are") + " still being written, and not in the store"); err != nil {
			return err
		}
	}
	return f.result(sum)
}
