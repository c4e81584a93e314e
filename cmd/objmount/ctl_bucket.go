package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/objmount/objmount/ctl"
)

func newBucketCommand() *cobra.Command {
	return nounCommand("bucket", "list, show, make, change, empty or delete buckets",
		"Work on buckets as such. PATH is the directory of a bucket, or s3://BUCKET; of a new one, what its directory shall be.",
		`  objmount ctl bucket create --versioning s3://my-bucket
  objmount ctl bucket show s3://my-bucket
  objmount ctl bucket empty --versions --dry-run s3://my-bucket`,
		bucketList(), bucketShow(), bucketCreate(), bucketUpdate(), bucketEmpty(), bucketDelete())
}

func bucketList() *cobra.Command {
	return ctlCommand{
		use: "list [flags] [PATH]", short: "list the buckets of a store, or of all remotes",
		long: `List the buckets of the store that a mount shows, or of REMOTE:. Without PATH, or of all:, those of every remote of the
configuration file; without a file, or if flags name a store, those of that store, as with s3://.`,
		example: "  objmount ctl bucket list\n  objmount ctl bucket list minio:\n  objmount ctl bucket list --endpoint-url http://127.0.0.1:9000\n  objmount ctl bucket list --json /mnt",
		args:    cobra.MaximumNArgs(1), store: true,
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "bucket/list", ctl.BucketRequest{Target: t.target(false)}, func(l ctl.Line) error {
				return decoded(l, func(b ctl.Bucket) error {
					name := b.Name
					if remote, _, ok := cutRemote(t.path); ok && t.bare {
						name = remote + ":" + name
					}
					_, err := fmt.Fprintf(s.out, "%-24s  %s\n", timeText(b.Created), name)
					return err
				})
			})
		},
	}.command()
}

func bucketShow() *cobra.Command {
	return ctlCommand{
		use: "show [flags] PATH...", short: "show what the store tells about a bucket",
		long: `Show what the store tells about a bucket: region, versions, object lock, encryption, whether it is public, limits, tags,
and which documents it has. What it does not tell is left out.`,
		example: "  objmount ctl bucket show /mnt\n  objmount ctl bucket show --json s3://my-bucket",
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "bucket/show", ctl.BucketRequest{Target: t.target(false)}, func(l ctl.Line) error {
				return decoded(l, s.bucketDetails)
			})
		},
	}.command()
}

func (s *ctlSession) bucketDetails(b ctl.BucketDetails) error {
	var lines []string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%-13s %s", name+":", value))
		}
	}
	add("name", b.Name)
	if !b.Created.IsZero() {
		add("created", timeText(b.Created))
	}
	add("region", b.Region)
	add("versioning", b.Versioning)
	if l := b.ObjectLock; l != nil {
		switch {
		case l.Days > 0:
			add("object lock", fmt.Sprintf("%s for %s", l.Mode, plural(l.Days, "day")))
		case l.Years > 0:
			add("object lock", fmt.Sprintf("%s for %s", l.Mode, plural(l.Years, "year")))
		default:
			add("object lock", "on, without a retention of new objects")
		}
	}
	add("encryption", b.Encryption)
	if b.Public != nil {
		add("public", map[bool]string{true: "yes", false: "no"}[*b.Public])
	}
	for _, by := range b.PublicBy {
		add("public by", printable(ctl.Text(by)))
	}
	sizeText, types := limitLines(b.BucketLimits)
	add("size limit", sizeText)
	add("types", types)
	for _, key := range slices.Sorted(maps.Keys(b.Tags)) {
		add("tag", printable(ctl.Text(key+"="+b.Tags[key])))
	}
	if b.Objects != nil && b.Bytes != nil {
		add("usage", fmt.Sprintf("%s (%s)", plural(int(*b.Objects), "object"), bytesText(*b.Bytes)))
	}
	add("documents", strings.Join(b.Documents, ", "))
	_, err := fmt.Fprintln(s.out, strings.Join(lines, "\n"))
	return err
}

func bucketDelete() *cobra.Command {
	var dry bool
	return ctlCommand{
		use: "delete [flags] PATH...", short: "delete an empty bucket",
		long:    "Delete a bucket that is empty. One that has objects, or versions of deleted ones, stays: bucket empty removes them.",
		example: "  objmount ctl bucket delete s3://my-bucket",
		flags:   func(f *pflag.FlagSet) { f.BoolVar(&dry, "dry-run", false, "only look whether it has objects") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "bucket/delete", ctl.BucketRequest{Target: t.target(dry)}, func(l ctl.Line) error {
				return decoded(l, func(b ctl.Bucket) error { return s.wouldDelete(dry, "the bucket "+b.Name) })
			})
		},
	}.command()
}

// wouldDelete is what a dry run says; without it nothing is said of what was deleted.
func (s *ctlSession) wouldDelete(dry bool, what string) error {
	if !dry {
		return nil
	}
	_, err := fmt.Fprintf(s.out, "would be deleted: %s\n", what)
	return err
}

func bucketEmpty() *cobra.Command {
	var r ctl.EmptyRequest
	var yes bool
	return ctlCommand{
		use: "empty [flags] PATH", short: "remove everything in a bucket",
		long: `Remove all objects of a bucket, a thousand in one request, and end its unfinished uploads. On a terminal it says how
many and asks; elsewhere it needs --yes. What is under retention or legal hold stays and is reported (exit code 12).`,
		example: "  objmount ctl bucket empty --versions --dry-run s3://my-bucket\n  objmount ctl bucket empty --yes s3://my-bucket",
		args:    exactly("PATH"),
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&r.Versions, "versions", false, "also old versions and delete markers: for good")
			f.BoolVar(&r.Bypass, "bypass-governance", false, "with --versions: also what is under retention of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&r.DryRun, "dry-run", false, "only count")
			f.BoolVarP(&yes, "yes", "y", false, "do not ask")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			if r.Bypass && !r.Versions {
				return usage("--bypass-governance goes with --versions: without it, nothing is removed that a retention keeps")
			}
			if !r.DryRun && !yes {
				if !term.IsTerminal(int(os.Stdin.Fd())) {
					return usage("%s: this removes everything, so --yes is needed where nobody can be asked; --dry-run counts", t.path)
				}
				wanted, err := s.confirmEmpty(ctx, t, r)
				if err != nil || !wanted {
					return err
				}
			}
			return s.empty(ctx, t, r, func(sum ctl.Summary) error {
				verb := map[bool]string{false: "removed", true: "would be removed"}[sum.DryRun]
				_, err := fmt.Fprintf(s.out, "%s: %s\n", verb, emptiedText(sum, r))
				return err
			})
		},
	}.command()
}

// emptiedText counts what a bucket is emptied of.
func emptiedText(sum ctl.Summary, r ctl.EmptyRequest) string {
	what := "object"
	if r.Versions {
		what = "version"
	}
	text := amountText(sum, what)
	if sum.Uploads > 0 {
		text += " and " + plural(int(sum.Uploads), "unfinished upload")
	}
	return text
}

// empty runs the verb. What stays is reported.
func (s *ctlSession) empty(ctx context.Context, t ctlTarget, r ctl.EmptyRequest, end func(ctl.Summary) error) error {
	return s.run(ctx, t, "bucket/empty", r, func(l ctl.Line) error {
		if sum, ok, err := summaryOf(l); ok || err != nil {
			if err == nil {
				err = end(sum)
			}
			return err
		}
		return decoded(l, func(d ctl.Done) error {
			name := printable(d.Key)
			if d.VersionID != "" {
				name += " version " + d.VersionID
			}
			s.say(fmt.Sprintf("objmount: %s: %s stays: %s", t.path, name, d.Error))
			return nil
		})
	})
}

func (s *ctlSession) confirmEmpty(ctx context.Context, t ctlTarget, r ctl.EmptyRequest) (bool, error) {
	r.Target.DryRun = true
	sum, err := s.rehearse(t, func(quiet *ctlSession, sum *ctl.Summary) error {
		return quiet.empty(ctx, t, r, func(found ctl.Summary) error {
			*sum = found
			return nil
		})
	})
	if err != nil || sum.Done+sum.Uploads == 0 {
		return false, err
	}
	return s.ask(ctx, fmt.Sprintf("Remove %s of %s? [y/N] ", emptiedText(sum, r), t.path))
}

func newVersioningCommand() *cobra.Command {
	return nounCommand("versioning", "see, enable or suspend versions of a bucket",
		"Work on whether a bucket keeps versions. PATH is the directory of a bucket, or s3://BUCKET.",
		"  objmount ctl versioning get s3://my-bucket\n  objmount ctl versioning enable s3://my-bucket",
		versioningGet(), versioningSet("enable", "Enabled", "keep versions from now on", "Keep versions from now on. It cannot be undone, only suspended."),
		versioningSet("suspend", "Suspended", "keep no more versions", "Keep no more versions: what is written replaces what is there. Those that there are stay."))
}

// showVersioning runs a verb that answers with a state.
func (s *ctlSession) showVersioning(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(v ctl.Versioning) error {
			status := v.Status
			if status == "" {
				status = "never enabled"
			}
			_, err := fmt.Fprintln(s.out, status)
			return err
		})
	})
}

func versioningGet() *cobra.Command {
	return ctlCommand{
		use: "get [flags] PATH...", short: "print Enabled, Suspended or \"never enabled\"",
		long:    "Print whether a bucket keeps versions: Enabled, Suspended or \"never enabled\".",
		example: "  objmount ctl versioning get s3://my-bucket",
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showVersioning(ctx, t, "versioning/get", ctl.BucketRequest{Target: t.target(false)})
		},
	}.command()
}

func versioningSet(verb, status, short, long string) *cobra.Command {
	var dry bool
	return ctlCommand{
		use: verb + " [flags] PATH...", short: short, long: long,
		example: "  objmount ctl versioning " + verb + " s3://my-bucket",
		flags:   func(f *pflag.FlagSet) { f.BoolVar(&dry, "dry-run", false, "only look whether there is such a bucket") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showVersioning(ctx, t, "versioning/set", ctl.VersioningRequest{Target: t.target(dry), Status: status})
		},
	}.command()
}
