package test

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// A layer says which folders of the project one folder may import; "*" is all of them.
type layer struct {
	folder string
	may    []string
	noStd  []string // packages of the standard library that it must not import
	why    string
}

// An owner says which folders may import a third-party module, and what others do instead.
type owner struct {
	module  string
	folders []string
	instead string
}

type badWord struct{ word, instead string }

type ruleSet struct {
	layers                                          []layer
	owners, ownersInTests                           []owner
	inTests, everywhere, testLibraries, testFolders []string
	longFiles, longFunctions                        map[string]string
	badNames                                        []string
	badWords                                        []badWord
}

// checks return what is wrong, one sentence each, with what to write instead.
var checks = []struct {
	name string
	run  func(*repository, ruleSet) []string
}{
	{"directions", checkDirections},
	{"owners", checkOwners},
	{"sizes", checkSizes},
	{"names", checkNames},
	{"words", checkWords},
	{"error text", checkErrorText},
	{"package comments", checkPackageComments},
}

func checkDirections(repo *repository, rules ruleSet) []string {
	var out []string
	byFolder := map[string]layer{}
	for _, l := range rules.layers {
		byFolder[l.folder] = l
		for _, folder := range append([]string{l.folder}, l.may...) {
			if folder != "*" && !repo.hasFolder(folder) {
				out = append(out, fmt.Sprintf("layers: the rule for %q refers to %q, which has no Go files; remove it from the table", l.folder, folder))
			}
		}
	}
	for _, f := range repo.goFiles() {
		l, ok := byFolder[f.folder()]
		if !ok && slices.Contains(rules.testFolders, firstFolder(f.folder())) {
			l, ok = byFolder[firstFolder(f.folder())]
		}
		if !ok {
			out = append(out, fmt.Sprintf("%s: folder %q has no rule; add a row to layers that says what it may import, and why", f.path, f.folder()))
			continue
		}
		for _, imported := range f.imports() {
			if slices.Contains(l.noStd, imported) && !f.isTest() {
				out = append(out, fmt.Sprintf("%s imports %s, but %s: %s; take what you need as an interface or a func in Config", f.path, imported, l.folder, l.why))
			}
			folder, ours := strings.CutPrefix(imported, module+"/")
			if !ours || folder == f.folder() || slices.Contains(l.may, "*") || slices.Contains(l.may, folder) {
				continue
			}
			if f.isTest() && slices.Contains(rules.inTests, folder) {
				continue
			}
			out = append(out, fmt.Sprintf("%s imports %s, but %s may import only %q: %s; declare the interface you need in %s and let cmd/objmount pass it in",
				f.path, folder, l.folder, l.may, l.why, l.folder))
		}
	}
	return out
}

func firstFolder(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

func checkOwners(repo *repository, rules ruleSet) []string {
	var out []string
	used := map[string]bool{}
	for _, f := range repo.goFiles() {
		for _, imported := range f.imports() {
			if !strings.Contains(strings.Split(imported, "/")[0], ".") || within(imported, module) {
				continue
			}
			out = append(out, checkImport(f, imported, rules, used)...)
		}
	}
	for _, o := range append(slices.Clone(rules.owners), rules.ownersInTests...) {
		if !used[ownerKey(o)] {
			out = append(out, fmt.Sprintf("owners: nothing in %q imports %s; remove the row", o.folders, o.module))
		}
	}
	for _, m := range slices.Concat(rules.everywhere, rules.testLibraries) {
		if !used[m] {
			out = append(out, fmt.Sprintf("owners: nothing imports %s; remove it from the list", m))
		}
	}
	return out
}

func ownerKey(o owner) string { return o.module + " in " + strings.Join(o.folders, " ") }

// checkImport judges one import of a third-party package and notes which rule it used.
func checkImport(f *sourceFile, imported string, rules ruleSet, used map[string]bool) []string {
	testCode := f.isTest() || slices.Contains(rules.testFolders, f.folder()) || slices.Contains(rules.testFolders, firstFolder(f.folder()))
	for _, m := range rules.everywhere {
		if within(imported, m) {
			used[m] = true
			return nil
		}
	}
	for _, m := range rules.testLibraries {
		if within(imported, m) {
			used[m] = true
			if testCode {
				return nil
			}
			return []string{fmt.Sprintf("%s imports %s, a library for tests; only _test.go files and %q do", f.path, imported, rules.testFolders)}
		}
	}
	instead := ""
	for _, o := range append(slices.Clone(rules.owners), rules.ownersInTests...) {
		if !within(imported, o.module) {
			continue
		}
		if slices.ContainsFunc(o.folders, func(folder string) bool { return within(f.folder(), folder) }) {
			used[ownerKey(o)] = true
			return nil
		}
		if instead == "" {
			instead = fmt.Sprintf("it belongs to %q; %s", o.folders, o.instead)
		}
	}
	if instead == "" {
		instead = "no folder owns it; write it with the standard library, or add a row to owners with its one folder"
	}
	return []string{fmt.Sprintf("%s imports %s: %s", f.path, imported, instead)}
}

// within says whether an import path or folder is root or below it.
func within(name, root string) bool { return name == root || strings.HasPrefix(name, root+"/") }

func checkSizes(repo *repository, rules ruleSet) []string {
	var out []string
	long := map[string]bool{}
	for _, f := range repo.files {
		if f.syntax == nil {
			continue
		}
		limit := maxLines
		if f.isTest() {
			limit = maxTestLines
		}
		if f.lines > limit {
			long[f.path] = true
			if rules.longFiles[f.path] == "" {
				out = append(out, fmt.Sprintf("%s has %d lines, the limit is %d; split it by subject", f.path, f.lines, limit))
			}
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if name := f.path + ":" + fn.Name.Name; lines > maxFunction {
				long[name] = true
				if rules.longFunctions[name] == "" {
					out = append(out, fmt.Sprintf("%s has %d lines, the limit is %d; give its steps names", name, lines, maxFunction))
				}
			}
		}
	}
	for _, table := range []map[string]string{rules.longFiles, rules.longFunctions} {
		for name := range table {
			if !long[name] {
				out = append(out, fmt.Sprintf("%s is listed as too long, but it is not; remove it from the list", name))
			}
		}
	}
	sort.Strings(out)
	return out
}

func checkNames(repo *repository, rules ruleSet) []string {
	var out []string
	for _, f := range repo.files {
		if f.syntax == nil {
			continue
		}
		file := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		for _, name := range append(strings.Split(file, "_"), f.syntax.Name.Name, path.Base(f.folder())) {
			if slices.Contains(rules.badNames, strings.ToLower(name)) {
				out = append(out, fmt.Sprintf("%s: the name %q says nothing; name it after what it holds", f.path, name))
			}
		}
	}
	return out
}

func checkWords(repo *repository, rules ruleSet) []string {
	var out []string
	for _, f := range repo.files {
		for n, line := range bytes.Split(f.text, []byte("\n")) {
			for _, w := range rules.badWords {
				if bytes.Contains(line, []byte(w.word)) {
					out = append(out, fmt.Sprintf("%s:%d contains %q: %s", f.path, n+1, w.word, w.instead))
				}
			}
		}
	}
	return out
}

func checkErrorText(repo *repository, _ ruleSet) []string {
	var out []string
	for _, f := range repo.goFiles() {
		if f.isTest() {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if matchesErrorText(n) {
				out = append(out, fmt.Sprintf("%s decides by the text of an error; ask backend.KindOf, errors.Is or errors.As", f.fset.Position(n.Pos())))
			}
			return true
		})
	}
	return out
}

// matchesErrorText recognises strings.Contains(err.Error(), ...) and its relatives,
// err.Error() == ..., and switch err.Error().
func matchesErrorText(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		fun, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || !slices.ContainsFunc(n.Args, isErrorText) {
			return false
		}
		return textQuestion.MatchString(fun.Sel.Name)
	case *ast.BinaryExpr:
		return (n.Op.String() == "==" || n.Op.String() == "!=") && (isErrorText(n.X) || isErrorText(n.Y))
	case *ast.SwitchStmt:
		return n.Tag != nil && isErrorText(n.Tag)
	}
	return false
}

// textQuestion matches the functions of strings, bytes and regexp that look for something in a text.
var textQuestion = regexp.MustCompile(`^(Contains|HasPrefix|HasSuffix|EqualFold|Index|LastIndex|Cut|Match|Find|Compare|Count)`)

// isErrorText says whether e is a call of a method Error without arguments.
func isErrorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Error"
}

func checkPackageComments(repo *repository, _ ruleSet) []string {
	commented := map[string]bool{}
	for _, f := range repo.files {
		if f.syntax != nil {
			commented[f.folder()] = commented[f.folder()] || f.syntax.Doc != nil
		}
	}
	var out []string
	for folder, ok := range commented {
		if !ok {
			out = append(out, fmt.Sprintf("the package in %q has no comment; say in doc.go what it is for", folder))
		}
	}
	sort.Strings(out)
	return out
}
