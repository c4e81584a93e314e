package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/s3"
	"github.com/objmount/objmount/cmd/objmount/configfile"
)

const configLong = `Look at the configuration file: named remotes, which bucket belongs to which, what new objects get,
namespaces, and defaults for the flags of objmount mount. docs/config.md describes it.`

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "check the configuration file, show what holds", Long: configLong,
		Example: "  objmount config check\n  objmount config show minio",
		Args:    noVerb, RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigShowCommand())
	return cmd
}

const configCheckLong = `Read FILE as objmount mount would, and say everything that is wrong with it: a line for each mistake,
FILE:LINE:COLUMN: what is wrong; what to write instead. No store is asked.

Without FILE it is the file that a mount would read: OBJMOUNT_CONFIG, else config.toml in
$XDG_CONFIG_HOME/objmount (~/.config/objmount), else /etc/objmount/config.toml.`

func newConfigCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [flags] [FILE]", Short: "say what is wrong with a configuration file", Long: configCheckLong,
		Example: `  objmount config check
  objmount config check --json /etc/objmount/config.toml`,
		Args: atMostOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := fileToCheck(args)
			if err != nil {
				return err
			}
			return checkFile(cmd.OutOrStdout(), cmd.ErrOrStderr(), path, asJSON)
		},
	}
	groups := single(func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "answer in JSON") })
	cmd.Flags().AddFlagSet(groups[0].flags)
	setHelp(cmd, groups, "")
	return cmd
}

// atMostOne allows one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 1:
			return usage("one argument too many: %q; usage: %s", args[1], cmd.UseLine())
		case len(args) == 1 && args[0] == "":
			return usage("%s is empty; leave it out, or name one", name)
		}
		return nil
	}
}

// fileToCheck is the file that was named, else the one that a mount would read.
func fileToCheck(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	o, flags, err := surroundings()
	if err != nil {
		return "", err
	}
	if path, _ := o.configPath(flags); path != "" {
		return path, nil
	}
	if flags.Changed("config") {
		return "", usage("%s is empty: there is no configuration file; name one", o.from.told("config"))
	}
	return "", usage("there is no configuration file; name one, or write %s", strings.Join(configPlaces(), " or "))
}

// surroundings are the flags of mount as a mount without any would have them.
func surroundings() (*options, *pflag.FlagSet, error) {
	o := newOptions()
	flags := pflag.NewFlagSet("mount", pflag.ContinueOnError)
	for _, g := range o.groups() {
		flags.AddFlagSet(g.flags)
	}
	return o, flags, o.applyEnvironment(flags)
}

// checkReport is the answer in JSON.
type checkReport struct {
	File     string         `json:"file"`
	OK       bool           `json:"ok"`
	Remotes  []string       `json:"remotes"`
	Mistakes []checkMistake `json:"mistakes"`
}

type checkMistake struct {
	Line   int    `json:"line"` // 0: of the whole file
	Column int    `json:"column"`
	Text   string `json:"text"`
}

func checkFile(out, errOut io.Writer, path string, asJSON bool) error {
	file, err := configfile.Load(path, fileFlags())
	mistakes, _ := errors.AsType[configfile.Errors](err)
	if err == nil {
		mistakes = unusable(path, file)
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(reportOf(path, file, mistakes)); err != nil {
			return err
		}
		if len(mistakes) > 0 {
			return usage("%s: %s", path, plural(len(mistakes), "mistake"))
		}
		return nil
	}
	if len(mistakes) == 0 {
		_, err := fmt.Fprintf(out, "%s: %s\n", path, contents(file))
		return err
	}
	last := len(mistakes) - 1
	for _, m := range mistakes[:last] {
		fmt.Fprintf(errOut, "objmount: %v\n", m)
	}
	return usage("%v", mistakes[last])
}

func reportOf(path string, file *configfile.File, mistakes configfile.Errors) checkReport {
	report := checkReport{File: path, OK: len(mistakes) == 0, Remotes: []string{}, Mistakes: []checkMistake{}}
	if file != nil {
		for _, r := range file.Remotes {
			report.Remotes = append(report.Remotes, r.Name)
		}
	}
	for _, m := range mistakes {
		report.Mistakes = append(report.Mistakes, checkMistake{m.Line, m.Column, m.Text})
	}
	return report
}

// contents says what is in a file that has no mistake.
func contents(file *configfile.File) string {
	prefixes, spaces := 0, 0
	names := make([]string, 0, len(file.Remotes))
	for _, r := range file.Remotes {
		names = append(names, r.Name)
		spaces += len(r.Namespaces)
		for i := range r.Rules {
			if !r.Rules[i].Whole {
				prefixes++
			}
		}
	}
	remotes := plural(len(names), "remote")
	if len(names) > 0 {
		remotes += " (" + strings.Join(names, ", ") + ")"
	}
	return fmt.Sprintf("%s, %s, %s, %s of mount: ok", remotes, plural(prefixes-spaces, "prefix rule"), plural(spaces, "namespace"), plural(len(file.Mount), "setting"))
}

// unusable finds what is right in itself and still cannot work: local files that are missing, and keys of SSE-C that would have to be
// sent to an endpoint without encryption, which the store's client refuses.
func unusable(path string, file *configfile.File) (wrong configfile.Errors) {
	for _, r := range file.Remotes {
		for _, s := range r.Settings {
			if why := unusableSetting(r, s); why != "" {
				wrong = append(wrong, &configfile.Error{Path: path, Line: s.Line, Column: s.Column, Text: why})
			}
		}
	}
	return wrong
}

func unusableSetting(r *configfile.Remote, s configfile.Setting) string {
	switch s.Name {
	case "ca-bundle":
		o := storeOptions{caBundle: s.Value, from: origins{s.Name: s.Name}}
		if err := o.checkBundle(); err != nil {
			return err.Error()
		}
	case "credentials-file":
		if _, err := os.Stat(s.Value); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("credentials-file=%s: there is no such file; write one like ~/.aws/credentials", s.Value)
		}
	case "endpoint-url":
		_, err := s3.Open(context.Background(), s3.Config{Endpoint: s.Value, Anonymous: true}) // sends nothing
		if backend.IsKind(err, backend.KindInvalid) {
			return fmt.Sprintf("endpoint-url: %s; write a URL such as https://host:port", reason(err))
		}
		for i := range r.Rules {
			if r.Rules[i].Key != nil && strings.HasPrefix(strings.ToLower(s.Value), "http://") {
				return fmt.Sprintf("endpoint-url is http, and the key of encryption-key-file (%s) would be sent to it for everybody to see; write https://", r.Rules[i].KeyFile)
			}
		}
	}
	return ""
}
