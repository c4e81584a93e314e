package main

import (
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

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

// transfer is a bar on a terminal of bytes that are done, of all of them.
type transfer struct {
	out     io.Writer
	columns int // of the terminal; 0: not known
	bar     *progressbar.ProgressBar
	began   time.Time // of the first state shown
	first   int64     // bytes that were done then
}

func newTransfer(out *os.File) *transfer {
	columns, _, err := term.GetSize(int(out.Fd()))
	if err != nil {
		columns = 0
	}
	return &transfer{out: out, columns: columns}
}

// show draws a state: what is done, and, where the terminal is wide enough, to what and for how long still.
func (t *transfer) show(done, total int64, what, to string) {
	if t.bar == nil {
		t.began, t.first = time.Now(), done
	}
	what += t.rest(done, total)
	if room := t.columns - barColumns - utf8.RuneCountInString(what); to != "" && room >= leastName {
		what += ": " + tail(to, room-2)
	}
	if t.bar == nil {
		t.bar = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetDescription(what),
			progressbar.OptionSetWriter(t.out), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
			progressbar.OptionUseIECUnits(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), // the library says 0s where it cannot know
			progressbar.OptionSetRenderBlankState(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	t.bar.ChangeMax64(max(total, done, 1))
	t.bar.Describe(what)
	_ = t.bar.Set64(done) // a bar that cannot be drawn stops nothing
}

const (
	barColumns = 76 // of percents, bar, count and rate: " 100% |...30...| (1023.9/1023.9 MiB, 1023.9 MiB/s)", and some air
	leastName  = 12 // columns: with fewer a name says nothing
	wide       = 90 // columns that a line with a guess takes at most
)

// tail is the end of a text, so many characters of it at most.
func tail(text string, room int) string {
	runes := []rune(text)
	if len(runes) <= room {
		return text
	}
	return "…" + string(runes[len(runes)-room+1:])
}

// rest guesses how long it takes from now, once there is something to guess from.
func (t *transfer) rest(bytes, total int64) string {
	const least = 2 * time.Second
	passed, done := time.Since(t.began), bytes-t.first
	if t.columns < wide || done <= 0 || passed < least || total <= bytes {
		return ""
	}
	left := time.Duration(float64(passed) * float64(total-bytes) / float64(done))
	return fmt.Sprintf(", %v left", left.Round(time.Second))
}

// clear removes the bar.
func (t *transfer) clear() {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
}

// progress shows how uploads go on: a bar on a terminal, else a line now and then. When there is
// nothing to wait for it shows nothing.
type progress struct {
	out   io.Writer
	bar   *transfer
	isTTY bool
	next  time.Time
	shown bool
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, bar: newTransfer(out), isTTY: term.IsTerminal(int(out.Fd())), next: time.Now().Add(time.Second)}
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
	p.shown = true
	p.bar.show(s.Done, s.Total, "uploading "+plural(s.Files, "file"), "")
}

// note prints lines between two states.
func (p *progress) note(text string) {
	p.finish()
	fmt.Fprintln(p.out, text)
}

// finish removes the bar.
func (p *progress) finish() { p.bar.clear() }
