package ctl

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// isText tells whether content is text that can be shown in lines.
func isText(content []byte) bool {
	return utf8.Valid(content) && bytes.IndexByte(content, 0) < 0
}

// unifiedDiff returns what differs between two texts, with three lines around, as diff -u prints it; empty:
// nothing. Two texts with more than maxEdits different lines are shown as one replaced by the other, between
// what both begin and end with.
func unifiedDiff(fromName, toName string, from, to []byte) string {
	a, b := splitLines(from), splitLines(to)
	edits := compare(a, b)
	var out strings.Builder
	for _, h := range hunks(edits) {
		if out.Len() == 0 {
			fmt.Fprintf(&out, "--- %s\n+++ %s\n", fromName, toName)
		}
		h.write(&out, a, b)
	}
	return out.String()
}

// splitLines cuts text after its line ends.
func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// edit is one line: of both (' '), of a only ('-') or of b only ('+'), with its place in each.
type edit struct {
	op   byte
	a, b int
}

// maxEdits bounds the memory of compare, which grows with the square of the number of different lines.
const maxEdits = 2000

// compare returns the shortest way from a to b (E. Myers, "An O(ND) Difference Algorithm and Its
// Variations", 1986).
func compare(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []edit
	for i := range head {
		all = append(all, edit{' ', i, i})
	}
	for _, e := range myers(a[head:len(a)-tail], b[head:len(b)-tail]) {
		all = append(all, edit{e.op, e.a + head, e.b + head})
	}
	for i := range tail {
		all = append(all, edit{' ', len(a) - tail + i, len(b) - tail + i})
	}
	return all
}

// myers is compare without what both begin and end with.
func myers(a, b []string) []edit {
	// reach[k] is how far into a the best way on the diagonal k = x - y has come; trace has it as it was
	// before each step.
	reach := map[int]int{1: 0}
	var trace []map[int]int
	for d := 0; d <= min(len(a)+len(b), maxEdits); d++ {
		before := make(map[int]int, d+2)
		for k := -d - 1; k <= d+1; k++ {
			if x, ok := reach[k]; ok {
				before[k] = x
			}
		}
		trace = append(trace, before)
		for k := -d; k <= d; k += 2 {
			x := before[k-1] + 1
			if k == -d || k != d && before[k-1] < before[k+1] {
				x = before[k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			reach[k] = x
			if x >= len(a) && x-k >= len(b) {
				return walkBack(trace, len(a), len(b))
			}
		}
	}
	var all []edit
	for i := range a {
		all = append(all, edit{'-', i, 0})
	}
	for i := range b {
		all = append(all, edit{'+', len(a), i})
	}
	return all
}

// walkBack turns the steps into edits.
func walkBack(trace []map[int]int, x, y int) []edit {
	var all []edit
	for d := len(trace) - 1; d >= 0; d-- {
		before, k := trace[d], x-y
		from := k - 1
		if k == -d || k != d && before[k-1] < before[k+1] {
			from = k + 1
		}
		fromX := before[from]
		fromY := fromX - from
		if d == 0 {
			fromX, fromY = 0, 0
		}
		for x > max(fromX, 0) && y > max(fromY, 0) {
			x, y = x-1, y-1
			all = append(all, edit{' ', x, y})
		}
		switch {
		case d == 0:
		case from == k+1:
			y--
			all = append(all, edit{'+', x, y})
		default:
			x--
			all = append(all, edit{'-', x, y})
		}
	}
	slices.Reverse(all)
	return all
}

// hunk is a run of edits that are shown together.
type hunk []edit

// around is how many equal lines are shown before and after what differs.
const around = 3

func hunks(edits []edit) []hunk {
	var all []hunk
	for i := 0; i < len(edits); i++ {
		if edits[i].op == ' ' {
			continue
		}
		begin, end := max(0, i-around), i+1
		for j := i + 1; j < len(edits) && j <= end+2*around; j++ {
			if edits[j].op != ' ' {
				end = j + 1
			}
		}
		all = append(all, edits[begin:min(end+around, len(edits))])
		i = min(end+around, len(edits)) - 1
	}
	return all
}

func (h hunk) write(out *strings.Builder, a, b []string) {
	var inA, inB int
	for _, e := range h {
		if e.op != '+' {
			inA++
		}
		if e.op != '-' {
			inB++
		}
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", lineRange(h[0].a, inA), lineRange(h[0].b, inB))
	for _, e := range h {
		line := ""
		if e.op == '+' {
			line = b[e.b]
		} else {
			line = a[e.a]
		}
		out.WriteByte(e.op)
		out.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// lineRange is the form of diff -u: the first line, counted from 1, and how many.
func lineRange(first, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", first)
	case 1:
		return fmt.Sprint(first + 1)
	}
	return fmt.Sprintf("%d,%d", first+1, n)
}
