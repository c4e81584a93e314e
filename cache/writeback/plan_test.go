package writeback

import (
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"pgregory.net/rapid"
)

const (
	kib = backend.KiB
	mib = backend.MiB
	gib = backend.GiB
	tib = backend.TiB
)

func object(key, etag string, size int64) *staging.Remote {
	return &staging.Remote{Source: backend.Source{Bucket: "b", Key: key, ETag: etag}, Size: size}
}

func able() backend.Capabilities {
	return backend.Capabilities{
		PutIfNoneMatch: true, PutIfMatch: true, CompleteIfNoneMatch: true, CompleteIfMatch: true,
		CopySourceIfMatch: true, CopyPartIfMatch: true, CopyDestination: true, GetIfMatch: true,
		PartCopy: true, ChecksumCRC64: true, Limits: backend.S3Limits(),
	}
}

// build makes extents of pieces that follow each other.
func build(pieces ...staging.Extent) []staging.Extent {
	var off int64
	for i := range pieces {
		pieces[i].Off = off
		off += pieces[i].Len
	}
	return pieces
}

func local(n, pos int64) staging.Extent { return staging.Extent{Len: n, Local: true, Pos: pos} }
func zero(n int64) staging.Extent       { return staging.Extent{Len: n} }
func remote(r *staging.Remote, from, n int64) staging.Extent {
	return staging.Extent{Len: n, Object: r, ObjectOff: from}
}

func mustPlan(t *testing.T, exts []staging.Extent, opt Options) Plan {
	t.Helper()
	p, err := PlanUpload(endOf(exts), exts, backend.S3Limits(), able(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanKinds(t *testing.T) {
	one := object("o", "e", gib)
	many := object("o", "e", 6*gib)
	for _, tc := range []struct {
		name  string
		exts  []staging.Extent
		kind  Kind
		parts int
		moved int64
	}{
		{"empty", nil, KindPut, 0, 0},
		{"small", build(local(100, 0)), KindPut, 0, 100},
		{"two parts' worth", build(local(16*mib, 0)), KindPut, 0, 16 * mib},
		{"three", build(local(16*mib+1, 0)), KindMultipart, 3, 16*mib + 1},
		{"zeros", build(zero(10)), KindPut, 0, 10},
		{"whole object", build(remote(one, 0, gib)), KindCopy, 0, 0},
		{"whole object in pieces", build(remote(one, 0, mib), remote(one, mib, gib-mib)), KindCopy, 0, 0},
		{"not the beginning", build(remote(one, 1, gib-1)), KindMultipart, 2, 0},
		{"over the limit of a copy", build(remote(many, 0, 6*gib)), KindMultipart, 12, 0},
		{"one byte changed in a small object", build(local(1, 0), remote(one, 1, 1000)), KindPut, 0, 2001},
		{"one byte appended to 7 MiB", build(remote(one, 0, 7*mib), local(1, 0)), KindMultipart, 2, 1},
		{"one byte appended to 1 GiB", build(remote(one, 0, gib), local(1, 0)), KindMultipart, 3, 1},
		{"1 MiB in the middle of 1 GiB", build(remote(one, 0, gib/2), local(mib, 0), remote(one, gib/2+mib, gib/2-mib)), KindMultipart, 3, 9 * mib},
		{"1 MiB at the start of 1 GiB", build(local(mib, 0), remote(one, mib, gib-mib)), KindMultipart, 3, 9 * mib},
		{"cut in half", build(remote(one, 0, gib/2)), KindMultipart, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := mustPlan(t, tc.exts, Options{})
			if p.Kind != tc.kind || len(p.Parts) != tc.parts || p.Moved() != tc.moved {
				t.Fatalf("%v of %d parts that moves %d; want %v, %d, %d", p.Kind, len(p.Parts), p.Moved(), tc.kind, tc.parts, tc.moved)
			}
			if err := legal(p, backend.S3Limits()); err != "" {
				t.Fatal(err)
			}
		})
	}
}

func TestPlanWithoutAbilities(t *testing.T) {
	src := object("o", "e", gib)
	whole := build(remote(src, 0, gib))
	caps := able()
	caps.CopySourceIfMatch = false
	if p, err := PlanUpload(gib, whole, backend.S3Limits(), caps, Options{}); err != nil || p.Kind != KindMultipart || p.Moved() != 0 {
		t.Errorf("no condition on CopyObject: %v, %d moved, %v", p.Kind, p.Moved(), err)
	}
	caps.CopyPartIfMatch = false
	if p, err := PlanUpload(gib, whole, backend.S3Limits(), caps, Options{}); err != nil || p.Kind != KindMultipart || p.Moved() != 2*gib {
		t.Errorf("no condition on copies: %v, %d moved, %v", p.Kind, p.Moved(), err)
	}
	versioned := object("o", "e", gib)
	versioned.VersionID = "v1"
	if p, err := PlanUpload(gib, build(remote(versioned, 0, gib)), backend.S3Limits(), caps, Options{}); err != nil || p.Kind != KindCopy {
		t.Errorf("a version needs no condition: %v, %v", p.Kind, err)
	}
	caps = able()
	caps.PartCopy = false
	exts := build(remote(src, 0, gib-1))
	if p, err := PlanUpload(gib-1, exts, backend.S3Limits(), caps, Options{}); err != nil || p.Kind != KindMultipart || p.Moved() != 2*gib-2 {
		t.Errorf("no part copy: %v, %d moved, %v", p.Kind, p.Moved(), err)
	}
}

// Local content that is stored under another key is sent where only a Put can be conditional.
func TestPlanPrefersGuardedPut(t *testing.T) {
	src := object("o", "e", 100)
	exts := build(staging.Extent{Len: 100, Local: true, Object: src})
	caps := able()
	caps.CopyDestination = false
	opt := Options{Target: backend.ObjectID{Bucket: "b", Key: "other"}, Condition: backend.Condition{IfNoneMatch: true}}
	if p, err := PlanUpload(100, exts, caps.Limits, caps, opt); err != nil || p.Kind != KindPut {
		t.Errorf("another key: %v, %v", p.Kind, err)
	}
	opt.Target.Key, opt.Condition = "o", backend.Condition{IfMatch: "e"}
	if p, err := PlanUpload(100, exts, caps.Limits, caps, opt); err != nil || p.Kind != KindCopy {
		t.Errorf("onto itself: %v, %v", p.Kind, err)
	}
}

func TestPlanLargest(t *testing.T) {
	lim := backend.S3Limits()
	most := lim.MaxPart * int64(lim.MaxParts) // 48.8 TiB, less than MaxObject
	p, err := PlanUpload(most, build(local(most, 0)), lim, able(), Options{})
	if err != nil || len(p.Parts) != 10_000 {
		t.Fatalf("%d parts, %v", len(p.Parts), err)
	}
	if msg := legal(p, lim); msg != "" {
		t.Fatal(msg)
	}
	if _, err := PlanUpload(most+1, build(local(most+1, 0)), lim, able(), Options{}); !backend.IsKind(err, backend.KindTooLarge) {
		t.Fatalf("one byte more: %v", err)
	}
	lim.MaxPart = 6 * gib
	p, err = PlanUpload(50*tib, build(local(50*tib, 0)), lim, able(), Options{})
	if err != nil || legal(p, lim) != "" {
		t.Fatalf("50 TiB in parts of 6 GiB: %v %s", err, legal(p, lim))
	}
	// Copies and changes all over 40 TiB.
	src := object("o", "e", 40*tib)
	var pieces []staging.Extent
	for off := int64(0); off < 40*tib; off += tib {
		pieces = append(pieces, remote(src, off, tib-mib), local(mib, off))
	}
	exts := build(pieces...)
	p, err = PlanUpload(40*tib, exts, backend.S3Limits(), able(), Options{})
	if err != nil || legal(p, backend.S3Limits()) != "" || p.Moved() > 40*16*mib {
		t.Fatalf("moves %d in %d parts: %v", p.Moved(), len(p.Parts), err)
	}
	// More changes than there are part numbers.
	pieces = nil
	for off := int64(0); off < tib; off += 64 * mib {
		pieces = append(pieces, remote(src, off, 63*mib), local(mib, off))
	}
	exts = build(pieces...)
	p, err = PlanUpload(tib, exts, backend.S3Limits(), able(), Options{})
	if err != nil || legal(p, backend.S3Limits()) != "" {
		t.Fatalf("%d parts: %v %s", len(p.Parts), err, legal(p, backend.S3Limits()))
	}
}

func TestPlanSwift(t *testing.T) {
	lim := backend.S3Limits()
	lim.MaxParts = 1000
	for _, size := range []int64{17 * mib, 9 * gib, 4 * tib} {
		p, err := PlanUpload(size, build(local(size, 0)), lim, able(), Options{})
		if err != nil || legal(p, lim) != "" {
			t.Errorf("%d: %v %s", size, err, legal(p, lim))
		}
	}
}

// legal says what is wrong with a plan for the limits, or "".
func legal(p Plan, lim backend.Limits) string {
	switch p.Kind {
	case KindPut:
		if p.Size > lim.MaxPut {
			return "put too large"
		}
		return ""
	case KindCopy:
		if p.Size > lim.MaxCopy || p.Source.Size != p.Size {
			return "copy too large, or not whole"
		}
		return ""
	}
	if len(p.Parts) == 0 || len(p.Parts) > int(lim.MaxParts) || p.Parts[len(p.Parts)-1].Number > lim.MaxParts {
		return "number of parts"
	}
	end, number := int64(0), int32(0)
	for i, part := range p.Parts {
		last := i == len(p.Parts)-1
		switch {
		case part.Off != end || part.Number <= number:
			return "a gap or a wrong order"
		case part.Len <= 0 || part.Len > lim.MaxPart || !last && part.Len < lim.MinPart:
			return "length of a part"
		case lim.EqualParts && (!last && part.Len != p.Parts[0].Len || part.Len > p.Parts[0].Len):
			return "parts differ"
		}
		if msg := rightContent(p, part); msg != "" {
			return msg
		}
		end, number = end+part.Len, part.Number
	}
	if end != p.Size {
		return "does not end at the size"
	}
	return ""
}

func rightContent(p Plan, part Part) string {
	want := clip(p.Extents, part.Off, part.Len)
	if !staging.SameContent(want, part.Extents) {
		return "wrong extents"
	}
	switch part.Action {
	case CopyPart:
		at := part.From
		for _, e := range want {
			if e.Object == nil || !sameVersion(e.Object, part.Source) || e.ObjectOff != at {
				return "copies another range"
			}
			at += e.Len
		}
	case Upload:
		if fetched(want) > 0 {
			return "upload of remote bytes"
		}
	case Merge:
		if fetched(want) == 0 {
			return "merge of nothing"
		}
	}
	return ""
}

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

// optimum tries every way to cut the file into parts of least bytes or more.
func optimum(exts []staging.Extent, least int64) int64 {
	size := endOf(exts)
	c, runs := newCosts(exts), findRuns(exts, true)
	best := make([]int64, size+1)
	for to := int64(1); to <= size; to++ {
		best[to] = -1
		for from := int64(0); from < to; from++ {
			if best[from] < 0 || to-from < least && to != size {
				continue
			}
			price := c.of(from, to)
			for _, r := range runs {
				if r.off <= from && to <= r.end {
					price = 0
				}
			}
			if sum := best[from] + price; best[to] < 0 || sum < best[to] {
				best[to] = sum
			}
		}
	}
	return best[size]
}

func TestPlanMovesTheFewestBytes(t *testing.T) {
	lim := backend.Limits{MinPart: 5, MaxPart: 1000, MaxParts: 10_000, MaxPut: 1000, MaxCopy: 1000, MaxObject: 1e6}
	rapid.Check(t, func(t *rapid.T) {
		exts := drawExtents(t, 14, 14)
		p := planner{lim: lim, opt: Options{}.withDefaults(lim), cost: newCosts(exts), runs: findRuns(exts, true)}
		parts, err := p.best(endOf(exts))
		if err != nil {
			t.Fatal(err)
		}
		plan := Plan{Kind: KindMultipart, Size: endOf(exts), Extents: exts, Parts: parts}
		if msg := legal(plan, lim); msg != "" {
			t.Fatal(msg)
		}
		if got, want := plan.Moved(), optimum(exts, lim.MinPart); got != want {
			t.Fatalf("moves %d bytes, %d is possible", got, want)
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
