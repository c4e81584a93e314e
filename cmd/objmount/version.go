package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version is set by the linker: -X main.version=...
var version = "unknown"

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version [flags]", Short: "show the version", Long: "Show the version of objmount and of the Go runtime in it.",
		Example: "  objmount version\n  objmount version --json", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
	groups := single(func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "as JSON") })
	cmd.Flags().AddFlagSet(groups[0].flags)
	setHelp(cmd, groups, "")
	return cmd
}

func versionLine() string {
	return fmt.Sprintf("objmount %s (%s, %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
