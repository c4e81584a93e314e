package writeback

import (
	"sort"

	"github.com/objmount/objmount/cache/staging"
)

// clip returns the parts of exts that lie in [off, off+n), with Pos and ObjectOff moved along.
func clip(exts []staging.Extent, off, n int64) []staging.Extent {
	i := sort.Search(len(exts), func(i int) bool { return exts[i].End() > off })
	var out []staging.Extent
	for ; i < len(exts) && exts[i].Off < off+n; i++ {
		from, to := max(exts[i].Off, off), min(exts[i].End(), off+n)
		out = append(out, cut(exts[i], from, to))
	}
	return out
}

// cut returns the part [from, to) of an extent.
func cut(e staging.Extent, from, to int64) staging.Extent {
	if e.Local {
		e.Pos += from - e.Off
	}
	if e.Object != nil {
		e.ObjectOff += from - e.Off
	}
	e.Off, e.Len = from, to-from
	return e
}

// run is a range of the file that is one range of one object.
type run struct {
	off, end int64
	object   *staging.Remote
	from     int64 // where in the object
}

// findRuns returns the longest ranges that the store can copy by itself, ascending.
func findRuns(exts []staging.Extent, conditional bool) []run {
	var runs []run
	for _, e := range exts {
		if e.Object == nil || !copyable(e.Object, conditional) {
			continue
		}
		if n := len(runs); n > 0 {
			last := &runs[n-1]
			if last.end == e.Off && sameVersion(last.object, e.Object) && last.from+last.end-last.off == e.ObjectOff {
				last.end += e.Len
				continue
			}
		}
		runs = append(runs, run{off: e.Off, end: e.Off + e.Len, object: e.Object, from: e.ObjectOff})
	}
	return runs
}

// costs answers what it costs to send a range, by a prefix sum over the extents.
type costs struct {
	exts   []staging.Extent
	before []int64 // of everything before the extent
}

func newCosts(exts []staging.Extent) costs {
	c := costs{exts: exts, before: make([]int64, len(exts))}
	var sum int64
	for i, e := range exts {
		c.before[i] = sum
		sum += e.Len * price(e)
	}
	return c
}

// upTo is the cost of [0, x).
func (c costs) upTo(x int64) int64 {
	i := sort.Search(len(c.exts), func(i int) bool { return c.exts[i].End() >= x })
	if i == len(c.exts) || x <= 0 {
		return 0
	}
	e := c.exts[i]
	return c.before[i] + (x-e.Off)*price(e)
}

func (c costs) of(from, to int64) int64 { return c.upTo(to) - c.upTo(from) }

// edges returns at most limit beginnings of extents in (from, to).
func (c costs) edges(from, to int64, limit int) []int64 {
	i := sort.Search(len(c.exts), func(i int) bool { return c.exts[i].Off > from })
	var out []int64
	for ; i < len(c.exts) && c.exts[i].Off < to && len(out) < limit; i++ {
		out = append(out, c.exts[i].Off)
	}
	return out
}
