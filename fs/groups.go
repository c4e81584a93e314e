package fs

import (
	"context"
	"strings"
	"syscall"
)

// Groups of buckets: with Config.Groups the root has a directory for each group, and there are its buckets. A group
// is no place in a store; everywhere below, a bucket is called GROUP/BUCKET, as the Store calls it.

// groupSeparator stands between the names of a group and of a bucket.
const groupSeparator = "/"

// addGroups makes the directories of the groups. They stay for as long as the mount lives.
func (f *FS) addGroups() {
	root := f.tree.root()
	for _, name := range f.cfg.Groups {
		n := &node{dir: true, extra: &extra{group: name}, body: &body{attr: f.dirAttr(), tagCount: -1}, ino: inoOf(name+groupSeparator, "", ""), pins: 1}
		f.tree.add(root, name, n, false)
	}
}

// isGroupList tells whether a node is the list of groups.
func (f *FS) isGroupList(n *node) bool { return n.id == rootID && len(f.cfg.Groups) > 0 }

// isBucketList tells whether a node is a list of buckets: of all, or of a group.
func (f *FS) isBucketList(n *node) bool {
	return n.group() != "" || n.id == rootID && f.cfg.Bucket == "" && len(f.cfg.Groups) == 0
}

// aboveBuckets tells whether a node is a list of buckets or of groups: nothing is stored of it.
func (f *FS) aboveBuckets(n *node) bool { return f.isBucketList(n) || f.isGroupList(n) }

// bucketNamed is what the Store calls a bucket that a list of buckets shows.
func bucketNamed(list *node, name string) string {
	if list.group() == "" {
		return name
	}
	return list.group() + groupSeparator + name
}

// bucketList returns the directory that shows a bucket, and the bucket's name there; nil: none does. Only for
// mounts of several buckets.
func (f *FS) bucketList(bucket string) (list *node, name string) {
	if len(f.cfg.Groups) == 0 {
		return f.tree.root(), bucket
	}
	group, name, _ := strings.Cut(bucket, groupSeparator)
	list = f.tree.child(f.tree.root(), group)
	if list == nil || list.group() != group {
		return nil, ""
	}
	return list, name
}

// lookupGroup finds a name in the list of groups; no request is made.
func (f *FS) lookupGroup(root *node, name string) (*node, error) {
	if n := f.tree.child(root, name); n != nil {
		return n, nil
	}
	return nil, notExist(place{})
}

// groupPrefix is what the names of all buckets of a list begin with.
func groupPrefix(list *node) string { return bucketNamed(list, "") }

// groupsOf returns the entries of the list of groups.
func (f *FS) groupsOf(root *node) []dirEntry {
	entries := make([]dirEntry, 0, len(f.cfg.Groups))
	for _, name := range f.cfg.Groups {
		entries = append(entries, dirEntry{name: name, dir: true, local: f.tree.child(root, name)})
	}
	return entries
}

// locateBucket takes the names of group and bucket off a path. The bucket is empty where the path ends before: the
// place is a list then.
func (f *FS) locateBucket(parts []string) (bucket string, rest []string, err error) {
	list := f.tree.root()
	if len(parts) > 0 && f.isGroupList(list) {
		if list = f.tree.child(list, parts[0]); list == nil {
			return "", nil, notExist(place{bucket: parts[0]})
		}
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return "", nil, nil
	}
	return bucketNamed(list, parts[0]), parts[1:], nil
}

// inOneGroup is nil for two places in one store, else EXDEV: what programs answer by copying the bytes.
func (f *FS) inOneGroup(a, b place) error {
	if len(f.cfg.Groups) == 0 {
		return nil
	}
	one, _, _ := strings.Cut(a.bucket, groupSeparator)
	other, _, _ := strings.Cut(b.bucket, groupSeparator)
	if one != other {
		return syscall.EXDEV
	}
	return nil
}

// bucketsLocked lists the buckets, or the groups of buckets, that a directory above them shows.
func (f *FS) bucketsLocked(ctx context.Context, d *dirHandle) error {
	if f.isGroupList(d.node) {
		d.rest, d.listed = f.groupsOf(d.node), true
		return nil
	}
	prefix := groupPrefix(d.node)
	buckets, err := f.cfg.Store.ListBuckets(ctx, prefix)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		name := strings.TrimPrefix(b.Name, prefix)
		d.rest = append(d.rest, dirEntry{name: name, dir: true, local: f.bucketNode(d.node, name)})
	}
	d.listed = true
	return nil
}
