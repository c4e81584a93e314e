package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/ctl"
)

const versionFlag = "the version with this `id` (default: the current one)"

func newRetentionCommand() *cobra.Command {
	return nounCommand("retention", "show, set or remove the retention of a version",
		"Work on the retention that keeps a version from being removed until a date. The bucket needs object lock.",
		`  objmount ctl retention show /mnt/ledger.csv
  objmount ctl retention set --mode governance --until 30d /mnt/ledger.csv
  objmount ctl retention clear --bypass-governance /mnt/ledger.csv`,
		lockShow("retention/show", "retention"), retentionSet(), retentionClear())
}

func newLegalHoldCommand() *cobra.Command {
	return nounCommand("legal-hold", "show, set or remove the legal hold of a version",
		"Work on the legal hold, which keeps a version until it is taken off. The bucket needs object lock.",
		`  objmount ctl legal-hold on /mnt/ledger.csv
  objmount ctl legal-hold show --json /mnt/ledger.csv
  objmount ctl legal-hold off /mnt/ledger.csv`,
		lockShow("legal-hold/show", "legal-hold"), legalHold("on", true), legalHold("off", false))
}

func lockShow(verb, noun string) *cobra.Command {
	var version string
	return ctlCommand{
		use: "show [flags] PATH...", short: "show what keeps a version from being removed",
		long:    "Show retention and legal hold of a version.",
		example: fmt.Sprintf("  objmount ctl %s show /mnt/ledger.csv\n  objmount ctl %s show --version-id 3HL4kqtJlcpXroDTDmJ --json /mnt/ledger.csv", noun, noun),
		flags:   func(f *pflag.FlagSet) { f.StringVar(&version, "version-id", "", versionFlag) },
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			return s.showLock(ctx, t, verb, ctl.VersionRequest{Target: t.target(false), VersionID: version})
		},
	}.manyKeys().command()
}

// showLock runs a verb that answers with a lock.
func (s *ctlSession) showLock(ctx context.Context, t ctlTarget, verb string, request any) error {
	return s.run(ctx, t, verb, request, func(l ctl.Line) error {
		return decoded(l, func(k ctl.Lock) error {
			_, err := fmt.Fprintf(s.out, "%s: %s\n", printable(k.Key), lockText(k))
			return err
		})
	})
}

func lockText(k ctl.Lock) string {
	text, hold := "no retention", "off"
	if k.Mode != "" {
		text = fmt.Sprintf("retention %s until %s", k.Mode, untilText(k.Until))
	}
	if k.LegalHold {
		hold = "on"
	}
	return text + ", legal hold " + hold
}

func retentionSet() *cobra.Command {
	var r ctl.RetentionRequest
	mode := choice{"", []string{"governance", "compliance"}}
	var until deadline
	return ctlCommand{
		use: "set [flags] PATH...", short: "set the retention of a version",
		long: `Set the retention of a version. In the mode governance whoever has the right may shorten or remove
it (--bypass-governance); in the mode compliance nobody can, before the date. To set a later date
always works.`,
		example: `  objmount ctl retention set --mode governance --until 30d /mnt/ledger.csv
  objmount ctl retention set --mode compliance --until 2033-01-01 --version-id 3HL4kqtJlcpXroDTDmJ /mnt/ledger.csv`,
		flags: func(f *pflag.FlagSet) {
			f.Var(&mode, "mode", "who may shorten it")
			f.Var(&until, "until", "the date: 30d, 6m, 1y from now, 2030-01-01, or RFC 3339")
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.Bypass, "bypass-governance", false, "shorten one of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&r.DryRun, "dry-run", false, "check only, and show the retention there is")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			if mode.value == "" || until.text == "" {
				return usage("--mode and --until are both needed, such as --mode governance --until 30d")
			}
			r := r
			r.Target, r.Mode, r.Until = t.target(r.DryRun), strings.ToUpper(mode.value), until.from(time.Now()).UTC()
			return s.showLock(ctx, t, "retention/set", r)
		},
	}.manyKeys().command()
}

func retentionClear() *cobra.Command {
	var r ctl.RetentionRequest
	return ctlCommand{
		use: "clear [flags] PATH...", short: "remove the retention of a version",
		long:    "Remove the retention of a version. One of mode governance needs --bypass-governance and the right to it; one of mode compliance stays.",
		example: "  objmount ctl retention clear --bypass-governance /mnt/ledger.csv",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.Bypass, "bypass-governance", false, "also one of mode GOVERNANCE, if the credentials may")
			f.BoolVar(&r.DryRun, "dry-run", false, "only show the retention there is")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showLock(ctx, t, "retention/clear", r)
		},
	}.manyKeys().command()
}

func legalHold(word string, on bool) *cobra.Command {
	r := ctl.LegalHoldRequest{On: on}
	what := map[bool]string{true: "Set the legal hold of a version: it cannot be removed until the hold is off.", false: "Take the legal hold off a version."}[on]
	return ctlCommand{
		use: word + " [flags] PATH...", short: "switch the legal hold of a version " + word,
		long:    what,
		example: fmt.Sprintf("  objmount ctl legal-hold %s /mnt/ledger.csv", word),
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&r.VersionID, "version-id", "", versionFlag)
			f.BoolVar(&r.DryRun, "dry-run", false, "only show the lock there is")
		},
		do: func(ctx context.Context, s *ctlSession, t ctlTarget, _ []string) error {
			r := r
			r.Target = t.target(r.DryRun)
			return s.showLock(ctx, t, "legal-hold/set", r)
		},
	}.manyKeys().command()
}

// untilText shows when a retention ends; that is a time somebody chose, as a rule in whole seconds.
func untilText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
