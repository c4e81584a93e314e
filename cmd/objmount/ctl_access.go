package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend/access"
	"github.com/objmount/objmount/ctl"
)

// unblockFlag is the clear word without which nothing of a public access block is lifted.
const unblockFlag = "lift what of the bucket's public access block is in the way; the account's own stays"

func policyExplain() *cobra.Command {
	var file string
	return ctlCommand{
		use: "explain [flags] PATH...", short: "say in words who can do what",
		long: `Say in words who can do what with a bucket: first what everybody on the internet can do, with denials and the public
access block counted in, then each statement of the policy and each grant of the ACL. --file: as if the bucket had that policy.`,
		example: "  objmount ctl policy explain s3://my-bucket\n  objmount ctl policy explain --file policy.json s3://my-bucket\n  objmount ctl policy explain --json /mnt | jq -r '.everybody[].text'",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&file, "file", "", "a `file` with a policy that is not set yet; \"-\": standard input")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := ctl.ExplainRequest{Target: t.target(false)}
			if s.flags.Changed("file") {
				text, err := readDocument([]string{file})
				if err != nil {
					return err
				}
				if r.Text = text; strings.TrimSpace(text) == "" {
					return usage("the policy in %q is empty", file)
				}
			}
			return s.run(ctx, t, "policy/explain", r, func(l ctl.Line) error { return decoded(l, s.explanation) })
		},
	}.command()
}

// explanation prints an explanation: the summary, and then where it comes from.
func (s *ctlSession) explanation(e ctl.PolicyExplanation) error {
	var lines []string
	if s.flags.NArg() > 1 {
		lines = append(lines, "s3://"+e.Bucket+":")
	}
	lines = append(lines, e.Summary...)
	part := func(title string, of []access.Statement) {
		if len(of) > 0 {
			lines = append(lines, "", title)
		}
		for _, one := range of {
			text := "  " + one.Text
			if one.ID != "" {
				text = "  [" + one.ID + "] " + one.Text
			}
			lines = append(lines, text)
			if one.Void != "" {
				lines = append(lines, "    without effect: "+one.Void)
			}
			for _, note := range one.Notes {
				lines = append(lines, "    note: "+note)
			}
		}
	}
	part("policy:", e.Statements)
	part("ACL:", e.Grants)
	if len(e.Blocked) > 0 {
		lines = append(lines, "", "public access block:")
	}
	for _, text := range e.Blocked {
		lines = append(lines, "  "+text)
	}
	if s.flags.NArg() > 1 {
		lines = append(lines, "")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(s.out, printable(ctl.Text(line))); err != nil {
			return err
		}
	}
	return nil
}

func newACLCommand() *cobra.Command {
	return nounCommand("acl", "see or set the ACL of a bucket, or of a file",
		"Work on ACLs: who may do what with a bucket, or a version of a file, beside what the policy says. Most buckets have none, and policies do it all.",
		"  objmount ctl acl get s3://my-bucket\n  objmount ctl acl set --allow-acls s3://my-bucket public-read",
		aclGet(), aclSet())
}

func (s *ctlSession) showACL(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(a ctl.ACL) error {
			if a.ACL != "" {
				_, err := fmt.Fprintln(s.out, a.ACL)
				return err
			}
			for _, g := range a.Grants {
				name := g.Grantee
				if g.Name != "" {
					name = g.Name
				}
				if _, err := fmt.Fprintf(s.out, "%s %s\n", g.Permission, printable(ctl.Text(name))); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func aclGet() *cobra.Command {
	var version string
	return ctlCommand{
		use: "get [flags] PATH...", short: "print its name, or its grants where it has none",
		long:    "Print the ACL of a bucket, or of a version of a file: its name, or where it has none its grants, a line each. --json prints both.",
		example: "  objmount ctl acl get s3://my-bucket\n  objmount ctl acl get --json /mnt/report.txt",
		flags:   func(f *pflag.FlagSet) { f.StringVar(&version, "version-id", "", versionFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showACL(ctx, t, "acl/get", ctl.VersionRequest{Target: t.target(false), VersionID: version})
		},
	}.command()
}

func aclSet() *cobra.Command {
	var r ctl.SetACLRequest
	return ctlCommand{
		use: "set [flags] PATH ACL", short: "set it by its name",
		long: `Set the ACL of a bucket, or of a version of a file: private, public-read, public-read-write or authenticated-read. Of Amazon's buckets,
public-read lets everybody list, and each object has an ACL of its own; of VersityGW's it lets everybody read, too.`,
		example: "  objmount ctl acl set s3://my-bucket private\n  objmount ctl acl set --allow-acls s3://my-bucket public-read",
		args:    exactly("PATH", "ACL"), onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.Allow, "allow-acls", false, "let the bucket and its objects have ACLs, as new ones do not")
			f.BoolVar(&r.Unblock, "unblock", false, unblockFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only look whether the store has ACLs there")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			r.Target, r.ACL = t.target(r.DryRun), args[0]
			return s.showACL(ctx, t, "acl/set", r)
		},
	}.command()
}

func newCDNCommand() *cobra.Command {
	return nounCommand("cdn", "let everybody read a file, a directory or a bucket, and print its URL",
		`Work on what everybody may read, and where: the URL is that of the configuration (public-url of a remote, or of a rule: a CDN, a
website), else the store's own. PATH is a file, a directory, or a bucket.`,
		"  objmount ctl cdn enable /mnt/photos\n  objmount ctl cdn url --check /mnt/photos/cat.jpg",
		cdnEnable(), cdnDisable(), cdnURL())
}

// showURL prints the URL of an answer.
func (s *ctlSession) showURL(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(u ctl.PublicURL) error {
			_, err := fmt.Fprintln(s.out, u.URL)
			return err
		})
	})
}

func cdnEnable() *cobra.Command {
	var r ctl.PublishRequest
	return ctlCommand{
		use: "enable [flags] PATH...", short: "let everybody read it, and print its URL",
		long: `Let everybody read a file, all below a directory, or all of a bucket, by a statement of the bucket's policy, and print the URL. Other
statements stay; if one of them is against it, that is told. Nobody can list it by this.`,
		example: "  objmount ctl cdn enable /mnt/photos\n  objmount ctl cdn enable --unblock s3://my-bucket",
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&r.Unblock, "unblock", false, unblockFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only print the URL, and look what is in the way")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showURL(ctx, t, "cdn/enable", r)
		},
	}.command()
}

func cdnDisable() *cobra.Command {
	var dry bool
	return ctlCommand{
		use: "disable [flags] PATH...", short: "take back what enable did",
		long:    "Remove the statement that enable wrote for PATH. If everybody can still read it, or a part of it, by something else, that is told.",
		example: "  objmount ctl cdn disable /mnt/photos",
		flags:   func(f *pflag.FlagSet) { f.BoolVar(&dry, "dry-run", false, "change nothing") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "cdn/disable", ctl.PublishRequest{Target: t.target(dry)}, func(l ctl.Line) error {
				return decoded(l, func(u ctl.PublicURL) error {
					return s.wouldDelete(dry, "the statement that lets everybody read "+keyText(u.Bucket, string(u.Key))+", if cdn enable made one")
				})
			})
		},
	}.command()
}

func cdnURL() *cobra.Command {
	var check bool
	return ctlCommand{
		use: "url [flags] PATH...", short: "print the URL under which everybody reads it who may",
		long: `Print the URL, whether or not everybody may read it. --check asks, without credentials: if they may not, the exit code is 4, and if
nothing is there, 1.`,
		example: "  objmount ctl cdn url /mnt/photos/cat.jpg\n  objmount ctl cdn url --check s3://my-bucket/photos/cat.jpg",
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&check, "check", false, "of a file: find out by one request without credentials whether everybody may read it")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showURL(ctx, t, "cdn/url", ctl.PublicURLRequest{Target: t.target(false), Check: check})
		},
	}.command()
}
