package fs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/cache/staging"
)

// Limits of a bucket (backend.BucketLimits) are kept to by who writes; who only reads never asks for them.
//
// Who asks what, and what it costs: one GetBucketTagging per bucket, at most one per TTL.
//
//   - Create, mknod, open with O_TRUNC, rename: what is known must not be older than TTL. The type that the name says.
//   - write, truncate, fallocate, copy_file_range: what is known, whose refresh they begin. The size.
//   - commit, before anything is uploaded: not older than TTL. Name, content and size. The first bytes are on the disk, as a
//     rule; those of another object's are one GET of 512 bytes, where the bucket has types.
//   - before a file that still grows begins to go up: name and content, as known.

const (
	// limitsRetry is the pause after a request for limits that failed while older ones were known.
	limitsRetry = time.Second
	// limitsUntold is how long a store is not asked again that does not tell, at least not to this user.
	limitsUntold = time.Minute
	// limitsPatience is how long who writes in background mode waits for limits: writing goes on while the store is away.
	limitsPatience = time.Second
)

// limitTable remembers the limits of buckets.
type limitTable struct {
	mu       sync.Mutex
	byBucket map[string]*knownLimits
}

// knownLimits are those of one bucket.
type knownLimits struct {
	backend.BucketLimits
	told   bool          // they were, once
	until  time.Time     // when to ask again
	asking chan struct{} // closed when the request under way has ended; nil: none
	slow   bool          // somebody has waited in vain for the request under way
	err    error         // of the last request, while nothing was told
	warned string        // what was said of them last
}

// forget makes the next who writes ask.
func (t *limitTable) forget(bucket string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.byBucket[bucket]; k != nil {
		k.until = time.Time{}
	}
}

// limitsOf returns the limits of a bucket, not older than TTL if fresh is set; else older ones are good enough, and asked for
// again meanwhile. While the store is away, older ones are; and in background mode, where none are known then, there are none.
func (f *FS) limitsOf(ctx context.Context, bucket string, fresh bool) (backend.BucketLimits, error) {
	t := &f.limits
	t.mu.Lock()
	k := t.byBucket[bucket]
	if k == nil {
		if t.byBucket == nil {
			t.byBucket = make(map[string]*knownLimits)
		}
		k = &knownLimits{}
		t.byBucket[bucket] = k
	}
	due := !time.Now().Before(k.until)
	if k.told && (!due || !fresh) {
		defer t.mu.Unlock()
		if due && k.asking == nil {
			f.beginLimitsLocked(bucket, k)
		}
		return k.BucketLimits, nil
	}
	if k.asking == nil {
		f.beginLimitsLocked(bucket, k)
	}
	asking := k.asking
	if k.slow {
		defer t.mu.Unlock()
		return k.BucketLimits, nil
	}
	t.mu.Unlock()
	var tired <-chan time.Time
	if f.cfg.Commit == CommitBackground {
		patience := time.NewTimer(limitsPatience)
		defer patience.Stop()
		tired = patience.C
	}
	select {
	case <-asking:
	case <-tired:
		return f.limitsInVain(bucket, k, asking), nil
	case <-ctx.Done():
		return backend.BucketLimits{}, &backend.Error{Kind: backend.KindCanceled, Op: "GetBucketTagging", Bucket: bucket, Err: context.Cause(ctx)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !k.told {
		return backend.BucketLimits{}, k.err
	}
	return k.BucketLimits, nil
}

// limitsInVain notes that a request for limits is slow, and returns those that were known before.
func (f *FS) limitsInVain(bucket string, k *knownLimits, asking chan struct{}) backend.BucketLimits {
	f.limits.mu.Lock()
	defer f.limits.mu.Unlock()
	if k.asking == asking && !k.slow {
		k.slow = true
		f.log.Info("the store does not tell the limits of the bucket; those known before are kept to", slog.String("bucket", bucket), slog.Bool("known", k.told))
	}
	return k.BucketLimits
}

// beginLimitsLocked begins a request for limits.
func (f *FS) beginLimitsLocked(bucket string, k *knownLimits) {
	k.asking = make(chan struct{})
	f.background(func() { f.askLimits(bucket, k) })
}

// askLimits asks the store. What it does not tell are none; what is wrong in its tags is said once.
func (f *FS) askLimits(bucket string, k *knownLimits) {
	began := time.Now()
	tags, err := f.cfg.Store.BucketTags(f.ctx, bucket)
	limits, wrong := backend.LimitsOf(tags)
	warning := ""
	pause := f.ttl()
	switch {
	case err == nil && wrong != nil:
		warning = wrong.Error()
	case untold(err):
		if backend.IsKind(err, backend.KindPermission) {
			warning = "whether it has any may not be asked (s3:GetBucketTagging), so none are kept to: " + err.Error()
		}
		err, pause = nil, max(pause, limitsUntold)
	}
	f.limits.mu.Lock()
	defer f.limits.mu.Unlock()
	close(k.asking)
	k.asking, k.slow, k.err = nil, false, err
	if err != nil {
		if k.told {
			k.until = time.Now().Add(limitsRetry)
		}
		return
	}
	k.BucketLimits, k.told, k.until = limits, true, began.Add(pause)
	if warning != k.warned {
		if k.warned = warning; warning != "" {
			f.log.Warn("limits of the bucket", slog.String("bucket", bucket), slog.String("error", warning))
		}
	}
}

// takesName returns KindRefused if a bucket does not take a file of this name.
func (f *FS) takesName(ctx context.Context, id backend.ObjectID) error {
	l, err := f.limitsOf(ctx, id.Bucket, true)
	if err != nil {
		return err
	}
	return contenttype.NameAllowed(l, id)
}

// takesType returns KindRefused if the bucket of a file does not take a content type.
func (f *FS) takesType(ctx context.Context, n *node, contentType string) error {
	id := f.tree.locate(n).id()
	l, err := f.limitsOf(ctx, id.Bucket, true)
	if err != nil {
		return err
	}
	return contenttype.GivenAllowed(l, id, contentType)
}

// roomFor returns how large a file may become.
func (f *FS) roomFor(ctx context.Context, n *node) (most int64, err error) {
	l, err := f.limitsOf(ctx, f.tree.locate(n).bucket, false)
	return l.Room(), err
}

// cutLocked returns how much of a write lies below the limit; KindTooLarge if nothing does.
func cutLocked(n *node, file *staging.File, off int64, data []byte, most int64) ([]byte, error) {
	switch room := most - off; {
	case int64(len(data)) <= room || n.doomed:
		return data, nil
	case room > 0:
		return data[:room], nil
	default:
		return nil, contenttype.SizeAllowed(backend.BucketLimits{FileSize: most}, file.Spec().Target, off+int64(len(data)))
	}
}

// growsLocked returns KindTooLarge if a change would make a file larger than may be. One that is too large already may be shrunk.
func growsLocked(n *node, file *staging.File, size, most int64) error {
	if size <= most || size <= file.Size() || n.doomed {
		return nil
	}
	return contenttype.SizeAllowed(backend.BucketLimits{FileSize: most}, file.Spec().Target, size)
}

// checkLimits returns KindRefused or KindTooLarge if the bucket does not take what is staged; it is noted for the status. fresh as for
// limitsOf. What is only another name, or other attributes, of what is stored in the bucket already is taken.
func (f *FS) checkLimits(ctx context.Context, n *node, fresh bool) error {
	n.rlock()
	file, old := n.staged, n.current
	due := file != nil && !n.doomed && changed(file) && n.attr.mode&syscall.S_IFMT == syscall.S_IFREG
	given := n.givenTypeLocked()
	n.runlock()
	if !due {
		return nil
	}
	id, size := file.Spec().Target, file.Size()
	if old != nil && old.remote.Bucket == id.Bucket && contenttype.ByName(old.remote.Key) == contenttype.ByName(id.Key) &&
		isCopyOf(file.Extents(0, size), size, old.remote) {
		return n.refuse(nil)
	}
	l, err := f.limitsOf(ctx, id.Bucket, fresh)
	if err != nil {
		return err
	}
	if l.FileSize == 0 && len(l.Types) == 0 {
		return n.refuse(nil)
	}
	if old == nil || size > old.remote.Size {
		if err := contenttype.SizeAllowed(l, id, size); err != nil {
			return n.refuse(err)
		}
	}
	var head []byte
	if len(l.Types) > 0 && file.Streamed() == 0 { // else it was looked at before it began to go up
		if head, err = f.headOf(ctx, file); err != nil {
			return err
		}
	}
	return n.refuse(contenttype.Allowed(l, id, given, head))
}

// givenTypeLocked is the content type that a file has not from its name or content; empty: none.
func (n *node) givenTypeLocked() string {
	switch {
	case n.untypedLocked():
		return n.inherited
	case n.props == nil || n.guessed:
		return ""
	}
	return n.props.Headers.ContentType
}

// refuse notes why a file may not be stored, also for the next mount; nil: it may.
func (n *node) refuse(err error) error {
	n.lock()
	defer n.unlock()
	n.unfit = err
	if file := n.staged; err != nil && file != nil && !n.doomed && file.State() == staging.StateOpen {
		return errors.Join(err, file.SetState(staging.StateOpen, err.Error())) // it has no promise that this takes back
	}
	return err
}

// unfit says why the bucket does not take what is staged; nil: not known, or it does.
func (f *FS) unfit(file *staging.File) error {
	n := f.staged.node(file)
	if n == nil {
		return nil
	}
	return f.unfitNode(n)
}

func (f *FS) unfitNode(n *node) error {
	n.rlock()
	defer n.runlock()
	if n.staged == nil || n.doomed {
		return nil
	}
	return n.unfit
}

// headOf returns the first bytes of what is staged, as many as tell a content type. What is another object's is fetched.
func (f *FS) headOf(ctx context.Context, file *staging.File) ([]byte, error) {
	var head []byte
	for _, e := range file.Extents(0, contenttype.HeadSize) {
		piece := make([]byte, e.Len)
		var err error
		switch {
		case e.Local:
			_, err = file.ReadLocal(e, piece, e.Off)
		case e.Object != nil:
			piece, err = f.fetchHead(ctx, e.Object, e.ObjectOff, e.Len)
		}
		if err != nil {
			return nil, err
		}
		head = append(head, piece...)
	}
	return head, nil
}

// fetchHead reads a few bytes of an object.
func (f *FS) fetchHead(ctx context.Context, r *staging.Remote, off, length int64) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	opt := backend.GetOptions{IfMatch: r.ETag, VersionID: r.VersionID, Range: &backend.Range{Off: off, Len: length}}
	body, err := f.cfg.Store.Get(ctx, backend.ObjectID{Bucket: r.Bucket, Key: r.Key}, opt)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	piece := make([]byte, length)
	_, err = io.ReadFull(body, piece)
	return piece, err
}
