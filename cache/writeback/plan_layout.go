package writeback

import "slices"

// stretch is a range that is copied from one object (run set) or sent.
type stretch struct {
	off, end int64
	run      *run
}

// layout decides which ranges of [lo, hi) are copied and which are sent, so that the fewest
// bytes move while every stretch has at least least bytes. With tail, the last stretch may be
// shorter.
//
// It walks over the runs that are long enough to copy. A state of a run is an offset at which
// its copy may begin, with the cheapest way to get there. Where the bytes between two copies are
// fewer than least, the stretch that is sent grows into its neighbours. Three runs in a row are
// never all sent: copying the middle one would leave legal stretches on both sides.
type layout struct {
	cost   costs
	lo, hi int64
	least  int64
	tail   bool
	runs   []run
	wanted [][]int64 // for each run: offsets to begin at so that later copies can begin well
	states [][]state // for each run
}

// state: the copy of a run begins at offset at; cost bytes move before it. It was reached from
// state prev of run prevRun (-1: from lo), whose copy ends at leave.
type state struct {
	at, cost      int64
	prevRun, prev int
	leave         int64
}

// maxSkip is how many runs in a row can be sent in the best layout.
const maxSkip = 2

// maxStates bounds the states of one run, maxEdges the offsets tried for one gap.
const (
	maxStates = 32
	maxEdges  = 16
)

// newLayout takes the runs of [lo, hi) from all (ascending).
func newLayout(cost costs, all []run, lo, hi, least int64, tail bool) *layout {
	l := &layout{cost: cost, lo: lo, hi: hi, least: least, tail: tail}
	first, _ := slices.BinarySearchFunc(all, lo, func(r run, lo int64) int {
		if r.end <= lo {
			return -1
		}
		return 1
	})
	for _, r := range all[first:] {
		if r.off >= hi {
			break
		}
		if r.off < lo {
			r.from, r.off = r.from+lo-r.off, lo
		}
		r.end = min(r.end, hi)
		if r.end-r.off >= l.need(r) {
			l.runs = append(l.runs, r)
		}
	}
	l.wanted, l.states = make([][]int64, len(l.runs)), make([][]state, len(l.runs))
	for i := len(l.runs) - 1; i >= 0; i-- {
		l.wanted[i] = l.wishes(i)
	}
	return l
}

// need is the shortest copy of a run.
func (l *layout) need(r run) int64 {
	if l.tail && r.end == l.hi {
		return 1
	}
	return l.least
}

// wishes returns the offsets at which the copy of run i can begin, be as short as is legal, and
// be followed by the shortest stretch that lets a later run begin at its start or as it wishes.
func (l *layout) wishes(i int) []int64 {
	r := l.runs[i]
	var out []int64
	want := func(next int64) {
		at := next - 2*l.least
		if at > r.off && at < r.end-l.need(r) && len(out) < maxStates && !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	want(l.hi)
	for j := i + 1; j < len(l.runs) && j <= i+1+maxSkip && l.runs[j].off-r.end < l.least; j++ {
		next := l.runs[j]
		want(next.off)
		want(next.end - l.need(next))
		for _, at := range l.wanted[j] {
			want(at)
		}
		for _, at := range l.cost.edges(next.off, min(next.end, r.end+l.least), maxEdges) {
			want(at)
		}
	}
	return out
}

// solve returns the stretches, or false when [lo, hi) is too short to be legal.
func (l *layout) solve() ([]stretch, bool) {
	for j := range l.runs {
		l.enter(j)
	}
	best, found := int64(0), false
	var end state
	if l.tail || l.hi-l.lo >= l.least {
		best, found = l.cost.of(l.lo, l.hi), true
		end = state{prevRun: -1, leave: l.lo}
	}
	for i := max(0, len(l.runs)-1-maxSkip); i < len(l.runs); i++ {
		for k, s := range l.states[i] {
			leave, ok := l.exit(i, s)
			if total := s.cost + l.cost.of(leave, l.hi); ok && (!found || total < best) {
				best, found = total, true
				end = state{prevRun: i, prev: k, leave: leave}
			}
		}
	}
	if !found {
		return nil, false
	}
	return l.trace(end), true
}

// enter finds the states of run j.
func (l *layout) enter(j int) {
	r := l.runs[j]
	latest := r.end - l.need(r)
	if j <= maxSkip {
		if r.off == l.lo {
			l.add(j, state{at: r.off, prevRun: -1, leave: l.lo})
		} else if b := max(r.off, l.lo+l.least); b <= latest {
			l.add(j, state{at: b, cost: l.cost.of(l.lo, b), prevRun: -1, leave: l.lo})
		}
	}
	for i := max(0, j-1-maxSkip); i < j; i++ {
		from := l.runs[i]
		for k, s := range l.states[i] {
			if from.end == r.off {
				l.add(j, state{at: r.off, cost: s.cost, prevRun: i, prev: k, leave: from.end})
				continue
			}
			for _, a := range l.leaves(s.at+l.least, from.end, j, latest) {
				b := max(r.off, a+l.least)
				l.add(j, state{at: b, cost: s.cost + l.cost.of(a, b), prevRun: i, prev: k, leave: a})
			}
		}
	}
}

// leaves returns the offsets at which a copy that must reach earliest and may reach end can
// stop, so that run j begins at its start or later but not after latest.
func (l *layout) leaves(earliest, end int64, j int, latest int64) []int64 {
	start := l.runs[j].off
	if start-end >= l.least {
		return []int64{end}
	}
	from, to := max(earliest, start-l.least), min(end, latest-l.least)
	if from > to {
		return nil
	}
	out := []int64{from, to}
	out = append(out, l.cost.edges(from, to, maxEdges)...)
	for _, b := range l.cost.edges(from+l.least, to+l.least, maxEdges) {
		out = append(out, b-l.least)
	}
	for _, b := range l.wanted[j] {
		if a := b - l.least; a > from && a < to {
			out = append(out, a)
		}
	}
	return out
}

// exit is where the copy of run i stops when it is the last one.
func (l *layout) exit(i int, s state) (int64, bool) {
	r := l.runs[i]
	switch rest := l.hi - r.end; {
	case rest == 0 || l.tail || rest >= l.least:
		return r.end, true
	default:
		leave := l.hi - l.least
		return leave, leave >= s.at+l.least
	}
}

// add keeps a state unless another begins no later and costs no more.
func (l *layout) add(j int, s state) {
	kept := l.states[j]
	for _, o := range kept {
		if o.at <= s.at && o.cost <= s.cost {
			return
		}
	}
	// States of a run are referred to by index only from later runs, so they may move now.
	kept = slices.DeleteFunc(kept, func(o state) bool { return s.at <= o.at && s.cost <= o.cost })
	if len(kept) < maxStates {
		kept = append(kept, s)
	}
	l.states[j] = kept
}

// trace turns the way to end into stretches.
func (l *layout) trace(end state) []stretch {
	var out []stretch
	to := l.hi
	for s := end; ; {
		if s.leave < to {
			out = append(out, stretch{off: s.leave, end: to})
		}
		if s.prevRun < 0 {
			break
		}
		before := l.states[s.prevRun][s.prev]
		out = append(out, stretch{off: before.at, end: s.leave, run: &l.runs[s.prevRun]})
		to, s = before.at, before
	}
	slices.Reverse(out)
	return out
}
