package test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A repository is the source text under test.
type repository struct {
	files []*sourceFile // in the order of their paths
}

// A sourceFile is one text file. syntax is nil unless it is Go.
type sourceFile struct {
	path   string
	text   []byte
	lines  int
	nested bool // below a folder with a go.mod of its own: another module
	fset   *token.FileSet
	syntax *ast.File
}

// folder is the path of the file's folder; "." is the repository itself.
func (f *sourceFile) folder() string { return path.Dir(f.path) }

func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f *sourceFile) imports() []string {
	if f.syntax == nil {
		return nil
	}
	var out []string
	for _, i := range f.syntax.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// notSource are folders whose content nobody wrote.
var notSource = []string{".git", "bin", "demo-data"}

func loadRepository(fsys fs.FS) (*repository, error) {
	repo := &repository{}
	var modules []string // folders of nested modules
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(notSource, name) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
				modules = append(modules, name+"/")
			}
			return nil
		}
		if !d.Type().IsRegular() || path.Base(name) == "go.sum" {
			return nil
		}
		f, err := loadFile(fsys, name)
		if err != nil || f == nil {
			return err
		}
		f.nested = slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(name, m) })
		repo.files = append(repo.files, f)
		return nil
	})
	return repo, err
}

// loadFile returns nil for a file that is not text.
func loadFile(fsys fs.FS, name string) (*sourceFile, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil || bytes.IndexByte(text, 0) >= 0 {
		return nil, err
	}
	f := &sourceFile{path: name, text: text, lines: bytes.Count(text, []byte("\n"))}
	if path.Ext(name) == ".go" {
		f.fset = token.NewFileSet()
		f.syntax, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// goFiles are the Go files of this module, not of nested ones.
func (r *repository) goFiles() []*sourceFile {
	var out []*sourceFile
	for _, f := range r.files {
		if f.syntax != nil && !f.nested {
			out = append(out, f)
		}
	}
	return out
}

func (r *repository) hasFolder(folder string) bool {
	return slices.ContainsFunc(r.files, func(f *sourceFile) bool { return f.syntax != nil && f.folder() == folder })
}
