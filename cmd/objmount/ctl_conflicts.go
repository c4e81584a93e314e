package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newConflictsCommand() *cobra.Command {
	return nounCommand("conflicts", "decide about what lost against another client, or was interrupted",
		`Two writers of one file: the first one stored it, and what the other wrote is kept. What a program did not finish (it was killed, or the machine went down) is
kept as well. Decide here what becomes of it; nothing happens by itself.`,
		`  objmount ctl conflicts list /mnt
  objmount ctl conflicts diff /mnt/report.txt
  objmount ctl conflicts keep-mine /mnt/report.txt
  objmount ctl conflicts save-as /mnt/report.txt /mnt/report-mine.txt`,
		conflictsList(), conflictsDiff(), conflictsKeepMine(), conflictsKeepTheirs(), conflictsSaveAs())
}

func conflictsList() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "list [flags] [PATH...]", short: "list what is kept until you decide",
		long:       "List what lost against another client, or was interrupted, at PATH or below it. Without PATH: of every mount.",
		example:    "  objmount ctl conflicts list\n  objmount ctl conflicts list --json /mnt/photos",
		everyMount: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showWaiting(ctx, t, "conflicts/list", ctl.WaitingRequest{Target: t.target(false)})
		},
	}.command()
}

const whichFlag = "the one with this `id`, where several are kept of the file"

func conflictsDiff() *cobra.Command {
	var r ctl.WaitingRequest
	return ctlCommand{
		mounted: true,
		use:     "diff [flags] PATH...", short: "compare what is kept with what the store has",
		long:    "Show what differs between the store's object (-) and what is kept (+): the sizes, and of text up to 1 MiB the lines.",
		example: "  objmount ctl conflicts diff /mnt/report.txt",
		flags:   func(f *pflag.FlagSet) { f.StringVar(&r.ID, "id", "", whichFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(false)
			return s.run(ctx, t, "conflicts/diff", r, func(l ctl.Line) error {
				return decoded(l, func(d ctl.ConflictDiff) error { return showConflict(s.out, d) })
			})
		},
	}.command()
}

func showConflict(w io.Writer, d ctl.ConflictDiff) error {
	theirs := "nothing: there is no such object"
	if d.Object != nil {
		theirs = fmt.Sprintf("%s, stored %s", bytesText(d.Object.Size), timeText(d.Object.LastModified))
	}
	fmt.Fprintf(w, "store %s\nkept  %s, %s\n", theirs, bytesText(d.Kept.Size), d.Kept.Reason)
	return showContents(w, d.SameContent, d.WhyNoText, d.Text)
}

func conflictsKeepMine() *cobra.Command {
	var r ctl.WaitingRequest
	return ctlCommand{
		mounted: true,
		use:     "keep-mine [flags] PATH...", short: "store what is kept over what the store has",
		long: `Store what is kept, over the object that the store has now. In a bucket that keeps versions the other one stays as an old version; elsewhere it is
gone: look at it first with diff. If another client is faster once more, it is kept as it was.`,
		example: "  objmount ctl conflicts keep-mine /mnt/report.txt\n  objmount ctl conflicts keep-mine --id 0001a3f2b1c4d5e6 /mnt/report.txt",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.ID, "id", "", whichFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be stored")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showDone(ctx, t, "conflicts/keep-mine", r)
		},
	}.command()
}

func conflictsKeepTheirs() *cobra.Command {
	var r ctl.WaitingRequest
	var yes bool
	return ctlCommand{
		mounted: true,
		use:     "keep-theirs [flags] PATH...", short: "forget what is kept, for good",
		long:    "Forget what is kept; what the store has stays. Nothing brings it back, so on a terminal it asks first, and elsewhere it needs --yes.",
		example: "  objmount ctl conflicts keep-theirs /mnt/report.txt",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.ID, "id", "", whichFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be dropped")
			f.BoolVarP(&yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.dropped(ctx, t, "conflicts/keep-theirs", r.DryRun, yes, func(target ctl.Target) any {
				return ctl.WaitingRequest{Target: target, ID: r.ID}
			})
		},
	}.command()
}

func conflictsSaveAs() *cobra.Command {
	var r ctl.SaveAsRequest
	return ctlCommand{
		mounted: true,
		use:     "save-as [flags] PATH NEWPATH", short: "store what is kept under another name",
		long:    "Store what is kept as another file of the same mount, which must not exist yet. What the store has at PATH stays.",
		example: "  objmount ctl conflicts save-as /mnt/report.txt /mnt/report-mine.txt",
		args:    exactly("PATH", "NEWPATH"), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.ID, "id", "", whichFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be stored")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			to, err := findTarget(ctx, s.infos, args[0])
			if err != nil {
				return err
			}
			if to.info.Socket != t.info.Socket || t.bare {
				return usage("%s is not in the mount of %s; what is kept there can be stored there only", args[0], t.path)
			}
			r.Target, r.To = t.target(r.DryRun), ctl.Text(to.rest)
			return s.showDone(ctx, t, "conflicts/save-as", r)
		},
	}.command()
}

func newQuarantineCommand() *cobra.Command {
	return nounCommand("quarantine", "list what an earlier process left that is not understood",
		"What lies in the state directory and is not understood (a journal that was damaged, a file that it does not know) is never deleted.",
		"  objmount ctl quarantine list /mnt", quarantineList())
}

func quarantineList() *cobra.Command {
	return ctlCommand{
		mounted: true,
		use:     "list [flags] [PATH...]", short: "list the files in quarantine",
		long: `List the files in quarantine, of the whole mount. They hold bytes that a program wrote and that could not be told any more where they belong; look at them, and delete
them by rm when they are of no use. Without PATH: of every mount.`,
		example:    "  objmount ctl quarantine list\n  objmount ctl quarantine list --json /mnt",
		everyMount: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return showColumns(ctx, s, t, "quarantine/list", ctl.WaitingRequest{Target: t.target(false)}, "", func(w io.Writer, q ctl.Quarantined) error {
				_, err := fmt.Fprintf(w, "%s\t%s\n", bytesText(q.Size), q.File)
				return err
			})
		},
	}.command()
}
