package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func bucketUpdate() *cobra.Command {
	var r ctl.UpdateBucketRequest
	var limits bucketLimits
	var versioning, public bool
	return ctlCommand{
		use: "update [flags] PATH...", short: "change the limits of a bucket, or whether it keeps versions",
		long: `Change what flags name of a bucket, and print it as it is then. The rest stays. Limits are kept in tags of the bucket; mounts
keep to them from then on, within their --metadata-ttl. What is in the bucket already stays as it is.`,
		example: "  objmount ctl bucket update --file-size-limit 50MiB --allowed-mime-types 'image/*,application/pdf' /mnt\n  objmount ctl bucket update --file-size-limit none --allowed-mime-types any s3://my-bucket\n  objmount ctl bucket update --public s3://my-bucket",
		flags: func(f *pflag.FlagSet) {
			limits.flags(f)
			f.BoolVar(&versioning, "versioning", false, "keep versions; =false: no more, those that there are stay")
			f.BoolVar(&public, "public", false, "everybody may read the objects, by a statement of the policy; =false: takes this statement away")
			f.BoolVar(&r.Unblock, "unblock", false, unblockFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only print what it would be then")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			if s.flags.Changed("file-size-limit") {
				r.FileSizeLimit = &limits.size.bytes
			}
			if s.flags.Changed("allowed-mime-types") {
				r.AllowedMIMETypes = &limits.types.types
			}
			if s.flags.Changed("versioning") {
				r.Versioning = &versioning
			}
			if s.flags.Changed("public") {
				r.Public = &public
			}
			if r.Unblock && !public {
				return usage("--unblock goes with --public; objmount ctl public-access changes the block alone")
			}
			if r.Public == nil && !s.flags.Changed("file-size-limit") && !s.flags.Changed("allowed-mime-types") && !s.flags.Changed("versioning") {
				return usage("nothing to change is named; see objmount ctl bucket update --help")
			}
			return s.run(ctx, t, "bucket/update", r, func(l ctl.Line) error { return decoded(l, s.bucketDetails) })
		},
	}.command()
}
