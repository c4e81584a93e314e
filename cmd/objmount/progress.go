package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

// progressEvery is the pause between two lines where there is no terminal.
const progressEvery = 5 * time.Second

// progressText is one state of the uploads.
func progressText(p ctl.Progress) string {
	return fmt.Sprintf("%s of %s, %s left", bytesText(p.Done), bytesText(p.Total), plural(p.Files, "file"))
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// progress shows how uploads go on: a bar on a terminal, else a line now and then. When there is
// nothing to wait for it shows nothing.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	isTTY bool
	wide  bool
	next  time.Time
	shown bool
	began time.Time // of the first state shown
	first int64     // bytes that were done then
}

func newProgress(out *os.File) *progress {
	const wide = 90 // columns that a line with a guess takes at most
	columns, _, err := term.GetSize(int(out.Fd()))
	return &progress{out: out, isTTY: term.IsTerminal(int(out.Fd())), wide: err == nil && columns >= wide, next: time.Now().Add(time.Second)}
}

func (p *progress) update(s ctl.Progress) {
	if s.Files == 0 && !p.shown {
		return
	}
	if !p.isTTY {
		if now := time.Now(); now.After(p.next) {
			p.shown, p.next = true, now.Add(progressEvery)
			fmt.Fprintf(p.out, "uploading: %s\n", progressText(s))
		}
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(max(s.Total, 1),
			progressbar.OptionSetWriter(p.out), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
			progressbar.OptionUseIECUnits(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), // the library says 0s where it cannot know
			progressbar.OptionSetRenderBlankState(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
		p.began, p.first = time.Now(), s.Done
	}
	p.shown = true
	p.bar.ChangeMax64(max(s.Total, s.Done, 1))
	p.bar.Describe("uploading " + plural(s.Files, "file") + p.rest(s))
	_ = p.bar.Set64(s.Done) // a bar that cannot be drawn stops nothing
}

// rest guesses how long it takes from now, once there is something to guess from.
func (p *progress) rest(s ctl.Progress) string {
	const least = 2 * time.Second
	passed, done := time.Since(p.began), s.Done-p.first
	if !p.wide || done <= 0 || passed < least || s.Total <= s.Done {
		return ""
	}
	left := time.Duration(float64(passed) * float64(s.Total-s.Done) / float64(done))
	return fmt.Sprintf(", %v left", left.Round(time.Second))
}

// note prints lines between two states.
func (p *progress) note(text string) {
	p.finish()
	fmt.Fprintln(p.out, text)
}

// finish removes the bar.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
