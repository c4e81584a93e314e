package writeback

import (
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"pgregory.net/rapid"
)

// drawExtents makes a file of small pieces out of two objects, local bytes and zeros.
func drawExtents(t *rapid.T, maxPieces int, maxLen int64) []staging.Extent {
	objects := []*staging.Remote{object("x", "1", 1000), object("y", "2", 1000)}
	var pieces []staging.Extent
	at := [2]int64{}
	for i := range rapid.IntRange(1, maxPieces).Draw(t, "pieces") {
		n := rapid.Int64Range(1, maxLen).Draw(t, "len")
		which := rapid.IntRange(0, 1).Draw(t, "object")
		jump := rapid.SampledFrom([]int64{0, 0, 0, 3}).Draw(t, "jump")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			pieces = append(pieces, zero(n))
		case 1, 2:
			pieces = append(pieces, local(n, int64(i)*1000))
		case 3:
			pieces = append(pieces, staging.Extent{Len: n, Local: true, Pos: int64(i) * 1000, Object: objects[which], ObjectOff: at[which] + jump})
			at[which] += jump + n
		default:
			pieces = append(pieces, remote(objects[which], at[which]+jump, n))
			at[which] += jump + n
		}
	}
	return build(pieces...)
}

// optimum tries every way to cut the file into parts of least bytes or more. It looks at single bytes, and at nothing that the planner uses.
func optimum(exts []staging.Extent, least int64) int64 {
	type origin struct {
		object *staging.Remote
		off    int64
		price  int64 // of sending it: 2 when it has to be fetched first
	}
	var bytes []origin
	for _, e := range exts {
		for i := range e.Len {
			o := origin{object: e.Object, off: e.ObjectOff + i, price: 1}
			if e.Object != nil && !e.Local {
				o.price = 2
			}
			bytes = append(bytes, o)
		}
	}
	size := int64(len(bytes))
	best := make([]int64, size+1)
	for to := int64(1); to <= size; to++ {
		best[to] = -1
		price, one := int64(0), true // of the part [from, to), and whether it is one range of one object
		for from := to - 1; from >= 0; from-- {
			b := bytes[from]
			price += b.price
			if one = one && b.object != nil; one && from+1 < to {
				next := bytes[from+1]
				one = next.object.Key == b.object.Key && next.off == b.off+1
			}
			if best[from] < 0 || to-from < least && to != size {
				continue
			}
			sum := best[from] + price
			if one {
				sum = best[from]
			}
			if best[to] < 0 || sum < best[to] {
				best[to] = sum
			}
		}
	}
	return best[size]
}

func TestPlanMovesTheFewestBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exts := drawExtents(t, 14, 14)
		lim := backend.Limits{
			MinPart: 5, MaxPart: rapid.SampledFrom([]int64{10, 17, 1000}).Draw(t, "largest part"), MaxParts: 10_000, MaxPut: 1000, MaxCopy: 1000, MaxObject: 1e6,
		}
		want := optimum(exts, lim.MinPart)
		for _, put := range []int64{1, 1000} {
			plan, err := PlanUpload(endOf(exts), exts, lim, able(), Options{PutSize: put})
			if err != nil {
				t.Fatal(err)
			}
			if msg := legal(plan, lim); msg != "" {
				t.Fatal(msg)
			}
			switch got := plan.Moved(); {
			case got == want:
			case plan.Kind == KindPut && got > want && got-want < lim.MinPart: // one request in place of at least three
			default:
				t.Fatalf("%v moves %d bytes, %d is possible", plan.Kind, got, want)
			}
		}
	})
}

func TestPlanIsLegal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exts := drawExtents(t, 40, rapid.SampledFrom([]int64{3, 20, 200}).Draw(t, "scale"))
		least := rapid.Int64Range(1, 12).Draw(t, "least")
		lim := backend.Limits{
			MinPart: least, MaxPart: rapid.Int64Range(2*least, 4*least+50).Draw(t, "most"), MaxParts: int32(rapid.IntRange(1, 60).Draw(t, "parts")),
			MaxPut: 30, MaxCopy: 500, MaxObject: 5000, EqualParts: rapid.Bool().Draw(t, "equal"),
		}
		caps := able()
		caps.PartCopy = rapid.Bool().Draw(t, "part copy")
		opt := Options{PartSize: rapid.Int64Range(1, 40).Draw(t, "part"), CopySize: rapid.Int64Range(1, 80).Draw(t, "copy")}
		size := endOf(exts)
		p, err := PlanUpload(size, exts, lim, caps, opt)
		if size <= min(lim.MaxObject, lim.MaxPart*int64(lim.MaxParts)) {
			if err != nil {
				t.Fatalf("%d bytes, limits %+v: %v", size, lim, err)
			}
			if msg := legal(p, lim); msg != "" {
				t.Fatal(msg)
			}
		} else if err == nil && p.Kind == KindMultipart {
			t.Fatalf("a plan for %d bytes", size)
		}
	})
}

// Parts of an unfinished upload are used again when their content is the same, and never otherwise.
func TestPlanReuses(t *testing.T) {
	lim := backend.Limits{MinPart: 5, MaxPart: 1000, MaxParts: 50, MaxPut: 10, MaxCopy: 1000, MaxObject: 1e6}
	rapid.Check(t, func(t *rapid.T) {
		lim := lim
		lim.EqualParts = rapid.Bool().Draw(t, "equal")
		opt := Options{PartSize: 8, PutSize: 1, CopySize: 30}
		exts := drawExtents(t, 14, 20)
		first, err := PlanUpload(endOf(exts), exts, lim, able(), opt)
		if err != nil {
			t.Fatal(err)
		}
		if first.Kind != KindMultipart {
			return
		}
		for _, part := range first.Parts {
			if rapid.Bool().Draw(t, "done") {
				opt.Done = append(opt.Done, staging.DonePart{Number: part.Number, ETag: "e", Off: part.Off, Len: part.Len, Content: part.Extents})
			}
		}
		again, err := PlanUpload(endOf(exts), exts, lim, able(), opt)
		if err != nil || again.Kind == KindMultipart && again.Moved() > first.Moved()-moved(clonePartsDone(first.Parts, opt.Done)) {
			t.Fatalf("the same content: %v, moves %d of %d", err, again.Moved(), first.Moved())
		}
		changed := change(t, exts)
		p, err := PlanUpload(endOf(changed), changed, lim, able(), opt)
		if err != nil {
			t.Fatal(err)
		}
		if msg := legal(p, lim); msg != "" {
			t.Fatal(msg)
		}
		for _, part := range p.Parts {
			if part.ETag == "" {
				continue
			}
			for _, d := range opt.Done {
				if d.Number == part.Number && (d.Off != part.Off || d.Len != part.Len || !staging.SameContent(d.Content, part.Extents)) {
					t.Fatalf("part %d is used for other content", part.Number)
				}
			}
		}
		opt.Done = nil
		fresh, err := PlanUpload(endOf(changed), changed, lim, able(), opt)
		if err != nil || p.Kind == KindMultipart && fresh.Kind == KindMultipart && p.Moved() > fresh.Moved() {
			t.Fatalf("moves %d with parts to use again, %d without", p.Moved(), fresh.Moved())
		}
	})
}

// clonePartsDone returns the parts that are in done.
func clonePartsDone(parts []Part, done []staging.DonePart) []Part {
	var out []Part
	for _, p := range parts {
		for _, d := range done {
			if d.Number == p.Number {
				out = append(out, p)
			}
		}
	}
	return out
}

// change cuts, appends to, or overwrites a part of the file.
func change(t *rapid.T, exts []staging.Extent) []staging.Extent {
	size := endOf(exts)
	off := rapid.Int64Range(0, size-1).Draw(t, "change at")
	head := clip(exts, 0, off)
	switch rapid.IntRange(0, 2).Draw(t, "change") {
	case 0:
		if off == 0 {
			return exts
		}
		return head
	case 1:
		return append(clip(exts, 0, size), staging.Extent{Off: size, Len: off + 1, Local: true, Pos: 1 << 20})
	default:
		n := rapid.Int64Range(1, size-off).Draw(t, "change length")
		out := append(head, staging.Extent{Off: off, Len: n, Local: true, Pos: 1 << 20})
		return append(out, clip(exts, off+n, size-off-n)...)
	}
}
