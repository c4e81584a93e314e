package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// SaveAsRequest stores what is kept under another name.
type SaveAsRequest struct {
	Target
	ID string `json:"id,omitempty"` // which, where several are kept of the file
	To Text   `json:"to"`           // below the mountpoint, as Path is
}

// ConflictDiff is what differs between what is kept and what the store has.
type ConflictDiff struct {
	Kept        Waiting `json:"kept"`
	Object      *Object `json:"object,omitempty"` // what the store has; nil: nothing
	SameContent bool    `json:"same_content"`
	Text        string  `json:"text,omitempty"`        // the lines that differ, from the store's to those kept, as diff -u prints them
	WhyNoText   string  `json:"why_no_text,omitempty"` // the contents differ, but are not shown
}

func listConflicts(_ context.Context, c *call, p Place, r WaitingRequest) error {
	for _, w := range c.Stage.Waiting(p) {
		if !w.Kept || w.ID == "" || r.ID != "" && w.ID != r.ID {
			continue
		}
		if err := c.item(w); err != nil {
			return err
		}
	}
	return nil
}

// kept returns the one thing that is kept of a file.
func (c *call) kept(p Place, id string) (Waiting, error) {
	if err := p.one(); err != nil {
		return Waiting{}, err
	}
	var found []Waiting
	for _, w := range c.Stage.Waiting(p) {
		if w.Kept && w.ID != "" && (id == "" || w.ID == id) {
			found = append(found, w)
		}
	}
	switch len(found) {
	case 0:
		return Waiting{}, nothingWaits(p, id)
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, w := range found {
		ids[i] = w.ID
	}
	return Waiting{}, &Error{Kind: KindInvalid, Message: fmt.Sprintf("%d conflicts of %s are kept; name one by --id: %s", len(found), p, strings.Join(ids, ", "))}
}

func diffConflict(ctx context.Context, c *call, p Place, r WaitingRequest) error {
	w, err := c.kept(p, r.ID)
	if err != nil {
		return err
	}
	d := ConflictDiff{Kept: w}
	now, err := c.Store.Head(ctx, p.id(), backend.GetOptions{})
	exists := err == nil
	if err != nil && !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	if exists {
		o := listed(now)
		d.Object = &o
	}
	if w.Size > maxDiffed || now.Size > maxDiffed {
		d.WhyNoText = "they are too large to compare line by line"
		return c.item(d)
	}
	mine, err := c.Stage.ReadKept(ctx, w.ID, maxDiffed)
	if err != nil {
		return notWhole(w, err)
	}
	var theirs []byte
	name := "/dev/null"
	if exists {
		name = p.Key + "\t" + now.LastModified.UTC().Format(time.RFC3339Nano) + " in the store"
		if theirs, err = c.content(ctx, &backend.Version{Object: now}); err != nil {
			return err
		}
	}
	switch {
	case exists && string(mine) == string(theirs):
		d.SameContent = true
	case !isText(mine) || !isText(theirs):
		d.WhyNoText = "they are no text"
	default:
		d.Text = unifiedDiff(name, p.Key+"\tkept as "+w.ID, theirs, mine)
	}
	return c.item(d)
}

// store makes an object of what is kept.
func (c *call) store(ctx context.Context, w Waiting, to backend.ObjectID, fresh, dry bool) error {
	t := &tally{call: c, sum: Summary{DryRun: dry}}
	d := Done{Bucket: to.Bucket, Key: Text(to.Key), Action: "stored", Size: w.Size}
	var err error
	if !dry {
		var obj backend.Object
		obj, err = c.Stage.StoreKept(ctx, w.ID, to, fresh)
		err = notWhole(w, err)
		d.NewVersionID = obj.VersionID
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := t.done(d, err); err != nil {
		return err
	}
	return t.end(true)
}

// notWhole says what it means that something has changed: the object that is to be replaced, or one whose bytes are part of what is kept.
func notWhole(w Waiting, err error) error {
	if !backend.IsKind(err, backend.KindChanged) && !backend.IsKind(err, backend.KindNotExist) {
		return err
	}
	text := "it is kept as it was: another client was faster once more, or it is an edit of a version that is gone, so that it cannot be had whole"
	if w.LocalFile != "" {
		text += "; the bytes that were written are in " + w.LocalFile
	}
	return &Error{Kind: KindConflict, Message: text + " (" + err.Error() + ")"}
}

func keepMine(ctx context.Context, c *call, p Place, r WaitingRequest) error {
	w, err := c.kept(p, r.ID)
	if err != nil {
		return err
	}
	return c.store(ctx, w, p.id(), false, r.DryRun)
}

func saveAs(ctx context.Context, c *call, p Place, r SaveAsRequest) error {
	w, err := c.kept(p, r.ID)
	if err != nil {
		return err
	}
	to, err := c.Tree.Locate(ctx, string(r.To))
	switch {
	case err != nil:
		return err
	case to.Kind == Directory || to.Key == "":
		return &Error{Kind: KindInvalid, Message: to.String() + " is a directory; name a file"}
	case to.Kind == File:
		return &Error{Kind: KindConflict, Message: to.String() + " exists; choose another name"}
	}
	return c.store(ctx, w, to.id(), true, r.DryRun)
}

func keepTheirs(ctx context.Context, c *call, p Place, r WaitingRequest) error {
	w, err := c.kept(p, r.ID)
	if err != nil {
		return err
	}
	return dropWaiting(ctx, c, p, DropRequest{Target: r.Target, ID: w.ID})
}
