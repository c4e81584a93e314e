package fs

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/fs/names"
)

// contentName is the name, in a directory, of the bytes of the directory's own marker object: the
// file of the empty component. A marker without bytes is not shown.
var contentName = names.Encode("", names.File)

// pieces returns the parts of a long name that lead to a directory, the outermost first; nil for a
// directory of its own.
func (t *tree) pieces(dir *node) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var all []string
	for ; dir.isPartLocked(); dir = dir.parent {
		all = append([]string{dir.suffix()}, all...)
	}
	return all
}

// home returns the directory around a part of a long name; any other directory is its own.
func (t *tree) home(dir *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for dir.isPartLocked() {
		dir = dir.parent
	}
	return dir
}

// isPartLocked tells whether a node is the directory of a part of a long name. tree.mu is held.
func (n *node) isPartLocked() bool {
	return n.dir && n.parent != nil && n.bucket() == "" && (n.view == noView || n.view == viewPart) && !strings.HasSuffix(n.suffix(), "/")
}

// fits tells whether a component is shown in the directory behind these pieces. What is short enough
// for its own name is not, though its key begins with the same bytes.
func fits(pieces []string, rest string, kind names.Kind) bool {
	for i := len(pieces) - 1; i >= 0; i-- {
		if !names.Continues(pieces[i], rest, kind) {
			return false
		}
		rest = pieces[i] + rest
	}
	return true
}

// objectKind is the kind of name that an entry's object has.
func objectKind(e metadata.Entry) names.Kind {
	if e.Dir {
		return names.File
	}
	return names.Natural
}

// inoAt gives the inode number of what adds a suffix to a directory's key prefix. The part of a long
// name has another one than the object of just that key, and a marker's bytes than their directory.
func inoAt(at place, suffix string, dir bool) uint64 {
	if dir != strings.HasSuffix(at.key+suffix, "/") {
		return inoOf(at.bucket, at.key+suffix, "%")
	}
	return inoOf(at.bucket, at.key+suffix, "")
}

// visible takes out of an entry what is not shown in its directory: what only promised deletes have left,
// the root's marker, and neighbours of a long name. It returns false when nothing is left.
func (f *FS) visible(ctx context.Context, at place, pieces []string, e *metadata.Entry) bool {
	if e.Object != nil && (f.promises.has(e.Object.ID()) || at.key == "" && names.Hidden(e.Name)) {
		e.Object = nil
	}
	if prefix := at.key + e.Name + "/"; e.Dir && e.Name != "" && f.promises.below(at.bucket, prefix) {
		e.Dir = !f.onlyPromised(ctx, at.bucket, prefix)
	}
	dir := e.Dir && fits(pieces, e.Name, names.Natural)
	if e.Object != nil && !fits(pieces, e.Name, objectKind(*e)) {
		e.Object = nil
	}
	return dir || e.Object != nil
}

// below tells whether the delete of any object of a prefix is promised.
func (p *promises) below(bucket, prefix string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.byKey {
		if id.Bucket == bucket && strings.HasPrefix(id.Key, prefix) {
			return true
		}
	}
	return false
}

// onlyPromised asks the store whether all objects of a prefix are gone here: the directory was removed
// while programs had files of it open. It is false where the store does not answer.
func (f *FS) onlyPromised(ctx context.Context, bucket, prefix string) bool {
	in := backend.ListInput{Bucket: bucket, Prefix: prefix, MaxKeys: 100}
	gone := f.promises.gone()
	for {
		page, err := f.cfg.Store.List(ctx, in)
		if err != nil {
			return false
		}
		for _, o := range page.Objects {
			if !gone(backend.ObjectID{Bucket: bucket, Key: o.Key}) {
				return false
			}
		}
		if page.Next == "" {
			return true
		}
		in.Token, in.MaxKeys = page.Next, 0
	}
}

// scanPart reads a directory of a part afresh: what the metadata cache knows of own changes it knows
// of the directory around it.
func (f *FS) scanPart(bucket, prefix string) *metadata.Scan {
	f.cfg.Metadata.Invalidate(bucket, prefix)
	return f.cfg.Metadata.Scan(bucket, prefix)
}

// lookupPart finds the directory that stands for the first piece of a component that is too
// long for a name: it is there as long as something is shown in it.
func (f *FS) lookupPart(ctx context.Context, parent *node, name string, at place, piece string) (*node, error) {
	if known := f.tree.child(parent, name); known != nil && known.dir && f.staged.below(f.tree, known) {
		return known, nil
	}
	pieces := append(f.tree.pieces(parent), piece)
	scan := f.scanPart(at.bucket, at.key+piece)
	defer scan.Close()
	for {
		e, err := scan.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil, notExist(at)
		}
		if err != nil {
			return nil, err
		}
		if f.visible(ctx, place{at.bucket, at.key + piece}, pieces, &e) {
			return f.dirNode(parent, name, piece), nil
		}
	}
}

// contentOf returns the marker object of a directory if it has bytes; nil: there are none.
func (f *FS) contentOf(at place, scan *metadata.Scan) *backend.Object {
	o := scan.Self()
	if o == nil || o.Size == 0 || !strings.HasSuffix(at.key, "/") || f.promises.has(o.ID()) {
		return nil
	}
	return o
}

// contentEntry is the entry of a directory marker's bytes.
func (f *FS) contentEntry(ctx context.Context, at place) (metadata.Entry, error) {
	scan := f.cfg.Metadata.Scan(at.bucket, at.key)
	defer scan.Close()
	if _, err := scan.Next(ctx); err != nil && !errors.Is(err, io.EOF) {
		return metadata.Entry{}, err
	}
	o := f.contentOf(at, scan)
	if o == nil {
		return metadata.Entry{}, notExist(at)
	}
	return metadata.Entry{Object: o, Dir: true}, nil
}

// newComponent returns the component that a new name in a directory stands for, or why it cannot be
// made: what would be listed under another name, or not at all.
func (f *FS) newComponent(ctx context.Context, parent *node, name string, dir bool) (string, error) {
	component, kind := names.Decode(name)
	at := f.tree.locate(parent)
	switch {
	case at.key == "" && names.Hidden(component):
		return "", syscall.EPERM
	case kind == names.Part, kind == names.File && dir, component == "" && !dir:
		return "", syscall.EINVAL
	case !fits(f.tree.pieces(parent), component, kind):
		return "", syscall.EINVAL
	case kind == names.Natural, f.present(at, component):
		return component, nil
	}
	// The object beside a directory: there must be one.
	natural := names.Encode(component, names.Natural)
	e, err := f.cfg.Metadata.Lookup(ctx, at.bucket, at.key, component)
	if backend.IsKind(err, backend.KindNotExist) && f.stagedBelow(parent, natural) {
		return component, nil
	}
	if err == nil && e.Dir {
		return component, nil
	}
	if err == nil || backend.IsKind(err, backend.KindNotExist) {
		return "", syscall.EINVAL
	}
	return "", err
}

// movable tells why a node cannot be renamed: the directory of a part is no prefix of its own, and the
// bytes of a marker belong to their directory.
func (f *FS) movable(n *node) error {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	if n.isPartLocked() || !n.dir && n.suffix() == "" {
		return syscall.EINVAL
	}
	return nil
}

// isPart tells whether a node is the directory of a part of a long name.
func (f *FS) isPart(n *node) bool {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return n.isPartLocked()
}

// isContent tells whether a file is the bytes of its directory's marker.
func (f *FS) isContent(n *node) bool {
	f.tree.mu.RLock()
	defer f.tree.mu.RUnlock()
	return !n.dir && n.suffix() == "" && n.name == contentName
}

// descend makes the nodes of the directories that lead to a key below a directory, for content that is
// only staged, and returns the last one with the rest of the key and its name.
func (f *FS) descend(from *node, key string) (parent *node, rest, name string) {
	parent = from
	for {
		component, below, more := strings.Cut(key, "/")
		for {
			piece, tail, long := names.Split(component)
			if !long {
				break
			}
			parent, component = f.dirNode(parent, names.Encode(piece, names.Part), piece), tail
		}
		switch {
		case !more && component == "":
			return parent, "", contentName
		case !more:
			return parent, component, names.Encode(component, names.Natural)
		}
		parent, key = f.dirNode(parent, names.Encode(component, names.Natural), component+"/"), below
	}
}
