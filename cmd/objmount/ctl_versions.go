package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newVersionsCommand() *cobra.Command {
	return nounCommand("versions", "list, restore, undelete, compare and purge versions",
		"Work on the versions that a bucket keeps of its objects. Without versioning every object is its own only version.",
		`  objmount ctl versions list /mnt/report.txt
  objmount ctl versions restore /mnt/report.txt
  objmount ctl versions undelete --recursive /mnt/photos
  objmount ctl versions purge --older-than 90d --recursive --dry-run /mnt`,
		versionsList(), versionsRestore(), versionsUndelete(), versionsDiff(), versionsPurge(), versionsDelete())
}

func versionsList() *cobra.Command {
	var all bool
	return ctlCommand{
		use: "list [flags] PATH...", short: "list the versions of a file, or of all files below a directory",
		long: `List the versions of a file, the newest first, or of all files below a directory, deleted ones
included. A delete marker is what a deletion puts on top of the versions.`,
		example: `  objmount ctl versions list /mnt/report.txt
  objmount ctl versions list --json /mnt/photos/ | jq -r 'select(.delete_marker and .latest).key'
  objmount ctl versions list s3://my-bucket/report.txt`,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&all, "all", false, "of a directory: also the objects that only keep directories")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.ListVersionsRequest{Target: t.target(false), All: all}
			return showColumns(ctx, s, t, "versions/list", r, "TIME\tVERSION\tSIZE\tSTATE\tETAG\tKEY", func(w io.Writer, v ctl.Version) error {
				_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", timeText(v.LastModified), orDash(v.VersionID), sizeOf(v), stateOf(v), orDash(v.ETag), printable(v.Key))
				return err
			})
		},
	}.command()
}

func sizeOf(v ctl.Version) string {
	if v.DeleteMarker {
		return "-"
	}
	return fmt.Sprint(v.Size)
}

func stateOf(v ctl.Version) string {
	switch {
	case v.DeleteMarker && v.Latest:
		return "deleted"
	case v.DeleteMarker:
		return "marker"
	case v.Latest:
		return "current"
	}
	return "old"
}

func versionsRestore() *cobra.Command {
	var r ctl.RestoreRequest
	when := newMoment()
	return ctlCommand{
		use: "restore [flags] PATH...", short: "put an old version on top again",
		long: `Make an old version the current one again: a copy inside the store, with all properties and tags,
on top of the others. Without --version-id and --at it is the version before the current one, or
the last one of a deleted file. A directory needs --recursive and --at: every file below becomes
what it was then; files that did not exist then are left alone, unless --delete is given.`,
		example: `  objmount ctl versions restore /mnt/report.txt
  objmount ctl versions restore --version-id 3HL4kqtJlcpXroDTDmJ /mnt/report.txt
  objmount ctl versions restore --recursive --at "2026-11-01 12:00" --dry-run /mnt/photos`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", "the version `id` to restore")
			f.Var(&when, "at", "what was current then: RFC 3339, 2026-11-01, \"2026-11-01 12:00\", \"3 days ago\", yesterday (at this hour)")
			f.BoolVar(&r.Recursive, "recursive", false, "everything below a directory")
			f.BoolVar(&r.Delete, "delete", false, "with --recursive: also delete what did not exist then")
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would be done")
			f.BoolVarP(&r.Replace, "yes", "y", false, "also where the bucket keeps no versions now, so that the current content is lost")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target, r.At = t.target(r.DryRun), when.orNil()
			return s.showDone(ctx, t, "versions/restore", r)
		},
	}.command()
}

func versionsUndelete() *cobra.Command {
	var r ctl.UndeleteRequest
	return ctlCommand{
		use: "undelete [flags] PATH...", short: "bring deleted files back",
		long: `Bring deleted files back: remove the delete markers on top of their versions, which shows the last
version again. Nothing is copied. A file that is not deleted is left as it is.`,
		example: `  objmount ctl versions undelete /mnt/report.txt
  objmount ctl versions undelete --recursive /mnt/photos`,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&r.Recursive, "recursive", false, "everything below a directory")
			f.BoolVar(&r.DryRun, "dry-run", false, "only show what would come back")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showDone(ctx, t, "versions/undelete", r)
		},
	}.command()
}

// showDone runs a verb that does things and shows each.
func (s *ctlSession) showDone(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		if sum, ok, err := summaryOf(l); ok || err != nil {
			if err == nil && sum.Done+sum.Failed != 1 {
				s.bar.note("objmount: " + t.path + ": " + sumText(sum))
			}
			return err
		}
		return decoded(l, func(d ctl.Done) error { return s.showOne(d, dryOf(request)) })
	})
}

func dryOf(request any) bool {
	r, ok := request.(interface{ Dry() bool })
	return ok && r.Dry()
}

// showOne says what was done with one version; nothing of what was left as it is.
func (s *ctlSession) showOne(d ctl.Done, dry bool) error {
	if d.Action == "unchanged" {
		return nil
	}
	if d.Error != "" {
		_, err := fmt.Fprintf(s.err, "objmount: %s%s stays: %s\n", printable(d.Key), versionText(d.VersionID), d.Error)
		return err
	}
	action := d.Action
	if dry {
		action = "would be " + action
	}
	what := bytesText(d.Size)
	if d.DeleteMarker {
		what = "delete marker"
	}
	_, err := fmt.Fprintf(s.out, "%s: %s%s (%s)\n", action, printable(d.Key), versionText(d.VersionID), what)
	return err
}

func versionText(id string) string {
	if id == "" {
		return ""
	}
	return " version " + id
}

func sumText(sum ctl.Summary) string {
	if sum.Done+sum.Failed == 0 {
		return "nothing to do"
	}
	parts := []string{fmt.Sprintf("%d done", sum.Done)}
	if sum.DryRun {
		parts[0] = fmt.Sprintf("%d to do", sum.Done)
	}
	parts = append(parts, bytesText(sum.Bytes))
	if sum.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d not", sum.Failed))
	}
	return strings.Join(parts, ", ")
}
