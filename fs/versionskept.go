package fs

import (
	"context"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/fs/names"
)

// What was private stays so, and what is private now was: where attributes are kept, a version shows the owner and the
// rights that it has itself, but to others nothing that the newest version, or the file here, does not give them. A
// directory of the view shows those of its marker's newest version.

// versionsAhead is how many versions are asked for their attributes at once.
const versionsAhead = 64

// viewTop returns the root of the mount, or of the bucket, that a node of the view lies in.
func (t *tree) viewTop(n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n.bucket() == "" {
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
	at := newestAt(list.all)
	if at < 0 {
		return nil
	}
	meta, err := f.versionMeta(ctx, list.all[at])
	a.restrict(meta, noWriting)
	return err
}

// newestAt is where the newest version with content is; -1: there are markers only.
func newestAt(all []backend.Version) int {
	return slices.IndexFunc(all, func(v backend.Version) bool { return !v.DeleteMarker })
}

// newest returns the newest version with content, or nothing.
func newest(all []backend.Version) []backend.Version {
	if at := newestAt(all); at >= 0 {
		return []backend.Version{all[at]}
	}
	return nil
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

// versionAttr is what the version at i shows: its own rights and owner where attributes are kept, which costs a HEAD of it
// and one of the newest. Then those of the versions that a listing shows after it are asked for, too.
func (f *FS) versionAttr(ctx context.Context, parent *node, list *keyVersions, i int) (attr, error) {
	a := f.plainAttr(list.all[i])
	state, err := f.keeping(ctx, f.tree.viewTop(parent))
	if err != nil || !state.kept || list.all[i].DeleteMarker {
		return a, err
	}
	newest := newestAt(list.all)
	var own, last map[string]string
	var group errgroup.Group
	ask := func(at int, meta *map[string]string) {
		group.Go(func() (err error) {
			*meta, err = f.versionMeta(ctx, list.all[at])
			return err
		})
	}
	ask(i, &own)
	if newest < i {
		ask(newest, &last)
	}
	for at := max(newest+1, i+1-versionsAhead); at < i; at++ {
		if !list.all[at].DeleteMarker {
			group.Go(func() error {
				_, _ = f.versionMeta(ctx, list.all[at]) // who looks at that one hears of it
				return nil
			})
		}
	}
	err = group.Wait()
	a.restrict(own, permBits)
	if newest < i {
		if kept := attributes.Decode(last); kept.Has.Has(attributes.Mode) && kept.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			a.close(kept.Mode)
		}
	}
	if mode, set := f.modeNow(parent); set {
		a.close(mode)
	}
	return a, err
}

// forOthers are the rights of those who do not own a file.
const forOthers = 0o077

// close takes from others what a later mode of the same file does not give them: who makes a file private means what
// it was before, too.
func (a *attr) close(mode uint32) { a.mode &^= forOthers &^ mode }

// modeNow returns the mode that the file itself shows here, if it is known and not the mount's: a chmod is in the store
// only when its copy has been made. versions is the directory of the file's versions.
func (f *FS) modeNow(versions *node) (mode uint32, set bool) {
	n := f.tree.behind(versions)
	if n == nil {
		return 0, false
	}
	n.rlock()
	defer n.runlock()
	if n.doomed || n.attr.mode&syscall.S_IFMT != syscall.S_IFREG {
		return 0, false
	}
	return n.attr.mode, n.attr.mode&permBits != f.cfg.FileMode&permBits
}

// behind returns the node of the file whose versions a directory of the view has; nil: it is not known.
func (t *tree) behind(versions *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	component, path := versions.suffix(), []string(nil)
	n := versions.parent
	for ; n != nil && n.view != viewRoot; n = n.parent {
		path = append(path, n.name)
	}
	if n == nil || versions.detached {
		return nil
	}
	dir := n.parent
	for _, name := range slices.Backward(path) {
		if dir = t.index.child(dir, name); dir == nil || !dir.dir {
			return nil
		}
	}
	for _, kind := range []names.Kind{names.Natural, names.File} {
		if file := t.index.child(dir, names.Encode(component, kind)); file != nil && !file.dir {
			return file
		}
	}
	return nil
}
