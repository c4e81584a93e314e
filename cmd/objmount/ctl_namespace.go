package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newNamespaceCommand() *cobra.Command {
	return nounCommand("namespace", "list namespaces of a bucket, install or remove their lifecycle rules",
		`Work on the namespaces that the configuration file has for a bucket: prefixes with a name, with what new objects get there and after
how many days they are removed. That is done by a lifecycle rule of the bucket, which only "install" makes, because it deletes
data. PATH is the directory of a bucket, or s3://BUCKET.`,
		`  objmount ctl namespace list s3://my-bucket
  objmount ctl namespace install --dry-run s3://my-bucket
  objmount ctl namespace install s3://my-bucket tmp
  objmount ctl namespace remove s3://my-bucket tmp`,
		namespaceVerb("list", "list namespaces, and whether they expire as configured", `List the namespaces of a bucket: name, prefix, after how many days objects are removed, and whether the bucket has the lifecycle
rule for it: installed, missing, different (from what is configured), unconfigured (a rule of a namespace that the configuration
does not have, or that does not expire any more), unsupported (the store has no lifecycle rules).`,
			"  objmount ctl namespace list /mnt\n  objmount ctl namespace list --json s3://my-bucket", ""),
		namespaceVerb("install", "make their lifecycle rules what the configuration says", `Give the bucket a lifecycle rule "objmount-namespace-NAME" for each namespace that expires, of all or of those named: what is older
is removed by the store, for good in a bucket that keeps versions, as many days later. A rule that is not configured any more is removed. Other rules
stay as they are. What is there already and old enough goes, too.`,
			"  objmount ctl namespace install --dry-run s3://my-bucket\n  objmount ctl namespace install /mnt tmp", "only say what would be changed"),
		namespaceVerb("remove", "remove their lifecycle rules; nothing expires any more", `Remove the lifecycle rules of namespaces, of all or of those named, also of those that the configuration does not have any more. Other
rules stay as they are, and so do all objects.`,
			"  objmount ctl namespace remove s3://my-bucket tmp", "only say what would be removed"))
}

// namespaceVerb is one of the three; dry explains --dry-run, empty: it changes nothing.
func namespaceVerb(verb, short, long, example, dry string) *cobra.Command {
	var r ctl.NamespaceRequest
	return ctlCommand{
		use: verb + " [flags] PATH [NAME...]", short: short, long: long, example: example,
		args: pathAnd("NAME", 0), onePath: true,
		flags: func(f *pflag.FlagSet) {
			if dry != "" {
				f.BoolVar(&r.DryRun, "dry-run", false, dry)
			}
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, names []string) error {
			r := r
			r.Target, r.Names = t.target(r.DryRun), names
			return showColumns(ctx, s, t, "namespace/"+verb, r, "", func(w io.Writer, n ctl.NamespaceState) error {
				_, err := fmt.Fprintln(w, namespaceLine(n, r.DryRun))
				return err
			})
		},
	}.command()
}

func namespaceLine(n ctl.NamespaceState, dry bool) string {
	expires := "does not expire"
	if n.Expire > 0 {
		expires = "expires after " + plural(n.Expire, "day")
	}
	rule := n.Rule
	if rule != "" {
		rule = "rule " + rule
	}
	if n.Changed != "" {
		if rule = "rule " + n.Changed; dry {
			rule = "rule would be " + n.Changed
		}
	}
	fields := []string{printable(ctl.Text(n.Name)), printable(ctl.Text(n.Prefix)), expires, rule}
	if n.StorageClass != "" {
		fields = append(fields, n.StorageClass)
	}
	for _, key := range slices.Sorted(maps.Keys(n.Tags)) {
		fields = append(fields, printable(ctl.Text(key+"="+n.Tags[key])))
	}
	return strings.TrimRight(strings.Join(fields, "\t"), "\t")
}
