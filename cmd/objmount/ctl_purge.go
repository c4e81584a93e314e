package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

type purgeOptions struct {
	request   ctl.PurgeRequest
	olderThan interval
	keep      fromZero
	yes       bool
}

const purgeExample = `  objmount ctl versions purge --older-than 90d --recursive --dry-run /mnt
  objmount ctl versions purge --all-but 3 --yes /mnt/report.txt
  objmount ctl versions purge --version-id 3HL4kqtJlcpXroDTDmJ /mnt/report.txt`

func versionsPurge() *cobra.Command {
	var o purgeOptions
	return ctlCommand{
		use: "purge [flags] PATH...", short: "remove versions for good",
		long: `Remove versions for good. Nothing brings them back, so on a terminal it asks first, and elsewhere
it needs --yes. Versions under retention or legal hold stay and are reported (exit code 12).
Which versions:`,
		example: purgeExample,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&o.request.VersionID, "version-id", "", "the version or delete marker with this `id`")
			f.Var(&o.olderThan, "older-than", "those that were replaced or deleted longer than that ago, such as 30d: what was current since then stays")
			f.Lookup("older-than").DefValue = ""
			f.Var(&o.keep, "all-but", "all but this `number` of the newest, of each file; 0: everything, the current one too")
			f.BoolVar(&o.request.Markers, "markers", false, "delete markers that hide no version")
			f.BoolVar(&o.request.Recursive, "recursive", false, "everything below a directory")
			f.BoolVar(&o.request.Bypass, "bypass-governance", false, "also versions under retention of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&o.request.DryRun, "dry-run", false, "only show what would be removed")
			f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := o.request
			if s.flags.Changed("older-than") {
				before := time.Now().Add(-time.Duration(o.olderThan)).UTC()
				r.ReplacedBefore = &before
			}
			if s.flags.Changed("all-but") {
				r.Keep = &o.keep.n
			}
			return s.purge(ctx, t, r, o.yes)
		},
	}.command()
}

func versionsDelete() *cobra.Command {
	var o purgeOptions
	return ctlCommand{
		use: "delete [flags] PATH", short: "remove one version for good",
		long:    "Remove one version, or one delete marker, for good; as versions purge --version-id.",
		example: "  objmount ctl versions delete --version-id 3HL4kqtJlcpXroDTDmJ --yes /mnt/report.txt",
		args:    exactly("PATH"),
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&o.request.VersionID, "version-id", "", "the version or delete marker with this `id`")
			f.BoolVar(&o.request.Bypass, "bypass-governance", false, "also under retention of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&o.request.DryRun, "dry-run", false, "only show what would be removed")
			f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			if o.request.VersionID == "" {
				return usage("--version-id is missing; objmount ctl versions list shows the ids; to delete the file itself, use rm")
			}
			return s.purge(ctx, t, o.request, o.yes)
		},
	}.command()
}

// purge asks before it does what cannot be undone.
func (s *ctlSession) purge(ctx context.Context, t ctlTarget, r ctl.PurgeRequest, yes bool) error {
	r.Target = t.target(r.DryRun)
	if err := r.Check(); err != nil {
		return err
	}
	if !r.DryRun && !yes {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return usage("%s: versions that are purged are gone for good, so --yes is needed where nobody can be asked; --dry-run shows what would go", t.path)
		}
		wanted, err := s.confirm(ctx, t, r)
		if err != nil || !wanted {
			return err
		}
	}
	return s.showDone(ctx, t, "versions/purge", r)
}

// confirm says on the terminal what would be removed, and asks.
func (s *ctlSession) confirm(ctx context.Context, t ctlTarget, r ctl.PurgeRequest) (bool, error) {
	r.Target.DryRun = true
	sum, err := s.rehearse(t, func(quiet *ctlSession, sum *ctl.Summary) error {
		return quiet.run(ctx, t, "versions/purge", r, onlySummary(sum))
	})
	if err != nil || sum.Done == 0 {
		return false, err
	}
	return s.ask(ctx, fmt.Sprintf("Remove %s of %s for good? [y/N] ", amountText(sum, "version"), t.path))
}

// rehearse makes a dry run without its answers, and says when there is nothing to do.
func (s *ctlSession) rehearse(t ctlTarget, dry func(quiet *ctlSession, sum *ctl.Summary) error) (ctl.Summary, error) {
	var sum ctl.Summary
	quiet := *s
	quiet.json, quiet.bar = false, newCounter(true)
	err := dry(&quiet, &sum)
	quiet.bar.finish()
	if err == nil && sum.Done+sum.Uploads == 0 {
		s.say("objmount: " + t.path + ": nothing to do")
	}
	return sum, err
}

// onlySummary takes the summary of an answer and passes over the rest.
func onlySummary(sum *ctl.Summary) func(ctl.Line) error {
	return func(l ctl.Line) error {
		found, ok, err := summaryOf(l)
		if ok {
			*sum = found
		}
		return err
	}
}

// amountText counts what would be removed.
func amountText(sum ctl.Summary, what string) string {
	return fmt.Sprintf("%s (%s)", plural(int(sum.Done), what), bytesText(sum.Bytes))
}

// ask asks on the terminal.
func (s *ctlSession) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprint(s.err, question)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be interrupted; the process ends anyway
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // no line is no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		if a == "y" || a == "yes" {
			return true, nil
		}
		s.say("objmount: nothing was removed")
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (s *ctlSession) say(text string) { fmt.Fprintln(s.err, text) }
