package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// configDocs reads docs/config.md.
func configDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// loadText loads a configuration whose keys are in a directory instead of /etc/objmount.
func loadText(t *testing.T, text string) error {
	t.Helper()
	dir := t.TempDir()
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"config.toml": {strings.ReplaceAll(text, "/etc/objmount/", dir+"/"), 0o600},
		"archive.key": {strings.Repeat("k", 32), 0o600}, "short.key": {"short", 0o600}, "open.key": {strings.Repeat("k", 32), 0o644},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	_, err := configfile.Load(filepath.Join(dir, "config.toml"), fileFlags())
	return err
}

var tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")

// TestConfigExamplesLoad: what the documentation shows is right, and so is the example that is installed.
func TestConfigExamplesLoad(t *testing.T) {
	t.Parallel()
	blocks := tomlBlock.FindAllStringSubmatch(configDocs(t), -1)
	if len(blocks) < 20 {
		t.Errorf("only %d examples were found", len(blocks))
	}
	for _, block := range blocks {
		if err := loadText(t, block[1]); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
	}
	example, err := os.ReadFile("../../packaging/config.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := loadText(t, string(example)); err != nil {
		t.Error(err)
	}
	// What it has as comments is right too: "#key" and "#[table]", while "# Text" stays.
	if err := loadText(t, regexp.MustCompile(`(?m)^#([a-z\["])`).ReplaceAllString(string(example), "$1")); err != nil {
		t.Errorf("without the comments: %v", err)
	}
}

// withMistake puts the lines of a mistake into an example, in the place of the line with the same key.
func withMistake(t *testing.T, example string, lines []string) string {
	t.Helper()
	out := strings.Split(example, "\n")
	for _, line := range lines {
		key, _, _ := strings.Cut(line, " ")
		begins := func(old string) bool {
			return strings.HasPrefix(line, "[") && strings.HasPrefix(old, "[") || strings.HasPrefix(old, key+" ")
		}
		if i := slices.IndexFunc(out, begins); i >= 0 {
			out[i] = line
		} else {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestConfigMistakes: each mistake of the documentation, put into the example of its section, is said as it is written there.
func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	mistake := regexp.MustCompile("(?m)^Mistake: `(.*?)`(?: and `(.*?)`)? is `(.*)`$")
	found := 0
	for _, section := range strings.Split(configDocs(t), "\n### ")[1:] {
		example := tomlBlock.FindStringSubmatch(section)
		all := mistake.FindAllStringSubmatch(section, -1)
		if example == nil || len(all) == 0 {
			t.Errorf("no example, or no mistake: %.60s", section)
			continue
		}
		for _, m := range all {
			found++
			lines := slices.DeleteFunc([]string{m[1], m[2]}, func(s string) bool { return s == "" })
			err := loadText(t, withMistake(t, example[1], lines))
			wrong, ok := errors.AsType[configfile.Errors](err)
			if !ok || !slices.ContainsFunc(wrong, func(e *configfile.Error) bool { return e.Line > 0 && strings.Contains(e.Text, m[3]) }) {
				t.Errorf("%q is %v, not %s", lines, err, m[3])
			}
		}
	}
	if strings.Count(configDocs(t), "\nMistake:") != found || found < 30 {
		t.Errorf("%d mistakes were understood", found)
	}
}

// TestConfigDocsHaveEveryFlag: each flag that the file may set is in a table, with an example that it takes.
func TestConfigDocsHaveEveryFlag(t *testing.T) {
	t.Parallel()
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| `(.*)` \\|$").FindAllStringSubmatch(configDocs(t), -1) {
		rows[row[1]] = row[2]
	}
	flags := fileFlags()
	for table, list := range map[string][]configfile.Flag{"[mount]\n": flags.Mount, "[remote.a]\n": flags.Store} {
		for _, f := range list {
			value, found := rows[f.Name]
			if delete(rows, f.Name); !found {
				t.Errorf("docs/config.md does not list %s", f.Name)
			} else if err := loadText(t, table+f.Name+" = "+value+"\n"); err != nil {
				t.Error(err)
			}
		}
	}
	for name := range rows {
		t.Errorf("docs/config.md lists %s, which is no flag", name)
	}
	_, vendors, found := strings.Cut(configDocs(t), "One of ")
	if vendors, _, _ = strings.Cut(vendors, "."); !found || strings.Join(strings.Fields(vendors), " ") != strings.Join(flags.Vendors, ", ") {
		t.Errorf("the vendors are %v", flags.Vendors)
	}
}
