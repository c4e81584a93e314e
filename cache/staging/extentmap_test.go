package staging

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// origin is where one byte of a file comes from: the model of an extent map is a slice of these.
type origin struct {
	local  bool
	pos    int64
	object *Remote
	off    int64
	frozen bool
}

func originsOf(m *extentMap) []origin {
	list := make([]origin, 0, m.size)
	m.each(0, m.size, func(p piece) bool {
		for i := range p.Len {
			o := origin{local: p.Local, object: p.Object, frozen: p.frozen}
			if p.Local {
				o.pos = p.Pos + i
			}
			if p.Object != nil {
				o.off = p.ObjectOff + i
			}
			list = append(list, o)
		}
		return true
	})
	return list
}

// checkMap fails when the map breaks its own rules.
func checkMap(t interface{ Fatalf(string, ...any) }, m *extentMap) {
	off := int64(0)
	for c, chunk := range m.chunks {
		if len(chunk) == 0 || len(chunk) > chunkMax+4 {
			t.Fatalf("chunk %d has %d pieces", c, len(chunk))
		}
		for _, p := range chunk {
			if p.Off != off || p.Len <= 0 {
				t.Fatalf("piece at %d of length %d, expected at %d", p.Off, p.Len, off)
			}
			off = p.End()
		}
	}
	if off != m.size {
		t.Fatalf("pieces end at %d, size is %d", off, m.size)
	}
	list := m.extents(0, m.size)
	for i := 1; i < len(list); i++ {
		if list[i-1].joins(list[i]) {
			t.Fatalf("extents %v and %v are not joined", list[i-1], list[i])
		}
	}
}

func TestExtentMapAgainstBytes(t *testing.T) {
	t.Parallel()
	objects := []*Remote{
		{Source: backend.Source{Key: "a", ETag: "1"}, Size: 1 << 20},
		{Source: backend.Source{Key: "a", ETag: "2"}, Size: 1 << 20},
		{Source: backend.Source{Key: "b", ETag: "1"}, Size: 1 << 20},
	}
	rapid.Check(t, func(t *rapid.T) {
		var m extentMap
		var model []origin
		tail := int64(0)
		draw := func() piece {
			n := rapid.Int64Range(1, 40).Draw(t, "len")
			p := piece{Extent: Extent{Off: rapid.Int64Range(0, m.size).Draw(t, "off"), Len: n}}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				p.Local, p.Pos = true, tail
				tail += n
			case 1:
				p.Object, p.ObjectOff = rapid.SampledFrom(objects).Draw(t, "object"), rapid.Int64Range(0, 100).Draw(t, "objectOff")
			case 2: // the same range of the same object, so that pieces join
				p.Object, p.ObjectOff = objects[0], p.Off
			}
			return p
		}
		t.Repeat(map[string]func(*rapid.T){
			"replace": func(t *rapid.T) {
				p := draw()
				m.replace(p)
				for int64(len(model)) < p.End() {
					model = append(model, origin{})
				}
				var one extentMap
				q := p
				q.Off = 0
				one.append(q)
				copy(model[p.Off:], originsOf(&one))
			},
			"truncate": func(t *rapid.T) {
				size := rapid.Int64Range(0, m.size+30).Draw(t, "size")
				m.truncate(size)
				for int64(len(model)) < size {
					model = append(model, origin{})
				}
				model = model[:size]
			},
			"freeze": func(t *rapid.T) {
				lo := rapid.Int64Range(0, m.size).Draw(t, "lo")
				hi := rapid.Int64Range(lo, m.size).Draw(t, "hi")
				m.rewrite(lo, hi, func(p *piece) { p.frozen = p.Local })
				for i := lo; i < hi; i++ {
					model[i].frozen = model[i].local
				}
			},
			"freezeAll": func(*rapid.T) {
				m.freeze()
				for i := range model {
					model[i].frozen = model[i].local
				}
			},
			"": func(t *rapid.T) {
				checkMap(t, &m)
				if got := originsOf(&m); !slices.Equal(got, model) {
					t.Fatalf("map\n%v\nmodel\n%v", got, model)
				}
			},
		})
	})
}

// TestExtentMapManyPieces drives the map over many chunks, where the rapid test stays small.
func TestExtentMapManyPieces(t *testing.T) {
	t.Parallel()
	const blocks = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	var m extentMap
	m.truncate(blocks)
	model := make([]origin, blocks)
	tail := int64(0)
	for step := range 60_000 {
		off := r.Int64N(blocks)
		n := int64(1)
		if step%500 == 0 {
			n = min(r.Int64N(3000)+1, blocks-off) // swallows many chunks
		}
		p := piece{Extent: Extent{Off: off, Len: n, Local: true, Pos: tail}}
		m.replace(p)
		for i := range n {
			model[off+i] = origin{local: true, pos: tail + i}
		}
		tail += n
	}
	checkMap(t, &m)
	if !slices.Equal(originsOf(&m), model) {
		t.Fatal("map and model differ")
	}
	n := 0
	for _, chunk := range m.chunks {
		n += len(chunk)
	}
	if most := 4*n/chunkMax + 2; len(m.chunks) > most {
		t.Errorf("%d chunks for %d pieces, want at most %d", len(m.chunks), n, most)
	}
}

func TestSameContent(t *testing.T) {
	t.Parallel()
	r := &Remote{Source: backend.Source{Key: "k", ETag: "e"}, Size: 100}
	twin := &Remote{Source: backend.Source{Key: "k", ETag: "e"}, Size: 100}
	local := func(off, n, pos int64) Extent { return Extent{Off: off, Len: n, Local: true, Pos: pos} }
	remote := func(off, n int64, o *Remote, at int64) Extent {
		return Extent{Off: off, Len: n, Object: o, ObjectOff: at}
	}
	stored := local(0, 10, 5)
	stored.Object, stored.ObjectOff = r, 50
	for i, c := range []struct {
		a, b []Extent
		same bool
	}{
		{nil, nil, true},
		{nil, []Extent{local(0, 1, 0)}, false},
		{[]Extent{local(0, 10, 5)}, []Extent{local(0, 4, 5), local(4, 6, 9)}, true},
		{[]Extent{local(0, 10, 5)}, []Extent{local(0, 4, 5), local(4, 6, 8)}, false},
		{[]Extent{local(0, 10, 5)}, []Extent{stored}, true},
		{[]Extent{remote(0, 10, twin, 50)}, []Extent{stored}, true},
		{[]Extent{remote(0, 10, r, 1)}, []Extent{remote(0, 3, twin, 1), remote(3, 7, r, 4)}, true},
		{[]Extent{remote(0, 10, r, 1)}, []Extent{remote(0, 10, r, 2)}, false},
		{[]Extent{{Off: 0, Len: 4}}, []Extent{{Off: 0, Len: 1}, {Off: 1, Len: 3}}, true},
		{[]Extent{{Off: 0, Len: 4}}, []Extent{{Off: 0, Len: 5}}, false},
		{[]Extent{{Off: 0, Len: 4}}, []Extent{local(0, 4, 0)}, false},
		{[]Extent{local(3, 4, 0)}, []Extent{local(4, 4, 0)}, false},
	} {
		if got := SameContent(c.a, c.b); got != c.same {
			t.Errorf("case %d: %v", i, got)
		}
		if got := SameContent(c.b, c.a); got != c.same {
			t.Errorf("case %d reversed: %v", i, got)
		}
	}
}

func BenchmarkExtentMapRandom(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var m extentMap
			m.truncate(int64(n) * 2 * 4096)
			r := rand.New(rand.NewPCG(1, 2))
			tail := int64(0)
			write := func() {
				m.replace(piece{Extent: Extent{Off: r.Int64N(int64(n)*2) * 4096, Len: 4096, Local: true, Pos: tail}})
				tail += 8192
			}
			for range n * 2 {
				write()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				write()
			}
		})
	}
}
