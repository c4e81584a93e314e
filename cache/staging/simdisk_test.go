package staging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// simDisk is a file system in memory that knows what was synced. crash gives the disk that a power
// failure leaves: of what was not synced any part, in any order, torn at sectors.
type simDisk struct {
	mu     sync.Mutex
	boot   int
	dirs   map[string]*simDir
	locked bool
	fail   func(op, path string) error // injected errors
	ops    map[string]int
}

type simDir struct {
	names  map[string]*simNode
	synced map[string]*simNode
	// pending are changes of names since the last sync, each as two maps' worth of edits.
	pending []func(map[string]*simNode)
}

type simNode struct {
	data    []byte
	synced  []byte
	pending []func([]byte) []byte
}

const sector = 512

func newSimDisk() *simDisk {
	return &simDisk{boot: 1, dirs: make(map[string]*simDir), ops: make(map[string]int)}
}

func (d *simDisk) enter(op, p string) error {
	d.ops[op]++
	if d.fail != nil {
		return d.fail(op, p)
	}
	return nil
}

func (d *simDisk) Boot() string { return fmt.Sprint("boot ", d.boot) }

// MkdirAll is durable at once: directories are made once, and Open makes them again.
func (d *simDisk) MkdirAll(p string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[p] == nil {
		d.dirs[p] = &simDir{names: make(map[string]*simNode), synced: make(map[string]*simNode)}
	}
	return d.enter("mkdir", p)
}

func (d *simDisk) ReadDir(p string) ([]DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.dirs[p]
	if dir == nil {
		return nil, fs.ErrNotExist
	}
	var list []DirEntry
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		list = append(list, DirEntry{Name: name, Size: int64(len(dir.names[name].data))})
	}
	return list, d.enter("readdir", p)
}

func (dir *simDir) change(edit func(map[string]*simNode)) {
	edit(dir.names)
	dir.pending = append(dir.pending, edit)
}

func (d *simDisk) Open(p string, create bool) (DiskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter("open", p); err != nil {
		return nil, err
	}
	dir, name := d.dirs[path.Dir(p)], path.Base(p)
	node := dir.names[name]
	switch {
	case create && node != nil:
		return nil, fs.ErrExist
	case !create && node == nil:
		return nil, fs.ErrNotExist
	case create:
		node = &simNode{}
		dir.change(func(m map[string]*simNode) { m[name] = node })
	}
	return &simFile{disk: d, node: node, path: p}, nil
}

func (d *simDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter("rename", from); err != nil {
		return err
	}
	a, b := d.dirs[path.Dir(from)], d.dirs[path.Dir(to)]
	node := a.names[path.Base(from)]
	if node == nil {
		return fs.ErrNotExist
	}
	if a == b {
		a.change(func(m map[string]*simNode) {
			delete(m, path.Base(from))
			m[path.Base(to)] = node
		})
		return nil
	}
	b.change(func(m map[string]*simNode) { m[path.Base(to)] = node })
	a.change(func(m map[string]*simNode) { delete(m, path.Base(from)) })
	return nil
}

func (d *simDisk) Remove(p string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter("remove", p); err != nil {
		return err
	}
	dir, name := d.dirs[path.Dir(p)], path.Base(p)
	if dir.names[name] == nil {
		return fs.ErrNotExist
	}
	dir.change(func(m map[string]*simNode) { delete(m, name) })
	return nil
}

func (d *simDisk) SyncDir(p string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter("syncdir", p); err != nil {
		return err
	}
	dir := d.dirs[p]
	dir.synced, dir.pending = maps.Clone(dir.names), nil
	return nil
}

type simLock struct{ d *simDisk }

func (l simLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.locked = false
	return nil
}

func (d *simDisk) Lock(p, _ string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, &LockedError{Path: p, Holder: "a test"}
	}
	d.locked = true
	return simLock{d}, nil
}

// kill is the disk after this process ended: nothing is lost but locks and descriptors.
func (d *simDisk) kill() *simDisk {
	return d.clone(func(n *simNode) *simNode { return n.copy() }, false, nil)
}

// crash is the disk after a power failure.
func (d *simDisk) crash(r *rand.Rand) *simDisk {
	next := d.clone(func(n *simNode) *simNode { return n.crash(r) }, true, r)
	next.boot++
	return next
}

func (d *simDisk) clone(node func(*simNode) *simNode, power bool, r *rand.Rand) *simDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newSimDisk()
	next.boot = d.boot
	done := make(map[*simNode]*simNode)
	for _, p := range slices.Sorted(maps.Keys(d.dirs)) {
		dir := d.dirs[p]
		names := dir.names
		if power { // names change in order: a journalling file system
			names = maps.Clone(dir.synced)
			for _, edit := range dir.pending[:r.IntN(len(dir.pending)+1)] {
				edit(names)
			}
		}
		to := &simDir{names: make(map[string]*simNode)}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			n := names[name]
			if done[n] == nil {
				done[n] = node(n)
			}
			to.names[name] = done[n]
		}
		to.synced = maps.Clone(to.names)
		if !power {
			to.pending, to.synced = nil, maps.Clone(to.names)
		}
		next.dirs[p] = to
	}
	return next
}

func (n *simNode) copy() *simNode {
	// What was not synced stays so: the page cache survives the process.
	return &simNode{data: slices.Clone(n.data), synced: slices.Clone(n.synced), pending: slices.Clone(n.pending)}
}

func (n *simNode) crash(r *rand.Rand) *simNode {
	data := slices.Clone(n.synced)
	keep := r.IntN(3) // nothing, anything, everything
	for _, op := range n.pending {
		if keep == 2 || keep == 1 && r.IntN(2) == 0 {
			data = op(data)
		}
	}
	return &simNode{data: data, synced: slices.Clone(data)}
}

func (n *simNode) change(ops ...func([]byte) []byte) {
	for _, op := range ops {
		n.data = op(n.data)
	}
	n.pending = append(n.pending, ops...)
}

type simFile struct {
	disk   *simDisk
	node   *simNode
	path   string
	closed bool
}

func (f *simFile) enter(op string) error {
	if f.closed {
		return fmt.Errorf("%s of %s after close", op, f.path)
	}
	return f.disk.enter(op, f.path)
}

func (f *simFile) ReadAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	short := false
	if err := f.enter("write"); errors.Is(err, errShort) {
		p, short = p[:len(p)/2], true
	} else if err != nil {
		return 0, err
	}
	data := slices.Clone(p)
	var ops []func([]byte) []byte
	for len(data) > 0 { // each sector may be lost by itself
		n := min(int64(len(data)), sector-off%sector)
		part, at := data[:n], off
		ops = append(ops, func(b []byte) []byte { return put(b, part, at) })
		data, off = data[n:], off+n
	}
	f.node.change(ops...)
	if short {
		return len(p), syscall.ENOSPC
	}
	return len(p), nil
}

var errShort = errors.New("write half")

func put(b, part []byte, at int64) []byte {
	if end := at + int64(len(part)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[at:], part)
	return b
}

func (f *simFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.enter("close")
	f.closed = true
	return err
}

func (f *simFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.node.data)), f.enter("size")
}

func (f *simFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.enter("truncate"); err != nil {
		return err
	}
	f.node.change(func(b []byte) []byte {
		if size <= int64(len(b)) {
			return b[:size:size]
		}
		return append(b, make([]byte, size-int64(len(b)))...)
	})
	return nil
}

func (f *simFile) StartSync() {}

func (f *simFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.enter("sync"); err != nil {
		return err
	}
	f.node.synced, f.node.pending = slices.Clone(f.node.data), nil
	return nil
}

// Punch is durable at once: the worst moment for whoever still needs the bytes.
func (f *simFile) Punch(off, n int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.enter("punch"); err != nil {
		return err
	}
	for _, b := range [][]byte{f.node.data, f.node.synced} {
		if off < int64(len(b)) {
			clear(b[off:min(off+n, int64(len(b)))])
		}
	}
	hole := func(b []byte) []byte {
		if off < int64(len(b)) {
			clear(b[off:min(off+n, int64(len(b)))])
		}
		return b
	}
	f.node.pending = append(f.node.pending, hole)
	return nil
}

func (f *simFile) CopyFrom(off int64, src DiskFile, srcOff, n int64) error {
	return copyRange(f, off, src, srcOff, n)
}

// dataSize is how many bytes of a data file are not zero, in whole blocks.
func (d *simDisk) files(dir string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	for p, sd := range d.dirs {
		if strings.HasSuffix(p, dir) {
			list = append(list, slices.Sorted(maps.Keys(sd.names))...)
		}
	}
	return list
}
