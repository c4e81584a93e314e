package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newObjectCommand() *cobra.Command {
	return nounCommand("object", "look at objects and work on them, with all that the store can do",
		"Work on objects as the store has them, with all that it can do.",
		`  objmount ctl object list --recursive /mnt/photos
  objmount ctl object stat /mnt/report.txt
  objmount ctl object exists s3://my-bucket/report.txt
  objmount ctl object put /mnt/report.txt report.txt
  objmount ctl object copy /mnt/report.txt /mnt/archive/
  objmount ctl object delete --recursive --yes /mnt/photos`,
		objectList(), objectStat(), objectExists(), objectGetCommand(), objectPutCommand(), objectCopyCommand(), objectComposeCommand(), objectDeleteCommand(), objectRestoreCommand())
}

func objectList() *cobra.Command {
	var r ctl.ListObjectsRequest
	var prefix, after string
	return ctlCommand{
		use: "list [flags] PATH...", short: "list objects as the store has them",
		long: `List the objects below a directory in byte order of their keys, as they come. Without --recursive the
keys of one level; what lies deeper is one line with the prefix it has in common.`,
		example: `  objmount ctl object list /mnt/photos
  objmount ctl object list --recursive --json --metadata /mnt/photos | jq -r 'select(.metadata.color == "blue").key'
  objmount ctl object list --recursive --start-after photos/2025/ --max-keys 100 s3://my-bucket`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&prefix, "prefix", "", "only keys that begin with this `text` below the directory")
			f.BoolVar(&r.Recursive, "recursive", false, "all keys, not only those of one level")
			f.StringVar(&after, "start-after", "", "only what comes after this whole `key`")
			f.Var(amount{&r.MaxKeys}, "max-keys", "at most this `number` of lines (default: all)")
			f.BoolVar(&r.Versions, "versions", false, "all versions and delete markers")
			f.BoolVar(&r.Metadata, "metadata", false, "also content type and metadata, which costs a request for each object")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target, r.Prefix, r.StartAfter = t.target(false), ctl.Text(prefix), ctl.Text(after)
			return showColumns(ctx, s, t, "object/list", r, "", func(w io.Writer, o ctl.Object) error {
				_, err := fmt.Fprintln(w, objectRow(o, r))
				return err
			})
		},
	}.command()
}

// objectRow is an object in columns: time, size, with versions their id and state, class, with metadata the type and they,
// and the key.
func objectRow(o ctl.Object, r ctl.ListObjectsRequest) string {
	size := strconv.FormatInt(o.Size, 10)
	if o.Prefix || o.DeleteMarker {
		size = "-"
	}
	cells := []string{timeText(o.LastModified), size}
	if r.Versions {
		state := "-"
		if !o.Prefix {
			state = stateOf(ctl.Version{DeleteMarker: o.DeleteMarker, Latest: o.Latest})
		}
		cells = append(cells, orDash(o.VersionID), state)
	}
	cells = append(cells, orDash(o.ETag), orDash(o.StorageClass))
	if r.Metadata {
		var meta []string
		for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
			meta = append(meta, key+"="+o.Metadata[key])
		}
		cells = append(cells, orDash(printable(ctl.Text(o.ContentType))), orDash(printable(ctl.Text(strings.Join(meta, ",")))))
	}
	return strings.Join(append(cells, printable(o.Key)), "\t")
}

func objectStat() *cobra.Command {
	var version string
	return ctlCommand{
		use: "stat [flags] PATH...", short: "print all that is known of an object",
		long: `Print all that the store tells of a version of an object: size, time, ETag, version id, class, headers,
metadata, tags, checksums, parts, encryption, retention and legal hold.`,
		example: "  objmount ctl object stat /mnt/report.txt\n  objmount ctl object stat --json --version-id 3HL4kqtJlcpXroDTDmJ s3://my-bucket/report.txt",
		flags:   func(f *pflag.FlagSet) { f.StringVar(&version, "version-id", "", versionFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "object/stat", ctl.StatRequest{Target: t.target(false), VersionID: version}, func(l ctl.Line) error {
				return decoded(l, s.showObject)
			})
		},
	}.manyKeys().command()
}

// showObject prints what is known of an object, a line each.
func (s *ctlSession) showObject(o ctl.Object) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s:\t%s\n", name, printable(ctl.Text(value)))
		}
	}
	all := func(name string, values map[string]string) {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(w, "%s:\t%s=%s\n", name, printable(ctl.Text(key)), printable(ctl.Text(values[key])))
		}
	}
	row("key", string(o.Key))
	row("bucket", o.Bucket)
	row("size", strconv.FormatInt(o.Size, 10))
	row("last modified", timeText(o.LastModified))
	row("etag", o.ETag)
	row("version", o.VersionID)
	row("storage class", o.StorageClass)
	row("content type", o.ContentType)
	row("cache control", o.CacheControl)
	row("content disposition", o.ContentDisposition)
	row("content encoding", o.ContentEncoding)
	row("content language", o.ContentLanguage)
	row("expires", o.Expires)
	row("website redirect", o.WebsiteRedirect)
	all("metadata", o.Metadata)
	all("tag", o.Tags)
	all("checksum", o.Checksums)
	row("checksum type", o.ChecksumType)
	if o.Parts > 0 {
		row("parts", fmt.Sprintf("%d, the first of %d bytes", o.Parts, o.PartSize))
	}
	row("encryption", o.Encryption)
	row("KMS key", o.KMSKeyID)
	if o.Mode != "" {
		row("retention", fmt.Sprintf("%s until %s", o.Mode, untilText(o.Until)))
	}
	if o.LegalHold {
		row("legal hold", "on")
	}
	row("restore", o.Restore)
	row("replication", o.Replication)
	return w.Flush()
}

func objectExists() *cobra.Command {
	var version string
	return ctlCommand{
		use: "exists [flags] PATH...", short: "tell by the exit code whether an object is there",
		long: `Tell by the exit code whether an object, or anything below a directory, is there: 0 if it is, 1 if not.
What cannot be found out has another exit code.`,
		example: "  objmount ctl object exists /mnt/report.txt && echo yes\n  objmount ctl object exists --version-id 3HL4kqtJlcpXroDTDmJ s3://my-bucket/report.txt",
		flags:   func(f *pflag.FlagSet) { f.StringVar(&version, "version-id", "", versionFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			there := true
			asJSON := s.json
			s.json = false // the answer is needed here, too
			defer func() { s.json = asJSON }()
			err := s.run(ctx, t, "object/exists", ctl.ExistsRequest{Target: t.target(false), VersionID: version}, func(l ctl.Line) error {
				if asJSON {
					if err := s.line(l.Item); err != nil {
						return err
					}
				}
				return decoded(l, func(e ctl.Existence) error {
					there = there && e.Exists
					if s.keys == nil || asJSON {
						return nil
					}
					_, err := fmt.Fprintf(s.out, "%s: %s\n", printable(e.Key), map[bool]string{true: "there", false: "not there"}[e.Exists])
					return err
				})
			})
			switch {
			case err == nil && !there && s.keys != nil:
				err = fail(exitFailed, "%s: not all are there", t.path)
			case err == nil && !there:
				err = fail(exitFailed, "%s: not there", t.path)
			}
			return err
		},
	}.manyKeys().command()
}
