package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

// counter shows on a terminal how far a verb is; elsewhere nothing but notes. It is drawn only between lines of
// output, because both may go to one terminal.
type counter struct {
	out   io.Writer
	isTTY bool
	dry   bool // nothing is done: what would be is counted
	bar   *progressbar.ProgressBar
	total int64 // of bar; -1: not known
	drawn time.Time
}

func newCounter(dry bool) *counter {
	return &counter{out: os.Stderr, dry: dry, isTTY: term.IsTerminal(int(os.Stderr.Fd()))}
}

func (c *counter) update(s ctl.Step) {
	const every = 100 * time.Millisecond
	if !c.isTTY || time.Since(c.drawn) < every {
		return
	}
	c.drawn = time.Now()
	if c.bar == nil {
		c.total = -1 // not known: a spinner
		if s.Total > 0 {
			c.total = s.Total
		}
		c.bar = progressbar.NewOptions64(c.total, progressbar.OptionSetWriter(c.out), progressbar.OptionSetWidth(10),
			progressbar.OptionSetSpinnerChangeInterval(0), // else a goroutine goes on drawing after Clear, over questions and answers
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	}
	c.bar.Describe(stepText(s, c.dry))
	if c.total > 0 {
		_ = c.bar.Set64(min(s.Bytes, c.total)) // a bar that cannot be drawn stops nothing
	} else {
		_ = c.bar.Add(1)
	}
}

// note prints a line between.
func (c *counter) note(text string) {
	c.finish()
	fmt.Fprintln(c.out, text)
}

// finish removes what was drawn.
func (c *counter) finish() {
	if c != nil && c.bar != nil {
		_ = c.bar.Clear()
		c.bar = nil
	}
}

func stepText(s ctl.Step, dry bool) string {
	var parts []string
	if s.Looked > 0 {
		parts = append(parts, humanize.Comma(s.Looked)+" versions seen")
	}
	if s.Done > 0 {
		parts = append(parts, humanize.Comma(s.Done)+map[bool]string{false: " done", true: " found"}[dry])
	}
	switch {
	case s.Total > 0:
		parts = append(parts, bytesText(s.Bytes)+" of "+bytesText(s.Total))
	case s.Bytes > 0:
		parts = append(parts, bytesText(s.Bytes))
	}
	return strings.Join(parts, ", ")
}
