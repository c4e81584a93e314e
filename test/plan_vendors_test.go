package test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
)

// vendorCapabilities are what backend/s3 says of each vendor before anything is tried.
func vendorCapabilities(t *testing.T) map[string]backend.Capabilities {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	all := map[string]backend.Capabilities{}
	for _, name := range s3.Vendors() {
		store, err := s3.Open(context.Background(), s3.Config{Endpoint: server.URL, Region: region, Vendor: name})
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = store.Capabilities(context.Background(), "bucket", "", false); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// TestPlansOfEveryVendor: files of any size up to the largest object of each vendor, made of copied, written and empty ranges of real sizes, get a plan that covers
// them exactly, is legal there, and leaves at most the smallest part of a copied range's start, and of its end, to be sent. Larger files get none.
func TestPlansOfEveryVendor(t *testing.T) {
	all := vendorCapabilities(t)
	if most := all["aws"].Limits; most.MaxParts != 10_000 || most.MinPart != 5<<20 || most.MaxPart != 5<<30 || all["swift"].Limits.MaxParts != 1000 || !all["r2"].Limits.EqualParts {
		t.Errorf("limits are not those of the vendors: %+v", all)
	}
	for _, name := range s3.Vendors() {
		caps := all[name]
		t.Run(name, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { checkVendorPlan(t, caps) }) })
	}
}

func checkVendorPlan(t *rapid.T, caps backend.Capabilities) {
	lim := caps.Limits
	// These are found by trying.
	caps.PartCopy, caps.CopyPartIfMatch = rapid.Bool().Draw(t, "part copy"), rapid.Bool().Draw(t, "condition of it")
	caps.CopySourceIfMatch = rapid.Bool().Draw(t, "condition of a copy")
	exts := drawFile(t, lim)
	size := exts[len(exts)-1].End()
	plan, err := writeback.PlanUpload(size, exts, lim, caps, writeback.Options{})
	most := min(lim.MaxObject, max(lim.MaxPut, lim.MaxPart*int64(lim.MaxParts)))
	if size > most {
		if !backend.IsKind(err, backend.KindTooLarge) {
			t.Fatalf("%d bytes, %d are possible: %v", size, most, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%d bytes, %d are possible: %v", size, most, err)
	}
	if err := legalFor(plan, exts, size, caps); err != nil {
		t.Fatal(err)
	}
	if err := copiesEnough(plan, exts, caps); err != nil {
		t.Fatal(err)
	}
}

// drawFile makes a file of ranges whose sizes are near the limits of a store; some files are as large as objects can be, or a byte larger.
func drawFile(t *rapid.T, lim backend.Limits) []staging.Extent {
	objects := []*staging.Remote{
		{Source: backend.Source{Bucket: "b", Key: "x", ETag: "1"}, Size: 2 * lim.MaxObject},
		{Source: backend.Source{Bucket: "b", Key: "x", ETag: "2"}, Size: 2 * lim.MaxObject},
	}
	near := []int64{1, 4096, lim.MinPart, 2 * lim.MinPart, 8 << 20, 16 << 20, 1 << 30, lim.MaxPart, lim.MaxPut, 10 * lim.MaxPart}
	var exts []staging.Extent
	end, at := int64(0), int64(0)
	add := func(n int64) {
		e := staging.Extent{Off: end, Len: n}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0: // zeros
		case 1, 2:
			e.Local, e.Pos = true, end
		case 3:
			e.Local, e.Pos = true, end
			fallthrough
		default:
			at += rapid.SampledFrom([]int64{0, 0, 0, 1, lim.MinPart}).Draw(t, "jump")
			e.Object, e.ObjectOff = rapid.SampledFrom(objects).Draw(t, "object"), at
			at += n
		}
		exts, end = append(exts, e), end+n
	}
	for range rapid.IntRange(1, 20).Draw(t, "ranges") {
		add(max(1, rapid.SampledFrom(near).Draw(t, "near")+rapid.Int64Range(-1, 1).Draw(t, "by")))
	}
	edge := rapid.SampledFrom([]int64{0, 0, 0, lim.MaxPut, lim.MaxObject, lim.MaxPart * int64(lim.MaxParts)}).Draw(t, "as large as") + rapid.Int64Range(-1, 1).Draw(t, "and")
	if edge > end {
		add(edge - end)
	}
	return exts
}

// legalFor says why a store would refuse a plan, or put other bytes together.
func legalFor(p writeback.Plan, exts []staging.Extent, size int64, caps backend.Capabilities) error {
	lim := caps.Limits
	switch {
	case p.Kind == writeback.KindPut && size > lim.MaxPut, p.Kind == writeback.KindCopy && (size > lim.MaxCopy || p.Source.Size != size):
		return fmt.Errorf("%v of %d bytes", p.Kind, size)
	case p.Kind != writeback.KindMultipart:
		return nil
	case len(p.Parts) == 0 || len(p.Parts) > int(lim.MaxParts):
		return fmt.Errorf("%d parts", len(p.Parts))
	}
	end := int64(0)
	for i, part := range p.Parts {
		last := i == len(p.Parts)-1
		switch {
		case part.Off != end || part.Number != int32(i)+1 && part.Number > lim.MaxParts:
			return fmt.Errorf("part %d is number %d and begins at %d, the one before ends at %d", i, part.Number, part.Off, end)
		case part.Len < 1 || part.Len > lim.MaxPart || part.Len < lim.MinPart && !last:
			return fmt.Errorf("part %d of %d has %d bytes", i, len(p.Parts), part.Len)
		case lim.EqualParts && (part.Len > p.Parts[0].Len || part.Len < p.Parts[0].Len && !last):
			return fmt.Errorf("part %d has %d bytes, the first one %d", i, part.Len, p.Parts[0].Len)
		case part.Action == writeback.CopyPart && (!caps.PartCopy || !caps.CopyPartIfMatch):
			return fmt.Errorf("part %d is copied, which the store does not do with a condition", i)
		}
		end += part.Len
		if err := sameRange(part, exts); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	if end != size {
		return fmt.Errorf("the parts end at %d of %d", end, size)
	}
	return nil
}

// sameRange compares a part with the ranges of the file that it is to be.
func sameRange(part writeback.Part, exts []staging.Extent) error {
	for _, e := range exts {
		from, to := max(e.Off, part.Off), min(e.End(), part.Off+part.Len)
		if from >= to {
			continue
		}
		if part.Action == writeback.CopyPart {
			if e.Object == nil || *e.Object != *part.Source || e.ObjectOff+from-e.Off != part.From+from-part.Off {
				return fmt.Errorf("it copies %s from %d on, where the file is %+v", part.Source.Key, part.From, e)
			}
			continue
		}
		sum := int64(0)
		for _, have := range part.Extents {
			lo, hi := max(have.Off, from), min(have.End(), to)
			if lo >= hi {
				continue
			}
			sum += hi - lo
			if have.Local != e.Local || e.Local && have.Pos+lo-have.Off != e.Pos+lo-e.Off || !e.Local && (have.Object == nil) != (e.Object == nil) ||
				!e.Local && e.Object != nil && (*have.Object != *e.Object || have.ObjectOff+lo-have.Off != e.ObjectOff+lo-e.Off) {
				return fmt.Errorf("it has %+v where the file is %+v", have, e)
			}
		}
		if sum != to-from {
			return fmt.Errorf("it has %d of the %d bytes of %+v", sum, to-from, e)
		}
	}
	return nil
}

// copiesEnough says which copied range is sent more of than the rule of the smallest part asks for.
func copiesEnough(p writeback.Plan, exts []staging.Extent, caps backend.Capabilities) error {
	lim := caps.Limits
	if p.Kind != writeback.KindMultipart || !caps.PartCopy || !caps.CopyPartIfMatch || lim.EqualParts {
		return nil
	}
	for _, e := range exts {
		if e.Object == nil || e.Len < 3*lim.MinPart {
			continue
		}
		sent := e.Len
		for _, part := range p.Parts {
			if part.Action == writeback.CopyPart {
				sent -= max(0, min(e.End(), part.Off+part.Len)-max(e.Off, part.Off))
			}
		}
		if sent > 2*(lim.MinPart-1) && int64(len(p.Parts)) < int64(lim.MaxParts)/4 {
			return fmt.Errorf("%d bytes of %+v are sent, in one of %d parts", sent, e, len(p.Parts))
		}
	}
	return nil
}
