package staging

import "slices"

// piece is an extent as the map keeps it. Frozen local bytes are never written again.
type piece struct {
	Extent
	frozen bool
}

func (p piece) cut(off, end int64) piece {
	p.Extent = p.Extent.cut(off, end)
	return p
}

func (p piece) joins(next piece) bool { return p.frozen == next.frozen && p.Extent.joins(next.Extent) }

// push appends a piece to a list, joining it to the last one where it continues it. Empty
// pieces are left out.
func push(list []piece, p piece) []piece {
	if p.Len == 0 {
		return list
	}
	if k := len(list) - 1; k >= 0 && list[k].joins(p) {
		list[k].Len += p.Len
		return list
	}
	return append(list, p)
}

// chunkMax is the most pieces of a chunk: small enough that an insertion moves little memory,
// large enough that the list of chunks stays short (100,000 pieces are some 1,200 chunks).
const chunkMax = 128

// extentMap covers [0, size) with pieces in ascending order, without gaps. The pieces lie in a
// list of chunks, each a short slice; no chunk is empty. The zero value is an empty file. It is
// not safe for concurrent use.
type extentMap struct {
	chunks [][]piece
	size   int64
}

// cursor names a piece: the chunk and the index in it.
type cursor struct{ c, i int }

func (m *extentMap) at(k cursor) *piece { return &m.chunks[k.c][k.i] }

func (m *extentMap) next(k cursor) (cursor, bool) {
	if k.i+1 < len(m.chunks[k.c]) {
		return cursor{k.c, k.i + 1}, true
	}
	return cursor{k.c + 1, 0}, k.c+1 < len(m.chunks)
}

func (m *extentMap) prev(k cursor) (cursor, bool) {
	if k.i > 0 {
		return cursor{k.c, k.i - 1}, true
	}
	if k.c == 0 {
		return k, false
	}
	return cursor{k.c - 1, len(m.chunks[k.c-1]) - 1}, true
}

// find returns the piece that holds byte off, which must lie inside the file.
func (m *extentMap) find(off int64) cursor {
	lo, hi := 0, len(m.chunks) // the last chunk that begins at or before off
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; m.chunks[mid][0].Off <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	chunk := m.chunks[lo]
	i, j := 0, len(chunk)
	for j-i > 1 {
		if mid := (i + j) / 2; chunk[mid].Off <= off {
			i = mid
		} else {
			j = mid
		}
	}
	return cursor{lo, i}
}

// each calls fn with the pieces of [off, end), cut to it, until fn returns false.
func (m *extentMap) each(off, end int64, fn func(piece) bool) {
	end = min(end, m.size)
	if off >= end {
		return
	}
	for k, ok := m.find(off), true; ok; k, ok = m.next(k) {
		p := *m.at(k)
		if p.Off >= end {
			return
		}
		if !fn(p.cut(max(p.Off, off), min(p.End(), end))) {
			return
		}
	}
}

// extents returns [off, end) as extents that are joined as far as possible.
func (m *extentMap) extents(off, end int64) []Extent {
	end = min(end, m.size)
	if off < 0 || off >= end {
		return nil
	}
	lo, hi := m.find(off), m.find(end-1)
	list := make([]Extent, 0, m.count(lo, hi))
	for c := lo.c; c <= hi.c; c++ {
		chunk := m.chunks[c]
		first, last := 0, len(chunk)-1
		if c == lo.c {
			first = lo.i
		}
		if c == hi.c {
			last = hi.i
		}
		for i := first; i <= last; i++ {
			e := chunk[i].Extent
			if e.Off < off || e.End() > end {
				e = e.cut(max(e.Off, off), min(e.End(), end))
			}
			if k := len(list) - 1; k >= 0 && list[k].joins(e) {
				list[k].Len += e.Len
			} else {
				list = append(list, e)
			}
		}
	}
	return list
}

// count is the number of pieces from lo to hi, both included.
func (m *extentMap) count(lo, hi cursor) int {
	if lo.c == hi.c {
		return hi.i - lo.i + 1
	}
	n := len(m.chunks[lo.c]) - lo.i + hi.i + 1
	for _, chunk := range m.chunks[lo.c+1 : hi.c] {
		n += len(chunk)
	}
	return n
}

// streamed tells whether bytes of [off, end) are only in a part of an upload.
func (m *extentMap) streamed(off, end int64) bool {
	found := false
	m.each(off, end, func(p piece) bool {
		found = p.Streamed
		return !found
	})
	return found
}

// replace makes [p.Off, p.End()) that piece. It must begin inside the file or at its end, and
// may reach over the end.
func (m *extentMap) replace(p piece) {
	if p.Len == 0 {
		return
	}
	if p.Off == m.size {
		m.append(p)
		return
	}
	end := p.End()
	lo, hi := m.find(p.Off), m.find(min(end, m.size)-1)
	var buf [5]piece
	list := buf[:0]
	if first := *m.at(lo); first.Off < p.Off {
		list = push(list, first.cut(first.Off, p.Off))
	} else if k, ok := m.prev(lo); ok {
		lo = k
		list = push(list, *m.at(k))
	}
	list = push(list, p)
	if last := *m.at(hi); last.End() > end {
		list = push(list, last.cut(end, last.End()))
	} else if k, ok := m.next(hi); ok {
		hi = k
		list = push(list, *m.at(k))
	}
	m.splice(lo, hi, list)
	m.size = max(m.size, end)
}

// append adds a piece at the end of the file.
func (m *extentMap) append(p piece) {
	p.Off = m.size
	m.size += p.Len
	c := len(m.chunks) - 1
	if c >= 0 {
		chunk := m.chunks[c]
		if last := &chunk[len(chunk)-1]; last.joins(p) {
			last.Len += p.Len
			return
		}
		if len(chunk) < chunkMax {
			m.chunks[c] = append(chunk, p)
			return
		}
	}
	m.chunks = append(m.chunks, append(make([]piece, 0, 4), p))
}

// splice puts list in the place of the pieces lo to hi, both included.
func (m *extentMap) splice(lo, hi cursor, list []piece) {
	if lo.c == hi.c {
		m.chunks[lo.c] = slices.Replace(m.chunks[lo.c], lo.i, hi.i+1, list...)
	} else {
		m.chunks[lo.c] = append(m.chunks[lo.c][:lo.i], list...)
		m.chunks[hi.c] = slices.Delete(m.chunks[hi.c], 0, hi.i+1)
		m.chunks = slices.Delete(m.chunks, lo.c+1, hi.c)
		if len(m.chunks[lo.c+1]) == 0 {
			m.chunks = slices.Delete(m.chunks, lo.c+1, lo.c+2)
		}
	}
	m.balance(lo.c)
}

// balance splits a chunk that grew too long and joins one that became short with the one after it.
func (m *extentMap) balance(c int) {
	chunk := m.chunks[c]
	switch {
	case len(chunk) == 0:
		m.chunks = slices.Delete(m.chunks, c, c+1)
	case len(chunk) > chunkMax:
		m.chunks = slices.Replace(m.chunks, c, c+1, chunked(chunk)...)
	case c+1 < len(m.chunks) && len(chunk)+len(m.chunks[c+1]) <= chunkMax/2:
		m.chunks[c] = append(chunk, m.chunks[c+1]...)
		m.chunks = slices.Delete(m.chunks, c+1, c+2)
	}
}

// chunked cuts a list into half-filled chunks of their own memory.
func chunked(list []piece) [][]piece {
	chunks := make([][]piece, 0, 2*len(list)/chunkMax+1)
	for len(list) > 0 {
		n := min(len(list), chunkMax/2)
		chunks = append(chunks, slices.Clone(list[:n]))
		list = list[n:]
	}
	return chunks
}

// truncate cuts the file at size, or lengthens it with zeros.
func (m *extentMap) truncate(size int64) {
	switch {
	case size > m.size:
		m.append(piece{Extent: Extent{Len: size - m.size}})
	case size == 0:
		m.chunks, m.size = nil, 0
	case size < m.size:
		k := m.find(size - 1)
		p := m.at(k)
		p.Extent = p.Extent.cut(p.Off, size)
		clear(m.chunks[k.c][k.i+1:])
		m.chunks[k.c] = m.chunks[k.c][:k.i+1]
		clear(m.chunks[k.c+1:])
		m.chunks = m.chunks[:k.c+1]
		m.size = size
	}
}

// load makes a gapless list of pieces the whole map.
func (m *extentMap) load(list []piece) {
	m.chunks, m.size = nil, 0
	if len(list) > 0 {
		m.chunks, m.size = chunked(list), list[len(list)-1].End()
	}
}

// rewrite passes every piece of [off, end) through fn, which may change all but Off and Len.
func (m *extentMap) rewrite(off, end int64, fn func(*piece)) {
	end = min(end, m.size)
	if off >= end {
		return
	}
	lo, hi := m.find(off), m.find(end-1)
	list := make([]piece, 0, 8)
	if first := *m.at(lo); first.Off < off {
		list = push(list, first.cut(first.Off, off))
	} else if k, ok := m.prev(lo); ok {
		lo = k
		list = push(list, *m.at(k))
	}
	m.each(off, end, func(p piece) bool {
		fn(&p)
		list = push(list, p)
		return true
	})
	if last := *m.at(hi); last.End() > end {
		list = push(list, last.cut(end, last.End()))
	} else if k, ok := m.next(hi); ok {
		hi = k
		list = push(list, *m.at(k))
	}
	m.splice(lo, hi, list)
}

// freeze marks all local bytes as frozen.
func (m *extentMap) freeze() {
	for c, chunk := range m.chunks {
		list := chunk[:0]
		for _, p := range chunk {
			p.frozen = p.Local
			list = push(list, p)
		}
		clear(chunk[len(list):])
		m.chunks[c] = list
	}
}
