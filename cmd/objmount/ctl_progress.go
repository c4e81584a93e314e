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

// counter shows on a terminal how far a verb is; elsewhere nothing but notes, and now and then a line of what takes long by its
// nature. It is drawn only between lines of output, because both may go to one terminal.
type counter struct {
	out   io.Writer
	isTTY bool
	dry   bool // nothing is done: what would be is counted
	bar   *progressbar.ProgressBar
	whole *transfer // of what says how much there is to do
	total int64     // of bar; -1: not known
	drawn time.Time
	next  time.Time // for a line where there is no terminal
}

func newCounter(dry bool) *counter {
	return &counter{
		out: os.Stderr, dry: dry, isTTY: term.IsTerminal(int(os.Stderr.Fd())), whole: newTransfer(os.Stderr), next: time.Now().Add(time.Second),
	}
}

func (c *counter) update(s ctl.Step) {
	const every = 100 * time.Millisecond
	switch {
	case !c.isTTY && s.Doing != "":
		if now := time.Now(); now.After(c.next) {
			c.next = now.Add(progressEvery)
			fmt.Fprintln(c.out, lineText(s))
		}
		return
	case !c.isTTY || time.Since(c.drawn) < every:
		return
	}
	c.drawn = time.Now()
	if s.Doing != "" && s.Doing != "counting" {
		c.finishCount()
		c.whole.show(s.Bytes, s.Total, s.Doing+" "+plural(int(max(s.All-s.Done, 0)), "file"), printable(s.Now))
		return
	}
	if c.bar == nil {
		c.total = -1 // not known: a spinner
		if s.Total > 0 && s.Doing == "" {
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
	if c != nil {
		c.finishCount()
		if c.whole != nil {
			c.whole.clear()
		}
	}
}

func (c *counter) finishCount() {
	if c.bar != nil {
		_ = c.bar.Clear()
		c.bar = nil
	}
}

// lineText is one line of a log.
func lineText(s ctl.Step) string {
	if s.Doing == "counting" {
		return countText(s)
	}
	text := fmt.Sprintf("%s: %s of %s, %s left", s.Doing, bytesText(s.Bytes), bytesText(s.Total), plural(int(max(s.All-s.Done, 0)), "file"))
	if s.Now != "" {
		text += ": " + printable(s.Now)
	}
	return text
}

func countText(s ctl.Step) string {
	return fmt.Sprintf("counting: %s to fetch, %s", plural(int(s.All), "file"), bytesText(s.Total))
}

func stepText(s ctl.Step, dry bool) string {
	if s.Doing == "counting" {
		return countText(s)
	}
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
