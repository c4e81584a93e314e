package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func versionsDiff() *cobra.Command {
	var from, to selector
	return ctlCommand{
		use: "diff [flags] PATH...", short: "show what differs between two versions, or two times",
		long: `Show what differs between two versions of a file: size, properties, tags, and of text up to 1 MiB the
lines. Without flags the current version is compared with the one before. Of a directory, show what
was added (A), removed (D), changed (M), or stored again with the same content (P) between two
times. The exit code is 0 whether anything differs or not.`,
		example: `  objmount ctl versions diff /mnt/report.txt
  objmount ctl versions diff --from 3HL4kqtJlcpXroDTDmJ --to yesterday /mnt/report.txt
  objmount ctl versions diff --from "1 week ago" /mnt/photos`,
		flags: func(f *pflag.FlagSet) {
			f.Var(&from, "from", "a version of the file, or a time (default: the version before)")
			f.Var(&to, "to", "a version of the file, or a time (default: what is current)")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.DiffRequest{Target: t.target(false), From: from.Selector, To: to.Selector}
			return s.run(ctx, t, "versions/diff", r, func(l ctl.Line) error {
				return decoded(l, func(d struct {
					ctl.FileDiff
					Key    ctl.Text `json:"key"`
					Change string   `json:"change"`
				}) error {
					if d.Change != "" {
						_, err := fmt.Fprintf(s.out, "%s %s\n", changeLetters[d.Change], printable(d.Key))
						return err
					}
					return showFileDiff(s.out, d.FileDiff)
				})
			})
		},
	}.command()
}

var changeLetters = map[string]string{"added": "A", "removed": "D", "changed": "M", "properties": "P"}

func showFileDiff(w io.Writer, d ctl.FileDiff) error {
	fmt.Fprintf(w, "from %s\nto   %s\n", describeVersion(d.From), describeVersion(d.To))
	for _, p := range d.Properties {
		fmt.Fprintf(w, "%s: %s -> %s\n", p.Name, valueText(p.From), valueText(p.To))
	}
	return showContents(w, d.SameContent, d.WhyNoText, d.Text)
}

// showContents says what differs between two contents: lines, or only that they differ and why no lines are shown.
func showContents(w io.Writer, same bool, whyNoText, text string) error {
	var err error
	switch {
	case same:
		_, err = fmt.Fprintln(w, "the contents are the same")
	case whyNoText != "":
		_, err = fmt.Fprintf(w, "the contents differ; %s\n", whyNoText)
	default:
		_, err = fmt.Fprint(w, text)
	}
	return err
}

func describeVersion(v *ctl.Version) string {
	if v == nil {
		return "nothing: it did not exist"
	}
	return fmt.Sprintf("%s version %s", timeText(v.LastModified), orDash(v.VersionID))
}

func valueText(s string) string {
	if s == "" {
		return "(none)"
	}
	return printable(ctl.Text(s))
}
