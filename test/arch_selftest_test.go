package test

import (
	"strings"
	"testing"
	"testing/fstest"
)

const fine = "// Package a is a package.\npackage a\n"

// Every rule must be able to fail: each case breaks one in a small repository.
func TestArchitectureChecksFail(t *testing.T) {
	rules := ruleSet{
		layers:        []layer{{folder: "a", why: "reason"}, {folder: "b", may: []string{"a"}, why: "reason", noStd: []string{"net"}}},
		owners:        []owner{{module: "example.com/m", folders: []string{"a"}, instead: "ask a"}},
		testLibraries: []string{"example.com/testing"},
		badNames:      []string{"util"},
		badWords:      []badWord{{"forbidden", "another word"}},
	}
	base := map[string]string{
		"a/a.go":      "// Package a is a package.\npackage a\nimport _ \"example.com/m/x\"\n",
		"a/a_test.go": "package a\nimport _ \"example.com/testing\"\n",
		"b/b.go":      "// Package b is a package.\npackage b\nimport _ \"" + module + "/a\"\n",
	}
	cases := []struct {
		name, file, text string // text "" removes the file
		want             string
	}{
		{"nothing broken", "b/c.go", "package b\n", ""},
		{"wrong direction", "a/c.go", "package a\nimport _ \"" + module + "/b\"\n", "may import only"},
		{"forbidden standard package", "b/c.go", "package b\nimport _ \"net\"\n", "imports net"},
		{"folder without a rule", "c/c.go", strings.ReplaceAll(fine, "a ", "c "), "has no rule"},
		{"rule without a folder", "b/b.go", "", "refers to"},
		{"not the owner", "b/c.go", "package b\nimport _ \"example.com/m\"\n", "ask a"},
		{"no owner", "b/c.go", "package b\nimport _ \"example.com/other\"\n", "no folder owns it"},
		{"test library in the product", "b/c.go", "package b\nimport _ \"example.com/testing/x\"\n", "a library for tests"},
		{"owner that does not import", "a/a.go", fine, "remove the row"},
		{"test library unused", "a/a_test.go", "", "remove it from the list"},
		{"long file", "b/c.go", "package b\n" + strings.Repeat("\n", maxLines), "split it"},
		{"long test", "b/c_test.go", "package b\n" + strings.Repeat("\n", maxTestLines), "split it"},
		{"long function", "b/c.go", "package b\nfunc f() {" + strings.Repeat("\n", maxFunction) + "}\n", "b/c.go:f has"},
		{"bad file name", "b/c_util.go", "package b\n", "says nothing"},
		{"bad word", "b/README.md", "a forbidden word\n", "another word"},
		{"error text compared", "b/c.go", "package b\nfunc f(err error) bool { return err.Error() == \"x\" }\n", "backend.KindOf"},
		{"error text searched", "b/c.go", "package b\nimport \"strings\"\nfunc f(err error) bool { return strings.Contains(err.Error(), \"x\") }\n", "backend.KindOf"},
		{"error text printed", "b/c.go", "package b\nimport \"strings\"\nfunc f(err error) string { return strings.ReplaceAll(err.Error(), \"x\", \"\") }\n", ""},
		{"error text switched", "b/c.go", "package b\nfunc f(err error) { switch err.Error() {} }\n", "backend.KindOf"},
		{"no package comment", "b/b.go", "package b\nimport _ \"" + module + "/a\"\n", "has no comment"},
		{"another module may import what it likes", "c/c.go", "// Package c is.\npackage c\nimport _ \"example.com/other\"\n", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range base {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			fsys[c.file] = &fstest.MapFile{Data: []byte(c.text)}
			if c.text == "" {
				delete(fsys, c.file)
			}
			if strings.HasPrefix(c.name, "another module") {
				fsys["c/go.mod"] = &fstest.MapFile{Data: []byte("module c\n")}
			}
			repo, err := loadRepository(fsys)
			if err != nil {
				t.Fatal(err)
			}
			var problems []string
			for _, check := range checks {
				problems = append(problems, check.run(repo, rules)...)
			}
			all := strings.Join(problems, "\n")
			if c.want == "" && all != "" {
				t.Errorf("problems where there are none:\n%s", all)
			}
			if !strings.Contains(all, c.want) {
				t.Errorf("want a problem that says %q, have:\n%s", c.want, all)
			}
		})
	}
}

func TestStaleExceptionIsAProblem(t *testing.T) {
	repo, err := loadRepository(fstest.MapFS{"a/a.go": &fstest.MapFile{Data: []byte(fine)}})
	if err != nil {
		t.Fatal(err)
	}
	got := checkSizes(repo, ruleSet{longFiles: map[string]string{"a/a.go": "reason"}})
	if len(got) != 1 || !strings.Contains(got[0], "but it is not") {
		t.Errorf("problems = %q", got)
	}
}
