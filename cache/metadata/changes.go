package metadata

import "github.com/objmount/objmount/backend"

// Stored says that this process has stored obj: its entry is obj now, and its directory
// exists. A key that ends in "/" is the marker of a directory. An object with metadata is
// remembered, as by Remember.
func (c *Cache) Stored(obj backend.Object) {
	c.change(obj.Bucket, &change{op: opStored, key: obj.Key, object: &obj})
	if obj.HasMetadata {
		c.Remember(obj)
	}
}

// Removed says that this process has deleted an object; a key that ends in "/" is the
// marker of a directory, which may still have keys.
func (c *Cache) Removed(bucket, key string) {
	c.change(bucket, &change{op: opRemoved, key: key})
	c.attrs.forget(bucket, key)
}

// PrefixAdded says that this process made keys below prefix, which ends in "/": a
// directory was renamed to it. What was known below it is forgotten.
func (c *Cache) PrefixAdded(bucket, prefix string) {
	c.change(bucket, &change{op: opPrefixAdded, key: prefix})
}

// PrefixCreated says that this process has made a directory where there was nothing, as
// mkdir does: it is known to be empty, so that names in it are looked up without a
// request. marker is its marker object; nil: none was stored.
func (c *Cache) PrefixCreated(bucket, prefix string, marker *backend.Object) {
	if marker != nil {
		m := *marker
		marker = &m
	}
	c.change(bucket, &change{op: opPrefixCreated, key: prefix, object: marker})
	if marker != nil && marker.HasMetadata {
		c.Remember(*marker)
	}
}

// PrefixRemoved says that this process removed all keys below prefix, which ends in "/", and
// its marker: rmdir, or a directory was renamed away.
func (c *Cache) PrefixRemoved(bucket, prefix string) {
	c.change(bucket, &change{op: opPrefixRemoved, key: prefix})
	c.attrs.forget(bucket, prefix)
}

// Invalidate forgets a directory's listing and the entries in it, not those of directories
// below it.
func (c *Cache) Invalidate(bucket, prefix string) {
	c.change(bucket, &change{op: opInvalidated, key: prefix})
}

func (c *Cache) change(bucket string, ch *change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch.stamp = c.stampLocked()
	for w := range c.watches {
		w.note(bucket, ch)
	}
	id := dirID{bucket, ch.key}
	if ch.forgets(ch.key) {
		c.forgetLocked(id, ch.op != opInvalidated)
	}
	if ch.op == opInvalidated {
		return
	}
	for d := range c.detached {
		if d.bucket == bucket {
			c.applyLocked(d, ch)
		}
	}
	if d := c.dirs[id]; d != nil {
		c.applyLocked(d, ch)
	}
	ancestors(id, func(up dirID) {
		if d := c.dirs[up]; d != nil {
			c.applyLocked(d, ch)
		}
	})
	if ch.op == opPrefixCreated {
		d := c.dirLocked(id)
		d.empty(ch.stamp)
		d.self = ch.object
		c.accountLocked(d)
		c.shrinkLocked(d)
	}
}

// applyLocked makes a change in one directory.
func (c *Cache) applyLocked(d *dir, ch *change) {
	if ch.op == opPrefixRemoved && ch.forgets(d.prefix) {
		d.empty(ch.stamp)
		d.singles = nil
	} else {
		d.apply(ch)
	}
	c.accountLocked(d)
}

// forgetLocked detaches a directory, and with all those below it.
func (c *Cache) forgetLocked(id dirID, all bool) {
	if d := c.dirs[id]; d != nil {
		c.detachLocked(d)
	}
	if !all || c.below[id] == 0 {
		return
	}
	for other, d := range c.dirs {
		if other.bucket == id.bucket && len(other.prefix) > len(id.prefix) && other.prefix[:len(id.prefix)] == id.prefix {
			c.detachLocked(d)
		}
	}
}
