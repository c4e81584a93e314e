package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

type objectDelete struct {
	request ctl.DeleteObjectsRequest
	yes     bool
	null    bool
}

func objectDeleteCommand() *cobra.Command {
	var o objectDelete
	return ctlCommand{
		use: "delete [flags] PATH [PATH... | -]", short: "remove objects",
		long: `Remove objects, each as rm does: where the bucket keeps versions, a delete marker comes on top. With
--version-id that version is removed for good. After a directory or s3://BUCKET, "-" takes the keys from
standard input, one a line, whole as the list prints them, a thousand in one request. What is under
retention or legal hold stays and is reported (exit code 12).`,
		example: `  objmount ctl object delete /mnt/report.txt
  objmount ctl object delete --recursive --yes /mnt/photos
  objmount ctl object list --recursive --json /mnt/photos | jq -r 'select(.size == 0).key' | objmount ctl object delete /mnt/photos -`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&o.request.VersionID, "version-id", "", "the version or delete marker with this `id`, for good")
			f.BoolVar(&o.request.Recursive, "recursive", false, "everything below a directory")
			f.BoolVar(&o.request.Bypass, "bypass-governance", false, "also what is under retention of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&o.null, "null", false, "keys on standard input end with a NUL byte instead of a line")
			f.BoolVar(&o.request.DryRun, "dry-run", false, "only show what would be removed")
			f.BoolVarP(&o.yes, "yes", "y", false, "do not ask before a directory is removed")
		},
		args: func(cmd *cobra.Command, args []string) error {
			for i, arg := range args {
				if arg == "-" && (i != 1 || len(args) != 2) {
					return usage(`"-" comes after one directory: objmount ctl object delete DIRECTORY -`)
				}
			}
			return somePaths(cmd, args)
		},
		pathsOrKeys: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := o.request
			r.Target = t.target(r.DryRun)
			if len(args) > 0 {
				return s.deleteKeys(ctx, t, r, o.null, os.Stdin)
			}
			if r.Recursive && !r.DryRun && !o.yes {
				if !term.IsTerminal(int(os.Stdin.Fd())) {
					return usage("%s: all below a directory would be removed, so --yes is needed where nobody can be asked; --dry-run shows what would go", t.path)
				}
				if wanted, err := s.confirmDelete(ctx, t, r); err != nil || !wanted {
					return err
				}
			}
			return s.showDone(ctx, t, "object/delete", r)
		},
	}.command()
}

// confirmDelete says on the terminal what would be removed, and asks.
func (s *ctlSession) confirmDelete(ctx context.Context, t ctlTarget, r ctl.DeleteObjectsRequest) (bool, error) {
	r.DryRun = true
	sum, err := s.rehearse(t, func(quiet *ctlSession, sum *ctl.Summary) error {
		err := quiet.run(ctx, t, "object/delete", r, onlySummary(sum))
		if failed, ok := errors.AsType[*ctl.Error](err); ok && failed.Kind == ctl.KindPartial {
			return nil // what is locked is said when it stays
		}
		return err
	})
	if err != nil || sum.Done == 0 {
		return false, err
	}
	return s.ask(ctx, fmt.Sprintf("Remove %s of %s? [y/N] ", amountText(sum, "object"), t.path))
}

// deleteKeys removes what standard input names, batch by batch. Some that stay do not stop the rest.
func (s *ctlSession) deleteKeys(ctx context.Context, t ctlTarget, r ctl.DeleteObjectsRequest, null bool, in io.Reader) error {
	return keyList{in, null}.partly(func(keys []ctl.Text) error {
		r.Keys = keys
		return s.showDone(ctx, t, "object/delete", r)
	})
}
