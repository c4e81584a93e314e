package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/objmount/objmount/ctl"
)

// TestCounterIsStillWhenFinished: what is written after finish, such as a question, stays on the terminal.
func TestCounterIsStillWhenFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := &counter{out: &out, isTTY: true, dry: true}
		c.update(ctl.Step{Done: 7, Bytes: 2})
		if text := out.String(); !strings.Contains(text, "7 found, 2 B") || strings.Contains(text, "done") {
			t.Errorf("a rehearsal shows %q", text)
		}
		c.finish()
		out.WriteString("Remove it? [y/N] ")
		time.Sleep(time.Minute) // of the bubble: a goroutine that draws would have done it
		synctest.Wait()
		if text := out.String(); !strings.HasSuffix(text, "Remove it? [y/N] ") {
			t.Errorf("the question is drawn over: %q", text[max(0, len(text)-60):])
		}
	})
}

// drawn is what a counter draws on a terminal of so many columns, as lines; bars as #.
func drawn(columns int, do func(c *counter)) []string {
	var out bytes.Buffer
	do(&counter{out: &out, isTTY: columns > 0, whole: &transfer{out: &out, columns: columns}, next: time.Now().Add(time.Second)})
	var lines []string
	for _, line := range strings.FieldsFunc(strings.ReplaceAll(out.String(), "█", "#"), func(c rune) bool { return c == '\r' || c == '\n' }) {
		if line = strings.Trim(line, ` |/-\`); line != "" && (len(lines) == 0 || lines[len(lines)-1] != line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestWholeIsShown: of what is flushed or fetched a terminal shows bytes of all of them, the rate, the files left and, where it is wide
// enough, a name and the time left; what is no terminal gets a line now and then.
func TestWholeIsShown(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	steps := []ctl.Step{
		{Doing: "counting", Looked: 3, All: 2, Total: 5 * mib},
		{Doing: "fetching", All: 4, Total: 40 * mib, Now: "photos/IMG_0001.jpg"},
		{Doing: "fetching", Done: 1, Bytes: 10 * mib, All: 4, Total: 40 * mib, Now: "photos/of a journey that had many names/and\tmore/IMG_0002.jpg"},
		{Doing: "fetching", Done: 4, Bytes: 40 * mib, All: 4, Total: 40 * mib, Now: "photos/IMG_0004.jpg"},
	}
	for columns, want := range map[int][]string{
		0: {"counting: 2 files to fetch, 5.0 MiB", "fetching: 40 MiB of 40 MiB, 0 files left: photos/IMG_0004.jpg", "a note"},
		80: {
			"counting: 2 files to fetch, 5.0 MiB",
			"fetching 4 files   0% |                              | ( 0 B/40 MiB)",
			"fetching 3 files  25% |#######                       | (10/40 MiB, 2.5 MiB/s)",
			"a note",
		},
		130: {
			"counting: 2 files to fetch, 5.0 MiB",
			"fetching 4 files: photos/IMG_0001.jpg   0% |                              | ( 0 B/40 MiB)",
			`fetching 3 files, 6s left: …es/and\tmore/IMG_0002.jpg"  25% |#######                       | (10/40 MiB, 2.5 MiB/s)`,
			"a note",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := drawn(columns, func(c *counter) {
				for _, s := range steps {
					time.Sleep(2 * time.Second)
					c.update(s)
				}
				c.note("a note")
			})
			if !slices.Equal(got, want) {
				t.Errorf("%d columns:\n%s\nwant:\n%s", columns, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, line := range got {
				if columns > 0 && utf8.RuneCountInString(line) >= columns {
					t.Errorf("%q does not fit into %d columns", line, columns)
				}
			}
		})
	}
}
