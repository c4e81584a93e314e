package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// leaves are the commands below one that do something.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

// sectionOf is what a document says below a heading of the third level.
func sectionOf(text, heading string) string {
	_, rest, found := strings.Cut(text, "\n### "+heading+"\n")
	if !found {
		return ""
	}
	if i := regexp.MustCompile(`(?m)^##`).FindStringIndex(rest); i != nil {
		return rest[:i[0]]
	}
	return rest
}

// TestDocsHaveEveryVerb holds docs/ctl.md against the commands: a section with an example for each, and
// every flag of its own; and the exit codes as the help has them.
func TestDocsHaveEveryVerb(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/ctl.md")
	if err != nil {
		t.Fatal(err)
	}
	store := pflag.NewFlagSet("store", pflag.ContinueOnError)
	newOptions().allStoreFlags(store)
	root := newRoot(&invocation{})
	found := 0
	for _, cmd := range leaves(root) {
		path := cmd.CommandPath()
		if !strings.HasPrefix(path, "objmount ctl ") {
			continue
		}
		found++
		section := sectionOf(string(text), path)
		if !strings.Contains(section, "\n    "+path+" ") {
			t.Errorf("docs/ctl.md has no section of %q with an example", path)
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			everywhere := f.Name == "json" || f.Name == "dry-run" || f.Name == "help"
			if !everywhere && store.Lookup(f.Name) == nil && !strings.Contains(section, "--"+f.Name) {
				t.Errorf("the section of %q does not mention --%s", path, f.Name)
			}
		})
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Parent().Long) {
			if utf8.RuneCountInString(line) > 111 { // with its end
				t.Errorf("the help of %q has a long line: %s", path, line)
			}
		}
		if !strings.Contains(cmd.Example, path+" ") {
			t.Errorf("the help of %q has no example", path)
		}
		// What is shown in both places are real command lines.
		for line := range strings.Lines(section + cmd.Example) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, path+" ") {
				continue
			}
			for _, flag := range regexp.MustCompile(` --([a-z-]+)`).FindAllStringSubmatch(line, -1) {
				if cmd.Flags().Lookup(flag[1]) == nil {
					t.Errorf("%s: there is no --%s", line, flag[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d verbs were found", found)
	}
	for _, m := range exitMeanings {
		row := fmt.Sprintf("\n| %d | %s |\n", m.code, m.ofCtl)
		if m.ofCtl != "" && !strings.Contains(string(text), row) {
			t.Errorf("docs/ctl.md has no row %q of the exit codes", row)
		}
	}
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("éword ", 20))
	half := strings.TrimSpace(strings.Repeat("éword ", 18))
	for _, test := range []struct{ name, text, want string }{
		{"short", "one\ntwo", "one\ntwo"},
		{"filled", words + "\nend\n\nnext\nline", half + "\néword éword end\n\nnext\nline"},
		{"list", "what:\n  a  " + words + "\n  b  c", "what:\n  a " + strings.TrimSuffix(half, " éword") + "\n  éword éword éword\n  b  c"},
	} {
		if got := wrapped(test.text); got != test.want {
			t.Errorf("%s:\n%s\nwanted:\n%s", test.name, got, test.want)
		}
	}
}
