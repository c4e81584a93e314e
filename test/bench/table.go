package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A table has a line for each row of work and latency, and in it a cell for each client.
type table struct {
	clients []string
	lines   []*line
}

type line struct {
	name    string
	latency time.Duration
	clients []string
	cells   map[string]*cell
}

func (t *table) add(name string, latency time.Duration) *line {
	l := &line{name: name, latency: latency, clients: t.clients, cells: map[string]*cell{}}
	t.lines = append(t.lines, l)
	return l
}

func (l *line) cell(client string) *cell {
	if l.cells[client] == nil {
		l.cells[client] = &cell{}
	}
	return l.cells[client]
}

// best is the shortest median of the mounts.
func (l *line) best() time.Duration {
	var times []time.Duration
	for client, c := range l.cells {
		if m, ok := c.median(); ok && client != "bare" {
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
	c := l.cells[client]
	m, ok := c.median()
	if !ok {
		if c != nil && c.err != nil {
			return "failed"
		}
		return "-"
	}
	out := fmt.Sprintf("%.2f s", m.time.Seconds())
	if bare, ok := l.cells["bare"].median(); ok && client != "bare" {
		out += fmt.Sprintf(" (%.1f)", float64(m.time)/float64(bare.time))
	}
	if client != "bare" {
		out += fmt.Sprintf(" %.1f cpu %d MiB", m.cpu.Seconds(), m.peak>>20)
		if m.time == l.best() {
			out += " *"
		}
	}
	return out
}

func (l *line) String() string {
	parts := []string{fmt.Sprintf("%s, +%v:", l.name, l.latency)}
	for _, client := range l.clients {
		parts = append(parts, client+" "+l.text(client))
	}
	return strings.Join(parts, "  ")
}

// print writes the table as Markdown, and what went wrong below it.
func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(tw, "| work\t| latency\t")
	for _, c := range t.clients {
		fmt.Fprintf(tw, "| %s\t", c)
	}
	fmt.Fprintf(tw, "|\n|---\t|---\t%s|\n", strings.Repeat("|---\t", len(t.clients)))
	for _, l := range t.lines {
		fmt.Fprintf(tw, "| %s\t| +%v\t", l.name, l.latency)
		for _, c := range t.clients {
			fmt.Fprintf(tw, "| %s\t", l.text(c))
		}
		fmt.Fprintln(tw, "|")
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nMedian seconds until the store has everything, (ratio to the bare client), CPU seconds and peak memory of the client; * is the fastest mount.")
	for _, l := range t.lines {
		for _, client := range t.clients {
			if c := l.cells[client]; c != nil && c.err != nil {
				fmt.Fprintf(w, "%s, +%v, %s: %v\n", l.name, l.latency, client, c.err)
			}
		}
	}
	return nil
}
