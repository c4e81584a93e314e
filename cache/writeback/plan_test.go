package writeback

import (
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
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
	null := object("o", "e", gib)
	null.VersionID = backend.NullVersion
	if p, err := PlanUpload(gib, build(remote(null, 0, gib)), backend.S3Limits(), caps, Options{}); err != nil || p.Kind != KindMultipart || p.Moved() != 2*gib {
		t.Errorf("the null version may be another one by now: %v, %v", p.Kind, err)
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

// TestPlanBoundaries: a byte more or less than a limit decides.
func TestPlanBoundaries(t *testing.T) {
	lim := backend.Limits{MinPart: 5, MaxPart: 10, MaxParts: 4, MaxPut: 12, MaxCopy: 20, MaxObject: 35}
	src := object("o", "e", 100)
	both := func(n int64) staging.Extent {
		return staging.Extent{Len: n, Local: true, Object: src, ObjectOff: 7}
	}
	for _, tc := range []struct {
		name  string
		exts  []staging.Extent
		kind  Kind
		parts int
		moved int64
	}{
		{"as large as a put", build(local(12, 0)), KindPut, 0, 12},
		{"one byte more", build(local(13, 0)), KindMultipart, 2, 13},
		{"saves less than a part", build(local(6, 0), both(4)), KindPut, 0, 10},
		{"saves a part", build(local(6, 0), both(5)), KindMultipart, 2, 6},
		{"as large as objects can be", build(local(35, 0)), KindMultipart, 4, 35},
		{"copies and parts have the same limit", build(remote(src, 0, 10), local(5, 0)), KindMultipart, 2, 5},
		{"a copy that is too large for one part", build(remote(src, 0, 11), local(5, 0)), KindMultipart, 3, 5},
	} {
		p, err := PlanUpload(endOf(tc.exts), tc.exts, lim, able(), Options{PutSize: 12})
		if err != nil || p.Kind != tc.kind || len(p.Parts) != tc.parts || p.Moved() != tc.moved || legal(p, lim) != "" {
			t.Errorf("%s: %v of %d parts that moves %d, %v %s; want %v, %d, %d", tc.name, p.Kind, len(p.Parts), p.Moved(), err, legal(p, lim), tc.kind, tc.parts, tc.moved)
		}
	}
	for _, size := range []int64{36, 41} {
		if p, err := PlanUpload(size, build(local(size, 0)), lim, able(), Options{}); !backend.IsKind(err, backend.KindTooLarge) {
			t.Errorf("%d bytes: %v, %v", size, p.Kind, err)
		}
	}
}
