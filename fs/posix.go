package fs

import (
	"context"
	"maps"
	"strconv"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/fs/names"
)

// markerFor is how long a directory is not asked for its marker again, where it has one and where not.
const markerFor = 2 * time.Minute

// markerType is the content type of directory markers.
const markerType = "application/x-directory"

// metaSince is the marker's metadata key that says from when on attributes were kept in its
// directory: Unix seconds. Objects that are older are not asked for theirs.
const metaSince = "objmount-attributes-since"

// keepState is what is known of a directory's marker.
type keepState struct {
	known   bool
	kept    bool
	since   time.Time // objects older than this have no attributes of their own
	checked time.Time
	exists  bool            // there is a marker object (with or without attributes)
	asked   bool            // marker is what the store said
	marker  *backend.Object // nil: there is none, or it was not asked for
}

// markerOf names the marker object of a directory.
func (f *FS) markerOf(dir *node) backend.ObjectID {
	p := f.tree.locate(dir)
	if p.key == "" {
		p.key = names.DirObject
	}
	return p.id()
}

// keeping tells whether attributes are kept in a directory. In auto mode it asks for the
// marker of a directory only when the one above it keeps attributes.
func (f *FS) keeping(ctx context.Context, dir *node) (keepState, error) {
	if f.cfg.Posix == PosixOff || f.aboveBuckets(dir) {
		return keepState{known: true}, nil
	}
	state := f.keepState(dir)
	if state.known && time.Since(state.checked) < max(f.ttl(), markerFor) {
		return state, nil
	}
	f.tree.mu.RLock()
	parent, isBucket := dir.parent, dir.bucket() != ""
	f.tree.mu.RUnlock()
	if f.isPart(dir) { // it has no marker, and shows what is in the directory around it
		return f.keeping(ctx, parent)
	}
	if !isBucket && parent != nil && f.cfg.Posix == PosixAuto {
		above, err := f.keeping(ctx, parent)
		if err != nil {
			return keepState{}, err
		}
		if !above.kept {
			return f.setKeeping(dir, keepState{}), nil
		}
	}
	return f.askKeeping(ctx, dir, state)
}

// askKeeping asks for a directory's marker. Who comes meanwhile goes on with what was known before, and
// so does everybody where the store does not answer.
func (f *FS) askKeeping(ctx context.Context, dir *node, before keepState) (keepState, error) {
	dir.lock()
	if dir.keeps.known {
		dir.keeps.checked = time.Now()
	}
	dir.unlock()
	obj, err := f.headMarker(ctx, dir)
	missing := backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindPermission)
	if err != nil && !missing {
		if before.known {
			return before, nil
		}
		return keepState{}, err
	}
	state := keepState{known: true, checked: time.Now(), kept: f.cfg.Posix == PosixOn, asked: true}
	props := backend.PropertiesOf(obj)
	if !missing {
		state.exists, state.marker = true, &obj
		state.kept = state.kept || attributes.Decode(obj.Metadata).Has != 0
		if seconds, err := strconv.ParseInt(obj.Metadata[metaSince], 10, 64); err == nil && f.cfg.Posix == PosixAuto {
			state.since = time.Unix(seconds, 0)
		}
	}
	dir.lock()
	defer dir.unlock()
	if dir.keeps.marker != before.marker || dir.keeps.kept && !before.kept {
		return dir.keeps, nil // written by this mount meanwhile
	}
	if before.kept && !state.kept { // the files in it still have theirs
		state.kept, state.since = true, before.since
	}
	if changed := dir.props == nil || !maps.Equal(dir.props.Metadata, props.Metadata); !missing && changed {
		if dir.props = &props; state.kept {
			dir.attr.apply(props.Metadata)
		}
	}
	dir.keeps = state
	return state, nil
}

// setKeeping takes over what is known of a directory without its marker.
func (f *FS) setKeeping(dir *node, s keepState) keepState {
	s.known, s.checked = true, time.Now()
	dir.lock()
	defer dir.unlock()
	if dir.keeps.kept && !s.kept {
		dir.keeps.checked = s.checked
		return dir.keeps // marked by this mount meanwhile
	}
	dir.keeps = s
	return s
}

// ownLocked tells whether a file's attributes must be stored with it: they are not those that the
// mount would show by itself.
func (f *FS) ownLocked(n *node) bool {
	if f.cfg.Posix == PosixOff {
		return n.attr.mode&syscall.S_IFMT != syscall.S_IFREG
	}
	base := uint32(syscall.S_IFREG | f.cfg.FileMode)
	if n.dir {
		base = syscall.S_IFDIR | f.cfg.DirMode
	}
	return n.explicit || n.attr.mode != base || n.attr.uid != f.cfg.UID || n.attr.gid != f.cfg.GID
}

// markKeeping writes the markers that tell other mounts, and this one after a restart, that
// attributes are kept in dir: those of dir and of the directories above it that have none yet,
// the highest first.
func (f *FS) markKeeping(ctx context.Context, dir *node) error {
	if f.cfg.Posix != PosixAuto {
		return nil
	}
	state, err := f.keeping(ctx, dir)
	if err != nil || state.kept {
		return err
	}
	f.tree.mu.RLock()
	parent, isBucket := dir.parent, dir.bucket() != ""
	f.tree.mu.RUnlock()
	if parent != nil && !isBucket {
		if err := f.markKeeping(ctx, parent); err != nil {
			return err
		}
		// Now that the directory above keeps attributes, a marker that is there already counts.
		dir.lock()
		dir.keeps.known = false
		dir.unlock()
		if state, err = f.keeping(ctx, dir); err != nil || state.kept {
			return err
		}
	}
	return f.inTurn(ctx, dir, func() error {
		if f.keepState(dir).kept { // written by who had the turn before: many uploads may want one marker
			return nil
		}
		return f.writeMarkerInTurn(ctx, dir, true)
	})
}

// keepArriving makes a directory keep attributes before a node that has some is moved there.
func (f *FS) keepArriving(ctx context.Context, n, to *node) error {
	if f.cfg.Posix != PosixAuto || f.keepState(to).kept {
		return nil
	}
	n.rlock()
	own := f.ownLocked(n) || n.keeps.kept
	v, props := n.current, n.props
	n.runlock()
	var meta map[string]string
	switch {
	case own || n.dir:
	case props != nil:
		meta = props.Metadata
	case v != nil:
		o := backend.Object{Bucket: v.remote.Bucket, Key: v.remote.Key, ETag: v.remote.ETag, LastModified: v.modified}
		meta, _ = f.cfg.Metadata.Attributes(o)
	}
	if !own && attributes.Decode(meta).Has == 0 {
		return nil
	}
	return f.markKeeping(ctx, to)
}

// metaFor returns the user metadata that holds an object's attributes: nil where none are kept.
// One HEAD where it is not remembered; siblings are fetched with it.
func (f *FS) metaFor(ctx context.Context, dir *node, o backend.Object) (map[string]string, error) {
	state, err := f.keeping(ctx, dir)
	if err != nil || !state.kept {
		return nil, err
	}
	if o.HasMetadata {
		f.cfg.Metadata.Remember(o)
		return o.Metadata, nil
	}
	if !o.LastModified.IsZero() && o.LastModified.Before(state.since) {
		return nil, nil
	}
	if meta, ok := f.cfg.Metadata.Attributes(o); ok {
		return meta, nil
	}
	f.readUnread(dir, o)
	if known, ok := f.cfg.Metadata.Ask(ctx, o); ok {
		return known.Metadata, nil
	}
	return nil, ctx.Err() // gone or changed meanwhile: the next lookup sees it
}
