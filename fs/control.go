package fs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/fs/names"
)

// Located is what a path of the mount stands for in the store.
type Located struct {
	Bucket string // empty: a list of buckets, or of remotes
	Key    string // of a directory its prefix: "", ending in "/", or the part of a long name
	Dir    bool
	Exists bool // here, in the store or staged; false: Dir is not known
}

// Holds tells whether an object is at the place or below it. A list of buckets holds everything.
func (l Located) Holds(bucket, key string) bool {
	switch {
	case l.Bucket == "":
		return true
	case l.Dir:
		return bucket == l.Bucket && strings.HasPrefix(key, l.Key)
	default:
		return bucket == l.Bucket && key == l.Key
	}
}

func (l Located) holds(at place) bool { return l.Holds(at.bucket, at.key) }

// Locate translates a path below the mountpoint; what does not exist has a place as well. Names above the last
// are only translated, the last is asked for afresh. A path that leads through a file is KindNotExist.
func (f *FS) Locate(ctx context.Context, path string) (Located, error) {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	l, err := f.locatePath(ctx, parts)
	if err == nil && !l.Exists && slices.ContainsFunc(parts, func(name string) bool { return name == versionsName || name == versionsOther }) {
		err = &backend.Error{
			Kind: backend.KindInvalid, Op: "Locate", Bucket: l.Bucket, Key: l.Key,
			Message: "in the view of versions; name the file itself, and the version by its id",
		}
	}
	return l, err
}

func (f *FS) locatePath(ctx context.Context, parts []string) (Located, error) {
	at := place{f.cfg.Bucket, f.cfg.Prefix}
	if f.cfg.Bucket == "" {
		var err error
		if at.bucket, parts, err = f.locateBucket(parts); err != nil {
			return Located{}, err
		}
	}
	if len(parts) == 0 {
		return Located{Bucket: at.bucket, Key: at.key, Dir: true, Exists: true}, nil
	}
	for i, name := range parts {
		component, kind := names.Decode(name)
		last := i == len(parts)-1
		switch {
		case name == "." || name == "..", kind == names.File && !last:
			return Located{}, notExist(at)
		case kind == names.Part:
			at.key += component
		case kind == names.File:
			return Located{Bucket: at.bucket, Key: at.key + component, Exists: true}, nil
		case !last:
			at.key += component + "/"
		default:
			return f.locateLast(ctx, at, component)
		}
	}
	return Located{Bucket: at.bucket, Key: at.key, Dir: true, Exists: true}, nil
}

func (f *FS) locateLast(ctx context.Context, at place, component string) (Located, error) {
	file := Located{Bucket: at.bucket, Key: at.key + component}
	dir := Located{Bucket: at.bucket, Key: file.Key + "/", Dir: true, Exists: true}
	if f.present(at, component) {
		return dir, nil
	}
	stagedFile, stagedDir := len(f.unsent(file)) > 0, len(f.unsent(dir)) > 0 // before the store is asked: it may be stored meanwhile
	e, err := f.cfg.Metadata.Refresh(ctx, at.bucket, at.key, component)
	switch {
	case err != nil && !backend.IsKind(err, backend.KindNotExist):
		return file, err
	case err == nil && e.Dir, err != nil && stagedDir:
		return dir, nil
	}
	file.Exists = err == nil || stagedFile
	return file, nil
}

// unsent returns the nodes at a place whose content is not in the store yet.
func (f *FS) unsent(l Located) []*node {
	var found []*node
	for _, n := range f.staged.all() {
		n.rlock()
		waits := n.staged != nil && !n.doomed && (n.written || changed(n.staged) || n.staged.State() != staging.StateCommitted)
		n.runlock()
		if waits && l.holds(f.tree.locate(n)) {
			found = append(found, n)
		}
	}
	return found
}

// Unsent counts the files at a place, or below it, whose content, tags or removal are not in the store yet.
func (f *FS) Unsent(l Located) int {
	count := len(f.unsent(l))
	f.tags.mu.Lock()
	for id := range f.tags.byID {
		if l.holds(place{id.Bucket, id.Key}) {
			count++
		}
	}
	f.tags.mu.Unlock()
	f.promises.mu.Lock()
	defer f.promises.mu.Unlock()
	for id := range f.promises.byKey {
		if l.holds(place{id.Bucket, id.Key}) {
			count++
		}
	}
	return count
}

// Settle stores what programs have closed since they wrote at a place or below it, and waits for it. The kernel's RELEASE may
// come much later: with the end of a mapping, or of another descriptor of the same open file.
func (f *FS) Settle(ctx context.Context, l Located) error {
	for _, n := range f.unsent(l) {
		f.endMade(n)
		n.rlock()
		written := n.active > 0
		n.runlock()
		if written {
			continue
		}
		err := f.commit(ctx, n, commitOptions{wait: true})
		if err != nil && f.unfitNode(n) == nil { // what the bucket does not take stands in nobody's way
			return err
		}
	}
	if l.Dir {
		return f.flushTagsBelow(ctx, l.Bucket, l.Key)
	}
	return f.flushTags(ctx, backend.ObjectID{Bucket: l.Bucket, Key: l.Key})
}

// Changed forgets what is known of an object that was changed behind the inode layer's back, and makes the
// kernel ask again. Programs that have the file open keep the version that they opened; content that is staged
// for it stays.
func (f *FS) Changed(bucket, key string) {
	id := backend.ObjectID{Bucket: bucket, Key: key}
	f.facts.drop(id)
	if key == "" {
		f.limits.forget(bucket)
	}
	f.versions.changed(id)
	f.cfg.Metadata.Removed(bucket, key) // attributes, too
	for prefix := prefixOf(key); ; prefix = prefixOf(strings.TrimSuffix(prefix, "/")) {
		f.cfg.Metadata.Invalidate(bucket, prefix)
		if prefix == "" {
			break
		}
	}
	dir := f.tree.root()
	rest, ours := strings.CutPrefix(key, f.cfg.Prefix)
	switch {
	case f.cfg.Bucket == "":
		list, name := f.bucketList(bucket)
		if key == "" {
			f.notifyEntry(list, name) // it may be new, or gone
		}
		if list == nil {
			return
		}
		if dir = f.tree.child(list, name); dir == nil {
			return
		}
	case f.cfg.Bucket != bucket || !ours:
		return
	}
	f.forgetBelow(dir, rest)
}

// Notified waits until the kernel has been told what is to be told now, or ctx ends.
func (f *FS) Notified(ctx context.Context) {
	f.tell(ctx, func(*fuse.Server) {})
}

// tell has the notifier do something after what it was given before, and waits for it; false: ctx or the mount has ended first.
func (f *FS) tell(ctx context.Context, what func(*fuse.Server)) bool {
	told := make(chan struct{})
	select {
	case f.notify <- func(s *fuse.Server) { defer close(told); what(s) }:
	case <-ctx.Done():
		return false
	case <-f.ctx.Done():
		return false
	}
	select {
	case <-told:
		return true
	case <-ctx.Done():
		return false
	case <-f.ctx.Done():
		return false
	}
}

// forgetBelow walks from a directory towards what a key is shown as, as far as it is known.
func (f *FS) forgetBelow(dir *node, key string) {
	for key != "" {
		component, rest, more := strings.Cut(key, "/")
		piece, tail, long := names.Split(component)
		name, next := names.Encode(piece, names.Natural), rest
		if long {
			name, next, more = names.Encode(piece, names.Part), tail+key[len(component):], true
		}
		if !more {
			f.forgetFile(dir, name)
			f.forgetFile(dir, names.Encode(component, names.File))
			return
		}
		below := f.tree.child(dir, name)
		if below == nil || !below.dir {
			f.notifyEntry(dir, name) // the kernel may know that it is not there
			return
		}
		dir, key = below, next
	}
	f.forgetFile(dir, contentName)
	dir.lock()
	dir.keeps, dir.checked = keepState{}, time.Time{}
	dir.unlock()
	f.post(func(s *fuse.Server) { s.InodeNotify(dir.id, -1, 0) }) // attributes only
}

func (f *FS) forgetFile(dir *node, name string) {
	n := f.tree.child(dir, name)
	if n != nil && !n.dir {
		n.lock()
		n.checked = time.Time{}
		clean := n.staged == nil && n.writers == 0
		if n.staged == nil {
			n.props, n.propsAt = nil, time.Time{}
		}
		n.unlock()
		if clean {
			f.tree.detach(n)
		}
	}
	f.notifyEntry(dir, name)
}
