package fs

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/fs/attributes"
	"github.com/objmount/objmount/fs/names"
)

// unmarkedFor is how long a directory without a marker is not asked for one again.
const unmarkedFor = 2 * time.Minute

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
	if f.cfg.Posix == PosixOff {
		return keepState{known: true}, nil
	}
	dir.mu.RLock()
	state := dir.keeps
	dir.mu.RUnlock()
	if state.known && (state.kept && f.cfg.Posix == PosixAuto || time.Since(state.checked) < max(f.cfg.TTL, unmarkedFor)) {
		return state, nil
	}
	f.tree.mu.RLock()
	parent, isBucket := dir.parent, dir.bucket != ""
	f.tree.mu.RUnlock()
	if parent == nil && !isBucket { // the list of buckets
		return keepState{known: true}, nil
	}
	if !isBucket && parent != nil && f.cfg.Posix == PosixAuto {
		above, err := f.keeping(ctx, parent)
		if err != nil {
			return keepState{}, err
		}
		if !above.kept {
			return f.setKeeping(dir, keepState{}, nil), nil
		}
	}
	obj, err := f.cfg.Store.Head(ctx, f.markerOf(dir), backend.GetOptions{})
	if backend.IsKind(err, backend.KindNotExist) || backend.IsKind(err, backend.KindPermission) {
		return f.setKeeping(dir, keepState{kept: f.cfg.Posix == PosixOn, asked: true}, nil), nil
	}
	if err != nil {
		return keepState{}, err
	}
	props := backend.PropertiesOf(obj)
	dir.mu.Lock()
	dir.props = &props
	dir.mu.Unlock()
	kept := f.cfg.Posix == PosixOn || attributes.Decode(obj.Metadata).Has != 0
	state = keepState{kept: kept, exists: true, asked: true, marker: &obj}
	if seconds, err := strconv.ParseInt(obj.Metadata[metaSince], 10, 64); err == nil && f.cfg.Posix == PosixAuto {
		state.since = time.Unix(seconds, 0)
	}
	return f.setKeeping(dir, state, obj.Metadata), nil
}

func (f *FS) setKeeping(dir *node, s keepState, meta map[string]string) keepState {
	s.known, s.checked = true, time.Now()
	dir.mu.Lock()
	defer dir.mu.Unlock()
	if dir.keeps.kept && !s.kept {
		return dir.keeps // marked by this mount meanwhile
	}
	dir.keeps = s
	if s.kept {
		dir.attr.apply(meta)
	}
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
	parent, isBucket := dir.parent, dir.bucket != ""
	f.tree.mu.RUnlock()
	if parent != nil && !isBucket {
		if err := f.markKeeping(ctx, parent); err != nil {
			return err
		}
		// Now that the directory above keeps attributes, a marker that is there already counts.
		dir.mu.Lock()
		dir.keeps.known = false
		dir.mu.Unlock()
		if state, err = f.keeping(ctx, dir); err != nil || state.kept {
			return err
		}
	}
	return f.writeMarker(ctx, dir, true)
}

// metaFor returns the user metadata that holds an object's attributes: nil where none are kept.
// One HEAD where it is not remembered; siblings are fetched with it.
func (f *FS) metaFor(ctx context.Context, dir *node, o backend.Object) (map[string]string, error) {
	if o.HasMetadata {
		f.cfg.Metadata.Remember(o)
		return o.Metadata, nil
	}
	state, err := f.keeping(ctx, dir)
	if err != nil || !state.kept {
		return nil, err
	}
	if !o.LastModified.IsZero() && o.LastModified.Before(state.since) {
		return nil, nil
	}
	if meta, ok := f.cfg.Metadata.Attributes(o); ok {
		return meta, nil
	}
	f.readUnread(dir)
	f.cfg.Metadata.Fill(ctx, []backend.Object{o})
	if meta, ok := f.cfg.Metadata.Attributes(o); ok {
		return meta, nil
	}
	return nil, ctx.Err() // gone or changed meanwhile: the next lookup sees it
}
