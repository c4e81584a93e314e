package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A table has a line for each row of work and latency, and in it a cell for each client. Lines are
// printed as they get ready.
type table struct {
	out     io.Writer
	clients []string
	lines   []*line
}

type line struct {
	table   *table
	name    string
	latency time.Duration
	cells   map[string]*cell
}

const (
	nameWidth  = 36
	cellWidth  = 30
	firstWidth = 8 // of the bare client, which has a time alone
)

func width(client string) int {
	if client == "bare" {
		return firstWidth
	}
	return cellWidth
}

func newTable(out io.Writer, clients []string) *table {
	t := &table{out: out, clients: clients}
	head, rule := []string{pad("work", nameWidth)}, []string{strings.Repeat("-", nameWidth)}
	for _, c := range clients {
		head = append(head, pad(c, width(c)))
		rule = append(rule, strings.Repeat("-", width(c)))
	}
	for _, cells := range [][]string{append(head, "objmount / best other"), append(rule, "---")} {
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
	return t
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

func (t *table) add(name string, latency time.Duration) *line {
	l := &line{table: t, name: name, latency: latency, cells: map[string]*cell{}}
	t.lines = append(t.lines, l)
	return l
}

func (l *line) cell(client string) *cell {
	if l.cells[client] == nil {
		l.cells[client] = &cell{}
	}
	return l.cells[client]
}

// best is the shortest median of the mounts that take part; 0 without any.
func (l *line) best(takesPart func(client string) bool) time.Duration {
	var times []time.Duration
	for client, c := range l.cells {
		if m, ok := c.median(); ok && client != "bare" && takesPart(client) {
			times = append(times, m.time)
		}
	}
	if len(times) == 0 {
		return 0
	}
	return slices.Min(times)
}

// text of one cell: seconds, ratio to the bare client, CPU seconds, peak memory; * marks the
// fastest mount.
func (l *line) text(client string) string {
	c := l.cell(client)
	m, ok := c.median()
	if !ok {
		if c.err != nil {
			reason, _, _ := strings.Cut(fmt.Sprint(c.err), "\n")
			return "failed: " + strings.ReplaceAll(reason, "|", "/")
		}
		return ""
	}
	out := fmt.Sprintf("%.2f s", m.time.Seconds())
	if client == "bare" {
		return out
	}
	if bare, ok := l.cell("bare").median(); ok {
		out += fmt.Sprintf(" ×%.2g", float64(m.time)/float64(bare.time))
	}
	out += fmt.Sprintf(" %.1f cpu %d MiB", m.cpu.Seconds(), m.peak>>20)
	if m.time == l.best(func(string) bool { return true }) {
		out += " *"
	}
	return out
}

// print writes the line.
func (l *line) print() {
	fmt.Fprintf(l.table.out, "| %s", pad(fmt.Sprintf("%s, +%d ms", l.name, l.latency.Milliseconds()), nameWidth))
	for _, c := range l.table.clients {
		fmt.Fprintf(l.table.out, " | %s", pad(l.text(c), width(c)))
	}
	ratio := ""
	us := l.best(func(client string) bool { return client == "objmount" })
	others := l.best(func(client string) bool { return !strings.HasPrefix(client, "objmount") })
	if us > 0 && others > 0 {
		ratio = fmt.Sprintf("%.2f", float64(us)/float64(others))
	}
	fmt.Fprintf(l.table.out, " | %s |\n", ratio)
}

// finish writes what the cells mean, and what went wrong.
func (t *table) finish() {
	fmt.Fprintln(t.out, "\nMedian seconds until the store has everything, × times the bare client's, CPU seconds and peak memory of the client; * is the fastest mount.")
	for _, l := range t.lines {
		for _, client := range t.clients {
			if c := l.cells[client]; c != nil && c.err != nil {
				fmt.Fprintf(t.out, "%s, +%d ms, %s: %v\n", l.name, l.latency.Milliseconds(), client, c.err)
			}
		}
	}
}
