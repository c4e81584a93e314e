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
	next  time.Time
	shown bool
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, isTTY: term.IsTerminal(int(out.Fd())), next: time.Now().Add(time.Second)}
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
			progressbar.OptionSetDescription("uploading "+plural(s.Files, "file")),
			progressbar.OptionUseIECUnits(true), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetRenderBlankState(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	p.shown = true
	p.bar.ChangeMax64(max(s.Total, s.Done, 1))
	p.bar.Describe("uploading " + plural(s.Files, "file"))
	_ = p.bar.Set64(s.Done) // a bar that cannot be drawn stops nothing
}

// finish removes the bar.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
