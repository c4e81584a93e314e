package fs

import (
	"context"
	"syscall"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
	"github.com/objmount/objmount/cache/staging"
)

// mayArrive returns KindRefused or KindTooLarge if a bucket does not take what is about to be renamed, before anything moves. Another name of the
// same type in the same bucket is always taken.
func (f *FS) mayArrive(ctx context.Context, n *node, to backend.ObjectID) error {
	from := f.tree.locate(n).id()
	if from.Bucket == to.Bucket && (n.dir || contenttype.ByName(from.Key) == contenttype.ByName(to.Key)) {
		n.rlock()
		staged := n.staged != nil
		n.runlock()
		if staged { // its commit asks: better now than between the old name and the new
			_, _ = f.limitsOf(ctx, to.Bucket, true)
		}
		return nil
	}
	l, err := f.limitsOf(ctx, to.Bucket, true)
	if err != nil || l.FileSize == 0 && len(l.Types) == 0 {
		return err
	}
	if n.dir {
		return f.treeMayArrive(ctx, place{from.Bucket, from.Key}, place{to.Bucket, to.Key + "/"}, l)
	}
	n.rlock()
	file, v, regular := n.staged, n.current, n.attr.mode&syscall.S_IFMT == syscall.S_IFREG
	written := n.writers > 0 || file != nil && file.Streamed() > 0
	given := n.givenTypeLocked()
	n.runlock()
	switch {
	case !regular:
		return nil
	case file == nil && v == nil:
		return syscall.ESTALE
	}
	var size int64
	head := func() ([]byte, error) { return nil, nil }
	if file != nil {
		size = file.Size()
		if !written { // else its close finds out
			head = func() ([]byte, error) { return f.headOf(ctx, file) }
		}
	} else {
		size = v.remote.Size
		head = func() ([]byte, error) {
			piece, err := f.fetchHead(ctx, v.remote, 0, min(size, contenttype.HeadSize))
			return piece, f.sourceGone(n, v, err)
		}
	}
	if from.Bucket == to.Bucket {
		l.FileSize = 0 // it is there already
	}
	return arrives(l, to, size, given, head)
}

// arrives is what a bucket with limits says of one file that comes from elsewhere. The first bytes are asked for where they matter.
func arrives(l backend.BucketLimits, to backend.ObjectID, size int64, given string, head func() ([]byte, error)) error {
	if err := contenttype.SizeAllowed(l, to, size); err != nil {
		return err
	}
	if err := contenttype.NameAllowed(l, to); err != nil || len(l.Types) == 0 {
		return err
	}
	first, err := head()
	if err != nil {
		return err
	}
	return contenttype.Allowed(l, to, given, first)
}

// treeMayArrive is mayArrive for everything below a directory that moves to another bucket.
func (f *FS) treeMayArrive(ctx context.Context, from, to place, l backend.BucketLimits) error {
	return f.eachObject(ctx, from, lockParallel, func(ctx context.Context, o backend.Object) error {
		id := backend.ObjectID{Bucket: to.bucket, Key: to.key + o.Key[len(from.key):]}
		if id.Key[len(id.Key)-1] == '/' { // a marker
			return nil
		}
		return arrives(l, id, o.Size, "", func() ([]byte, error) {
			object := &staging.Remote{Source: backend.Source{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag}}
			return f.fetchHead(ctx, object, 0, min(o.Size, contenttype.HeadSize))
		})
	})
}

// mayBeStored is checkLimits for staged content that belongs to no node.
func (f *FS) mayBeStored(ctx context.Context, file *staging.File, to backend.ObjectID) error {
	l, err := f.limitsOf(ctx, to.Bucket, true)
	if err != nil || l.FileSize == 0 && len(l.Types) == 0 {
		return err
	}
	return arrives(l, to, file.Size(), "", func() ([]byte, error) {
		if file.Streamed() > 0 {
			return nil, nil // it was looked at before it began to go up
		}
		return f.headOf(ctx, file)
	})
}
