package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// capabilitiesDoc is written from what the tests of one run covered: `make docs` writes it, and a
// complete run fails when it says something else.
const capabilitiesDoc = "../docs/capabilities.md"

// recorded are the rows whose ability no server at hand has. A test in another package shows
// that the right requests are made, to a server that only records them.
var recorded = map[string]recordedTest{
	"xattr.annotations": {"backend/s3", "TestRolesOnTheWire", "Amazon alone has annotations"},
	"xattr.restore":     {"backend/s3", "TestRolesOnTheWire", "no server here has archive classes"},
	"ctl.replication":   {"backend/s3", "TestBucketDocsOnTheWire", "a remote target of MinIO needs its own admin API"},
	"xattr.replication": {"backend/s3", "TestHeadTellsRoles", "no server here replicates by itself"},
}

type recordedTest struct {
	folder, name string
	why          string
}

// covered is what the passed tests of this run showed: row, test, stores.
var covered = struct {
	mu   sync.Mutex
	rows map[string]map[string]map[string]bool
}{rows: map[string]map[string]map[string]bool{}}

// covers says that a test shows rows of apis to work on a store: it does them through a mount (or a
// command of objmount) of a real server, and a client that is not ours sees the effect. It counts
// only if the test passes. Call it at its beginning.
func covers(t testing.TB, s *store, rows ...string) {
	t.Helper()
	for _, id := range rows {
		if rowOf(id) == nil {
			t.Errorf("there is no capability %q in capabilities_rows_test.go", id)
		}
	}
	t.Cleanup(func() {
		if t.Failed() || t.Skipped() {
			return
		}
		name, _, _ := strings.Cut(t.Name(), "/")
		covered.mu.Lock()
		defer covered.mu.Unlock()
		for _, id := range rows {
			if covered.rows[id] == nil {
				covered.rows[id] = map[string]map[string]bool{}
			}
			if covered.rows[id][name] == nil {
				covered.rows[id][name] = map[string]bool{}
			}
			covered.rows[id][name][s.name] = true
		}
	})
}

func rowOf(id string) *capability {
	for _, a := range apis {
		for i := range a.rows {
			if a.rows[i].id == id {
				return &a.rows[i]
			}
		}
	}
	return nil
}

// storeTitles are the stores' names for people, in the order of the document.
var storeTitles = []struct{ name, title string }{{"versitygw", "VersityGW"}, {"minio", "MinIO"}}

// document is docs/capabilities.md.
func document() string {
	covered.mu.Lock()
	defer covered.mu.Unlock()
	var b strings.Builder
	b.WriteString(`# What works, and the test that shows it

Written by ` + "`make docs`" + ` from what the end-to-end tests (folder ` + "`test/`" + `) covered: do not edit. A test named here does the
thing through a mount, or a command, on the servers named beside it, and looks at the effect with another client (boto3).
*Recorded*: no server at hand has the ability; a test compares the requests with the API's documents. A row without a test is **missing**.

`)
	var total, shown int
	var tables strings.Builder
	for _, a := range apis {
		fmt.Fprintf(&tables, "## %s\n\n| operation | door | form | test | servers |\n|---|---|---|---|---|\n", a.title)
		for _, row := range a.rows {
			total++
			tests, servers := "**missing**", ""
			if by := covered.rows[row.id]; len(by) > 0 {
				shown++
				tests, servers = describeCoverage(by)
			} else if r, ok := recorded[row.id]; ok {
				shown++
				tests, servers = fmt.Sprintf("`%s` in `%s`", r.name, r.folder), "recorded: "+r.why
			}
			form := strings.ReplaceAll(row.form, "|", `\|`)
			fmt.Fprintf(&tables, "| %s | %s | %s | %s | %s |\n", row.operation, row.door, form, tests, servers)
		}
		tables.WriteString("\n")
	}
	fmt.Fprintf(&b, "%d of %d rows have a test.\n\n%s", shown, total, strings.TrimSuffix(tables.String(), "\n"))
	return b.String()
}

func describeCoverage(by map[string]map[string]bool) (tests, servers string) {
	var names, titles []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		names = append(names, "`"+name+"`")
	}
	for _, s := range storeTitles {
		for _, stores := range by {
			if stores[s.name] {
				titles = append(titles, s.title)
				break
			}
		}
	}
	return strings.Join(names, ", "), strings.Join(titles, ", ")
}

// compareDocument compares the document with this run, if that was complete, or writes it when
// OBJMOUNT_DOCS=write.
func compareDocument(complete bool) error {
	want := document()
	if os.Getenv("OBJMOUNT_DOCS") == "write" {
		return os.WriteFile(capabilitiesDoc, []byte(want), 0o644)
	}
	if !complete {
		return nil
	}
	have, err := os.ReadFile(capabilitiesDoc)
	if err != nil {
		return err
	}
	if string(have) != want {
		return fmt.Errorf("docs/capabilities.md does not say what the tests covered; `make docs` writes it. First difference: %s", differingLine(string(have), want))
	}
	return nil
}

func differingLine(have, want string) string {
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d is %q, the tests say %q", i+1, x, y)
		}
	}
	return "none"
}

// Every row has an id of its own, and every recorded test is there.
func TestCapabilityRows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range apis {
		for _, row := range a.rows {
			if seen[row.id] {
				t.Errorf("two rows are called %q", row.id)
			}
			seen[row.id] = true
		}
	}
	for id, r := range recorded {
		if !seen[id] {
			t.Errorf("recorded: there is no row %q", id)
		}
		if !hasTest(t, filepath.Join("..", r.folder), r.name) {
			t.Errorf("%s has no test %s", r.folder, r.name)
		}
	}
}

func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
				return true
			}
		}
	}
	return false
}
