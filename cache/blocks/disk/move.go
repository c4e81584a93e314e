package disk

import "os"

// Remove deletes what there is of k. What is still queued for it is not written; it is
// cached again when nobody uses its File any more.
func (t *Tier) Remove(k Key) {
	if t == nil {
		return
	}
	f := t.File(k)
	defer f.Release()
	f.io.Lock()
	defer f.io.Unlock()
	f.retired = true
	f.removeLocked()
}

// removeLocked deletes the pair; the caller holds io.
func (f *File) removeLocked() {
	if f.isAbsent() {
		return
	}
	f.mu.RLock()
	data := f.data
	f.mu.RUnlock()
	if f.dropPackedLocked(data) { // its bytes stay until the segment goes
		return
	}
	path := f.dataPath(f.nonce)
	_ = os.Remove(f.metaPath())
	_ = os.Remove(path)
	f.mu.RLock()
	bytes := f.have * PieceSize
	f.mu.RUnlock()
	f.tier.used.Add(-bytes)
	f.forgetLocked()
}

// Move gives what there is of from the name of to: the same bytes under another name. A
// File of from that is in use becomes one of to.
func (t *Tier) Move(from, to Key) {
	if t == nil || from.Size != to.Size || from == to {
		return
	}
	f := t.File(from)
	defer f.Release()
	f.io.Lock()
	defer f.io.Unlock()
	if !f.movePackedLocked(to) && (f.isAbsent() || f.meta == nil || !t.rename(f, to)) {
		f.removeLocked()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.files, from)
	f.key, f.name = to, to.name()
	if t.files[to] == nil { // else that one finds the files when it is opened next
		t.files[to] = f
	}
}

// rename moves the pair on disk: the old meta file goes first and the new one comes last,
// so that a crash in between leaves a data file without one. It holds f.io and leaves
// f.meta open on the new meta file.
func (t *Tier) rename(f *File, to Key) bool {
	next := File{tier: t, key: to, name: to.name()}
	if _, err := os.Stat(next.metaPath()); err == nil {
		return false // to is cached already
	}
	n := f.nonce
	_ = os.Remove(f.metaPath())
	if os.MkdirAll(t.folder(next.name), 0o700) != nil || os.Rename(f.dataPath(n), next.dataPath(n)) != nil {
		return false
	}
	content := encodeHeader(to, n)
	f.mu.RLock()
	for i, b := range f.present {
		if b.have != 0 {
			r := record{mask: b.have, block: i, sums: b.sums}
			content = append(content, r.encode(n)...)
		}
	}
	f.mu.RUnlock()
	if next.publishLocked(content, n) != nil {
		_ = os.Remove(next.dataPath(n))
		return false
	}
	_ = f.meta.Close()
	f.meta = next.meta
	return true
}
