package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
)

// revalidate asks the store whether the version that a node pins is the current one. A small
// file's bytes come with the answer, if they are wanted. What a HEAD told is returned; nil: none was sent.
func (f *FS) revalidate(ctx context.Context, n *node, bytesToo bool) (*backend.Object, error) {
	n.rlock()
	v, staged, doomed, lost := n.current, n.staged != nil, n.doomed, n.lost
	recent := time.Since(n.checked) < f.ttl()
	n.runlock()
	switch {
	case lost:
		return nil, syscall.ESTALE
	case staged || doomed || v == nil, n.view != noView: // a version of a view is pinned by its id
		return nil, nil
	case f.cfg.Consistency == Immutable, f.cfg.Consistency == TTLOnly && recent:
		return nil, nil
	}
	return f.recheck(ctx, n, v, bytesToo)
}

// recheck asks the store for the version that a node pins, and learns its version id: what the node reads from then on
// is that version, whatever becomes of its name. ESTALE: another one is current. Nil: this mount has stored one
// meanwhile, or the answer came with bytes.
func (f *FS) recheck(ctx context.Context, n *node, v *version, bytesToo bool) (*backend.Object, error) {
	began := time.Now()
	id := f.tree.locate(n).id()
	obj, err := f.currentObject(ctx, id, v, bytesToo)
	if err != nil {
		if backend.IsKind(err, backend.KindNotExist) {
			n.rlock()
			ours := n.staged != nil || !n.current.is(v)
			n.runlock()
			if ours {
				return nil, nil
			}
			f.forgetVersion(n, id)
			return nil, syscall.ESTALE
		}
		return nil, err
	}
	kept := f.showsKept(n)
	n.lock()
	if n.staged != nil || !n.current.is(v) { // ours is newer than the answer
		n.unlock()
		return nil, nil
	}
	if obj.ETag != v.remote.ETag {
		n.unlock()
		f.cfg.Metadata.Stored(obj)
		f.tree.detach(n)
		return nil, syscall.ESTALE
	}
	f.learnLocked(n, obj, began, kept)
	n.unlock()
	if bytesToo {
		return nil, nil
	}
	return &obj, nil
}

// learnLocked takes over what the store told of the version that a node pins. kept: attributes are shown.
func (f *FS) learnLocked(n *node, obj backend.Object, asked time.Time, kept bool) {
	v := n.pinLocked(obj.VersionID)
	n.checked = asked
	if !obj.HasMetadata {
		return
	}
	v.sum, v.summed = obj.CRC64NVME, true
	props := backend.PropertiesOf(obj)
	n.props, n.propsAt, n.tagCount = &props, asked, obj.TagCount
	f.facts.told(obj, asked)
	if kept {
		f.refreshLocked(n, obj, obj.Metadata)
	}
}

// pinLocked notes the id of the version that a node pins. Remotes are shared and never change: it gets another one.
func (n *node) pinLocked(versionID string) *version {
	if versionID == "" || versionID == n.current.remote.VersionID {
		return n.current
	}
	was, r := n.current, *n.current.remote
	r.VersionID = versionID
	n.current = versionOf(&r)
	n.current.modified, n.current.sum, n.current.summed = was.modified, was.sum, was.summed
	return n.current
}

// currentObject is one request: a GET of a small file (304 when its bytes are cached), a HEAD of a large one, and of a
// cached one whose version id is not known: a 304 does not tell it.
func (f *FS) currentObject(ctx context.Context, id backend.ObjectID, v *version, bytesToo bool) (backend.Object, error) {
	nameless := v.remote.VersionID == "" && f.cfg.Capabilities(id.Bucket).Versioned
	if v.remote.Size > smallFile || !bytesToo || nameless && f.cfg.Blocks.Cached(v.blocks()) {
		obj, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{})
		if err == nil {
			f.cfg.Metadata.Remember(obj)
		}
		return obj, err
	}
	known := v.blocks()
	obj, _, err := f.cfg.Blocks.Small(ctx, id, &known)
	if err == nil && obj.HasMetadata {
		f.cfg.Metadata.Remember(obj)
	}
	return obj, err
}

// forgetVersion drops a name that the store no longer has.
func (f *FS) forgetVersion(n *node, id backend.ObjectID) {
	f.cfg.Metadata.Removed(id.Bucket, id.Key)
	f.tree.detach(n)
}
