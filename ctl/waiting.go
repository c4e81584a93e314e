package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// Waiting is data that a mount has and its store has not. Sizes are in bytes.
type Waiting struct {
	ID     string `json:"id"` // of the staged file; empty: only tags
	Bucket string `json:"bucket"`
	Key    Text   `json:"key"`
	// State is "waiting", "uploading", "retrying", "failed" (tried again rarely), "streaming", "streamed" (some of it is only
	// in its unfinished upload), "tags"; or, of what is kept until somebody decides, "conflict", "interrupted", "tags refused".
	State     string    `json:"state"`
	Kept      bool      `json:"kept,omitempty"` // it is not uploaded by itself
	Size      int64     `json:"size"`
	Done      int64     `json:"done"` // sent already
	Attempts  int       `json:"attempts,omitempty"`
	Reason    string    `json:"reason,omitempty"` // the last error, or why it is kept
	NextTry   time.Time `json:"next_try,omitzero"`
	Since     time.Time `json:"since,omitzero"`
	LocalFile string    `json:"local_file,omitempty"` // with the bytes that were written; those of a version that it edits are not in it
}

func (w Waiting) done(action string) Done {
	return Done{Bucket: w.Bucket, Key: w.Key, Action: action, Size: w.Size}
}

// Quarantined is a file, or a piece of a journal, that an earlier process left and that is not understood.
type Quarantined struct {
	File string `json:"file"` // absolute
	Size int64  `json:"size"` // bytes
}

// Stage is what a mount has that its store has not. Methods are called from several goroutines at once. Errors
// have a backend.Kind, or are an *Error.
type Stage interface {
	// Waiting lists what is at a place or below it; with an empty bucket everything.
	Waiting(p Place) []Waiting
	// Retry begins the uploads at a place or below it that wait for their next attempt; with an id only that one.
	Retry(p Place, id string)
	// Flush stores what programs have finished at a place or below it, and waits for it.
	Flush(ctx context.Context, p Place) error
	// Drop forgets one for good. stored: it came into the store before that.
	Drop(ctx context.Context, id string) (stored bool, err error)
	// StoreKept makes an object of one that is kept: its own, or a new one.
	StoreKept(ctx context.Context, id string, to backend.ObjectID, fresh bool) (backend.Object, error)
	// ReadKept returns up to limit bytes of one.
	ReadKept(ctx context.Context, id string, limit int64) ([]byte, error)
	// Uploads are the ids of the multipart uploads that the mount goes on with, or keeps for what it keeps.
	Uploads() []string
	// Quarantined lists what is not understood.
	Quarantined() ([]Quarantined, error)
}

// WaitingRequest is about what is not in the store yet.
type WaitingRequest struct {
	Target
	ID string `json:"id,omitempty"` // only this one
}

// DropRequest forgets data that is not in the store.
type DropRequest struct {
	Target
	ID        string `json:"id,omitempty"`        // only this one
	Recursive bool   `json:"recursive,omitempty"` // everything below a directory
}

// stageVerb makes a row of a verb about what a mount has. Its place may be one that the store does not know, and the root of a mount
// of all buckets.
func stageVerb[R request](decides bool, do func(ctx context.Context, c *call, p Place, r R) error) verb {
	return pathVerb(func(ctx context.Context, c *call, r R) error {
		if c.Stage == nil {
			return &Error{Kind: KindInvalid, Message: "nothing waits in a store; name a path in a mount"}
		}
		if decides && c.ReadOnly {
			return &Error{Kind: KindPermission, Message: "it is mounted read-only"}
		}
		p, err := c.locateLocal(ctx, string(r.target().Path))
		if err != nil {
			return err
		}
		if p.Kind == Unknown && (r.target().Directory || len(c.Stage.Waiting(p)) == 0 && len(c.Stage.Waiting(p.asDirectory())) > 0) {
			p = p.asDirectory()
		}
		err = do(ctx, c, p, r)
		if decides && !r.target().DryRun {
			c.Tree.Shown(ctx)
		}
		return err
	})
}

// locateLocal locates what a mount has. Which bucket and key that is the path tells: a store that is away, or slow, is not waited for,
// and its place is Unknown then.
func (c *call) locateLocal(ctx context.Context, path string) (Place, error) {
	const patience = time.Second
	c.idle.Store(true)
	defer c.idle.Store(false)
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := c.Tree.Locate(asking, path)
	if err != nil && ctx.Err() == nil && p.Bucket != "" && (asking.Err() != nil || KindOf(wireError(err)) == KindUnreachable) {
		return Place{p.Bucket, p.Key, Unknown}, nil
	}
	return p, err
}

func (p Place) asDirectory() Place {
	return Place{p.Bucket, strings.TrimSuffix(p.Key, "/") + "/", Directory}
}

func listWaiting(_ context.Context, c *call, p Place, r WaitingRequest) error {
	for _, w := range c.Stage.Waiting(p) {
		if r.ID != "" && w.ID != r.ID {
			continue
		}
		if err := c.item(w); err != nil {
			return err
		}
	}
	return nil
}

// retryWaiting answers with what is tried again; how it ends, flush tells.
func retryWaiting(_ context.Context, c *call, p Place, r WaitingRequest) error {
	t := &tally{call: c, sum: Summary{DryRun: r.DryRun}}
	for _, w := range c.Stage.Waiting(p) {
		if w.Kept || w.State != "retrying" && w.State != "failed" && w.State != "waiting" || r.ID != "" && w.ID != r.ID {
			continue
		}
		if err := t.done(w.done("retried"), nil); err != nil {
			return err
		}
	}
	if !r.DryRun {
		c.Stage.Retry(p, r.ID)
	}
	return t.end(false)
}

func dropWaiting(ctx context.Context, c *call, p Place, r DropRequest) error {
	if r.ID == "" {
		if err := p.tree(r.Recursive); err != nil {
			return err
		}
	}
	t := &tally{call: c, sum: Summary{DryRun: r.DryRun}}
	found := false
	for _, w := range c.Stage.Waiting(p) {
		if w.ID == "" || r.ID != "" && w.ID != r.ID {
			continue
		}
		found = true
		stored, err := false, error(nil)
		if !r.DryRun {
			stored, err = c.Stage.Drop(ctx, w.ID)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d := w.done("dropped")
		if stored {
			d.Action = "stored"
		}
		if err := t.done(d, err); err != nil {
			return err
		}
	}
	if !found && (r.ID != "" || p.Kind != Directory) {
		return nothingWaits(p, r.ID)
	}
	return t.end(r.ID != "" || p.Kind != Directory)
}

func nothingWaits(p Place, id string) error {
	if id != "" {
		return &Error{Kind: KindNotFound, Message: fmt.Sprintf("nothing with the id %s waits or is kept at %s; objmount ctl pending lists what there is", id, p)}
	}
	return &Error{Kind: KindNotFound, Message: fmt.Sprintf("nothing of %s waits or is kept; objmount ctl pending lists what there is", p)}
}

func listQuarantined(_ context.Context, c *call, _ Place, _ WaitingRequest) error {
	list, err := c.Stage.Quarantined()
	if err != nil {
		return err
	}
	for _, q := range list {
		if err := c.item(q); err != nil {
			return err
		}
	}
	return nil
}
