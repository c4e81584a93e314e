package ctl

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// UploadsRequest is about unfinished multipart uploads of objects at a place or below it.
type UploadsRequest struct {
	Target
}

// AbortUploadsRequest ends unfinished multipart uploads for good. Exactly one of UploadID and Before says which.
type AbortUploadsRequest struct {
	Target
	UploadID string     `json:"upload_id,omitempty"` // this one
	Before   *time.Time `json:"before,omitempty"`    // those that were begun before
}

// UnfinishedUpload is a multipart upload that nobody has completed. Its parts are stored, and paid for, until somebody aborts it.
type UnfinishedUpload struct {
	Bucket    string    `json:"bucket"`
	Key       Text      `json:"key"`
	UploadID  string    `json:"upload_id"`
	Initiated time.Time `json:"initiated,omitzero"`
	Ours      bool      `json:"ours,omitempty"` // this mount goes on with it, or keeps it for what it keeps
	Error     string    `json:"error,omitempty"`
	Aborted   bool      `json:"aborted,omitempty"` // or, with DryRun, would be
}

// uploadsAt lists the unfinished uploads at a place or below it, by key and age.
func (c *call) uploadsAt(ctx context.Context, p Place) ([]UnfinishedUpload, error) {
	id := backend.ObjectID{Bucket: p.Bucket}
	if p.Kind != Directory { // of a directory all of the bucket: some stores find nothing under a prefix
		id.Key = p.Key
	}
	all, err := c.Store.ListUploads(ctx, id)
	if err != nil {
		return nil, err
	}
	var ours []string
	if c.Stage != nil {
		ours = c.Stage.Uploads()
	}
	var found []UnfinishedUpload
	for _, up := range all {
		if p.holds(up.Key) {
			found = append(found, UnfinishedUpload{
				Bucket: up.Bucket, Key: Text(up.Key), UploadID: up.UploadID, Initiated: up.Initiated, Ours: slices.Contains(ours, up.UploadID),
			})
		}
	}
	return found, nil
}

func listUploads(ctx context.Context, c *call, p Place, _ UploadsRequest) error {
	found, err := c.uploadsAt(ctx, p)
	if err != nil {
		return err
	}
	for _, up := range found {
		if err := c.item(up); err != nil {
			return err
		}
	}
	return nil
}

func (r UploadsRequest) anew()      {}
func (r AbortUploadsRequest) anew() {}

func (r UploadsRequest) ofBucket(Place) bool      { return true }
func (r AbortUploadsRequest) ofBucket(Place) bool { return true }

// abortUploads ends uploads. Those of this mount stay, whatever their age: it goes on with them.
func abortUploads(ctx context.Context, c *call, p Place, r AbortUploadsRequest) error {
	if (r.UploadID == "") == (r.Before == nil) {
		return &Error{Kind: KindInvalid, Message: "say which uploads: give one of --older-than and --upload-id"}
	}
	found, err := c.uploadsAt(ctx, p)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(up UnfinishedUpload) bool {
		if r.UploadID != "" {
			return up.UploadID != r.UploadID
		}
		return up.Initiated.IsZero() || !up.Initiated.Before(*r.Before)
	})
	if r.UploadID != "" && len(found) == 0 {
		return &Error{Kind: KindNotFound, Message: "there is no unfinished upload with the id " + r.UploadID + " at " + p.String()}
	}
	failed := c.endUploads(ctx, found, r.DryRun)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sum := Summary{DryRun: r.DryRun}
	for i, up := range found {
		if up.Aborted = failed[i] == nil; up.Aborted {
			sum.Done++
		} else {
			sum.Failed++
			up.Error = failed[i].Error()
		}
		if err := c.item(up); err != nil {
			return err
		}
	}
	if err := c.result(sum); err != nil || sum.Failed == 0 {
		return err
	}
	if r.UploadID != "" {
		return failed[0]
	}
	return &Error{Kind: KindPartial, Message: things(sum.Failed, "upload was", "uploads were") + " not aborted"}
}

// endUploads aborts what is not of this mount, and returns for each why it stays.
func (c *call) endUploads(ctx context.Context, list []UnfinishedUpload, dry bool) []error {
	failed := make([]error, len(list))
	var of []int
	var others []backend.Upload
	for i, up := range list {
		if up.Ours {
			failed[i] = &Error{Kind: KindBusy, Message: "this mount goes on with it; objmount ctl pending shows what it belongs to"}
			continue
		}
		of = append(of, i)
		others = append(others, backend.Upload{Bucket: up.Bucket, Key: string(up.Key), UploadID: up.UploadID})
	}
	if !dry {
		for i, err := range c.abortAll(ctx, others) {
			failed[of[i]] = err
		}
	}
	return failed
}

// abortAll aborts uploads, some at a time, and returns what each failed with. The end of ctx ends it.
func (c *call) abortAll(ctx context.Context, list []backend.Upload) []error {
	failed := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(copiesAtOnce)
	for i, up := range list {
		group.Go(func() error {
			if failed[i] = ctx.Err(); failed[i] == nil {
				failed[i] = c.Store.AbortUpload(ctx, up)
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	return failed
}
