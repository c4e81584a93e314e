package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

// layered reads a command line as mount does, with a configuration file and variables.
func layered(t *testing.T, file string, variables map[string]string, args ...string) (*config, error) {
	t.Helper()
	o, flags := newOptions(), pflag.NewFlagSet("mount", pflag.ContinueOnError)
	for _, g := range o.groups() {
		flags.AddFlagSet(g.flags)
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
	if err := flags.Parse(append([]string{"--config=" + path}, args...)); err != nil {
		t.Fatal(err)
	}
	if err := o.applyList(flags, false); err != nil {
		return nil, err
	}
	if err := o.applyEnvironment(flags); err != nil {
		return nil, err
	}
	return o.check(flags, append(flags.Args(), "/mnt"))
}

const layersFile = `
default-remote = "one"
[mount]
umask = "077"
commit = "background"
metadata-ttl = "1h"
file-mode = "640"
staging-limit = "1GiB"
[remote.one]
max-attempts = 9
profile = "p"
connect-timeout = "3s"
[remote.two]
no-sign-request = true
buckets = ["two-*"]
`

func TestLayers(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		args      []string
		right     func(c *config) bool
	}{
		"the file": {nil, []string{"s3://b"}, func(c *config) bool {
			return c.remote.Name == "one" && c.umask == 0o077 && c.shownDirMode == 0o700 && c.shownFileMode == 0o600 && c.commit.value == "background" &&
				c.maxAttempts.n == 9 && c.profile == "p" && c.connectTimeout.String() == "3s" && !c.stagingShare && c.firstByteTimeout == newOptions().firstByteTimeout
		}},
		"variables": {map[string]string{"OBJMOUNT_UMASK": "027", "OBJMOUNT_MAX_ATTEMPTS": "8", "OBJMOUNT_COMMIT": ""}, []string{"s3://b"}, func(c *config) bool {
			return c.umask == 0o027 && c.shownDirMode == 0o750 && c.maxAttempts.n == 8 && c.commit.value == "background"
		}},
		"options": {map[string]string{"OBJMOUNT_UMASK": "027", "OBJMOUNT_MAX_ATTEMPTS": "8"}, []string{"-o", "umask=022,max_attempts=7,rw", "s3://b"}, func(c *config) bool {
			return c.umask == 0o022 && c.shownDirMode == 0o755 && c.maxAttempts.n == 7
		}},
		"flags": {map[string]string{"OBJMOUNT_MAX_ATTEMPTS": "8"}, []string{"-o", "umask=022,max_attempts=7", "--umask=007", "--max-attempts=6", "s3://b"}, func(c *config) bool {
			return c.umask == 0o007 && c.shownDirMode == 0o770 && c.maxAttempts.n == 6
		}},
		"a default that is given": {nil, []string{"--max-attempts=5", "--profile=", "-o", "commit=close", "s3://b"}, func(c *config) bool {
			return c.maxAttempts.n == 5 && c.profile == "" && c.commit.value == "close"
		}},
		"another remote": {nil, []string{"two:b"}, func(c *config) bool {
			return c.remote.Name == "two" && c.noSignRequest && c.profile == "" && c.maxAttempts == newOptions().maxAttempts
		}},
		"by pattern":       {nil, []string{"s3://two-b"}, func(c *config) bool { return c.remote.Name == "two" && c.src.remote == "" }},
		"every bucket":     {nil, []string{"s3://"}, func(c *config) bool { return c.remote.Name == "one" }},
		"--remote":         {map[string]string{"OBJMOUNT_REMOTE": "one"}, []string{"--remote=two", "s3://b"}, func(c *config) bool { return c.remote.Name == "two" }},
		"a variable":       {map[string]string{"OBJMOUNT_REMOTE": "one"}, []string{"s3://two-b"}, func(c *config) bool { return c.remote.Name == "one" }},
		"a name":           {map[string]string{"OBJMOUNT_REMOTE": "one"}, []string{"two:b"}, func(c *config) bool { return c.remote.Name == "two" }},
		"signed after all": {nil, []string{"--profile=x", "two:b"}, func(c *config) bool { return c.profile == "x" && !c.noSignRequest }},
		"not signed":       {nil, []string{"--no-sign-request", "one:b"}, func(c *config) bool { return c.profile == "" && c.noSignRequest }},
		"the past": {nil, []string{"--at=2026-01-01", "s3://b"}, func(c *config) bool {
			return c.metadataTTL == pastTTL && c.consistency.value == "immutable" && c.readOnly
		}},
		"the past, told": {map[string]string{"OBJMOUNT_METADATA_TTL": "5m"}, []string{"--at=2026-01-01", "s3://b"}, func(c *config) bool { return c.metadataTTL.String() == "5m" }},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := layered(t, layersFile, test.variables, test.args...)
			if err != nil || !test.right(c) {
				t.Errorf("%+v\n%v", c, err)
			}
		})
	}
}

// TestEveryFlagHasAVariable, and one for each place in the file.
func TestEveryFlagHasAVariable(t *testing.T) {
	t.Setenv("OBJMOUNT_OPTIONS", "ro")
	known := map[string]bool{}
	file := fileFlags()
	for _, f := range slices.Concat(file.Store, file.Mount) {
		known[f.Name] = true
	}
	for _, g := range newOptions().groups() {
		g.flags.VisitAll(func(f *pflag.Flag) {
			if stray := strayVariables([]string{variableOf(f.Name) + "=x", "OBJMOUNT_TEST_X=1", "OBJMOUNT_RUNTIME_DIR=/"}, g.flags); (len(stray) > 0) != (f.Name == "options") {
				t.Errorf("--%s: %s is a stray variable: %v", f.Name, variableOf(f.Name), stray)
			}
			if own := slices.Contains([]string{"options", "foreground", "config", "remote", "namespace"}, f.Name); known[f.Name] == own {
				t.Errorf("--%s can be set in the file: %v", f.Name, known[f.Name])
			}
		})
	}
	if got := strayVariables([]string{"OBJMOUNT_COMIT=x", "OBJMOUNT_=y", "HOME=/", "OBJMOUNT_BINARY=z", "OBJMOUNT_BINARYS=z", "OBJMOUNT_EMPTY="}, newOptions().storeFlagSet()); !slices.Equal(got, []string{"OBJMOUNT_", "OBJMOUNT_BINARYS", "OBJMOUNT_COMIT"}) {
		t.Errorf("%q", got)
	}
}
