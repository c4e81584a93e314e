package blocks

import "sync"

// View is the answer to a read: the bytes themselves, in one or several slices of the
// cache's memory. It holds references until Release.
type View struct {
	n      int
	slices [][]byte
	segs   []segment

	fetches []*fetch // made but not yet started
	started int      // how many were started for the segments
	ask     bool     // content.ask is to be called
}

// segment is a part of a View: bytes [lo, hi) of a block, or the whole of a buffer that
// was filled from disk.
type segment struct {
	block  *block
	disk   buffer
	off    int64 // in the object
	lo, hi int64 // in the block
}

var viewPool = sync.Pool{New: func() any {
	return &View{slices: make([][]byte, 0, 8), segs: make([]segment, 0, 8)}
}}

// Len returns the number of bytes.
func (v *View) Len() int { return v.n }

// Slices returns the bytes in order. They must not be changed and are valid until Release.
func (v *View) Slices() [][]byte { return v.slices }

// CopyTo copies the bytes to p and returns how many fitted.
func (v *View) CopyTo(p []byte) int {
	n := 0
	for _, s := range v.slices {
		n += copy(p[n:], s)
	}
	return n
}

// Release gives the memory back. It must be called exactly once; the View and its slices
// must not be used afterwards.
func (v *View) Release() {
	v.drop()
	viewPool.Put(v)
}

// drop lets go of all segments; the View is empty then.
func (v *View) drop() {
	for i := range v.segs {
		s := &v.segs[i]
		switch {
		case s.block != nil:
			s.block.unref()
		case s.disk.data != nil:
			s.disk.owner.put(s.disk)
		}
		*s = segment{}
	}
	clear(v.slices)
	v.segs, v.slices, v.n, v.started = v.segs[:0], v.slices[:0], 0, 0
}
