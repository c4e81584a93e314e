package writeback

import (
	"cmp"
	"slices"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// planner makes the parts of one plan.
type planner struct {
	lim  backend.Limits
	opt  Options
	cost costs
	runs []run
}

// best returns the parts that move the fewest bytes.
func (p *planner) best(size int64) ([]Part, error) {
	var candidates [][]Part
	if p.lim.EqualParts {
		candidates = p.grids(size)
	} else if parts, ok := p.fresh(0, size, 1, p.lim.MaxParts, true); ok {
		candidates = append(candidates, p.reuse(parts))
		if len(p.opt.Done) > 0 {
			if parts, ok := p.around(size); ok {
				candidates = append(candidates, parts)
			}
		}
	}
	if len(candidates) == 0 {
		return nil, tooLarge(size, p.lim)
	}
	return slices.MinFunc(candidates, func(a, b []Part) int { return cmp.Compare(moved(a), moved(b)) }), nil
}

func moved(parts []Part) int64 { return Plan{Kind: KindMultipart, Parts: parts}.Moved() }

// fresh plans [lo, hi) with at most count parts, numbered from first. With tail it is the end of
// the object. Sizes double until the parts are few enough.
func (p *planner) fresh(lo, hi int64, first, count int32, tail bool) ([]Part, bool) {
	if lo >= hi {
		return nil, true
	}
	partSize, copySize, least := p.opt.PartSize, p.opt.CopySize, p.lim.MinPart
	for count > 0 {
		stretches, ok := newLayout(p.cost, p.runs, lo, hi, least, tail).solve()
		if !ok {
			break
		}
		if parts, ok := p.split(stretches, partSize, copySize, first); ok && len(parts) <= int(count) {
			return parts, true
		}
		if partSize == p.lim.MaxPart && copySize == p.lim.MaxPart && least >= p.lim.MaxPart/2 {
			break
		}
		if partSize == p.lim.MaxPart && copySize == p.lim.MaxPart || len(stretches) > int(count)/2 {
			least = max(min(2*least, p.lim.MaxPart/2), p.lim.MinPart)
		}
		partSize, copySize = min(2*partSize, p.lim.MaxPart), min(2*copySize, p.lim.MaxPart)
	}
	// As few parts as there can be, wherever the runs are.
	cells := (hi - lo + p.lim.MaxPart - 1) / p.lim.MaxPart
	if cells > int64(count) || !tail && (hi-lo)/cells < p.lim.MinPart {
		return nil, false
	}
	return p.even(stretch{off: lo, end: hi}, cells, first), true
}

// split cuts stretches into parts near the sizes given.
func (p *planner) split(stretches []stretch, partSize, copySize int64, first int32) ([]Part, bool) {
	var parts []Part
	for _, s := range stretches {
		size, length := partSize, s.end-s.off
		if s.run != nil {
			size = copySize
		}
		n := max(1, min((length+size-1)/size, length/p.lim.MinPart))
		if (length+n-1)/n > p.lim.MaxPart || int64(len(parts))+n > int64(p.lim.MaxParts) {
			return nil, false
		}
		parts = append(parts, p.even(s, n, first+int32(len(parts)))...)
	}
	return parts, true
}

// even cuts a stretch into n parts that differ by at most one byte.
func (p *planner) even(s stretch, n int64, first int32) []Part {
	length := s.end - s.off
	parts := make([]Part, 0, n)
	off := s.off
	for i := range n {
		size := length / n
		if i < length%n {
			size++
		}
		parts = append(parts, p.part(first+int32(i), off, size))
		off += size
	}
	return parts
}

// part makes one part of a range: a copy if one run has all of it.
func (p *planner) part(number int32, off, length int64) Part {
	part := Part{Number: number, Off: off, Len: length, Extents: clip(p.cost.exts, off, length)}
	i, _ := slices.BinarySearchFunc(p.runs, off, func(r run, off int64) int {
		if r.end <= off {
			return -1
		}
		return 1
	})
	if i < len(p.runs) && p.runs[i].off <= off && off+length <= p.runs[i].end {
		part.Action, part.Source, part.From = CopyPart, p.runs[i].object, p.runs[i].from+off-p.runs[i].off
	} else if fetched(part.Extents) > 0 {
		part.Action = Merge
	}
	return part
}

// reuse marks the parts that the unfinished upload has, as they are.
func (p *planner) reuse(parts []Part) []Part {
	for _, d := range p.opt.Done {
		i, found := slices.BinarySearchFunc(parts, d.Number, func(x Part, n int32) int { return cmp.Compare(x.Number, n) })
		if found && parts[i].Off == d.Off && parts[i].Len == d.Len && staging.SameContent(parts[i].Extents, d.Content) {
			parts[i].ETag = d.ETag
		}
	}
	return parts
}

// around keeps the parts of the unfinished upload whose content is still the same where they
// are, and plans what is between and after them with the numbers that are free there.
func (p *planner) around(size int64) ([]Part, bool) {
	done := slices.Clone(p.opt.Done)
	slices.SortFunc(done, func(a, b staging.DonePart) int { return cmp.Compare(a.Number, b.Number) })
	var parts []Part
	end, number := int64(0), int32(0)
	for _, d := range done {
		if d.Off < end || d.Off+d.Len > size || d.Len < p.lim.MinPart && d.Off+d.Len != size || d.Number <= number || d.Len <= 0 {
			continue
		}
		content := clip(p.cost.exts, d.Off, d.Len)
		if !staging.SameContent(content, d.Content) {
			continue
		}
		between, ok := p.fresh(end, d.Off, number+1, d.Number-number-1, false)
		if !ok {
			continue
		}
		kept := p.part(d.Number, d.Off, d.Len)
		kept.ETag = d.ETag
		parts = append(append(parts, between...), kept)
		end, number = d.Off+d.Len, d.Number
	}
	rest, ok := p.fresh(end, size, number+1, p.lim.MaxParts-number, true)
	return append(parts, rest...), ok
}

// grids returns the plans whose parts all have the same size, the best one of fresh ones and
// the one of the unfinished upload.
func (p *planner) grids(size int64) [][]Part {
	sizes := []int64{p.lim.MinPart}
	for s := p.opt.PartSize; s <= p.lim.MaxPart; s *= 2 {
		sizes = append(sizes, s)
	}
	sizes = append(sizes, p.lim.MaxPart)
	if len(p.opt.Done) > 0 {
		first := slices.MinFunc(p.opt.Done, func(a, b staging.DonePart) int { return cmp.Compare(a.Number, b.Number) })
		sizes = append(sizes, first.Len)
	}
	var best []Part
	var bestSize int64
	for _, s := range sizes {
		if s < p.lim.MinPart && s < size || s > p.lim.MaxPart || (size+s-1)/s > int64(p.lim.MaxParts) {
			continue
		}
		parts := p.reuse(p.grid(size, s))
		if best == nil || p.better(parts, s, best, bestSize) {
			best, bestSize = parts, s
		}
	}
	if best == nil {
		return nil
	}
	return [][]Part{best}
}

func (p *planner) grid(size, cell int64) []Part {
	var parts []Part
	for off := int64(0); off < size; off += cell {
		parts = append(parts, p.part(int32(len(parts))+1, off, min(cell, size-off)))
	}
	return parts
}

// better compares plans of equal parts: fewer bytes first, then a size near the usual one.
func (p *planner) better(parts []Part, size int64, best []Part, bestSize int64) bool {
	if c := cmp.Compare(moved(parts), moved(best)); c != 0 {
		return c < 0
	}
	usual := p.opt.PartSize
	if moved(parts) == 0 {
		usual = p.opt.CopySize
	}
	return max(size, usual)-min(size, usual) < max(bestSize, usual)-min(bestSize, usual)
}
