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

// viewHome returns the directory that has the view which a node belongs to.
func (t *tree) viewHome(n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n.view != noView {
		n = n.parent
	}
	return n
}

// viewKept tells, without a request, whether attributes are kept where a node of the view lies.
func (f *FS) viewKept(n *node) bool {
	if f.cfg.Posix == PosixOff {
		return false
	}
	state := f.keepState(f.tree.viewHome(n))
	return state.kept || !state.known
}

// subView returns the node of a prefix in the view.
func (f *FS) subView(ctx context.Context, parent *node, name, suffix string, asked time.Time) (*node, error) {
	a := f.viewAttr(parent)
	state, err := f.keeping(ctx, f.tree.viewHome(parent))
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
	obj, err := f.headVersion(ctx, list.all[at])
	if err != nil {
		return err
	}
	a.restrict(obj.Metadata)
	return nil
}

// headVersion asks for a version's metadata. What may not be read, or was removed meanwhile, has none.
func (f *FS) headVersion(ctx context.Context, v backend.Version) (backend.Object, error) {
	obj, err := f.cfg.Store.Head(ctx, v.ID(), backend.GetOptions{VersionID: v.VersionID})
	if backend.IsKind(err, backend.KindPermission) || backend.IsKind(err, backend.KindNotExist) {
		return backend.Object{}, nil
	}
	return obj, err
}

// versionAttr is what the version at i shows: its own rights and owner where attributes are kept. Then those of
// the versions that a listing shows after it are asked for, too.
func (f *FS) versionAttr(ctx context.Context, parent *node, list *keyVersions, i int) (attr, error) {
	v := list.all[i]
	a := f.plainAttr(v)
	state, err := f.keeping(ctx, f.tree.viewHome(parent))
	if err != nil || !state.kept || v.DeleteMarker || v.LastModified.Before(state.since) {
		return a, err
	}
	list.mu.Lock()
	known, ok := list.attrs[v.VersionID]
	list.mu.Unlock()
	if ok {
		return known, nil
	}
	var group errgroup.Group
	for _, other := range list.all[max(0, i+1-versionsAhead) : i+1] {
		if other.DeleteMarker {
			continue
		}
		group.Go(func() error {
			obj, err := f.headVersion(ctx, other)
			if err != nil {
				return err
			}
			shown := f.plainAttr(other)
			shown.restrict(obj.Metadata)
			list.mu.Lock()
			defer list.mu.Unlock()
			if list.attrs == nil {
				list.attrs = make(map[string]attr)
			}
			list.attrs[other.VersionID] = shown
			return nil
		})
	}
	err = group.Wait()
	list.mu.Lock()
	defer list.mu.Unlock()
	if known, ok = list.attrs[v.VersionID]; ok {
		return known, nil
	}
	return a, err
}
