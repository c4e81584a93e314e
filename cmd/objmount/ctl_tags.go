package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newTagsCommand() *cobra.Command {
	return nounCommand("tags", "get, set or delete the tags of a version, or of a bucket",
		"Work on the tags of any version of a file; of a bucket directory, on those of the bucket. The tags of what is current are also extended attributes: user.s3.tag.KEY.",
		`  objmount ctl tags get /mnt/report.txt
  objmount ctl tags set /mnt/report.txt project=apollo stage=draft
  objmount ctl tags delete --version-id 3HL4kqtJlcpXroDTDmJ /mnt/report.txt stage`,
		tagsGet(), tagsSet(), tagsDelete())
}

// showTags runs a verb that answers with tags.
func (s *ctlSession) showTags(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(tags ctl.Tags) error {
			stays := ""
			if s.keys != nil { // which of them
				stays = printable(tags.Key) + ": "
			}
			if verb == "tags/delete" && dryOf(request) {
				of := stays
				stays += "would stay: "
				if err := s.printTags(of+"would be deleted: ", tags.Removed); err != nil {
					return err
				}
			}
			return s.printTags(stays, tags.Tags)
		})
	})
}

func (s *ctlSession) printTags(before string, tags map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if _, err := fmt.Fprintf(s.out, "%s%s=%s\n", before, printable(ctl.Text(key)), printable(ctl.Text(tags[key]))); err != nil {
			return err
		}
	}
	return nil
}

func tagsGet() *cobra.Command {
	var version string
	return ctlCommand{
		use: "get [flags] PATH...", short: "print the tags, one KEY=VALUE a line",
		long:    "Print the tags of a version of a file, or of a bucket, one KEY=VALUE a line.",
		example: "  objmount ctl tags get /mnt/report.txt\n  objmount ctl tags get --json s3://my-bucket",
		flags:   func(f *pflag.FlagSet) { f.StringVar(&version, "version-id", "", versionFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showTags(ctx, t, "tags/get", ctl.VersionRequest{Target: t.target(false), VersionID: version})
		},
	}.manyKeys().command()
}

func tagsSet() *cobra.Command {
	var r ctl.SetTagsRequest
	return ctlCommand{
		use: "set [flags] PATH KEY=VALUE...", short: "set tags; others stay",
		long: `Set tags of a version of a file, or of a bucket, and print all it has then. Other tags stay, unless
--replace is given.`,
		example: "  objmount ctl tags set /mnt/report.txt project=apollo stage=draft\n  objmount ctl tags set --replace --version-id 3HL4kqtJlcpXroDTDmJ /mnt/report.txt project=apollo",
		args:    pathAnd("KEY=VALUE", 1), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.Replace, "replace", false, "remove all others")
			f.BoolVar(&r.DryRun, "dry-run", false, "only print what it would have then")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			r.Target, r.Tags = t.target(r.DryRun), map[string]string{}
			for _, arg := range args {
				key, value, ok := strings.Cut(arg, "=")
				if !ok || key == "" {
					return usage("%q is no tag; want KEY=VALUE", arg)
				}
				r.Tags[key] = value
			}
			return s.showTags(ctx, t, "tags/set", r)
		},
	}.manyKeys().command()
}

func tagsDelete() *cobra.Command {
	var r ctl.DeleteTagsRequest
	return ctlCommand{
		use: "delete [flags] PATH [KEY...]", short: "remove tags, all where no KEY is given",
		long:    "Remove tags of a version of a file, or of a bucket, and print what it still has. Without KEY, remove all.",
		example: "  objmount ctl tags delete /mnt/report.txt stage\n  objmount ctl tags delete /mnt/report.txt",
		args:    pathAnd("KEY", 0), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only print what would be deleted, and what would stay")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			r.Target, r.Keys = t.target(r.DryRun), args
			return s.showTags(ctx, t, "tags/delete", r)
		},
	}.manyKeys().command()
}

// pathAnd demands a path and at least so many others.
func pathAnd(name string, least int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usage("PATH is missing; usage: %s", cmd.UseLine())
		case len(args) <= least:
			return usage("%s is missing; usage: %s", name, cmd.UseLine())
		}
		return nil
	}
}
