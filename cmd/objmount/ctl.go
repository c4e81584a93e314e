package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
)

const ctlLong = `Work on what a mount shows beyond what files can express: old versions, retention, tags of a
version, queries.

PATH is a file or directory in a mount (also one that was deleted): the mount's process does the
work. s3://BUCKET/KEY works without a mount, with your own credentials and the flags of the store.`

func newCtlCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ctl", Short: "work on versions, retention, tags and the like, by path", Long: ctlLong,
		Example: `  objmount ctl versions list /mnt/report.txt
  objmount ctl versions restore --at "3 days ago" /mnt/report.txt
  objmount ctl versions undelete s3://my-bucket/report.txt`,
		Args: noVerb, RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(newVersionsCommand(), newRetentionCommand(), newLegalHoldCommand(), newTagsCommand(), newObjectCommand(), newSelectCommand(), newPresignCommand(), newCtlConfigCommand(),
		newBucketCommand(), newVersioningCommand(), newNamespaceCommand(), newACLCommand(), newCDNCommand())
	cmd.AddCommand(newDocumentCommands()...)
	cmd.AddCommand(stagedCommands()...)
	return cmd
}

// noVerb is for commands that only have others below them.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("say what to do; %s --help lists it", cmd.CommandPath())
	}
	return usage("there is no %q in %s; %s --help lists what there is", args[0], cmd.CommandPath(), cmd.CommandPath())
}

// nounCommand groups the verbs of one noun.
func nounCommand(noun, short, long, example string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: noun, Short: short, Long: wrapped(long), Example: example,
		Args: noVerb, RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// wrapped breaks the lines of a text where one is longer than the help is wide. Paragraphs are filled anew; one with an indented
// line is a list, in which only what is too long is broken.
func wrapped(text string) string {
	const width = 110
	tooLong := func(line string) bool { return utf8.RuneCountInString(line) > width }
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		lines := strings.Split(p, "\n")
		if !slices.ContainsFunc(lines, tooLong) {
			continue
		}
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, " ") }) {
			lines = []string{strings.Join(lines, " ")}
		}
		for j, line := range lines {
			if tooLong(line) {
				lines[j] = filled(line, width)
			}
		}
		paragraphs[i] = strings.Join(lines, "\n")
	}
	return strings.Join(paragraphs, "\n\n")
}

// filled breaks a line at blanks. What follows is indented as it is.
func filled(line string, width int) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var b strings.Builder
	n := 0 // characters of the line so far
	for _, word := range strings.Fields(line) {
		long := utf8.RuneCountInString(word)
		switch {
		case n == 0:
			b.WriteString(indent)
			n = len(indent)
		case n+1+long > width:
			b.WriteString("\n" + indent)
			n = len(indent)
		default:
			b.WriteString(" ")
			n++
		}
		b.WriteString(word)
		n += long
	}
	return b.String()
}

// ctlCommand is what all verbs have: how they are called, shown and answered.
type ctlCommand struct {
	use, short, long, example string
	flags                     func(f *pflag.FlagSet)
	args                      cobra.PositionalArgs // nil: one PATH or more
	// do works on one target; of args it gets all but the path.
	do func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error
	// onePath: the arguments after the first are no paths.
	onePath bool
	// pathsOrKeys: nor is a "-" that comes second.
	pathsOrKeys bool
	// keys: a "-" after a directory stands for keys of objects on standard input.
	keys bool
	// everyMount: without a path, each mount is meant.
	everyMount bool
	// mounted: only of use in a mount, so there are no flags of a store.
	mounted bool
	// store: without a path, or with s3:// alone, the store as a whole is meant.
	store bool
}

func (v ctlCommand) command() *cobra.Command {
	s := &ctlSession{options: newOptions(), out: os.Stdout, err: os.Stderr}
	own := single(func(f *pflag.FlagSet) {
		if v.flags != nil {
			v.flags(f)
		}
		f.BoolVar(&s.json, "json", false, "answer in JSON, one document a line")
	})
	store := pflag.NewFlagSet("Store, for s3://BUCKET/KEY", pflag.ContinueOnError)
	store.SortFlags = false
	s.options.allStoreFlags(store)
	groups := own
	if !v.mounted {
		groups = append(groups, flagGroup{"Store, for s3://BUCKET/KEY", store})
	}
	if v.args == nil && !v.everyMount {
		v.args = somePaths
	}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: wrapped(v.long), Example: v.example, Args: v.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
			defer stop()
			s.flags, s.store, s.out = cmd.Flags(), store, cmd.OutOrStdout()
			defer s.close()
			s.infos = ctl.List(ctx, runtimeDirs()...)
			if v.store {
				if stores, err := s.wholeStores(args); err != nil || len(stores) > 0 {
					return s.onStores(ctx, stores, err, v.do)
				}
			}
			if v.everyMount && len(args) == 0 {
				args = s.mountpoints()
			}
			if v.keys {
				args = s.fed(args)
			}
			if v.onePath || s.keys != nil || v.pathsOrKeys && len(args) > 1 && args[1] == "-" {
				return s.on(ctx, args[0], args[1:], v.do)
			}
			return s.onAll(ctx, args, v.do)
		},
	}
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	setHelp(cmd, groups, "Exit codes:\n"+ctlExitHelp())
	return cmd
}

func somePaths(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("PATH is missing; usage: %s", cmd.UseLine())
	}
	return nil
}

// mountpoints are those of the mounts that this user may control.
func (s *ctlSession) mountpoints() []string {
	var list []string
	for _, info := range s.infos {
		if uid := os.Geteuid(); uid == 0 || uint32(uid) == info.UID {
			list = append(list, info.Mountpoint)
		}
	}
	return list
}

type ctlDo func(ctx context.Context, s *ctlSession, t ctlTarget, args []string) error

// onAll works on one path after the other.
func (s *ctlSession) onAll(ctx context.Context, paths []string, do ctlDo) error {
	return inTurn(ctx, s, paths, func(path string) error { return s.on(ctx, path, nil, do) })
}

// inTurn works on one thing after the other. What fails does not stop the rest; the last failure is returned, the others are shown before.
func inTurn[T any](ctx context.Context, s *ctlSession, things []T, do func(T) error) error {
	var last error
	for _, thing := range things {
		err := do(thing)
		if err == nil {
			continue
		}
		if last != nil {
			fmt.Fprintf(s.err, "objmount: %v\n", last)
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return last
}

func (s *ctlSession) on(ctx context.Context, path string, args []string, do ctlDo) error {
	t, bare, err := s.bareTarget(path)
	if err != nil {
		return err
	}
	if bare {
		return s.onTarget(ctx, t, args, do)
	}
	slow := time.AfterFunc(3*time.Second, func() { fmt.Fprintf(s.err, "objmount: %s: waiting for the mount to look it up\n", path) })
	t, err = findTarget(ctx, s.infos, path)
	slow.Stop()
	if ctx.Err() != nil {
		return fail(exitInterrupted, "interrupted; nothing was done at %s", path)
	}
	if err != nil {
		return err
	}
	return s.onTarget(ctx, t, args, do)
}

func (s *ctlSession) onTarget(ctx context.Context, t ctlTarget, args []string, do ctlDo) error {
	err := do(ctx, s, t, args)
	s.bar.finish()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fail(exitInterrupted, "interrupted; what was done stays done")
	}
	return s.explain(t, err)
}

// ctlExits are the exit codes of failures that verbs tell.
var ctlExits = map[ctl.Kind]exitCode{
	ctl.KindBusy: exitBusy, ctl.KindPermission: exitCredentials, ctl.KindCredentials: exitCredentials, ctl.KindLocked: exitCredentials,
	ctl.KindInvalid: exitUsage, ctl.KindNoBucket: exitNoBucket, ctl.KindUnreachable: exitUnreachable,
	ctl.KindPartial: exitPartial, ctl.KindUnsupported: exitUnsupported,
}

// explain gives a verb's failure its exit code, and says on which path.
func (s *ctlSession) explain(t ctlTarget, err error) error {
	e, ok := errors.AsType[*ctl.Error](err)
	if !ok {
		return err
	}
	code, ok := ctlExits[e.Kind]
	if !ok {
		code = exitFailed
	}
	path := t.path
	if t.bare {
		path = strings.TrimSuffix(path, ":") // of a remote as a whole
	}
	return fail(code, "%s: %s", path, e.Message)
}
