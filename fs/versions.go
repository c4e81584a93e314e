package fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/fs/names"
)

// The view of versions: in a bucket that keeps versions, or kept some, every directory has a directory
// .versions that no listing shows. There stands, for each key component that has versions or delete
// markers, a directory with one read-only file per version, and for each prefix that has some a directory
// with the same view. See SEMANTICS.md, "Versions".

// The names of the view in a directory. The second is for one that has a .versions of its own.
const (
	versionsName  = ".versions"
	versionsOther = ".versions%view"
)

// viewKind says what a node of the view is.
type viewKind uint8

const (
	noView   viewKind = iota // an ordinary node
	viewRoot                 // .versions
	viewDir                  // below it: a prefix
	viewPart                 // the first part of a long component
	viewKey                  // the versions of one key
	viewFile                 // one version, or a delete marker, which has no current
)

// timeInName sorts as text; versions of one key may share a millisecond, or a second where the store
// tells no more.
const timeInName = "2006-01-02T15:04:05.000Z"

const deletedSuffix = ".deleted"

// versionName is the name of the file of a version: its time, and its id escaped, so that every id has a
// name and no two share one. An id that is too long for a name is cut, with a hash of all of it.
func versionName(v backend.Version) string {
	const longest = names.MaxName - len(timeInName) - len("_") - len(deletedSuffix)
	id := escapeID(v.VersionID)
	if len(id) > longest {
		sum := sha256.Sum256([]byte(v.VersionID))
		end := "%" + hex.EncodeToString(sum[:])
		id = id[:longest-len(end)] + end
	}
	name := v.LastModified.UTC().Format(timeInName) + "_" + id
	if v.DeleteMarker {
		name += deletedSuffix
	}
	return name
}

// escapeID writes what is no letter, digit or one of -._~+= as % and two hexadecimal digits, and the dot
// of a final ".deleted", which says something else.
func escapeID(id string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	dot := len(id)
	if strings.HasSuffix(id, deletedSuffix) {
		dot -= len(deletedSuffix)
	}
	for i := range len(id) {
		c := id[i]
		if i != dot && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+=", c) >= 0) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// lookupView finds a name of the view in a directory. What the store has under that name comes first.
func (f *FS) lookupView(ctx context.Context, parent *node, name string) (*node, error) {
	n, err := f.lookupName(ctx, parent, name)
	if !backend.IsKind(err, backend.KindNotExist) || f.isPart(parent) {
		return n, err
	}
	at := f.tree.locate(parent)
	switch keeps, askErr := f.keepsVersions(ctx, at.bucket); {
	case askErr != nil:
		return nil, askErr
	case !keeps:
		return nil, err
	}
	return f.viewNode(parent, name, "", viewRoot, f.viewAttr(parent), time.Now()), nil
}

// lookupVersions finds a name in the view.
func (f *FS) lookupVersions(ctx context.Context, parent *node, name string) (*node, error) {
	if parent.view == viewKey {
		return f.lookupVersion(ctx, parent, name)
	}
	at, pieces := f.tree.locate(parent), f.tree.pieces(parent)
	component, kind := names.Decode(name)
	id := backend.ObjectID{Bucket: at.bucket, Key: at.key + component}
	switch {
	case len(id.Key) > maxKey:
		return nil, syscall.ENAMETOOLONG
	case kind == names.Part:
		return f.lookupVersionsPart(ctx, parent, name, at, component)
	case id.Key == "", at.key == "" && names.Hidden(component), !fits(pieces, component, kind):
		return nil, notExist(at)
	}
	list, err := f.versionsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	dir := false
	if component != "" || kind == names.Natural {
		dir, err = f.versionsBelow(ctx, id, list)
	}
	switch {
	case err != nil:
		return nil, err
	case dir && kind == names.Natural:
		return f.subView(ctx, parent, name, component+"/", list.asked)
	case len(list.all) == 0 || (kind == names.File) != (dir || component == ""):
		return nil, notExist(at)
	}
	a := f.viewAttr(parent)
	a.mtime = list.all[0].LastModified
	return f.viewNode(parent, name, component, viewKey, a, list.asked), nil
}

// lookupVersionsPart finds the directory of the first part of a long component.
func (f *FS) lookupVersionsPart(ctx context.Context, parent *node, name string, at place, piece string) (*node, error) {
	scan := f.scanVersions(place{at.bucket, at.key + piece})
	pieces := append(f.tree.pieces(parent), piece)
	for {
		item, err := scan.next(ctx)
		if err != nil {
			return nil, endIsNotExist(err, at)
		}
		if item.dir && fits(pieces, item.component, names.Natural) || item.file && fits(pieces, item.component, item.kind()) {
			return f.viewNode(parent, name, piece, viewPart, f.viewAttr(parent), scan.asked), nil
		}
	}
}

// lookupVersion finds one version of a key.
func (f *FS) lookupVersion(ctx context.Context, parent *node, name string) (*node, error) {
	at := f.tree.locate(parent)
	list, err := f.versionsOf(ctx, at.id())
	if err != nil {
		return nil, err
	}
	for i, v := range list.all {
		if versionName(v) == name {
			return f.versionNode(ctx, parent, name, list, i)
		}
	}
	rest := list.rest()
	for {
		v, err := f.nextVersion(ctx, at.id(), rest)
		if err != nil {
			return nil, endIsNotExist(err, at)
		}
		if versionName(v) == name {
			one := &keyVersions{asked: list.asked, all: append(newest(list.all), v)}
			return f.versionNode(ctx, parent, name, one, len(one.all)-1)
		}
	}
}

// viewNode returns the node of a directory of the view.
func (f *FS) viewNode(parent *node, name, suffix string, kind viewKind, a attr, asked time.Time) *node {
	n := f.tree.child(parent, name)
	if n == nil || n.view != kind {
		n = &node{view: kind, dir: true, extra: &extra{suffix: suffix}, ino: viewIno(parent, name), body: &body{tagCount: -1, attr: a, checked: asked}}
		f.tree.add(parent, name, n, false)
		return n
	}
	n.lock()
	defer n.unlock()
	n.attr, n.checked = a, asked
	return n
}

// versionFile returns the node of a version: it is pinned by its id. Two versions with one ETag share
// their cached bytes, which are the same; the rest of them may differ.
func (f *FS) versionFile(parent *node, name string, v backend.Version, a attr, asked time.Time) *node {
	n := f.tree.child(parent, name)
	if n == nil || n.view != viewFile || !n.shows(v) {
		n = &node{view: viewFile, extra: &extra{}, ino: viewIno(parent, name), body: &body{tagCount: -1, attr: a, checked: asked}}
		if v.DeleteMarker {
			n.marker = &v.Object
		} else {
			n.current = newVersion(v.Object)
		}
		f.tree.add(parent, name, n, false)
		return n
	}
	n.lock()
	defer n.unlock()
	n.attr, n.checked = a, asked
	return n
}

// shows tells whether the node of a version pins what is listed under its name: the null version may be another
// one within the same tick of the store's clock.
func (n *node) shows(v backend.Version) bool {
	n.rlock()
	defer n.runlock()
	if n.current == nil {
		return v.DeleteMarker
	}
	return n.current.remote.ETag == v.ETag
}

// versionNode is versionFile with the attributes that the version keeps, where some are kept.
func (f *FS) versionNode(ctx context.Context, parent *node, name string, list *keyVersions, i int) (*node, error) {
	a, err := f.versionAttr(ctx, parent, list, i)
	if err != nil {
		return nil, err
	}
	return f.versionFile(parent, name, list.all[i], a, list.asked), nil
}

// pinned names the version that a node of the view shows: ok is false for ordinary nodes, directories and
// delete markers.
func (n *node) pinned() (src backend.Source, ok bool) {
	n.rlock()
	defer n.runlock()
	if n.view != viewFile || n.current == nil {
		return backend.Source{}, false
	}
	return n.current.remote.Source, true
}

// versionGone is why a version could not be read: who may not read by version ids has asked for the current object.
// Then this is EACCES, else ESTALE.
func (f *FS) versionGone(ctx context.Context, n *node, cause error) error {
	src, ok := n.pinned()
	if !ok {
		return staleIf(true, cause)
	}
	id := backend.ObjectID{Bucket: src.Bucket, Key: src.Key}
	if _, err := f.cfg.Store.Head(ctx, id, backend.GetOptions{VersionID: src.VersionID}); backend.IsKind(err, backend.KindPermission) {
		return err
	}
	f.versions.changed(id)
	return staleIf(true, cause)
}

// viewIno is stable across mounts, as the numbers of the directories above it are.
func viewIno(parent *node, name string) uint64 {
	return inoOf(strconv.FormatUint(parent.ino, 16), name, "%versions")
}

const (
	noWriting = 0o555 // the permission bits that directories of the view show: nothing is made in them
	permBits  = 0o777 // and files: they have those that a copy should have
)

// viewAttr is what a directory of the view shows: the rights to read of the directory that it lies in.
func (f *FS) viewAttr(parent *node) attr {
	parent.rlock()
	defer parent.runlock()
	return attr{mode: syscall.S_IFDIR | parent.attr.mode&noWriting, uid: parent.attr.uid, gid: parent.attr.gid, mtime: f.started}
}

// plainAttr is what a version shows where no attributes are kept.
func (f *FS) plainAttr(v backend.Version) attr {
	return attr{mode: syscall.S_IFREG | f.cfg.FileMode&permBits, uid: f.cfg.UID, gid: f.cfg.GID, size: v.Size, mtime: v.LastModified}
}

// restrict lays owner and rights that an object keeps over a, as far as shown permits. Its other attributes are not
// shown: the time is the version's, and the version of a symbolic link is a file with the target in it.
func (a *attr) restrict(meta map[string]string, shown uint32) {
	kept := attributes.Decode(meta)
	if kept.Has.Has(attributes.Mode) && kept.Mode&syscall.S_IFMT != syscall.S_IFLNK { // a link's say nothing
		a.mode = a.mode&syscall.S_IFMT | kept.Mode&shown
	}
	if kept.Has.Has(attributes.UID) {
		a.uid = kept.UID
	}
	if kept.Has.Has(attributes.GID) {
		a.gid = kept.GID
	}
}
