package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func objectComposeCommand() *cobra.Command {
	var r ctl.ComposeRequest
	var g given
	return ctlCommand{
		use: "compose [flags] DESTINATION SOURCE...", short: "make an object of others, one after the other, inside the store",
		long: `Make an object of the content of others, one after the other, inside the store: only what is too small for a
part of its own (5 MiB) passes through here. All are in one mount, or all are s3://BUCKET/KEY; "-" takes
sources from standard input, one a line.`,
		example: `  objmount ctl object compose /mnt/all.log /mnt/log.1 /mnt/log.2 /mnt/log.3
  ls /mnt/log.* | objmount ctl object compose --if-none-match --content-type text/plain /mnt/all.log -`,
		args: pathAnd("SOURCE", 1), onePath: true,
		flags: func(f *pflag.FlagSet) {
			onlyFlags(f, &r.Only)
			g.flags(f)
			overLockedFlag(f, &r.OverLocked)
			f.BoolVar(&r.DryRun, "dry-run", false, "check only, and show what would be made")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			if len(args) == 1 && args[0] == "-" {
				args = nil
				lines := bufio.NewScanner(os.Stdin)
				for lines.Scan() {
					if lines.Text() != "" {
						args = append(args, lines.Text())
					}
				}
				if err := lines.Err(); err != nil {
					return fmt.Errorf("reading sources: %w", err)
				}
			}
			for _, path := range args {
				source, err := s.sibling(ctx, t, path)
				if err != nil {
					return err
				}
				r.Sources = append(r.Sources, ctl.ComposeSource{Path: source})
			}
			var err error
			if r.Given, err = g.parsed(time.Now()); err != nil {
				return err
			}
			r.Target = t.target(r.DryRun)
			return s.showStored(ctx, t, "object/compose", r, "composed", r.DryRun)
		},
	}.command()
}
