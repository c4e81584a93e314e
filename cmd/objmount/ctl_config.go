package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

func newCtlConfigCommand() *cobra.Command {
	return nounCommand("config", "let a mount read its configuration file again",
		"Work on what a mount has from its configuration file. PATH is any in the mount.",
		"  objmount ctl config reload /mnt\n  objmount ctl config reload --dry-run /mnt",
		configReload())
}

func configReload() *cobra.Command {
	var dry bool
	return ctlCommand{
		mounted: true,
		use:     "reload [flags] PATH...", short: "read the configuration file again",
		long: `Read the configuration file of a mount again, as SIGHUP to its process does. A file with a mistake changes nothing (exit code 2).

At once changes what is given to new objects below a prefix, namespaces and public URLs, and log-level, metadata-ttl,
negative-ttl, retry-timeout and drain-timeout. Everything else is listed as needing a new mount, which goes on with what it has
until then. What a flag, an option or a variable has decided stays decided.`,
		example: "  objmount ctl config reload /mnt\n  objmount ctl config reload --dry-run /mnt",
		flags:   func(f *pflag.FlagSet) { f.BoolVar(&dry, "dry-run", false, "only say what would change") },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.run(ctx, t, "config/reload", ctl.ReloadRequest{Target: t.target(dry)}, func(l ctl.Line) error {
				return decoded(l, s.showReloaded)
			})
		},
	}.command()
}

func (s *ctlSession) showReloaded(r ctl.Reloaded) error {
	var lines []string
	add := func(what string, list []ctl.Setting, how func(c ctl.Setting) string) {
		for _, c := range list {
			lines = append(lines, fmt.Sprintf("%-18s %s%s", what+":", c.Name, how(c)))
		}
	}
	change := func(c ctl.Setting) string {
		if c.From == c.To { // of more than one value
			return ""
		}
		return fmt.Sprintf(": %s -> %s", orNone(c.From), orNone(c.To))
	}
	applied := "applied"
	if r.DryRun {
		applied = "would be applied"
	}
	add(applied, r.Applied, change)
	add("needs a new mount", r.Remount, change)
	add("decided already", r.Overridden, func(c ctl.Setting) string { return " by " + c.From })
	if len(r.Unchanged) > 0 {
		lines = append(lines, fmt.Sprintf("%-18s %s", "unchanged:", strings.Join(r.Unchanged, ", ")))
	}
	if len(r.Applied)+len(r.Remount) == 0 {
		lines = append(lines, "nothing has changed in "+r.File)
	}
	_, err := fmt.Fprintln(s.out, strings.Join(lines, "\n"))
	return err
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
