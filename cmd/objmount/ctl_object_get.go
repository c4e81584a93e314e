package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func objectGetCommand() *cobra.Command {
	var r ctl.GetObjectRequest
	var bytes byteRange
	var file string
	return ctlCommand{
		use: "get [flags] PATH [FILE]", short: "read an object, or a range of it",
		long: `Read a version of an object, or a range of it, to standard output or into a file, which appears when all
of it is there. A whole object is checked against the checksum that the store keeps of it.`,
		example: `  objmount ctl object get /mnt/report.txt
  objmount ctl object get --version-id 3HL4kqtJlcpXroDTDmJ s3://my-bucket/report.txt report-old.txt
  objmount ctl object get --offset 1048576 --length 4096 /mnt/disk.img block
  objmount ctl object get --range 0-1023 --output head /mnt/disk.img`,
		args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return somePaths(cmd, args)
			}
			return exactly("PATH", "FILE")(cmd, args)
		},
		onePath: true,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.StringVar(&r.IfMatch, "if-match", "", "only the content with this `etag`")
			f.Var(amount{&r.Offset}, "offset", "begin at this `byte`")
			f.Var(amount{&r.Length}, "length", "at most so many `bytes` (default: to the end)")
			f.Var(&bytes, "range", "instead of both: from the first byte to the last, counted from 0")
			f.StringVarP(&file, "output", "o", "", "write into this `file`, as with FILE")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			r.Target = t.target(false)
			switch {
			case bytes.given && (r.Offset != 0 || r.Length != 0):
				return usage("--range says it all; leave out --offset and --length")
			case bytes.given:
				r.Offset, r.Length = bytes.first, bytes.length
			}
			if file != "" {
				if len(args) > 0 {
					return usage("give FILE or --output, not both")
				}
				args = []string{file}
			}
			if len(args) > 0 && args[0] != "-" {
				return s.getFile(ctx, t, r, args[0])
			}
			if s.json {
				return usage("--json needs a FILE, because the object itself goes to standard output")
			}
			return s.get(ctx, t, r, s.out)
		},
	}.command()
}

func (s *ctlSession) get(ctx context.Context, t ctlTarget, r ctl.GetObjectRequest, to io.Writer) error {
	return s.run(ctx, t, "object/get", r, func(l ctl.Line) error {
		_, err := io.WriteString(to, string(l.Rows))
		return err
	})
}

// getFile writes beside a file and then puts it in its place. What is no regular file, such as a pipe, is written itself.
func (s *ctlSession) getFile(ctx context.Context, t ctlTarget, r ctl.GetObjectRequest, path string) (err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return usage("%s is a directory; name a file", path)
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(s.get(ctx, t, r, f), f.Close())
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	partial := fmt.Sprintf("%s.%d.partial", path, os.Getpid())
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if wrong, ok := errors.AsType[*os.PathError](err); ok {
		return fail(exitFailed, "%s cannot be written: %v", path, wrong.Err)
	}
	if err != nil {
		return err
	}
	err = s.get(ctx, t, r, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		_ = os.Remove(partial) // the first error counts
	}
	return err
}
