package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

// stagedCommands are about what is not in the store: nouns of their own, because they are asked for in a hurry.
func stagedCommands() []*cobra.Command {
	return []*cobra.Command{pendingCommand(), flushCommand(), retryCommand(), dropCommand(), newConflictsCommand(), newQuarantineCommand(), newUploadsCommand(), newCacheCommand()}
}

const idFlag = "only the one with this `id`, as pending shows it"

func pendingCommand() *cobra.Command {
	var r ctl.WaitingRequest
	return ctlCommand{
		mounted: true,
		use:     "pending [flags] [PATH...]", short: "list what is not in the store yet, or kept until you decide",
		long: `List what is written and not in the store yet: how far it is, and what the last attempt failed with; and what is kept until
somebody decides: conflicts with other clients, and what no program finished. Without PATH: of every mount.`,
		example:    "  objmount ctl pending\n  objmount ctl pending /mnt/photos\n  objmount ctl pending --json /mnt | jq -r 'select(.kept).key'",
		everyMount: true,
		flags:      func(f *pflag.FlagSet) { f.StringVar(&r.ID, "id", "", idFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(false)
			return s.showWaiting(ctx, t, "pending/list", r)
		},
	}.command()
}

// showWaiting runs a verb that lists what waits.
func (s *ctlSession) showWaiting(ctx context.Context, t ctlTarget, verb string, request any) error {
	return showColumns(ctx, s, t, verb, request, "ID\tSTATE\tSENT\tSIZE\tKEY", writeWaiting)
}

func writeWaiting(w io.Writer, v ctl.Waiting) error {
	sent := bytesText(v.Done)
	if v.Kept {
		sent = "-"
	}
	text := keyText(v.Bucket, string(v.Key))
	if v.Reason != "" {
		text += ": " + v.Reason
		if v.Attempts > 0 {
			text = fmt.Sprintf("%s (after %s)", text, plural(v.Attempts, "attempt"))
		}
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", orDash(v.ID), v.State, sent, bytesText(v.Size), text)
	return err
}

func flushCommand() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "flush [flags] [PATH...]", short: "store what programs have finished, and wait for it",
		long: `Store what programs have finished writing at PATH, or below it, and wait until it is in the store; on a terminal a bar shows how far it is.
What a program still has open for writing is left, and said. Without PATH: of every mount. Ctrl-C ends only the waiting.`,
		example:    "  objmount ctl flush /mnt/photos\n  objmount ctl flush",
		everyMount: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "pending/flush", ctl.WaitingRequest{Target: t.target(false)}, func(l ctl.Line) error {
				sum, ok, err := summaryOf(l)
				if ok && sum.Done > 0 {
					_, err = fmt.Fprintf(s.out, "%s: %s stored\n", t.path, amountText(sum, "file"))
				}
				return err
			})
		},
	}.command()
}

func retryCommand() *cobra.Command {
	var r ctl.WaitingRequest
	return ctlCommand{
		mounted: true,
		use:     "retry [flags] [PATH...]", short: "try failed uploads again now",
		long: `Try uploads that wait for their next attempt again now. It does not wait for them: objmount ctl flush does. Without PATH: of every
mount.`,
		example:    "  objmount ctl retry /mnt/photos\n  objmount ctl retry",
		everyMount: true,
		flags:      func(f *pflag.FlagSet) { f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be tried again") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showDone(ctx, t, "pending/retry", r)
		},
	}.command()
}

func dropCommand() *cobra.Command {
	var r ctl.DropRequest
	var yes bool
	return ctlCommand{
		mounted: true,
		use:     "drop [flags] PATH...", short: "forget data that is not in the store, for good",
		long: `Forget what was written and is not in the store: what waits, what failed, and what is kept. Nothing brings it back, so on a terminal it asks first,
and elsewhere it needs --yes. The name shows what the store has.`,
		example: "  objmount ctl drop /mnt/photos/a.jpg\n  objmount ctl drop --recursive --dry-run /mnt/photos\n  objmount ctl drop --id 0001a3f2b1c4d5e6 --yes /mnt",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.ID, "id", "", idFlag)
			f.BoolVar(&r.Recursive, "recursive", false, "everything below a directory")
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be dropped")
			f.BoolVarP(&yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.dropped(ctx, t, "pending/drop", r.DryRun, yes, func(target ctl.Target) any {
				r := r
				r.Target = target
				return r
			})
		},
	}.command()
}

// dropped asks before data that is nowhere else is removed, unless it is sure, or dry. request makes the verb's request for a target.
func (s *ctlSession) dropped(ctx context.Context, t ctlTarget, verb string, dry, sure bool, request func(ctl.Target) any) error {
	if !dry && !sure {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return usage("%s: what is dropped is gone for good, so --yes is needed where nobody can be asked; --dry-run shows what would go", t.path)
		}
		sum, err := s.rehearse(t, func(quiet *ctlSession, sum *ctl.Summary) error {
			return quiet.run(ctx, t, verb, request(t.target(true)), onlySummary(sum))
		})
		if err != nil || sum.Done == 0 {
			return err
		}
		wanted, err := s.ask(ctx, fmt.Sprintf("Drop %s of %s that the store does not have? [y/N] ", amountText(sum, "file"), t.path))
		if err != nil || !wanted {
			return err
		}
	}
	return s.showDone(ctx, t, verb, request(t.target(dry)))
}
