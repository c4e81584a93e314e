package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

func newUploadsCommand() *cobra.Command {
	return nounCommand("uploads", "list and abort unfinished multipart uploads",
		"The parts of a multipart upload that nobody has completed are stored, and paid for, until somebody aborts it; no listing of files shows them.",
		`  objmount ctl uploads list /mnt
  objmount ctl uploads abort --older-than 7d --dry-run /mnt`,
		uploadsList(), uploadsAbort())
}

func uploadsList() *cobra.Command {
	return ctlCommand{
		use: "list [flags] PATH...", short: "list unfinished multipart uploads, of anyone",
		long: `List the unfinished multipart uploads of objects at PATH or below it, also those of other programs. Those marked "here" belong to this mount, which
goes on with them.`,
		example: "  objmount ctl uploads list /mnt\n  objmount ctl uploads list --json s3://my-bucket",
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return showColumns(ctx, s, t, "uploads/list", ctl.UploadsRequest{Target: t.target(false)}, "BEGUN\tWHOSE\tUPLOAD\tKEY", func(w io.Writer, up ctl.UnfinishedUpload) error {
				whose := "-"
				if up.Ours {
					whose = "here"
				}
				_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", timeText(up.Initiated), whose, up.UploadID, printable(up.Key))
				return err
			})
		},
	}.command()
}

func uploadsAbort() *cobra.Command {
	var r ctl.AbortUploadsRequest
	var olderThan interval
	var yes bool
	return ctlCommand{
		use: "abort [flags] PATH...", short: "abort unfinished multipart uploads",
		long: `Abort unfinished multipart uploads of objects at PATH or below it, of anyone: their parts are gone for good, so on a terminal it asks first, and elsewhere it needs
--yes. Those that this mount goes on with stay; other mounts and programs cannot be asked, so choose an age that no upload under way has.`,
		example: "  objmount ctl uploads abort --older-than 7d --dry-run /mnt\n  objmount ctl uploads abort --older-than 30d --yes s3://my-bucket",
		flags: func(f *pflag.FlagSet) {
			f.Var(&olderThan, "older-than", "those that were begun longer than that ago, such as 7d")
			f.Lookup("older-than").DefValue = ""
			f.StringVar(&r.UploadID, "upload-id", "", "the one with this `id`")
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be aborted")
			f.BoolVarP(&yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			if s.flags.Changed("older-than") {
				before := time.Now().Add(-time.Duration(olderThan)).UTC()
				r.Before = &before
			}
			if (r.UploadID == "") == (r.Before == nil) {
				return usage("say which uploads: give one of --older-than and --upload-id")
			}
			return s.abortUploads(ctx, t, r, yes)
		},
	}.command()
}

func (s *ctlSession) abortUploads(ctx context.Context, t ctlTarget, r ctl.AbortUploadsRequest, yes bool) error {
	if !r.DryRun && !yes {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return usage("%s: the parts of an upload are gone for good, so --yes is needed where nobody can be asked; --dry-run shows which it would be", t.path)
		}
		dry := r
		dry.Target = t.target(true)
		sum, err := s.rehearse(t, func(quiet *ctlSession, sum *ctl.Summary) error {
			return quiet.run(ctx, t, "uploads/abort", dry, onlySummary(sum))
		})
		if err != nil || sum.Done == 0 {
			return err
		}
		wanted, err := s.ask(ctx, fmt.Sprintf("Abort %s of %s? [y/N] ", plural(int(sum.Done), "unfinished upload"), t.path))
		if err != nil || !wanted {
			return err
		}
	}
	r.Target = t.target(r.DryRun)
	return s.run(ctx, t, "uploads/abort", r, func(l ctl.Line) error {
		return decoded(l, func(up ctl.UnfinishedUpload) error {
			if !up.Aborted {
				s.say(fmt.Sprintf("objmount: the upload %s of %s stays: %s", up.UploadID, printable(up.Key), up.Error))
				return nil
			}
			action := "aborted"
			if r.DryRun {
				action = "would be aborted"
			}
			_, err := fmt.Fprintf(s.out, "%s: %s of %s, begun %s\n", action, up.UploadID, printable(up.Key), timeText(up.Initiated))
			return err
		})
	})
}
