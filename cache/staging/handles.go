package staging

import (
	"errors"
	"sync"
)

// dataFile is the data file of one staged file. Its descriptor is opened when it is needed.
// The fields are guarded by handles.mu.
type dataFile struct {
	path       string
	file       DiskFile // nil: not open
	uses       int      // acquire without release
	prev, next *dataFile
	idle       bool // in the list of open files that nobody uses
	gone       bool // close as soon as nobody uses it, and do not open again
}

// handles bounds the number of open data files: a hundred thousand files may wait for their upload,
// descriptors are few. Files in use are never closed; of the others, those used last stay open.
// mu is a leaf: no other lock is taken under it.
type handles struct {
	disk Disk
	max  int

	mu   sync.Mutex
	open int
	list dataFile // ring of idle files, the one used last first
}

func newHandles(disk Disk, limit int) *handles {
	h := &handles{disk: disk, max: limit}
	h.list.prev, h.list.next = &h.list, &h.list
	return h
}

// acquire returns the open data file; release it after use. With create, the file is made.
func (h *handles) acquire(d *dataFile, create bool) (DiskFile, error) {
	h.mu.Lock()
	if f := h.takeLocked(d); f != nil {
		h.mu.Unlock()
		return f, nil
	}
	gone, closed := d.gone, h.max < 0
	h.mu.Unlock()
	if gone {
		return nil, errRemoved
	}
	if closed {
		return nil, errClosed
	}
	opened, err := h.disk.Open(d.path, create)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	if f := h.takeLocked(d); f != nil { // another reader was faster
		h.mu.Unlock()
		return f, opened.Close()
	}
	d.file, d.uses = opened, 1
	h.open++
	victim := h.evictLocked()
	h.mu.Unlock()
	if victim != nil {
		victim.Close() // nothing is lost by it: write errors are reported by fdatasync
	}
	return opened, nil
}

func (h *handles) takeLocked(d *dataFile) DiskFile {
	if d.file == nil || d.gone && d.uses == 0 {
		return nil
	}
	d.uses++
	h.unlinkLocked(d)
	return d.file
}

// evictLocked takes the file that was idle longest out of the cache when there are too many.
func (h *handles) evictLocked() DiskFile {
	d := h.list.prev
	if h.open <= h.max || d == &h.list {
		return nil
	}
	h.unlinkLocked(d)
	f := d.file
	d.file = nil
	h.open--
	return f
}

func (h *handles) unlinkLocked(d *dataFile) {
	if d.idle {
		d.prev.next, d.next.prev = d.next, d.prev
		d.prev, d.next, d.idle = nil, nil, false
	}
}

// release ends one use.
func (h *handles) release(d *dataFile) {
	h.mu.Lock()
	d.uses--
	var shut DiskFile
	if d.uses == 0 {
		if d.gone {
			shut = h.dropLocked(d)
		} else {
			d.prev, d.next, d.idle = &h.list, h.list.next, true
			d.prev.next, d.next.prev = d, d
			shut = h.evictLocked()
		}
	}
	h.mu.Unlock()
	if shut != nil {
		shut.Close()
	}
}

// dropLocked takes the open file out of the cache for good.
func (h *handles) dropLocked(d *dataFile) DiskFile {
	h.unlinkLocked(d)
	f := d.file
	if f != nil {
		d.file = nil
		h.open--
	}
	return f
}

// forget closes a data file as soon as its last use ends. It is not opened again.
func (h *handles) forget(d *dataFile) {
	h.mu.Lock()
	d.gone = true
	var f DiskFile
	if d.uses == 0 {
		f = h.dropLocked(d)
	}
	h.mu.Unlock()
	if f != nil {
		f.Close()
	}
}

// close closes what is idle; what is in use is closed by its release. Nothing is opened any more.
func (h *handles) close() {
	h.mu.Lock()
	h.max = -1
	h.mu.Unlock()
	for {
		h.mu.Lock()
		f := h.evictLocked()
		h.mu.Unlock()
		if f == nil {
			return
		}
		f.Close()
	}
}

var errRemoved = errors.New("the staged file was removed")
