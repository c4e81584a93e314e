package ctl

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// copiesAtOnce bounds the requests that a tree costs at a time.
const copiesAtOnce = 16

// deletesAtOnce is the most keys of one request.
const deletesAtOnce = 1000

// RestoreRequest puts an old version on top again. Without VersionID and At it is the one before the
// current, or the newest one of a deleted file.
type RestoreRequest struct {
	Target
	VersionID string     `json:"version_id,omitempty"`
	At        *time.Time `json:"at,omitempty"`        // what was current then
	Recursive bool       `json:"recursive,omitempty"` // a whole directory; needs At
	Delete    bool       `json:"delete,omitempty"`    // with Recursive: also delete what was not there then
	// Replace allows what cannot be taken back: in a bucket that keeps no versions any more the current
	// content is lost.
	Replace bool `json:"replace,omitempty"`
}

// Done is one thing that a verb did, or with DryRun would do.
type Done struct {
	Bucket    string `json:"bucket"`
	Key       Text   `json:"key"`
	Action    string `json:"action"`               // "restored", "deleted", "undeleted", "purged", "unchanged", "kept", "stored", "dropped", "retried"
	VersionID string `json:"version_id,omitempty"` // that it was done with
	// NewVersionID is the version made by it; empty where the store does not say, and in a dry run.
	NewVersionID string `json:"new_version_id,omitempty"`
	DeleteMarker bool   `json:"delete_marker,omitempty"` // VersionID is one
	Size         int64  `json:"size"`                    // bytes
	Error        string `json:"error,omitempty"`         // why it was not done
}

// tally counts what is done, from several goroutines.
type tally struct {
	call *call
	mu   sync.Mutex
	sum  Summary
	last error // of the things that failed
}

// done reports one thing. failure is why it could not be done, nil if it was.
func (t *tally) done(d Done, failure error) error {
	t.mu.Lock()
	if failure != nil {
		t.sum.Failed++
		t.last = failure
		d.Error, d.Action = failure.Error(), "kept"
	} else if d.Action != "unchanged" {
		t.sum.Done++
		t.sum.Bytes += d.Size
	}
	sum := t.sum
	t.mu.Unlock()
	var item any = d
	if t.call.saysOK {
		item = Deleted{OK: failure == nil, Done: d}
	}
	if err := t.call.item(item); err != nil {
		return err
	}
	return t.call.progress(func(s *Step) { s.Done, s.Bytes = sum.Done+sum.Failed, sum.Bytes })
}

// end reports the sum. Things that failed are one error.
func (t *tally) end(single bool) error {
	if single && t.last != nil {
		return t.last
	}
	if err := t.call.result(t.sum); err != nil {
		return err
	}
	if t.sum.Failed > 0 {
		return &Error{Kind: KindPartial, Message: fmt.Sprintf("%d of %d could not be done", t.sum.Failed, t.sum.Failed+t.sum.Done)}
	}
	return nil
}

func restore(ctx context.Context, c *call, p Place, r RestoreRequest) error {
	if err := r.check(p); err != nil {
		return err
	}
	if n := c.Tree.Unsent(p); n > 0 && !r.DryRun {
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("%s written by a program at %s and would be stored on top; close and try again", things(int64(n), "file is", "files are"), p)}
	}
	keeps, err := c.keepsVersions(ctx, p.Bucket)
	if err != nil {
		return err
	}
	w := &restoring{call: c, request: r, keeps: keeps, tally: &tally{call: c, sum: Summary{DryRun: r.DryRun}}}
	if p.Kind == File {
		versions, err := c.versionsOf(ctx, p)
		if err != nil {
			return err
		}
		if err := w.file(ctx, p.Key, versions); err != nil {
			return err
		}
		return w.tally.end(true)
	}
	if err := w.directory(ctx, p); err != nil {
		return err
	}
	return w.tally.end(false)
}

func (r RestoreRequest) check(p Place) error {
	switch {
	case r.VersionID != "" && r.At != nil:
		return &Error{Kind: KindInvalid, Message: "a version and a time are two answers to one question; give one of them"}
	case p.Kind == Directory && !r.Recursive:
		return p.tree(false)
	case p.Kind == Directory && r.At == nil:
		return &Error{Kind: KindInvalid, Message: "a directory is restored as it was at a time; use --at"}
	case r.Delete && p.Kind != Directory:
		return &Error{Kind: KindInvalid, Message: "--delete is for directories"}
	}
	return nil
}

// keepsVersions tells whether what is overwritten in a bucket stays as a version.
func (c *call) keepsVersions(ctx context.Context, bucket string) (bool, error) {
	status, err := c.Store.BucketVersioning(ctx, bucket)
	if err == nil {
		return status == "Enabled", nil
	}
	if k := backend.KindOf(err); k != backend.KindPermission && k != backend.KindUnsupported {
		return false, err
	}
	caps, err := c.Capabilities(ctx, bucket)
	return caps.Versioned, err
}

// restoring is one run of the verb restore.
type restoring struct {
	*call
	request RestoreRequest
	keeps   bool // versions
	tally   *tally
}

// chosen returns the version to put on top.
func (w *restoring) chosen(p Place, versions []backend.Version) (*backend.Version, error) {
	r := w.request
	switch {
	case r.VersionID != "":
		for i := range versions {
			if versions[i].VersionID == r.VersionID {
				if versions[i].DeleteMarker {
					return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s is a delete marker of %s; to delete, use rm", r.VersionID, p)}
				}
				return &versions[i], nil
			}
		}
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("%s has no version %s; objmount ctl versions list shows those it has", p, r.VersionID)}
	case r.At != nil:
		if v := at(versions, *r.At); v != nil {
			return v, nil
		}
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("%s did not exist at %s, or that version is gone", p, r.At.Format(time.RFC3339))}
	}
	for i := range versions {
		if !versions[i].DeleteMarker && !versions[i].Latest {
			return &versions[i], nil
		}
	}
	return nil, &Error{Kind: KindNotFound, Message: p.String() + " has no older version"}
}

func (w *restoring) file(ctx context.Context, key string, versions []backend.Version) error {
	p := Place{versions[0].Bucket, key, File}
	v, err := w.chosen(p, versions)
	if err != nil {
		return err
	}
	return w.putBack(ctx, v, versions[0], false)
}

// replaces refuses what would lose the current content.
func (w *restoring) replaces(latest backend.Version) error {
	if w.keeps || w.request.Replace || latest.DeleteMarker || latest.VersionID != backend.NullVersion {
		return nil
	}
	return &Error{Kind: KindConflict, Message: fmt.Sprintf("bucket %s keeps no versions now, so the current content of %s would be lost; switch versioning on first, or use --yes", latest.Bucket, latest.Key)}
}

// putBack makes v the current version and reports it. gently leaves a current version that is the same
// content with the same properties.
func (w *restoring) putBack(ctx context.Context, v *backend.Version, latest backend.Version, gently bool) error {
	d := Done{Bucket: v.Bucket, Key: Text(v.Key), Action: "restored", VersionID: v.VersionID, Size: v.Size}
	if v.VersionID == latest.VersionID {
		d.Action = "unchanged"
		return w.tally.done(d, nil)
	}
	if err := w.replaces(latest); err != nil {
		return w.tally.done(d, err)
	}
	same := false
	var err error
	if gently && !latest.DeleteMarker && latest.ETag == v.ETag && latest.Size == v.Size {
		same, err = w.sameProperties(ctx, v, latest)
	}
	switch {
	case err != nil:
	case same:
		d.Action = "unchanged"
	case !w.request.DryRun:
		var obj backend.Object
		obj, err = w.copyOnTop(ctx, v)
		d.NewVersionID = obj.VersionID
		w.Tree.Changed(v.Bucket, v.Key) // also when the outcome is not known
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return w.tally.done(d, err)
}

// properties reads what a version has besides its bytes.
func (c *call) properties(ctx context.Context, v *backend.Version) (backend.Object, backend.Properties, error) {
	obj, err := c.Store.Head(ctx, v.ID(), backend.GetOptions{VersionID: v.VersionID})
	if err != nil {
		return obj, backend.Properties{}, err
	}
	props := backend.PropertiesOf(obj)
	if props.StorageClass == "" {
		props.StorageClass = v.StorageClass
	}
	// Each upload of objmount has its own, by which it knows its success again.
	delete(props.Metadata, backend.MetaGeneration)
	if obj.TagCount == 0 {
		return obj, props, nil
	}
	caps, err := c.Capabilities(ctx, v.Bucket)
	if err == nil && caps.Tagging {
		props.Tags, err = c.Store.Tags(ctx, v.ID(), v.VersionID)
	}
	if len(props.Tags) == 0 {
		props.Tags = nil
	}
	return obj, props, err
}

func (w *restoring) sameProperties(ctx context.Context, v *backend.Version, latest backend.Version) (bool, error) {
	_, then, err := w.properties(ctx, v)
	if err != nil {
		return false, err
	}
	_, now, err := w.properties(ctx, &latest)
	return err == nil && reflect.DeepEqual(then, now), err
}

// copyOnTop makes a new version with content and properties of v.
func (w *restoring) copyOnTop(ctx context.Context, v *backend.Version) (backend.Object, error) {
	obj, props, err := w.properties(ctx, v)
	if err != nil {
		return backend.Object{}, err
	}
	source := backend.Source{Bucket: v.Bucket, Key: v.Key, ETag: obj.ETag, VersionID: v.VersionID}
	if obj.Size > backend.S3Limits().MaxCopy {
		return w.copyInParts(ctx, v.ID(), source, obj.Size, props, backend.Condition{})
	}
	return w.Store.Copy(ctx, backend.CopyInput{Bucket: v.Bucket, Key: v.Key, Source: source, Size: obj.Size, Replace: &props})
}

// partOfCopy is the size of the parts of what is too large for one copy.
const partOfCopy = backend.GiB

func (c *call) copyInParts(ctx context.Context, to backend.ObjectID, source backend.Source, size int64, props backend.Properties, cond backend.Condition) (backend.Object, error) {
	part := max(partOfCopy, (size+9999)/10000)
	return c.inParts(ctx, to, int((size+part-1)/part), props, cond, size, func(ctx context.Context, i int, id string) (backend.Part, error) {
		off := int64(i) * part
		return c.Store.CopyPart(ctx, backend.CopyPartInput{
			Bucket: to.Bucket, Key: to.Key, UploadID: id, Number: int32(i + 1), Source: source,
			Range: backend.Range{Off: off, Len: min(part, size-off)},
		})
	})
}

// inParts makes an object of n parts, several at once, each with the number of its place plus one. Nothing is left of one that fails.
func (c *call) inParts(ctx context.Context, to backend.ObjectID, n int, props backend.Properties, cond backend.Condition, size int64,
	do func(ctx context.Context, i int, uploadID string) (backend.Part, error)) (backend.Object, error) {
	id, err := c.Store.CreateUpload(ctx, backend.CreateUploadInput{Bucket: to.Bucket, Key: to.Key, Properties: props})
	if err != nil {
		return backend.Object{}, err
	}
	parts := make([]backend.Part, n)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	for i := range parts {
		g.Go(func() error {
			var err error
			parts[i], err = do(gctx, i, id)
			return err
		})
	}
	return c.ended(ctx, backend.Upload{Bucket: to.Bucket, Key: to.Key, UploadID: id}, parts, size, cond, g.Wait(), nil)
}
