package fs

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
)

// What was private stays so: where attributes are kept, a version shows the owner and the rights that it
// has itself, and a directory of the view those of its marker's newest version.

// versionsAhead is how many versions are asked for their attributes at once.
const versionsAhead = 64

// viewTop returns the root of the mount, or of the bucket, that a node of the view lies in.
func (t *tree) viewTop(n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n.bucket == "" {
		n = n.parent
	}
	return n
}

// viewKept tells, without a request, whether attributes may be kept where a node of the view lies: anywhere in
// the bucket, because the directory of a version may be gone, or another one by now.
func (f *FS) viewKept(n *node) bool {
	if f.cfg.Posix == PosixOff {
		return false
	}
	state := f.keepState(f.tree.viewTop(n))
	return state.kept || !state.known
}

// subView returns the node of a prefix in the view.
func (f *FS) subView(ctx context.Context, parent *node, name, suffix string, asked time.Time) (*node, error) {
	a := f.viewAttr(parent)
	state, err := f.keeping(ctx, f.tree.viewTop(parent))
	if err != nil {
		return nil, err
	}
	if state.kept {
		at := f.tree.locate(parent)
		if err := f.restrictByMarker(ctx, &a, backend.ObjectID{Bucket: at.bucket, Key: at.key + suffix}); err != nil {
			return nil, err
		}
	}
	return f.viewNode(parent, name, suffix, viewDir, a, asked), nil
}

// restrictByMarker lays the attributes of a directory over a, which may be gone: those of the newest
// version of its marker.
func (f *FS) restrictByMarker(ctx context.Context, a *attr, marker backend.ObjectID) error {
	list, err := f.versionsOf(ctx, marker)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list.all, func(v backend.Version) bool { return !v.DeleteMarker })
	if at < 0 {
		return nil
	}
	meta, err := f.versionMeta(ctx, list.all[at])
	a.restrict(meta)
	return err
}

// versionMeta is a version's metadata: one HEAD, remembered as for its extended attributes. What may not be read,
// or was removed meanwhile, has none.
func (f *FS) versionMeta(ctx context.Context, v backend.Version) (map[string]string, error) {
	known, err := f.factOf(ctx, factKey{v.ID(), v.VersionID}, false)
	if backend.IsKind(err, backend.KindPermission) {
		return nil, nil
	}
	return known.obj.Metadata, err
}

// versionAttr is what the version at i shows: its own rights and owner where attributes are kept. Then those of
// the versions that a listing shows after it are asked for, too.
func (f *FS) versionAttr(ctx context.Context, parent *node, list *keyVersions, i int) (attr, error) {
	a := f.plainAttr(list.all[i])
	state, err := f.keeping(ctx, f.tree.viewTop(parent))
	if err != nil || !state.kept || list.all[i].DeleteMarker {
		return a, err
	}
	var own map[string]string
	var group errgroup.Group
	for at := max(0, i+1-versionsAhead); at <= i; at++ {
		if list.all[at].DeleteMarker {
			continue
		}
		group.Go(func() error {
			meta, err := f.versionMeta(ctx, list.all[at])
			if at == i {
				own = meta
				return err
			}
			return nil
		})
	}
	err = group.Wait()
	a.restrict(own)
	return a, err
}
