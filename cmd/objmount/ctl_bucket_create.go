package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func bucketCreate() *cobra.Command {
	var r ctl.CreateBucketRequest
	var limits bucketLimits
	var vendor string
	return ctlCommand{
		use: "create [flags] PATH...", short: "make a bucket",
		long: `Make a bucket, in the region that --region names. One that exists already, also one's own, is an error. Limits are kept in tags
of the bucket, and mounts keep to them. If a request after the first one fails, the bucket is there without what the error names.`,
		example: "  objmount ctl bucket create --object-lock s3://my-bucket\n  objmount ctl bucket create --region eu-west-1 --versioning s3://my-bucket\n" +
			"  objmount ctl bucket create --file-size-limit 50MiB --allowed-mime-types 'image/*,application/pdf' s3://my-bucket\n" +
			"  objmount ctl bucket create --namespaces data,tmp,result s3://my-bucket\n  objmount ctl bucket create --vendor minio s3://my-bucket",
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&r.ObjectLock, "object-lock", false, "with object lock, and so with versions, for ever")
			f.BoolVar(&r.Versioning, "versioning", false, "keep versions")
			f.StringSliceVar(&r.Namespaces, "namespaces", nil, "directories and, where they expire, lifecycle rules of these `NAMES` in the configuration file; "+
				"without a definition there, data, tmp (7 days) and result")
			limits.flags(f)
			f.StringVar(&vendor, "vendor", "", "`name` of the remote of the configuration file in which to make s3://BUCKET, or of the vendor that one remote there has")
			f.StringVar(&r.ACL, "acl", "", "`private`, public-read, public-read-write or authenticated-read, where the store has ACLs")
			f.BoolVar(&r.Public, "public", false, "everybody may read its objects, by its policy")
			f.BoolVar(&r.Unblock, "unblock", false, "with --public or --acl: "+unblockFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only look whether there is one of that name")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target, r.FileSizeLimit, r.AllowedMIMETypes = t.target(r.DryRun), limits.size.bytes, limits.types.types
			if s.flags.Changed("region") {
				r.Region = s.options.region
			}
			if err := s.atVendor(&t, vendor); err != nil {
				return err
			}
			verb := map[bool]string{false: "made", true: "would be made"}[r.DryRun]
			return s.run(ctx, t, "bucket/create", r, func(l ctl.Line) error {
				return decoded(l, func(b ctl.Bucket) error {
					begin := scheme
					if _, _, named := cutRemote(t.path); t.bare && t.remote != nil && (named || vendor != "") {
						begin = t.remote.Name + ":"
					}
					_, err := fmt.Fprintf(s.out, "%s: %s%s\n", verb, begin, b.Name)
					return err
				})
			})
		},
	}.command()
}
