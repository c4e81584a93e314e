package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func objectPutCommand() *cobra.Command {
	var r ctl.PutObjectRequest
	var g given
	size := fromZero{}
	return ctlCommand{
		use: "put [flags] PATH [FILE]", short: "make an object of a file, or of standard input",
		long: `Make an object of FILE, or of standard input where there is no FILE or it is "-": of any size, in parts where it is large. In
a directory it gets the name of FILE. When the bytes break off, or this is interrupted, nothing is stored. What a
program is writing there is exit code 10, what is under retention or legal hold exit code 4.`,
		example: `  objmount ctl object put /mnt/report.txt report.txt
  tar c . | objmount ctl object put --content-type application/x-tar --metadata host=alpha s3://my-bucket/backup.tar
  objmount ctl object put --if-none-match --retention 30d --tag stage=final /mnt/archive/ ledger.csv`,
		args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return somePaths(cmd, args)
			}
			return exactly("PATH", "FILE")(cmd, args)
		},
		onePath: true,
		flags: func(f *pflag.FlagSet) {
			onlyFlags(f, &r.Only)
			g.flags(f)
			f.Var(&size, "size", "of standard input: so many bytes must come, else nothing is stored")
			overLockedFlag(f, &r.OverLocked)
			f.BoolVar(&r.DryRun, "dry-run", false, "check only, and show what would be made")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error {
			r := r
			var err error
			if r.Given, err = g.parsed(time.Now()); err != nil {
				return err
			}
			if size.given {
				n := int64(size.n)
				r.Size = &n
			}
			r.Target = t.target(r.DryRun)
			if t.bare && strings.HasSuffix(t.rest, "/") {
				r.Directory = true
			}
			if len(args) == 0 || args[0] == "-" {
				return s.put(ctx, t, r, os.Stdin)
			}
			return s.putFile(ctx, t, r, args[0])
		},
	}.command()
}

func (s *ctlSession) putFile(ctx context.Context, t ctlTarget, r ctl.PutObjectRequest, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return usage("%s is a directory; name a file", path)
	case r.Size != nil:
		return usage("--size is of standard input; a file has one")
	}
	r.Name = ctl.Text(filepath.Base(path))
	return s.put(ctx, t, r, f)
}

// put sends what a file, or a pipe, has from here on.
func (s *ctlSession) put(ctx context.Context, t ctlTarget, r ctl.PutObjectRequest, from *os.File) error {
	if n, ok := restOf(from); ok && r.Size == nil {
		r.Size = &n
	}
	done := "stored"
	if r.DryRun {
		done = "would be stored"
	}
	body, stop := endsWith(ctx, from)
	defer stop()
	return s.runAs(ctx, t, func(as runner, each func(ctl.Line) error) error {
		return as.Put(ctx, r, body, each)
	}, s.stored(done))
}

// restOf is how many bytes a regular file still has; false: it is none.
func restOf(f *os.File) (int64, bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil || at > info.Size() || strings.HasPrefix(f.Name(), "/proc/") || strings.HasPrefix(f.Name(), "/sys/") { // they tell no size
		return 0, false
	}
	return info.Size() - at, true
}

// endsWith reads from a file until ctx ends. Nothing else ends a read from a terminal or a pipe.
func endsWith(ctx context.Context, from *os.File) (body io.Reader, stop func()) {
	reader, writer := io.Pipe()
	end := context.AfterFunc(ctx, func() { _ = reader.CloseWithError(context.Cause(ctx)) })
	go func() {
		buf := make([]byte, 256<<10)
		_, err := io.CopyBuffer(struct{ io.Writer }{writer}, struct{ io.Reader }{from}, buf)
		_ = writer.CloseWithError(err)
	}()
	return pipeBody{reader}, func() {
		end()
		_ = reader.Close()
	}
}

// pipeBody is one that can be interrupted.
type pipeBody struct{ *io.PipeReader }

// Interrupt ends a Read that waits, and all later ones.
func (p pipeBody) Interrupt() { _ = p.CloseWithError(errors.New("interrupted")) }
