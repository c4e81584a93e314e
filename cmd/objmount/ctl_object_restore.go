package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func objectRestoreCommand() *cobra.Command {
	var r ctl.RestoreObjectRequest
	var days fromZero
	tier := choice{"", []string{"standard", "bulk", "expedited"}}
	return ctlCommand{
		use: "restore [flags] PATH...", short: "make an archived object readable for some days, or see how far that is",
		long: `Ask the store for a readable copy of an object in an archive class (GLACIER, DEEP_ARCHIVE), which comes after minutes
or hours and stays for --days. Without --days, print how far it is.`,
		example: `  objmount ctl object restore --days 7 --tier bulk /mnt/2019.tar
  objmount ctl object restore s3://my-bucket/2019.tar
  objmount ctl object list --recursive --json /mnt | jq -r 'select(.storage_class == "DEEP_ARCHIVE").key' | objmount ctl object restore --days 7 /mnt -`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.Var(&days, "days", "how long the copy stays")
			f.Var(&tier, "tier", "how soon it comes, and for how much: standard, bulk or expedited (default: the store's)")
			f.BoolVar(&r.DryRun, "dry-run", false, "only print how far it is")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			if r.Days = days.n; days.given && r.Days == 0 {
				return usage("--days=0: a restored copy stays for 1 day or more")
			}
			if tier.value != "" {
				if r.Tier = strings.ToUpper(tier.value[:1]) + tier.value[1:]; !days.given {
					return usage("--tier goes with --days")
				}
			}
			r.Target = t.target(r.DryRun)
			return s.run(ctx, t, "object/restore", r, func(l ctl.Line) error {
				return decoded(l, func(o ctl.Restoration) error {
					_, err := fmt.Fprintf(s.out, "%s: %s\n", printable(o.Key), restorationText(o))
					return err
				})
			})
		},
	}.manyKeys().command()
}

// restorationText says how far it is.
func restorationText(o ctl.Restoration) string {
	class := o.StorageClass
	if class == "" {
		class = "STANDARD"
	}
	switch {
	case o.Ongoing:
		return class + ", being restored"
	case o.Restore != "":
		return class + ", restored: " + printable(ctl.Text(o.Restore))
	}
	return class + ", no restored copy"
}
