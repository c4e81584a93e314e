package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

func main() { os.Exit(run(os.Args)) }

// run is the whole program; it returns the exit status. Answers go to standard output, errors
// and progress to standard error.
func run(args []string) int {
	inv, err := readInvocation(args)
	if err == nil {
		setHome()
		root := newRoot(inv)
		root.SetArgs(inv.words)
		err = root.Execute()
	}
	if w, ok := errors.AsType[*fs.PathError](err); ok && w.Op == "write" && w.Path == os.Stdout.Name() {
		err = fail(exitFailed, "the answer cannot be written: %v", w.Err)
	}
	code := codeOf(err)
	if err != nil && !inv.child {
		if code == exitFailed && !isFailure(err) { // cobra's own: an unknown command
			code = exitUsage
		}
		fmt.Fprintf(os.Stderr, "objmount: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if inv.mount8 {
		return mount8Code(code)
	}
	return int(code)
}

func newRoot(inv *invocation) *cobra.Command {
	root := &cobra.Command{
		Use:   "objmount",
		Short: "mount object storage (Amazon S3 and what speaks its API) as a directory",
		Long: `objmount mounts object storage (Amazon S3 and what speaks its API) as a directory: an object is a
file, a prefix is a directory, and any other S3 client sees the same bytes under the same names.`,
		Example: `  objmount mount s3://my-bucket /mnt
  objmount status
  objmount umount /mnt`,
		SilenceErrors: true, SilenceUsage: true,
		Version: versionLine(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no command %q; objmount --help lists them", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return usage("no command given; objmount --help lists them")
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s; see %s --help", flagError(err), cmd.CommandPath())
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newMountCommand(inv), newUmountCommand(), newStatusCommand(), newCtlCommand(), newConfigCommand(), newVersionCommand())
	return root
}

// exactly demands the arguments with these names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage("%s is missing; usage: %s", names[len(args)], cmd.UseLine())
		}
		if len(args) > len(names) {
			return usage("one argument too many: %q; usage: %s", args[len(names)], cmd.UseLine())
		}
		return nil
	}
}

// setHelp gives a command a help text with its flags in groups, and a last paragraph.
func setHelp(cmd *cobra.Command, groups []flagGroup, last string) {
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n\nUsage:\n  %s\n\nExamples:\n%s\n", cmd.Long, cmd.UseLine(), cmd.Example)
		width := helpWidth()
		for _, g := range groups {
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(width))
		}
		if last != "" {
			fmt.Fprintf(&b, "\n%s", last)
		}
		fmt.Fprint(cmd.OutOrStdout(), b.String())
	})
}

// helpWidth is the terminal's, within reason.
func helpWidth() int {
	const least, most = 80, 120
	w, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return most
	}
	return min(max(w, least), most)
}

// setHome sets HOME where it is missing, as in a mount unit of systemd: the SDK looks there for
// its files.
func setHome() {
	if os.Getenv("HOME") != "" {
		return
	}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil && u.HomeDir != "" {
		_ = os.Setenv("HOME", u.HomeDir) // fails for bad names only
	}
}

// single is a group of flags for commands that need no sections.
func single(register func(f *pflag.FlagSet)) []flagGroup {
	f := pflag.NewFlagSet("Flags", pflag.ContinueOnError)
	f.SortFlags = false
	register(f)
	return []flagGroup{{"Flags", f}}
}
