package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

// counter shows on a terminal how far a verb is; elsewhere nothing but notes. It is drawn only between lines of
// output, because both may go to one terminal.
type counter struct {
	out   io.Writer
	isTTY bool
	bar   *progressbar.ProgressBar
	drawn time.Time
}

func newCounter() *counter {
	return &counter{out: os.Stderr, isTTY: term.IsTerminal(int(os.Stderr.Fd()))}
}

func (c *counter) update(s ctl.Step) {
	const every = 100 * time.Millisecond
	if !c.isTTY || time.Since(c.drawn) < every {
		return
	}
	c.drawn = time.Now()
	if c.bar == nil {
		total := s.Total
		if total == 0 {
			total = -1 // a spinner
		}
		c.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.out), progressbar.OptionSetWidth(30),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	}
	text := fmt.Sprintf("%d done", s.Done)
	if s.Bytes > 0 {
		text += ", " + bytesText(s.Bytes)
	}
	c.bar.Describe(text)
	_ = c.bar.Set64(s.Done) // a bar that cannot be drawn stops nothing
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
